//! What PyTorch writes of a tensor, and its files from before version 1.6.
//!
//! A tensor is `_rebuild_tensor_v2(storage, offset, size, stride, ...)`. An old file (`torch/serialization.py`, `_legacy_save`) is
//! four pickles one after the other, a magic number, a version, the machine's types and the saved object, in which a storage is
//! `('storage', type, key, location, elements, None)` by `BINPERSID`; then a pickled list of keys and, in its order, each
//! storage: its number of elements in 8 bytes, and they. In a plain pickle a storage is `_load_from_bytes(...)` of such a file.

use super::input::Input;
use super::objects::{Global, Node};
use super::{Id, Machine, PickleError, Result};
use crate::dtype::{DType, Kind};
use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

const MAGIC: &[u8] = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";
const VERSION: &[u8] = b"\x80\x02M\xe9\x03.";

/// Elements that tensors share.
#[derive(Debug)]
pub(super) struct Storage<'a> {
    dtype: DType,
    place: Place<'a>,
}

#[derive(Debug)]
enum Place<'a> {
    /// Behind the pickle, under a key.
    Key(String),
    Here(Cow<'a, [u8]>),
}

/// A view of a storage. Offset and strides count elements.
#[derive(Clone, Debug)]
pub(super) struct Tensor {
    storage: Id,
    offset: usize,
    shape: Vec<usize>,
    strides: Vec<usize>,
}

impl Tensor {
    pub(super) fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Where its elements are, in order; none where they are too many to count.
    fn places(&self) -> Option<(usize, impl Iterator<Item = Option<usize>>)> {
        let items = self.shape.iter().try_fold(1_usize, |n, &size| n.checked_mul(size))?;
        let place = |item: usize| {
            let mut rest = item;
            let dims = self.shape.iter().zip(&self.strides).rev();
            dims.into_iter().try_fold(self.offset, |at, (&size, &stride)| {
                let index = rest % size;
                rest /= size;
                at.checked_add(index.checked_mul(stride)?)
            })
        };
        Some((items, (0..items).map(place)))
    }
}

/// The type of a class such as `FloatStorage`.
pub(super) fn storage_type(class: &str) -> Option<DType> {
    DType::parse(match class {
        "DoubleStorage" => "<f8",
        "FloatStorage" => "<f4",
        "HalfStorage" => "<f2",
        "LongStorage" => "<i8",
        "IntStorage" => "<i4",
        "ShortStorage" => "<i2",
        "CharStorage" => "|i1",
        "ByteStorage" | "BoolStorage" => "|u1",
        _ => return None,
    })
}

/// Name, shape and elements.
pub(crate) type NamedTensor = (String, Vec<usize>, Vec<f32>);

/// The floating-point tensors of the dictionary that an old file is or has under `state_dict`, `model` or `model_state_dict`.
pub(crate) fn read_old(bytes: &[u8]) -> Result<Vec<NamedTensor>> {
    let OldFile { mut machine, top, storages } = OldFile::open(bytes, false)?;
    let inner = ["state_dict", "model", "model_state_dict"].into_iter().find_map(|name| machine.value_of(top, name));
    let Node::Dict(dict) = machine.node(inner.unwrap_or(top)) else {
        return Err(PickleError::NotTensors(machine.describe(top)));
    };
    let dict = dict.clone();
    // A tensor is not copied more often than its elements have bytes, unless others share them.
    machine.budget = bytes.len();
    let mut tensors = Vec::new();
    for (key, value) in dict {
        let Node::Tensor(tensor) = machine.node(value) else { continue };
        let tensor = (**tensor).clone();
        let Some(name) = machine.str(key).map(str::to_owned) else { continue };
        machine.spend(name.len())?;
        if let Some(values) = machine.tensor_values(&tensor, Some((bytes, &storages)))? {
            tensors.push((name, tensor.shape, values));
        }
    }
    if tensors.is_empty() {
        return Err(PickleError::NotTensors("a dictionary without any".to_owned()));
    }
    Ok(tensors)
}

/// Storages of a file: where in it their elements are.
type Places = HashMap<String, Range<usize>>;

/// An old file taken apart.
struct OldFile<'a> {
    machine: Machine<'a>,
    top: Id,
    storages: Places,
}

impl<'a> OldFile<'a> {
    fn open(bytes: &'a [u8], is_nested: bool) -> Result<Self> {
        let malformed = |at, fault: &str| PickleError::Malformed { at, fault: fault.to_owned() };
        let rest = bytes.strip_prefix(MAGIC).and_then(|rest| rest.strip_prefix(VERSION));
        let mut at = bytes.len() - rest.ok_or_else(|| malformed(0, "not an old torch file, version 1001"))?.len();
        let mut types = Machine::new(&bytes[at..]);
        let top = types.run()?;
        let is_little = types.value_of(top, "little_endian").map(|id| matches!(types.node(id), Node::Int(1)));
        if is_little != Some(true) {
            return Err(malformed(at, "it does not say that its numbers are little-endian"));
        }
        at += types.input.at();
        let mut machine = Machine { storages: Some(HashMap::new()), is_nested, ..Machine::new(&bytes[at..]) };
        let top = machine.run()?;
        at += machine.input.at();
        let mut list = Machine::new(&bytes[at..]);
        let keys = list.run()?;
        at += list.input.at();
        let Node::List(keys) = list.node(keys) else { return Err(malformed(at, "the list of storages is no list")) };
        let declared = machine.storages.take().unwrap_or_default();
        let mut input = Input::new(&bytes[at..]);
        let mut storages = HashMap::new();
        for &key in keys {
            let found = list.str(key).and_then(|key| Some((key, *declared.get(key)?)));
            let Some((key, (dtype, items))) = found else {
                return Err(malformed(at + input.at(), "a storage that no tensor has"));
            };
            if input.u64()? != items as u64 {
                return Err(malformed(at + input.at(), "a storage has another length than its tensors say"));
            }
            let start = at + input.at();
            input.take((items as u64).saturating_mul(dtype.bytes as u64))?;
            storages.insert(key.to_owned(), start..at + input.at());
        }
        Ok(Self { machine, top, storages })
    }
}

impl<'a> Machine<'a> {
    /// `('storage', type, key, location, elements, None)`.
    pub(super) fn storage_in_file(&mut self, id: Id) -> Result<Storage<'a>> {
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
        if let Some(storages) = &mut self.storages {
            storages.insert(key.clone(), (dtype, items));
        }
        Ok(Storage { dtype, place: Place::Key(key) })
    }

    /// `_load_from_bytes(file)`, where the file is nothing but a storage.
    pub(super) fn storage_of_file(&mut self, file: Id) -> Result<Storage<'a>> {
        if self.is_nested || self.storages.is_some() {
            return self.malformed("a torch file within a torch file");
        }
        let Node::Bytes(bytes) = self.node(file) else { return self.malformed("a torch file that is no bytes") };
        let (dtype, range) = {
            let file = OldFile::open(bytes, true)?;
            let Node::Storage(storage) = file.machine.node(file.top) else {
                return self.malformed("a torch file within a pickle that is no storage");
            };
            let Place::Key(key) = &storage.place else { return self.malformed("a storage that is nowhere") };
            let Some(range) = file.storages.get(key) else { return self.malformed("a storage that is not there") };
            (storage.dtype, range.clone())
        };
        let (data, copied) = match bytes {
            Cow::Borrowed(bytes) => (Cow::Borrowed(&bytes[range]), 0),
            Cow::Owned(bytes) => (Cow::Owned(bytes[range.clone()].to_vec()), range.len()),
        };
        self.spend(copied)?;
        Ok(Storage { dtype, place: Place::Here(data) })
    }

    pub(super) fn tensor(&self, storage: Id, offset: Id, [size, stride]: [Id; 2]) -> Result<Tensor> {
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

    /// A tensor's elements in order; none if they are no floats. `file` is the one that its storage may be in.
    pub(super) fn tensor_values(
        &mut self,
        tensor: &Tensor,
        file: Option<(&[u8], &Places)>,
    ) -> Result<Option<Vec<f32>>> {
        let Some((items, places)) = tensor.places() else {
            return self.malformed("a tensor with more elements than can be");
        };
        self.spend(items)?;
        let Node::Storage(storage) = self.node(tensor.storage) else {
            return self.malformed("a tensor without a storage");
        };
        let data = match (&storage.place, file) {
            (Place::Here(bytes), _) => Some(&**bytes),
            (Place::Key(key), Some((bytes, places))) => places.get(key).map(|range| &bytes[range.clone()]),
            (Place::Key(_), None) => None,
        };
        let Some(data) = data else { return self.malformed("a tensor whose storage is not there") };
        let DType { kind: Kind::Float, bytes, .. } = storage.dtype else { return Ok(None) };
        let mut found = Vec::with_capacity(items * bytes);
        for place in places {
            let start = place.and_then(|place| place.checked_mul(bytes));
            match start.and_then(|start| data.get(start..start.checked_add(bytes)?)) {
                Some(element) => found.extend_from_slice(element),
                None => return self.malformed("a tensor reaches beyond its storage"),
            }
        }
        Ok(storage.dtype.floats(&found))
    }
}
