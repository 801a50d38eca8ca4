//! Pickled numpy arrays and torch tensors, read without Python and without running anything.
//!
//! A pickle is a program for a stack machine (`pickletools.py` of Python documents each opcode). This one knows the opcodes that
//! dictionaries of names and float arrays need, in protocols 0 to 5, and a dozen names of functions and classes (see
//! [`objects`]), none of which does more than describe an array. Any other name is an error. So is any other opcode.
//!
//! A file cannot take more memory than a fixed multiple of its size: lengths are checked against what is left of the file,
//! objects refer to each other by number (so sharing one costs nothing and depth is no matter), and what is copied out of
//! shared objects is counted against the file's size.

mod input;
mod objects;
mod op;
mod rows;
mod torch;

use crate::dtype::DType;
use input::Input;
use objects::{Global, Node};
pub(crate) use rows::{Rows, read};
use std::borrow::Cow;
use std::collections::HashMap;
pub(crate) use torch::read_old;

/// Longer programs are not run, which bounds stack, memo and objects for whatever file: the scores of 20,000 clips take a million
/// opcodes as arrays, and eight million as lists of floats for 400 classes.
const MAX_OPCODES: usize = 1 << 25;

/// Why a pickle is not read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PickleError {
    #[error("the pickle calls {0}; only plain dictionaries and lists of numpy arrays and torch tensors are read")]
    Calls(String),
    #[error("the pickle ends too early, in what starts at byte {at}: is the file whole?")]
    Truncated { at: usize },
    #[error("byte {at} of the pickle: {code:#04x} is no opcode that plain dictionaries of numpy arrays need")]
    Opcode { at: usize, code: u8 },
    #[error("byte {at} of the pickle: {fault}")]
    Malformed { at: usize, fault: String },
    #[error("the pickle is {0}; only dictionaries of clip names and float arrays, and lists of these, are read")]
    NotScores(String),
    #[error(
        "the file is {0}; only a dictionary of torch tensors is read, or one under state_dict, model or model_state_dict"
    )]
    NotTensors(String),
    #[error("the pickle uses its objects again and again, to far more than its own size; it is not read")]
    Expands,
}

type Result<T> = std::result::Result<T, PickleError>;

/// Number of an object in [`Machine::nodes`].
type Id = u32;

/// The state of the stack machine.
struct Machine<'a> {
    input: Input<'a>,
    /// Where the present opcode is, for messages.
    at: usize,
    nodes: Vec<Node<'a>>,
    stack: Vec<Id>,
    /// Heights of the stack at the open marks; nothing below the last one is in reach.
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
    /// Whether the pickle is part of an old torch file, whose storages lie behind it, and which these are: their type and number
    /// of elements, by key.
    storages: Option<HashMap<String, (DType, usize)>>,
    /// Whether the file that it is part of lies in a pickle itself.
    is_nested: bool,
    /// What may still be copied out of shared objects, in items or bytes.
    budget: usize,
}

impl<'a> Machine<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self {
            input: Input::new(bytes),
            at: 0,
            nodes: Vec::new(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
            storages: None,
            is_nested: false,
            // Bytes that are written as text are copied twice, if they are a torch file: as a whole, and its storage.
            budget: bytes.len().saturating_mul(2),
        }
    }

    /// Runs the opcodes up to `STOP` and returns the object on the stack.
    fn run(&mut self) -> Result<Id> {
        for _ in 0..MAX_OPCODES {
            self.at = self.input.at();
            let code = self.input.byte()?;
            if code == op::STOP {
                return self.pop();
            }
            self.step(code)?;
        }
        self.malformed(format!("the pickle has more than {MAX_OPCODES} opcodes"))
    }

    fn step(&mut self, code: u8) -> Result<()> {
        match code {
            // They describe the stream; what they say is not needed.
            op::PROTO => {
                let protocol = self.input.byte()?;
                if protocol > 5 {
                    return self.malformed(format!("protocol {protocol} is not known"));
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
                    None => return self.malformed(format!("place {key} of the memo is empty")),
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
                    return self.malformed("STACK_GLOBAL of what is no text");
                };
                let global = self.resolve(module, name)?;
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

            // What plain data never needs; where it names something, the message does too.
            op::INST => {
                let global = self.global_of_lines()?;
                return self.malformed(format!("INST of {global:?}"));
            }
            op::EXT1..=op::EXT4 => return self.malformed("the pickle calls a function by an extension code"),
            op::BINPERSID if self.storages.is_some() => {
                let id = self.pop()?;
                let storage = self.storage_in_file(id)?;
                self.push(Node::Storage(Box::new(storage)));
            }
            op::PERSID | op::BINPERSID => return self.malformed("the pickle refers to an object outside of it"),
            op::NEXT_BUFFER => {
                return self
                    .malformed("the pickle keeps its arrays outside of the file; dump it without buffer_callback");
            }

            code => {
                let value = self.value(code)?;
                self.push(value);
            }
        }
        Ok(())
    }

    /// Numbers, text and bytes.
    fn value(&mut self, code: u8) -> Result<Node<'a>> {
        let length = match code {
            op::NONE => return Ok(Node::None),
            op::NEWTRUE => return Ok(Node::Int(1)),
            op::NEWFALSE => return Ok(Node::Int(0)),
            // Protocol 0 has I00 and I01 for False and True.
            op::INT | op::LONG => return Ok(Node::Int(self.input.number("a whole number")?)),
            op::BININT => return Ok(Node::Int(i64::from(self.input.u32()? as i32))),
            op::BININT1 => return Ok(Node::Int(self.input.byte()?.into())),
            op::BININT2 => return Ok(Node::Int(u16::from_le_bytes(self.input.array()?).into())),
            op::LONG1 | op::LONG4 => {
                let length = if code == op::LONG1 { self.input.byte()?.into() } else { self.input.u32()? };
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
            Err(_) => self.malformed("text that is not UTF-8"),
        }
    }

    fn push(&mut self, node: Node<'a>) {
        self.stack.push(self.nodes.len() as Id);
        self.nodes.push(node);
    }

    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    fn pop(&mut self) -> Result<Id> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    fn top(&self) -> Result<Id> {
        let reach = &self.stack[self.floor()..];
        reach.last().copied().map_or_else(|| self.malformed("nothing is on the stack"), Ok)
    }

    fn pop_many(&mut self, n: usize) -> Result<Vec<Id>> {
        match self.stack.len().checked_sub(n) {
            Some(start) if start >= self.floor() => Ok(self.stack.split_off(start)),
            _ => self.malformed(format!("fewer than {n} objects are on the stack")),
        }
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Id>> {
        match self.marks.pop() {
            Some(start) => Ok(self.stack.split_off(start)),
            None => self.malformed("no mark is on the stack"),
        }
    }

    fn memo_key(&mut self, code: u8) -> Result<u32> {
        match code {
            op::PUT | op::GET => self.input.number("a place in the memo"),
            op::BINPUT | op::BINGET => self.input.byte().map(u32::from),
            op::LONG_BINPUT | op::LONG_BINGET => self.input.u32(),
            _ => Ok(self.memo.len() as u32),
        }
    }

    fn append(&mut self, items: Vec<Id>) -> Result<()> {
        let target = self.top()?;
        match &mut self.nodes[target as usize] {
            Node::List(list) => list.extend(items),
            _ => return self.malformed("APPEND to what is no list"),
        }
        Ok(())
    }

    fn set_items(&mut self, items: &[Id]) -> Result<()> {
        let target = self.top()?;
        let (pairs, rest) = items.as_chunks::<2>();
        match &mut self.nodes[target as usize] {
            Node::Dict(dict) if rest.is_empty() => dict.extend(pairs.iter().map(|&[key, value]| (key, value))),
            Node::Dict(_) => return self.malformed("a key without a value"),
            _ => return self.malformed("SETITEM of what is no dictionary"),
        }
        Ok(())
    }

    /// What the two lines after `GLOBAL` and `INST` name.
    fn global_of_lines(&mut self) -> Result<Global> {
        let module = String::from_utf8_lossy(self.input.line()?);
        let name = String::from_utf8_lossy(self.input.line()?);
        self.resolve(&module, &name)
    }

    /// Only what looks like a name is repeated to the terminal.
    fn resolve(&self, module: &str, name: &str) -> Result<Global> {
        const MAX_CALLED_BYTES: usize = 200;
        let called = format!("{module}.{name}");
        if called.len() > MAX_CALLED_BYTES
            || !called.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'.')
        {
            return self.malformed("what it calls is no name of a function: the file is not a pickle, or damaged");
        }
        Global::find(module, name).ok_or(PickleError::Calls(called))
    }

    fn malformed<T>(&self, fault: impl Into<String>) -> Result<T> {
        Err(PickleError::Malformed { at: self.at, fault: fault.into() })
    }
}

#[cfg(test)]
mod tests;
