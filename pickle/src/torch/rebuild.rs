//! Tensors out of the calls that rebuild them.

use super::legacy;
use super::tensors::Storages;
use crate::error::Result;
use crate::machine::Machine;
use crate::node::{Global, Id, Node, Place, Storage, Tensor};
use std::borrow::Cow;

impl Tensor {
    pub(crate) fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Number of elements, and the place behind the last one in the storage; none where these are too large to count.
    fn extent(&self) -> Option<(usize, usize)> {
        let items = self.shape.iter().try_fold(1_usize, |n, &size| n.checked_mul(size))?;
        if items == 0 {
            return Some((0, 0));
        }
        let dims = self.shape.iter().zip(&self.strides);
        let last = dims
            .into_iter()
            .try_fold(self.offset, |at, (&size, &stride)| at.checked_add((size - 1).checked_mul(stride)?))?;
        Some((items, last.checked_add(1)?))
    }

    /// Whether its elements lie one after the other, the last index fastest.
    fn is_in_order(&self) -> bool {
        let mut expected = 1;
        let dims = self.shape.iter().zip(&self.strides).rev();
        dims.into_iter().all(|(&size, &stride)| {
            let fits = size == 1 || stride == expected;
            expected *= size;
            fits
        })
    }

    /// Its elements, of `size` bytes each, in order. `data` reaches as far as [`extent`](Self::extent).
    fn gather(&self, data: &[u8], size: usize, items: usize) -> Vec<u8> {
        if items == 0 {
            return Vec::new();
        }
        if self.is_in_order() {
            return data[self.offset * size..][..items * size].to_vec();
        }
        let mut found = Vec::with_capacity(items * size);
        let mut index = vec![0; self.shape.len()];
        let mut at = self.offset;
        for _ in 0..items {
            found.extend_from_slice(&data[at * size..][..size]);
            // Count up from the last index.
            for dim in (0..index.len()).rev() {
                index[dim] += 1;
                at += self.strides[dim];
                if index[dim] < self.shape[dim] {
                    break;
                }
                at -= index[dim] * self.strides[dim];
                index[dim] = 0;
            }
        }
        found
    }
}

impl<'a> Machine<'a> {
    /// What `BINPERSID` refers to: a storage, or in old files a module's class with its source code.
    pub(crate) fn outside(&mut self, id: Id) -> Result<Node<'a>> {
        let Node::Tuple(parts) = self.node(id) else { return self.malformed("a reference that is no tuple") };
        if let &[kind, class, ..] = parts.as_slice()
            && self.keeps_unknown
            && self.str(kind) == Some("module")
        {
            return match *self.node(class) {
                Node::Global(class) => Ok(Node::Global(class)),
                _ => self.malformed("a module without a class"),
            };
        }
        self.storage_in_file(id).map(|storage| Node::Storage(Box::new(storage)))
    }

    /// `('storage', type, key, location, elements, None)`.
    fn storage_in_file(&mut self, id: Id) -> Result<Storage<'a>> {
        let Node::Tuple(parts) = self.node(id) else { return self.malformed("a reference that is no tuple") };
        let &[kind, class, key, _, items, ref view @ ..] = parts.as_slice() else {
            return self.malformed("a reference that is not to a storage");
        };
        let is_whole = view.iter().all(|&view| matches!(self.node(view), Node::None));
        let (Some("storage"), Some(key), true) = (self.str(kind), self.str(key), is_whole) else {
            return self.malformed("a reference to what is no storage of its own");
        };
        let (&Node::Global(Global::Storage(dtype)), &Node::Int(items)) = (self.node(class), self.node(items)) else {
            return self.malformed("a reference to a storage of no known type");
        };
        let Ok(items) = usize::try_from(items) else { return self.malformed("a storage of less than nothing") };
        let key = key.to_owned();
        self.spend(key.len())?;
        if let Some(storages) = &mut self.storages
            && *storages.entry(key.clone()).or_insert((dtype, items)) != (dtype, items)
        {
            return self.malformed("a storage has two types or lengths");
        }
        Ok(Storage { dtype, place: Place::Key(key) })
    }

    /// `_load_from_bytes(file)`, where the file is nothing but a storage.
    pub(crate) fn storage_of_file(&mut self, file: Id) -> Result<Storage<'a>> {
        if self.is_nested || self.storages.is_some() {
            return self.malformed("a torch file within a torch file");
        }
        let Node::Bytes(bytes) = self.node(file) else { return self.malformed("a torch file that is no bytes") };
        let (dtype, range) = legacy::storage(bytes)?;
        let (data, copied) = match bytes {
            Cow::Borrowed(bytes) => (Cow::Borrowed(&bytes[range]), 0),
            Cow::Owned(bytes) => (Cow::Owned(bytes[range.clone()].to_vec()), range.len()),
        };
        self.spend(copied)?;
        Ok(Storage { dtype, place: Place::Here(data) })
    }

    pub(crate) fn tensor(&self, storage: Id, offset: Id, [size, stride]: [Id; 2]) -> Result<Tensor> {
        if !matches!(self.node(storage), Node::Storage(_)) {
            return self.malformed("a tensor without a storage");
        }
        let &Node::Int(offset) = self.node(offset) else { return self.malformed("a tensor that begins nowhere") };
        let (shape, strides) = (self.shape(size)?, self.shape(stride)?);
        match usize::try_from(offset) {
            Ok(offset) if shape.len() == strides.len() => Ok(Tensor { storage, offset, shape, strides }),
            _ => self.malformed("a tensor whose size and stride do not fit"),
        }
    }

    /// A tensor's elements in order; none if they are no floats.
    pub(crate) fn tensor_values(&mut self, tensor: &Tensor, outside: &mut dyn Storages) -> Result<Option<Vec<f32>>> {
        let Some((items, end)) = tensor.extent() else {
            return self.malformed("a tensor with more elements than can be");
        };
        let dtype = match self.node(tensor.storage) {
            Node::Storage(storage) => storage.dtype,
            _ => return self.malformed("a tensor without a storage"),
        };
        if dtype.floats(&[]).is_none() {
            return Ok(None);
        }
        self.spend(items)?;
        let data = match self.node(tensor.storage) {
            Node::Storage(storage) => match &storage.place {
                Place::Here(bytes) => Some(&**bytes),
                Place::Key(key) => outside.bytes(key)?,
            },
            _ => None,
        };
        let Some(data) = data else { return self.malformed("a tensor whose storage is not there") };
        if end.checked_mul(dtype.bytes).is_none_or(|end| end > data.len()) {
            return self.malformed("a tensor reaches beyond its storage");
        }
        Ok(dtype.floats(&tensor.gather(data, dtype.bytes, items)))
    }

    /// Sets the byte order of all storages.
    pub(super) fn order_storages(&mut self, order: char) {
        for node in &mut self.nodes {
            if let Node::Storage(storage) = node {
                storage.dtype = storage.dtype.with_order(order).unwrap_or(storage.dtype);
            }
        }
    }
}
