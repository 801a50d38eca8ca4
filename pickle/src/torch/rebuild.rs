//! Rebuilds tensors from the calls in a pickle.

use super::legacy;
use super::tensors::Storages;
use crate::error::Result;
use crate::machine::Machine;
use crate::node::{Global, Id, Node, Place, Storage, Tensor};
use std::borrow::Cow;

impl Tensor {
    /// Returns the sizes.
    pub(crate) fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Returns the number of elements, and the position after the last element in the storage.
    ///
    /// Returns `None` if a number overflows.
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

    /// Returns whether the elements are contiguous in the storage, with the last index varying
    /// fastest.
    fn is_in_order(&self) -> bool {
        let mut expected = 1;
        let dims = self.shape.iter().zip(&self.strides).rev();
        dims.into_iter().all(|(&size, &stride)| {
            let fits = size == 1 || stride == expected;
            expected *= size;
            fits
        })
    }

    /// Copies the elements, of `size` bytes each, in the order of their indices.
    ///
    /// `data` must reach to the end of [`extent`](Self::extent).
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
            // Advances the last index, and carries over to the index before it.
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
    /// Returns the object that `BINPERSID` refers to: a storage, or the class of a module in legacy
    /// files.
    pub(crate) fn outside(&mut self, id: Id) -> Result<Node<'a>> {
        let Node::Tuple(parts) = self.node(id) else {
            return self.malformed("a reference to a storage is not a tuple");
        };
        if let &[kind, class, ..] = parts.as_slice()
            && self.keeps_unknown
            && self.str(kind) == Some("module")
        {
            return match *self.node(class) {
                Node::Global(class) => Ok(Node::Global(class)),
                _ => self.malformed("a module has no class"),
            };
        }
        self.storage_in_file(id).map(|storage| Node::Storage(Box::new(storage)))
    }

    /// Parses a reference `('storage', type, key, location, elements, None)`.
    fn storage_in_file(&mut self, id: Id) -> Result<Storage<'a>> {
        let Node::Tuple(parts) = self.node(id) else {
            return self.malformed("a reference to a storage is not a tuple");
        };
        let &[kind, class, key, _, items, ref view @ ..] = parts.as_slice() else {
            return self.malformed("a reference is not to a storage");
        };
        let is_whole = view.iter().all(|&view| matches!(self.node(view), Node::None));
        let (Some("storage"), Some(key), true) = (self.str(kind), self.str(key), is_whole) else {
            return self.malformed("a reference is to a part of a storage, or to another object");
        };
        let (&Node::Global(Global::Storage(dtype)), &Node::Int(items)) = (self.node(class), self.node(items)) else {
            return self.malformed("a storage has an unknown type");
        };
        let Ok(items) = usize::try_from(items) else { return self.malformed("a storage has a negative length") };
        let key = key.to_owned();
        self.spend(key.len())?;
        if let Some(storages) = &mut self.storages
            && *storages.entry(key.clone()).or_insert((dtype, items)) != (dtype, items)
        {
            return self.malformed("a storage has two types or two lengths");
        }
        Ok(Storage { dtype, place: Place::Key(key) })
    }

    /// Executes `_load_from_bytes(file)`. The file is in the legacy format and must contain only a
    /// storage.
    pub(crate) fn storage_of_file(&mut self, file: Id) -> Result<Storage<'a>> {
        if self.is_nested || self.storages.is_some() {
            return self.malformed("a torch file contains another torch file");
        }
        let Node::Bytes(bytes) = self.node(file) else {
            return self.malformed("the torch file in the pickle is not bytes");
        };
        let (dtype, range) = legacy::storage(bytes)?;
        let (data, copied) = match bytes {
            Cow::Borrowed(bytes) => (Cow::Borrowed(&bytes[range]), 0),
            Cow::Owned(bytes) => (Cow::Owned(bytes[range.clone()].to_vec()), range.len()),
        };
        self.spend(copied)?;
        Ok(Storage { dtype, place: Place::Here(data) })
    }

    /// Creates a tensor and checks the types of the arguments.
    pub(crate) fn tensor(&self, storage: Id, offset: Id, [size, stride]: [Id; 2]) -> Result<Tensor> {
        if !matches!(self.node(storage), Node::Storage(_)) {
            return self.malformed("a tensor has no storage");
        }
        let &Node::Int(offset) = self.node(offset) else {
            return self.malformed("the offset of a tensor is not an integer");
        };
        let (shape, strides) = (self.shape(size)?, self.shape(stride)?);
        match usize::try_from(offset) {
            Ok(offset) if shape.len() == strides.len() => Ok(Tensor { storage, offset, shape, strides }),
            _ => self.malformed("size, stride or offset of a tensor is invalid"),
        }
    }

    /// Returns the elements of a tensor in the order of their indices, or `None` if they are not
    /// floats.
    pub(crate) fn tensor_values(&mut self, tensor: &Tensor, outside: &mut dyn Storages) -> Result<Option<Vec<f32>>> {
        let Some((items, end)) = tensor.extent() else {
            return self.malformed("a tensor has too many elements");
        };
        let dtype = match self.node(tensor.storage) {
            Node::Storage(storage) => storage.dtype,
            _ => return self.malformed("a tensor has no storage"),
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
        let Some(data) = data else { return self.malformed("the storage of a tensor is missing") };
        if end.checked_mul(dtype.bytes).is_none_or(|end| end > data.len()) {
            return self.malformed("a tensor is larger than its storage");
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
