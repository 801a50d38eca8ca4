//! Files of PyTorch from before version 1.6 (`torch/serialization.py`, `_legacy_save`).
//!
//! Such a file is four pickles one after the other, a magic number, a version, the machine's types and the saved object; then a
//! pickled list of the storages' keys and, in its order, each storage: its number of elements in 8 bytes, and they.

use super::tensors::{Storages, Tensors};
use crate::dtype::DType;
use crate::error::{PickleError, Result};
use crate::input::Input;
use crate::machine::Machine;
use crate::node::{Id, Node, Place};
use crate::op;
use std::collections::HashMap;
use std::ops::Range;

/// 0x1950a86a20f9469cfc6c, as protocols 2 and above write it, and the same in text.
const MAGIC: &[u8] = b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";
const MAGIC_IN_TEXT: &[u8] = b"L119547037146038801333356L\n.";
const VERSION: i64 = 1001;

/// Whether a file begins as the old ones do.
pub(super) fn is_legacy(bytes: &[u8]) -> bool {
    behind_magic(bytes).is_some()
}

/// What follows the pickled magic number.
fn behind_magic(bytes: &[u8]) -> Option<&[u8]> {
    let rest = match bytes {
        [op::PROTO, _, rest @ ..] => rest,
        _ => bytes,
    };
    let rest = match rest {
        [op::FRAME, rest @ ..] => rest.get(8..)?,
        _ => rest,
    };
    rest.strip_prefix(MAGIC).or_else(|| rest.strip_prefix(MAGIC_IN_TEXT))
}

/// The tensors of an old file.
pub(super) fn read(bytes: &[u8]) -> Result<Tensors> {
    let OldFile { mut machine, top, storages } = OldFile::open(bytes, false)?;
    // A tensor is not copied more often than its elements have bytes, unless others share them.
    machine.budget = bytes.len();
    machine.tensors(top, &mut Behind { bytes, storages })
}

/// The storages behind the pickles of a file.
struct Behind<'a> {
    bytes: &'a [u8],
    /// Where in the file their elements are.
    storages: HashMap<String, Range<usize>>,
}

impl Storages for Behind<'_> {
    fn bytes(&mut self, key: &str) -> Result<Option<&[u8]>> {
        Ok(self.storages.get(key).map(|range| &self.bytes[range.clone()]))
    }
}

/// Type and place of the storage that is all that a file holds.
pub(super) fn storage(bytes: &[u8]) -> Result<(DType, Range<usize>)> {
    let file = OldFile::open(bytes, true)?;
    let malformed = |fault| file.machine.malformed(fault);
    let Node::Storage(storage) = file.machine.node(file.top) else {
        return malformed("a torch file within a pickle that is no storage");
    };
    let Place::Key(key) = &storage.place else { return malformed("a storage that is nowhere") };
    let Some(range) = file.storages.get(key) else { return malformed("a storage that is not there") };
    Ok((storage.dtype, range.clone()))
}

/// An old file taken apart.
struct OldFile<'a> {
    machine: Machine<'a>,
    top: Id,
    /// Where in the file the storages' elements are.
    storages: HashMap<String, Range<usize>>,
}

impl<'a> OldFile<'a> {
    fn open(bytes: &'a [u8], is_nested: bool) -> Result<Self> {
        let malformed = |at, fault: &str| PickleError::Malformed { at, fault: fault.to_owned() };
        let unknown = || malformed(0, "not an old torch file, version 1001");
        let mut at = bytes.len() - behind_magic(bytes).ok_or_else(unknown)?.len();
        let mut version = Machine::new(&bytes[at..]);
        let number = version.run()?;
        if !matches!(version.node(number), Node::Int(VERSION)) {
            return Err(unknown());
        }
        at += version.input.at();
        let mut types = Machine::new(&bytes[at..]);
        let top = types.run()?;
        let is_little = types.value_of(top, "little_endian").map(|id| matches!(types.node(id), Node::Int(1)));
        if is_little != Some(true) {
            return Err(malformed(at, "it does not say that its numbers are little-endian"));
        }
        at += types.input.at();
        let mut machine = Machine::of_file(&bytes[at..]);
        machine.is_nested = is_nested;
        machine.keeps_unknown = !is_nested;
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
