//! Files of PyTorch 1.6 and newer: a zip archive with the pickle as `NAME/data.pkl` and each storage as `NAME/data/KEY`.
//!
//! `NAME/byteorder` says `little` or `big`; where it is missing the numbers are little-endian. Entries are stored as they are, so
//! they are borrowed from the file's bytes. Sizes that the archive states are not believed beyond these bytes.

use super::tensors::{Storages, Tensors};
use crate::dtype::DType;
use crate::error::{PickleError, Result, excerpt};
use crate::machine::Machine;
use std::borrow::Cow;
use std::collections::HashMap;
use std::io::{Cursor, Read};
use zip::{CompressionMethod, ZipArchive};

/// How many times the archive's size its packed entries may have unpacked, beside [`SMALL_BYTES`]: weights hardly shrink.
const MAX_UNPACKED: usize = 16;
/// What any archive may unpack.
const SMALL_BYTES: usize = 1 << 20;

/// The tensors of an archive.
pub(super) fn read(bytes: &[u8]) -> Result<Tensors> {
    let mut archive = Archive::open(bytes)?;
    let Some(pickle) = archive.entry("data.pkl")? else {
        return Err(PickleError::NotTensors("a zip archive without a data.pkl".to_owned()));
    };
    if archive.has("constants.pkl") {
        return Err(PickleError::Script);
    }
    let order = archive.entry("byteorder")?;
    let order = if order.as_deref() == Some(b"big") { '>' } else { '<' };
    let mut machine = Machine::of_file(&pickle);
    let top = machine.run()?;
    let declared = machine.storages.take().unwrap_or_default();
    machine.order_storages(order);
    machine.budget = bytes.len() + archive.unpacked;
    machine.tensors(top, &mut Entries { archive, declared, read: HashMap::new() })
}

/// The storages of an archive.
struct Entries<'a> {
    archive: Archive<'a>,
    /// Type and number of elements, as the pickle has them.
    declared: HashMap<String, (DType, usize)>,
    /// Those that were read.
    read: HashMap<String, Cow<'a, [u8]>>,
}

impl Storages for Entries<'_> {
    fn bytes(&mut self, key: &str) -> Result<Option<&[u8]>> {
        if !self.read.contains_key(key) {
            let Some(data) = self.archive.entry(&format!("data/{key}"))? else { return Ok(None) };
            let Some(&(dtype, items)) = self.declared.get(key) else { return Ok(None) };
            if items.checked_mul(dtype.bytes) != Some(data.len()) {
                let found = data.len();
                return Err(PickleError::Archive(format!(
                    "data/{} has {found} bytes, which {items} elements of {dtype} do not take",
                    excerpt(key)
                )));
            }
            self.read.insert(key.to_owned(), data);
        }
        Ok(self.read.get(key).map(|data| &**data))
    }
}

struct Archive<'a> {
    bytes: &'a [u8],
    zip: ZipArchive<Cursor<&'a [u8]>>,
    /// The folder that all entries are in, with a slash.
    folder: String,
    /// Bytes of packed entries that were unpacked.
    unpacked: usize,
    /// Bytes of entries that were read as they are.
    read: usize,
}

impl<'a> Archive<'a> {
    fn open(bytes: &'a [u8]) -> Result<Self> {
        let zip = ZipArchive::new(Cursor::new(bytes)).map_err(|e| PickleError::Archive(e.to_string()))?;
        let pickle = zip.file_names_raw().filter_map(|name| std::str::from_utf8(name).ok()?.strip_suffix("data.pkl"));
        let pickle = pickle.filter(|folder| folder.is_empty() || folder.ends_with('/'));
        let folder = pickle.min_by_key(|folder| folder.len()).unwrap_or_default().to_owned();
        Ok(Self { bytes, zip, folder, unpacked: 0, read: 0 })
    }

    fn has(&self, name: &str) -> bool {
        self.zip.index_for_name(&format!("{}{name}", self.folder)).is_some()
    }

    /// The content of an entry, unpacked and checked against its checksum; none where there is no such entry.
    fn entry(&mut self, name: &str) -> Result<Option<Cow<'a, [u8]>>> {
        let fault = |fault: String| PickleError::Archive(format!("{}: {fault}", excerpt(name)));
        let Some(index) = self.zip.index_for_name(&format!("{}{name}", self.folder)) else { return Ok(None) };
        let entry = self.zip.by_index_raw(index).map_err(|e| fault(e.to_string()))?;
        let (method, crc, size) = (entry.compression(), entry.crc32(), entry.compressed_size());
        if entry.encrypted() {
            return Err(PickleError::NotTensors("an encrypted zip archive".to_owned()));
        }
        let start = entry.data_start().and_then(|start| usize::try_from(start).ok());
        let end = start.zip(usize::try_from(size).ok()).and_then(|(start, size)| start.checked_add(size));
        let packed = start.zip(end).and_then(|(start, end)| self.bytes.get(start..end));
        let Some(packed) = packed else { return Err(fault("it reaches beyond the end of the file".to_owned())) };
        let data = match method {
            CompressionMethod::Stored => {
                // Entries that share bytes would be read again and again.
                self.read += packed.len();
                if self.read > self.bytes.len() {
                    return Err(PickleError::Expands);
                }
                Cow::Borrowed(packed)
            }
            CompressionMethod::DEFLATE => {
                let most = (self.bytes.len().saturating_mul(MAX_UNPACKED) + SMALL_BYTES) - self.unpacked;
                let mut data = Vec::new();
                let unpacker = flate2::read::DeflateDecoder::new(packed);
                unpacker.take(most as u64 + 1).read_to_end(&mut data).map_err(|e| fault(e.to_string()))?;
                if data.len() > most {
                    return Err(PickleError::Expands);
                }
                self.unpacked += data.len();
                Cow::Owned(data)
            }
            other => {
                return Err(PickleError::NotTensors(format!("a zip archive packed by {other}, which is not read")));
            }
        };
        // PyTorch writes 0 where it is told to save time (`torch.serialization.set_crc32_options(False)`).
        if crc != 0 && crc32fast::hash(&data) != crc {
            return Err(fault("its content is not what its checksum says".to_owned()));
        }
        Ok(Some(data))
    }
}
