//! The stack machine that runs a pickle.
//!
//! Python's `pickletools.py` documents each opcode. The machine knows the opcodes that dictionaries
//! of names and float arrays need, in protocols 0 to 5. It also knows a dozen names of functions
//! and classes (see [`objects`](super::objects)), which only describe arrays and tensors.
//!
//! In scores, every other name or opcode is an error. A torch file may contain the whole state of a
//! training script, so there an object of another class becomes an [`Object`](super::node::Object).
//! Its content is kept, and nothing of its class is run.
//!
//! A file cannot use more memory than a fixed multiple of its size:
//!
//! * Lengths are compared with the rest of the file.
//! * Objects refer to each other by number, so sharing an object costs nothing and nesting is not
//!   limited by the stack.
//! * Data that is copied out of shared objects counts against a budget, which depends on the size
//!   of the file.

use crate::dtype::DType;
use crate::error::{PickleError, Result};
use crate::input::Input;
use crate::node::{Global, Id, Node};
use crate::op;
use std::borrow::Cow;
use std::collections::HashMap;

/// Largest number of opcodes that are run. It limits stack, memo and objects for every file. The
/// scores of 20,000 clips and 400 classes need at most eight million opcodes.
const MAX_OPCODES: usize = 1 << 25;

/// Longest name of a function or class.
const MAX_NAME_BYTES: usize = 200;
const NO_NAME: &str = "it names an invalid function; the file is damaged or not a pickle";

/// The state of the stack machine.
pub(crate) struct Machine<'a> {
    pub(crate) input: Input<'a>,
    /// Offset of the current opcode, for messages.
    at: usize,
    pub(crate) nodes: Vec<Node<'a>>,
    stack: Vec<Id>,
    /// Heights of the stack at the open marks. Objects below the last mark cannot be reached.
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
    /// Type and number of elements of each storage outside of the pickle, by key. `None` if the
    /// pickle is not part of a torch file.
    pub(crate) storages: Option<HashMap<String, (DType, usize)>>,
    /// Whether the pickle is part of a torch file inside another pickle.
    pub(crate) is_nested: bool,
    /// Whether objects of unknown classes are kept, instead of giving an error.
    pub(crate) keeps_unknown: bool,
    /// The first names of unknown functions and classes.
    pub(crate) unknown: Vec<String>,
    /// The first unknown function that the pickle calls, as an index in `unknown`.
    pub(crate) called: Option<usize>,
    /// Number of items or bytes that may still be copied out of shared objects.
    pub(crate) budget: usize,
}

impl<'a> Machine<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self {
            input: Input::new(bytes),
            at: 0,
            nodes: Vec::new(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
            storages: None,
            is_nested: false,
            keeps_unknown: false,
            unknown: Vec::new(),
            called: None,
            // Bytes in text form may be copied twice: as a torch file, and as the storage in it.
            budget: bytes.len().saturating_mul(2),
        }
    }

    /// Creates a machine for the pickle of a torch file. It keeps objects of unknown classes, and
    /// expects storages outside of the pickle.
    pub(crate) fn of_file(bytes: &'a [u8]) -> Self {
        Self { storages: Some(HashMap::new()), keeps_unknown: true, ..Self::new(bytes) }
    }

    /// Runs the opcodes up to `STOP` and returns the object on the stack.
    pub(crate) fn run(&mut self) -> Result<Id> {
        for _ in 0..MAX_OPCODES {
            self.at = self.input.at();
            let code = self.input.byte()?;
            if code == op::STOP {
                return self.pop();
            }
            self.step(code)?;
        }
        self.malformed(format!("it has more than {MAX_OPCODES} opcodes, which is not supported"))
    }

    /// Executes an opcode.
    fn step(&mut self, code: u8) -> Result<()> {
        match code {
            // These opcodes describe the stream. Their content is not needed.
            op::PROTO => {
                let protocol = self.input.byte()?;
                if protocol > 5 {
                    return self.malformed(format!("pickle protocol {protocol} is not supported"));
                }
            }
            op::FRAME => {
                self.input.u64()?;
            }

            op::MARK => self.marks.push(self.stack.len()),
            op::POP if self.marks.last() == Some(&self.stack.len()) => {
                self.marks.pop();
            }
            op::POP => {
                self.pop()?;
            }
            op::POP_MARK => {
                self.pop_to_mark()?;
            }
            op::DUP => {
                let top = self.top()?;
                self.stack.push(top);
            }

            op::PUT | op::BINPUT | op::LONG_BINPUT | op::MEMOIZE => {
                let key = self.memo_key(code)?;
                let top = self.top()?;
                self.memo.insert(key, top);
            }
            op::GET | op::BINGET | op::LONG_BINGET => {
                let key = self.memo_key(code)?;
                match self.memo.get(&key) {
                    Some(&id) => self.stack.push(id),
                    None => return self.malformed(format!("the memo has no object {key}")),
                }
            }

            op::EMPTY_TUPLE => self.push(Node::Tuple(Vec::new())),
            op::TUPLE => {
                let items = self.pop_to_mark()?;
                self.push(Node::Tuple(items));
            }
            op::TUPLE1..=op::TUPLE3 => {
                let items = self.pop_many(usize::from(code - op::TUPLE1) + 1)?;
                self.push(Node::Tuple(items));
            }
            op::EMPTY_LIST => self.push(Node::List(Vec::new())),
            op::LIST => {
                let items = self.pop_to_mark()?;
                self.push(Node::List(items));
            }
            op::APPEND | op::APPENDS => {
                let items = if code == op::APPEND { self.pop_many(1) } else { self.pop_to_mark() }?;
                self.append(items)?;
            }
            op::EMPTY_DICT => self.push(Node::Dict(Vec::new())),
            op::DICT => {
                let items = self.pop_to_mark()?;
                self.push(Node::Dict(Vec::new()));
                self.set_items(&items)?;
            }
            op::SETITEM | op::SETITEMS => {
                let items = if code == op::SETITEM { self.pop_many(2) } else { self.pop_to_mark() }?;
                self.set_items(&items)?;
            }

            op::GLOBAL => {
                let global = self.global_of_lines()?;
                self.push(Node::Global(global));
            }
            op::STACK_GLOBAL => {
                let names = self.pop_many(2)?;
                let (Some(module), Some(name)) = (self.str(names[0]), self.str(names[1])) else {
                    return self.malformed("the name of a function is not text");
                };
                if module.len() + name.len() > MAX_NAME_BYTES {
                    return self.malformed(NO_NAME);
                }
                let (module, name) = (module.to_owned(), name.to_owned());
                let global = self.resolve(&module, &name)?;
                self.push(Node::Global(global));
            }
            op::REDUCE => {
                let operands = self.pop_many(2)?;
                let result = self.reduce(operands[0], operands[1])?;
                self.push(result);
            }
            op::BUILD => {
                let state = self.pop()?;
                let target = self.top()?;
                self.build(target, state)?;
            }

            // Plain data never needs these opcodes. If an opcode names something, the message does
            // too.
            op::INST | op::OBJ | op::NEWOBJ | op::NEWOBJ_EX if self.keeps_unknown => self.instance(code)?,
            op::EMPTY_SET | op::FROZENSET | op::ADDITEMS if self.keeps_unknown => self.set(code)?,
            op::INST => {
                let global = self.global_of_lines()?;
                return self.malformed(format!("an instance of {global:?} is not supported"));
            }
            op::EXT1..=op::EXT4 => return self.malformed("it calls a function by an extension code"),
            op::BINPERSID if self.storages.is_some() => {
                let id = self.pop()?;
                let referred = self.outside(id)?;
                self.push(referred);
            }
            op::PERSID | op::BINPERSID => return self.malformed("it refers to an object outside of the pickle"),
            op::NEXT_BUFFER => {
                return self.malformed("its arrays are outside of the file; dump them again without buffer_callback");
            }

            code => {
                let value = self.value(code)?;
                self.push(value);
            }
        }
        Ok(())
    }

    /// Executes an opcode that pushes a number, text or bytes.
    fn value(&mut self, code: u8) -> Result<Node<'a>> {
        let length = match code {
            op::NONE => return Ok(Node::None),
            op::NEWTRUE => return Ok(Node::Int(1)),
            op::NEWFALSE => return Ok(Node::Int(0)),
            op::INT | op::LONG => return self.decimal(),
            op::BININT => return Ok(Node::Int(i64::from(self.input.u32()? as i32))),
            op::BININT1 => return Ok(Node::Int(self.input.byte()?.into())),
            op::BININT2 => return Ok(Node::Int(u16::from_le_bytes(self.input.array()?).into())),
            op::LONG1 | op::LONG4 => {
                let length = if code == op::LONG1 { self.input.byte()?.into() } else { self.input.u32()? };
                if length > 8 && self.keeps_unknown {
                    self.input.take(length.into())?;
                    return Ok(Node::object());
                }
                return Ok(Node::Int(self.input.long(length)?));
            }
            op::FLOAT => return Ok(Node::Float(self.input.number("a number")?)),
            op::BINFLOAT => return Ok(Node::Float(f64::from_be_bytes(self.input.array()?))),
            op::STRING => return Ok(Node::Bytes(Cow::Owned(self.input.quoted()?))),
            op::UNICODE => return Ok(Node::Text(Cow::Owned(self.input.escaped_unicode()?))),
            op::SHORT_BINSTRING | op::SHORT_BINUNICODE | op::SHORT_BINBYTES => self.input.byte()?.into(),
            op::BINSTRING | op::BINUNICODE | op::BINBYTES => self.input.u32()?.into(),
            op::BINUNICODE8 | op::BINBYTES8 | op::BYTEARRAY8 => self.input.u64()?,
            code => return Err(PickleError::Opcode { at: self.at, code }),
        };
        let bytes = self.input.take(length)?;
        if !matches!(code, op::SHORT_BINUNICODE | op::BINUNICODE | op::BINUNICODE8) {
            return Ok(Node::Bytes(Cow::Borrowed(bytes)));
        }
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(Node::Text(Cow::Borrowed(text))),
            // Python also writes lone surrogates, which are not UTF-8.
            Err(_) if self.keeps_unknown => Ok(Node::Bytes(Cow::Borrowed(bytes))),
            Err(_) => self.malformed("a text is not UTF-8"),
        }
    }

    /// Reads an integer in decimal text. Protocol 0 writes False and True as I00 and I01.
    fn decimal(&mut self) -> Result<Node<'a>> {
        let (at, line) = (self.input.at(), self.input.line()?);
        let digits = line.strip_suffix(b"L").unwrap_or(line);
        match std::str::from_utf8(digits).ok().and_then(|text| text.parse().ok()) {
            Some(value) => Ok(Node::Int(value)),
            None if self.keeps_unknown && !digits.is_empty() && is_whole(digits) => Ok(Node::object()),
            None => Err(PickleError::Malformed { at, fault: "an integer is expected".to_owned() }),
        }
    }

    /// Adds an object and pushes it on the stack.
    pub(crate) fn push(&mut self, node: Node<'a>) {
        self.stack.push(self.nodes.len() as Id);
        self.nodes.push(node);
    }

    /// Returns the height of the stack at the last open mark.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    /// Removes the object at the top of the stack.
    pub(crate) fn pop(&mut self) -> Result<Id> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    /// Returns the object at the top of the stack.
    pub(crate) fn top(&self) -> Result<Id> {
        let reach = &self.stack[self.floor()..];
        reach.last().copied().map_or_else(|| self.malformed("the stack is empty"), Ok)
    }

    /// Removes `n` objects from the stack and returns them in the order in which they were pushed.
    pub(crate) fn pop_many(&mut self, n: usize) -> Result<Vec<Id>> {
        match self.stack.len().checked_sub(n) {
            Some(start) if start >= self.floor() => Ok(self.stack.split_off(start)),
            _ => self.malformed(format!("the stack has fewer than {n} objects")),
        }
    }

    /// Removes the last mark and the objects above it.
    pub(crate) fn pop_to_mark(&mut self) -> Result<Vec<Id>> {
        match self.marks.pop() {
            Some(start) => Ok(self.stack.split_off(start)),
            None => self.malformed("the stack has no mark"),
        }
    }

    /// Reads the key of a memo opcode.
    fn memo_key(&mut self, code: u8) -> Result<u32> {
        match code {
            op::PUT | op::GET => self.input.number("a key of the memo"),
            op::BINPUT | op::BINGET => self.input.byte().map(u32::from),
            op::LONG_BINPUT | op::LONG_BINGET => self.input.u32(),
            _ => Ok(self.memo.len() as u32),
        }
    }

    /// Appends items to the list at the top of the stack.
    pub(crate) fn append(&mut self, items: Vec<Id>) -> Result<()> {
        let target = self.top()?;
        match &mut self.nodes[target as usize] {
            Node::List(list) => list.extend(items),
            // The items of a list of an unknown class are not needed.
            Node::Object(_) => {}
            _ => return self.malformed("APPEND needs a list"),
        }
        Ok(())
    }

    /// Sets keys and values in the dictionary at the top of the stack.
    fn set_items(&mut self, items: &[Id]) -> Result<()> {
        let target = self.top()?;
        let (pairs, rest) = items.as_chunks::<2>();
        match &mut self.nodes[target as usize] {
            Node::Dict(dict) if rest.is_empty() => dict.extend(pairs.iter().map(|&[key, value]| (key, value))),
            Node::Object(object) if rest.is_empty() => {
                object.items.extend(pairs.iter().map(|&[key, value]| (key, value)));
            }
            Node::Dict(_) | Node::Object(_) => return self.malformed("a key has no value"),
            _ => return self.malformed("SETITEM needs a dictionary"),
        }
        Ok(())
    }

    /// Reads the two lines after `GLOBAL` and `INST`, and finds the function or class that they
    /// name.
    pub(crate) fn global_of_lines(&mut self) -> Result<Global> {
        let module = String::from_utf8_lossy(self.input.line()?);
        let name = String::from_utf8_lossy(self.input.line()?);
        self.resolve(&module, &name)
    }

    /// Finds a function or class by its name.
    ///
    /// Messages repeat a name only if it looks like a Python name, so that a file cannot send
    /// control characters to the terminal.
    fn resolve(&mut self, module: &str, name: &str) -> Result<Global> {
        if module.len() + name.len() > MAX_NAME_BYTES {
            return self.malformed(NO_NAME);
        }
        let called = format!("{module}.{name}");
        if !called.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'.') {
            return self.malformed(NO_NAME);
        }
        match Global::find(module, name) {
            Some(global) => Ok(global),
            None if self.keeps_unknown => Ok(self.note_unknown(called)),
            None => Err(PickleError::Calls(called)),
        }
    }

    /// Returns [`PickleError::Malformed`] with the offset of the current opcode.
    pub(crate) fn malformed<T>(&self, fault: impl Into<String>) -> Result<T> {
        Err(PickleError::Malformed { at: self.at, fault: fault.into() })
    }
}

/// Returns whether text consists of decimal digits after an optional minus sign.
fn is_whole(digits: &[u8]) -> bool {
    digits.strip_prefix(b"-").unwrap_or(digits).iter().all(u8::is_ascii_digit)
}
