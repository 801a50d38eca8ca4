//! The objects of a pickle: Python's plain ones, and what numpy writes of an array.
//!
//! numpy pickles an array as `_reconstruct(ndarray, (0,), b'b')` and then, by `BUILD`, `(1, shape, dtype, fortran, data)`; with
//! protocol 5 as `_frombuffer(data, dtype, shape, order)`; a scalar as `scalar(dtype, data)`; a type as `dtype('f4', 0, 1)` and,
//! by `BUILD`, `(3, '<', None, None, None, -1, -1, 0)`. Python 3 writes bytes in protocols 0 to 2 as `_codecs.encode(text, 'latin1')`.

use crate::dtype::{DType, Kind};
use crate::error::{PickleError, Result, excerpt};
use crate::machine::Machine;
use crate::node::{Array, Global, Id, Node};
use std::borrow::Cow;

impl<'a> Machine<'a> {
    pub(crate) fn node(&self, id: Id) -> &Node<'a> {
        &self.nodes[id as usize]
    }

    /// Text; Python 2 writes it as bytes.
    pub(crate) fn str(&self, id: Id) -> Option<&str> {
        match self.node(id) {
            Node::Text(text) => Some(text),
            Node::Bytes(bytes) => std::str::from_utf8(bytes).ok(),
            _ => None,
        }
    }

    /// The result of a call; `callable` and `arguments` are any objects.
    pub(crate) fn reduce(&mut self, callable: Id, arguments: Id) -> Result<Node<'a>> {
        let callable = match *self.node(callable) {
            Node::Global(callable) => callable,
            _ if self.keeps_unknown => return Ok(Node::object()),
            _ => return self.malformed("REDUCE of what is no function"),
        };
        if let Global::Unknown(name) = callable {
            self.called.get_or_insert(name);
            return Ok(Node::object());
        }
        match self.call(callable, arguments) {
            // An array that is no tensor, such as one of dates, is beside the weights.
            Err(PickleError::Malformed { .. }) if self.keeps_unknown && !callable.is_of_torch() => Ok(Node::object()),
            result => result,
        }
    }

    fn call(&mut self, callable: Global, arguments: Id) -> Result<Node<'a>> {
        let Node::Tuple(arguments) = self.node(arguments) else {
            return self.malformed("a function's arguments are no tuple");
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
                    None => self.malformed(format!("an array of type {}; only floats are read", excerpt(name))),
                }
            }
            (Global::Encode, &[text, encoding]) if matches!(self.str(encoding), Some("latin1" | "latin-1")) => {
                self.encode(text)
            }
            (Global::OrderedDict | Global::DefaultDict, &[]) | (Global::DefaultDict, &[_]) => {
                Ok(Node::Dict(Vec::new()))
            }
            (Global::OrderedDict, &[pairs]) => self.pairs(pairs),
            // The seventh argument says of views whether their values are negated or conjugated.
            (Global::RebuildTensor, &[_, _, _, _, _, _, view, ..]) if self.is_changed_view(view) => self.malformed(
                "a tensor that is a negated or conjugated view; save it with resolve_neg() and resolve_conj()",
            ),
            (Global::RebuildTensor, &[storage, offset, size, stride, ..]) => {
                self.tensor(storage, offset, [size, stride]).map(|tensor| Node::Tensor(Box::new(tensor)))
            }
            (Global::RebuildTyped, &[storage, offset, size, stride, ..]) => {
                // Types without a storage of their own are not those of weights.
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
                _ => self.malformed("a parameter that is no tensor"),
            },
            (Global::LoadFromBytes, &[file]) => {
                self.storage_of_file(file).map(|storage| Node::Storage(Box::new(storage)))
            }
            _ => self.malformed(format!("{callable:?} with arguments that plain arrays do not have")),
        }
    }

    /// Gives an object its state.
    pub(crate) fn build(&mut self, target: Id, state: Id) -> Result<()> {
        if let Node::Object(object) = &mut self.nodes[target as usize] {
            object.state = Some(state);
            return Ok(());
        }
        match self.set_state(target, state) {
            Err(PickleError::Malformed { .. }) if self.keeps_unknown => {
                // What an unfinished array would become is not known; nothing else is changed by a state.
                if let Node::Array(None) | Node::Dtype(_) = self.node(target) {
                    self.nodes[target as usize] = Node::object();
                }
                Ok(())
            }
            result => result,
        }
    }

    /// Whether a tensor's view says `neg` or `conj`.
    fn is_changed_view(&self, view: Id) -> bool {
        let says = |name: &str| {
            let value = self.value_of(view, name);
            value.is_some_and(|value| !matches!(self.node(value), Node::None | Node::Int(0)))
        };
        says("neg") || says("conj")
    }

    fn set_state(&mut self, target: Id, state: Id) -> Result<()> {
        // PyTorch leaves notes about versions on the dictionary of a network's tensors.
        if let (Node::Dict(_), Node::Dict(_)) = (self.node(target), self.node(state)) {
            return Ok(());
        }
        let Node::Tuple(state) = self.node(state) else {
            return self.malformed("an object's state is no tuple");
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
                    _ => return self.malformed("a numpy type that is not plain"),
                }
            }
            _ => return self.malformed("BUILD of what is no new array"),
        };
        self.nodes[target as usize] = node;
        Ok(())
    }

    pub(crate) fn shape(&self, id: Id) -> Result<Vec<usize>> {
        const MAX_DIMENSIONS: usize = 64;
        let Node::Tuple(sizes) = self.node(id) else { return self.malformed("an array's shape is no tuple") };
        let size = |&id| match *self.node(id) {
            Node::Int(size) => usize::try_from(size).ok(),
            _ => None,
        };
        let shape = if sizes.len() <= MAX_DIMENSIONS { sizes.iter().map(size).collect() } else { None };
        shape.map_or_else(|| self.malformed("an array's shape is not of whole numbers"), Ok)
    }

    /// An array whose data has the length that type and shape say.
    fn array(&self, dtype: Id, shape: Vec<usize>, data: Id) -> Result<Node<'a>> {
        let Node::Dtype(dtype) = *self.node(dtype) else { return self.malformed("an array without a type") };
        let items = shape.iter().try_fold(1_usize, |n, &m| n.checked_mul(m));
        let (found, expected) = match self.node(data) {
            Node::Bytes(bytes) if dtype.bytes > 0 => (bytes.len(), items.and_then(|n| n.checked_mul(dtype.bytes))),
            Node::List(list) if dtype.kind == Kind::Object => (list.len(), items),
            _ => return self.malformed(format!("an array of {dtype} without data")),
        };
        if expected != Some(found) {
            return self
                .malformed(format!("an array's data has length {found}, which {shape:?} of {dtype} do not take"));
        }
        Ok(Node::Array(Some(Box::new(Array { dtype, shape, data }))))
    }

    fn encode(&mut self, text: Id) -> Result<Node<'a>> {
        let Node::Text(text) = self.node(text) else { return self.malformed("what it encodes is no text") };
        // Each array has its own text in the file; one text in many arrays is counted.
        let length = text.chars().count();
        let bytes: Option<Vec<u8>> =
            if length <= self.budget { text.chars().map(|c| u8::try_from(c).ok()).collect() } else { None };
        self.spend(length)?;
        bytes.map_or_else(
            || self.malformed("what it encodes is not Latin-1"),
            |bytes| Ok(Node::Bytes(Cow::Owned(bytes))),
        )
    }

    /// `OrderedDict([[key, value], ...])`, as Python 2 writes it.
    fn pairs(&mut self, list: Id) -> Result<Node<'a>> {
        let Node::List(list) = self.node(list) else { return self.malformed("OrderedDict of what is no list") };
        let pair = |&id| match self.node(id) {
            Node::List(pair) | Node::Tuple(pair) => <[Id; 2]>::try_from(pair.as_slice()).ok().map(|[k, v]| (k, v)),
            _ => None,
        };
        let length = list.len();
        let dict: Option<Vec<_>> = if length <= self.budget { list.iter().map(pair).collect() } else { None };
        self.spend(length)?;
        dict.map_or_else(|| self.malformed("OrderedDict of what are no pairs"), |dict| Ok(Node::Dict(dict)))
    }

    /// Counts what is copied out of objects that may be shared.
    pub(crate) fn spend(&mut self, amount: usize) -> Result<()> {
        self.budget = self.budget.checked_sub(amount).ok_or(PickleError::Expands)?;
        Ok(())
    }

    /// What a dictionary has under a name.
    pub(crate) fn value_of(&self, dict: Id, name: &str) -> Option<Id> {
        // The last of several: it replaced the others.
        self.items(dict)?.iter().rev().find(|&&(key, _)| self.str(key) == Some(name)).map(|&(_, value)| value)
    }

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
            Node::Object(_) => "an object of a class that is not read".to_owned(),
            Node::Dtype(_) => "a numpy type".to_owned(),
            Node::Array(Some(array)) => format!("an array of shape {:?}", array.shape),
            Node::Array(None) => "an unfinished array".to_owned(),
            Node::Storage(_) => "a torch storage".to_owned(),
            Node::Tensor(tensor) => format!("a tensor of shape {:?}", tensor.shape()),
        }
    }
}
