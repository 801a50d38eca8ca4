//! The legacy format of PyTorch before version 1.6 (`torch/serialization.py`, `_legacy_save`).
//!
//! A file has these parts, one after the other:
//!
//! 1. a pickle with a magic number
//! 2. a pickle with the version
//! 3. a pickle with properties of the machine, such as its byte order
//! 4. a pickle with the saved object
//! 5. a pickle with the list of the keys of the storages
//! 6. each storage in the order of the list: its number of elements in 8 bytes, and its elements

use super::tensors::{Storages, Tensors};
use crate::dtype::DType;
use crate::error::{PickleError, Result};
use crate::input::Input;
use crate::machine::Machine;
use crate::node::{Id, Node, Place};
use crate::op;
use std::collections::HashMap;
use std::ops::Range;

/// The pickled magic number 0x1950a86a20f9469cfc6c in protocols 2 and above.
const MAGIC: &[u8] = b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";
/// The pickled magic number in text.
const MAGIC_IN_TEXT: &[u8] = b"L119547037146038801333356L\n.";
const VERSION: i64 = 1001;

/// Returns whether a file starts like a legacy file.
pub(super) fn is_legacy(bytes: &[u8]) -> bool {
    behind_magic(bytes).is_some()
}

/// Returns the bytes after the pickled magic number, or `None` if there is none.
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

/// Reads the tensors of a legacy file.
pub(super) fn read(bytes: &[u8]) -> Result<Tensors> {
    let LegacyFile { mut machine, top, storages } = LegacyFile::open(bytes, false)?;
    // Each element has at least one byte in the file, unless tensors share it.
    machine.budget = bytes.len();
    machine.tensors(top, &mut Outside { bytes, storages })
}

/// The storages after the pickles of a file.
struct Outside<'a> {
    bytes: &'a [u8],
    /// The range of the elements of each storage in the file.
    storages: HashMap<String, Range<usize>>,
}

impl Storages for Outside<'_> {
    fn bytes(&mut self, key: &str) -> Result<Option<&[u8]>> {
        Ok(self.storages.get(key).map(|range| &self.bytes[range.clone()]))
    }
}

/// Returns type and byte range of the storage in a file that contains only this storage.
pub(super) fn storage(bytes: &[u8]) -> Result<(DType, Range<usize>)> {
    let file = LegacyFile::open(bytes, true)?;
    let malformed = |fault| file.machine.malformed(fault);
    let Node::Storage(storage) = file.machine.node(file.top) else {
        return malformed("the torch file in the pickle is not a storage");
    };
    let Place::Key(key) = &storage.place else { return malformed("a storage has no key") };
    let Some(range) = file.storages.get(key) else { return malformed("a storage is missing") };
    Ok((storage.dtype, range.clone()))
}

/// The parts of a legacy file.
struct LegacyFile<'a> {
    machine: Machine<'a>,
    top: Id,
    /// The range of the elements of each storage in the file.
    storages: HashMap<String, Range<usize>>,
}

impl<'a> LegacyFile<'a> {
    /// Runs the pickles of a file and finds its storages.
    fn open(bytes: &'a [u8], is_nested: bool) -> Result<Self> {
        let malformed = |at, fault: &str| PickleError::Malformed { at, fault: fault.to_owned() };
        let unknown = || malformed(0, "the version of the file is not 1001");
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
            return Err(malformed(at, "the file does not state that its numbers are little-endian"));
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
        let Node::List(keys) = list.node(keys) else {
            return Err(malformed(at, "the keys of the storages are not a list"));
        };
        let declared = machine.storages.take().unwrap_or_default();
        let mut input = Input::new(&bytes[at..]);
        let mut storages = HashMap::new();
        for &key in keys {
            let found = list.str(key).and_then(|key| Some((key, *declared.get(key)?)));
            let Some((key, (dtype, items))) = found else {
                return Err(malformed(at + input.at(), "the list of storages has an unknown key"));
            };
            if input.u64()? != items as u64 {
                return Err(malformed(at + input.at(), "a storage has another length than its tensors state"));
            }
            let start = at + input.at();
            input.take((items as u64).saturating_mul(dtype.bytes as u64))?;
            storages.insert(key.to_owned(), start..at + input.at());
        }
        Ok(Self { machine, top, storages })
    }
}
