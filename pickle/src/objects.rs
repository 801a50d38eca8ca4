//! The known functions, and the states that `BUILD` sets.
//!
//! numpy and Python pickle objects as follows:
//!
//! | object | call | state of `BUILD` |
//! |---|---|---|
//! | array | `_reconstruct(ndarray, (0,), b'b')` | `(1, shape, dtype, fortran, data)` |
//! | array in protocol 5 | `_frombuffer(data, dtype, shape, order)` | |
//! | scalar | `scalar(dtype, data)` | |
//! | type | `dtype('f4', 0, 1)` | `(3, '<', None, None, None, -1, -1, 0)` |
//! | bytes of Python 3 in protocols 0 to 2 | `_codecs.encode(text, 'latin1')` | |

use crate::dtype::{DType, Kind};
use crate::error::{PickleError, Result, excerpt};
use crate::machine::Machine;
use crate::node::{Array, Global, Id, Node};
use std::borrow::Cow;

impl<'a> Machine<'a> {
    /// Returns an object by its number.
    pub(crate) fn node(&self, id: Id) -> &Node<'a> {
        &self.nodes[id as usize]
    }

    /// Returns the text of an object. Python 2 writes text as bytes.
    pub(crate) fn str(&self, id: Id) -> Option<&str> {
        match self.node(id) {
            Node::Text(text) => Some(text),
            Node::Bytes(bytes) => std::str::from_utf8(bytes).ok(),
            _ => None,
        }
    }

    /// Executes a call and returns its result. `callable` and `arguments` may be any objects.
    pub(crate) fn reduce(&mut self, callable: Id, arguments: Id) -> Result<Node<'a>> {
        let callable = match *self.node(callable) {
            Node::Global(callable) => callable,
            _ if self.keeps_unknown => return Ok(Node::object()),
            _ => return self.malformed("it calls an object that is not a function"),
        };
        if let Global::Unknown(name) = callable {
            self.called.get_or_insert(name);
            return Ok(Node::object());
        }
        match self.call(callable, arguments) {
            // Arrays of unsupported types, such as dates, are not weights.
            Err(PickleError::Malformed { .. }) if self.keeps_unknown && !callable.is_of_torch() => Ok(Node::object()),
            result => result,
        }
    }

    /// Executes a call of a known function.
    fn call(&mut self, callable: Global, arguments: Id) -> Result<Node<'a>> {
        let Node::Tuple(arguments) = self.node(arguments) else {
            return self.malformed("the arguments of a function are not a tuple");
        };
        match (callable, arguments.as_slice()) {
            (Global::Reconstruct, &[class, _, _]) if matches!(self.node(class), Node::Global(Global::Ndarray)) => {
                Ok(Node::Array(None))
            }
            (Global::Scalar, &[dtype, data]) => self.array(dtype, Vec::new(), data),
            (Global::FromBuffer, &[data, dtype, shape, _order]) => {
                let shape = self.shape(shape)?;
                self.array(dtype, shape, data)
            }
            (Global::Dtype, &[name, ..]) if arguments.len() <= 3 => {
                let name = self.str(name).unwrap_or_default();
                match DType::parse(name) {
                    Some(dtype) => Ok(Node::Dtype(dtype)),
                    None => self.malformed(format!("an array has type {}, which is not supported", excerpt(name))),
                }
            }
            (Global::Encode, &[text, encoding]) if matches!(self.str(encoding), Some("latin1" | "latin-1")) => {
                self.encode(text)
            }
            (Global::OrderedDict | Global::DefaultDict, &[]) | (Global::DefaultDict, &[_]) => {
                Ok(Node::Dict(Vec::new()))
            }
            (Global::OrderedDict, &[pairs]) => self.pairs(pairs),
            // The seventh argument states whether the values of a view are negated or conjugated.
            (Global::RebuildTensor, &[_, _, _, _, _, _, view, ..]) if self.is_changed_view(view) => self
                .malformed("a tensor is a negated or conjugated view; save it after resolve_neg() and resolve_conj()"),
            (Global::RebuildTensor, &[storage, offset, size, stride, ..]) => {
                self.tensor(storage, offset, [size, stride]).map(|tensor| Node::Tensor(Box::new(tensor)))
            }
            (Global::RebuildTyped, &[storage, offset, size, stride, ..]) => {
                // Weights do not have the types without their own storage class.
                self.tensor(storage, offset, [size, stride])?;
                Ok(Node::object())
            }
            (Global::RebuildFromType, &[function, _, inner, ..]) => match *self.node(function) {
                Node::Global(function @ (Global::RebuildTensor | Global::RebuildParameter)) => {
                    self.call(function, inner)
                }
                _ => Ok(Node::object()),
            },
            (Global::Set, &[]) => Ok(Node::List(Vec::new())),
            (Global::Set, &[items]) => self.listed(items),
            (Global::RebuildParameter, &[tensor, ..]) => match self.node(tensor) {
                Node::Tensor(tensor) => Ok(Node::Tensor(tensor.clone())),
                Node::Object(_) => Ok(Node::object()),
                _ => self.malformed("a parameter is not a tensor"),
            },
            (Global::LoadFromBytes, &[file]) => {
                self.storage_of_file(file).map(|storage| Node::Storage(Box::new(storage)))
            }
            _ => self.malformed(format!("{callable:?} has unsupported arguments")),
        }
    }

    /// Executes `BUILD`, which sets the state of an object.
    pub(crate) fn build(&mut self, target: Id, state: Id) -> Result<()> {
        if let Node::Object(object) = &mut self.nodes[target as usize] {
            object.state = Some(state);
            return Ok(());
        }
        match self.set_state(target, state) {
            Err(PickleError::Malformed { .. }) if self.keeps_unknown => {
                // An array or type with an invalid state is unknown. Other objects stay unchanged.
                if let Node::Array(None) | Node::Dtype(_) = self.node(target) {
                    self.nodes[target as usize] = Node::object();
                }
                Ok(())
            }
            result => result,
        }
    }

    /// Returns whether the values of a view are negated or conjugated.
    fn is_changed_view(&self, view: Id) -> bool {
        let says = |name: &str| {
            let value = self.value_of(view, name);
            value.is_some_and(|value| !matches!(self.node(value), Node::None | Node::Int(0)))
        };
        says("neg") || says("conj")
    }

    /// Sets the state of an array or a type.
    fn set_state(&mut self, target: Id, state: Id) -> Result<()> {
        // PyTorch adds version numbers to a state dictionary as its state.
        if let (Node::Dict(_), Node::Dict(_)) = (self.node(target), self.node(state)) {
            return Ok(());
        }
        let Node::Tuple(state) = self.node(state) else {
            return self.malformed("the state of an object is not a tuple");
        };
        let node = match (self.node(target), state.as_slice()) {
            (Node::Array(None), &[_, shape, dtype, _, data] | &[shape, dtype, _, data]) => {
                let shape = self.shape(shape)?;
                self.array(dtype, shape, data)?
            }
            (Node::Dtype(dtype), &[_, order, subtype, names, fields, ..]) => {
                let plain = [subtype, names, fields].iter().all(|&id| matches!(self.node(id), Node::None));
                let order = self.str(order).and_then(|order| order.chars().next());
                match order.and_then(|order| dtype.with_order(order)) {
                    Some(dtype) if plain => Node::Dtype(dtype),
                    _ => return self.malformed("a numpy type has fields or subtypes, which are not supported"),
                }
            }
            _ => return self.malformed("BUILD needs a new array or type"),
        };
        self.nodes[target as usize] = node;
        Ok(())
    }

    /// Returns a tuple of sizes.
    pub(crate) fn shape(&self, id: Id) -> Result<Vec<usize>> {
        const MAX_DIMENSIONS: usize = 64;
        let Node::Tuple(sizes) = self.node(id) else { return self.malformed("the shape of an array is not a tuple") };
        let size = |&id| match *self.node(id) {
            Node::Int(size) => usize::try_from(size).ok(),
            _ => None,
        };
        let shape = if sizes.len() <= MAX_DIMENSIONS { sizes.iter().map(size).collect() } else { None };
        shape.map_or_else(|| self.malformed("the shape of an array has invalid or too many sizes"), Ok)
    }

    /// Creates an array, whose data must have the length that type and shape require.
    fn array(&self, dtype: Id, shape: Vec<usize>, data: Id) -> Result<Node<'a>> {
        let Node::Dtype(dtype) = *self.node(dtype) else { return self.malformed("an array has no type") };
        let items = shape.iter().try_fold(1_usize, |n, &m| n.checked_mul(m));
        let (found, expected) = match self.node(data) {
            Node::Bytes(bytes) if dtype.bytes > 0 => (bytes.len(), items.and_then(|n| n.checked_mul(dtype.bytes))),
            Node::List(list) if dtype.kind == Kind::Object => (list.len(), items),
            _ => return self.malformed(format!("an array of {dtype} has no data")),
        };
        if expected != Some(found) {
            return self
                .malformed(format!("the data of an array has length {found}, but its shape is {shape:?} of {dtype}"));
        }
        Ok(Node::Array(Some(Box::new(Array { dtype, shape, data }))))
    }

    /// Executes `_codecs.encode(text, 'latin1')`.
    fn encode(&mut self, text: Id) -> Result<Node<'a>> {
        let Node::Text(text) = self.node(text) else { return self.malformed("the argument of encode is not text") };
        // In valid files each array has its own text, so the total length is at most the size of
        // the file. The budget prevents that one text is encoded for many arrays.
        let length = text.chars().count();
        let bytes: Option<Vec<u8>> =
            if length <= self.budget { text.chars().map(|c| u8::try_from(c).ok()).collect() } else { None };
        self.spend(length)?;
        bytes.map_or_else(
            || self.malformed("the argument of encode is not Latin-1"),
            |bytes| Ok(Node::Bytes(Cow::Owned(bytes))),
        )
    }

    /// Executes `OrderedDict([[key, value], ...])`, as written by Python 2.
    fn pairs(&mut self, list: Id) -> Result<Node<'a>> {
        let Node::List(list) = self.node(list) else {
            return self.malformed("the argument of OrderedDict is not a list");
        };
        let pair = |&id| match self.node(id) {
            Node::List(pair) | Node::Tuple(pair) => <[Id; 2]>::try_from(pair.as_slice()).ok().map(|[k, v]| (k, v)),
            _ => None,
        };
        let length = list.len();
        let dict: Option<Vec<_>> = if length <= self.budget { list.iter().map(pair).collect() } else { None };
        self.spend(length)?;
        dict.map_or_else(
            || self.malformed("the argument of OrderedDict is not a list of pairs"),
            |dict| Ok(Node::Dict(dict)),
        )
    }

    /// Subtracts from the budget the number of items or bytes that are copied out of shared
    /// objects.
    pub(crate) fn spend(&mut self, amount: usize) -> Result<()> {
        self.budget = self.budget.checked_sub(amount).ok_or(PickleError::Expands)?;
        Ok(())
    }

    /// Returns the value under a name in a dictionary.
    pub(crate) fn value_of(&self, dict: Id, name: &str) -> Option<Id> {
        // If the name occurs several times, the last value has replaced the others.
        self.items(dict)?.iter().rev().find(|&&(key, _)| self.str(key) == Some(name)).map(|&(_, value)| value)
    }

    /// Describes an object for a message.
    pub(crate) fn describe(&self, id: Id) -> String {
        match self.node(id) {
            Node::None => "None".to_owned(),
            Node::Int(_) | Node::Float(_) => "a number".to_owned(),
            Node::Bytes(_) | Node::Text(_) => "text".to_owned(),
            Node::Tuple(_) => "a tuple".to_owned(),
            Node::List(_) => "a list".to_owned(),
            Node::Dict(_) => "a dictionary".to_owned(),
            Node::Global(Global::Unknown(_)) => "a class or a function".to_owned(),
            Node::Global(global) => format!("{global:?} itself"),
            Node::Object(_) => "an object of an unsupported class".to_owned(),
            Node::Dtype(_) => "a numpy type".to_owned(),
            Node::Array(Some(array)) => format!("an array of shape {:?}", array.shape),
            Node::Array(None) => "an unfinished array".to_owned(),
            Node::Storage(_) => "a torch storage".to_owned(),
            Node::Tensor(tensor) => format!("a tensor of shape {:?}", tensor.shape()),
        }
    }
}
