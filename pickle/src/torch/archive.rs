//! Files of PyTorch 1.6 and later: a zip archive with the pickle as `NAME/data.pkl` and each
//! storage as `NAME/data/KEY`.
//!
//! `NAME/byteorder` contains `little` or `big`. If it is missing, numbers are little-endian.
//! PyTorch does not compress entries, so they are borrowed from the bytes of the file. Sizes in the
//! archive are checked against these bytes.

use super::tensors::{Storages, Tensors};
use crate::dtype::DType;
use crate::error::{PickleError, Result, excerpt};
use crate::machine::Machine;
use std::borrow::Cow;
use std::collections::HashMap;
use std::io::{Cursor, Read};
use zip::{CompressionMethod, ZipArchive};

/// Limit for the total size of decompressed entries, as a multiple of the size of the archive.
/// [`SMALL_BYTES`] are allowed in addition. Weights compress very little.
const MAX_UNPACKED: usize = 16;
/// Number of bytes that every archive may decompress.
const SMALL_BYTES: usize = 1 << 20;

/// Reads the tensors of an archive.
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
    /// Type and number of elements of each storage, as stated by the pickle.
    declared: HashMap<String, (DType, usize)>,
    /// The storages that have been read.
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
                    "data/{} has {found} bytes, but the pickle states {items} elements of {dtype}",
                    excerpt(key)
                )));
            }
            self.read.insert(key.to_owned(), data);
        }
        Ok(self.read.get(key).map(|data| &**data))
    }
}

/// An open zip archive.
struct Archive<'a> {
    bytes: &'a [u8],
    zip: ZipArchive<Cursor<&'a [u8]>>,
    /// The folder of all entries, with a final slash.
    folder: String,
    /// Number of bytes that were decompressed.
    unpacked: usize,
    /// Number of bytes of uncompressed entries that were read.
    read: usize,
}

impl<'a> Archive<'a> {
    /// Opens an archive and finds the folder of its entries.
    fn open(bytes: &'a [u8]) -> Result<Self> {
        let zip = ZipArchive::new(Cursor::new(bytes)).map_err(|e| PickleError::Archive(e.to_string()))?;
        let pickle = zip.file_names_raw().filter_map(|name| std::str::from_utf8(name).ok()?.strip_suffix("data.pkl"));
        let pickle = pickle.filter(|folder| folder.is_empty() || folder.ends_with('/'));
        let folder = pickle.min_by_key(|folder| folder.len()).unwrap_or_default().to_owned();
        Ok(Self { bytes, zip, folder, unpacked: 0, read: 0 })
    }

    /// Returns whether the archive has an entry.
    fn has(&self, name: &str) -> bool {
        self.zip.index_for_name(&format!("{}{name}", self.folder)).is_some()
    }

    /// Returns the decompressed content of an entry after checking its checksum, or `None` if there
    /// is no such entry.
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
        let Some(packed) = packed else { return Err(fault("it ends after the end of the file".to_owned())) };
        let data = match method {
            CompressionMethod::Stored => {
                // Entries that share bytes could otherwise be read without limit.
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
                return Err(PickleError::NotTensors(format!("a zip archive with the unsupported compression {other}")));
            }
        };
        // PyTorch writes 0 after `torch.serialization.set_crc32_options(False)`, which saves time.
        if crc != 0 && crc32fast::hash(&data) != crc {
            return Err(fault("its content does not match its checksum".to_owned()));
        }
        Ok(Some(data))
    }
}
