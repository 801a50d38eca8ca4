//! npy files: a header with type and shape, then the elements.
//!
//! The format is described in
//! <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>. The header is Python
//! source. This reader does not evaluate it and accepts only the form that numpy writes, so a
//! hostile header is harmless.

use inert_pickle::{DType, Kind};

pub(super) const MAGIC: &[u8] = b"\x93NUMPY";
/// Largest size of a header that is read. Headers of plain arrays take 128 bytes.
const MAX_HEADER_BYTES: usize = 1 << 16;

/// The reason why an npy file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum NpyFault {
    /// The file does not start with the magic bytes.
    #[error("it does not start with the mark of an npy file")]
    Start,
    /// The file ends within the header.
    #[error("it ends within its header, so the file is incomplete")]
    Cut,
    /// The version of the format is unknown.
    #[error("it has version {0} of the npy format; only 1 to 3 are supported")]
    Version(u8),
    /// The header is too long.
    #[error("its header has {0} bytes; at most {MAX_HEADER_BYTES} are allowed")]
    HeaderBytes(usize),
    /// The header is not UTF-8.
    #[error("its header is not UTF-8 text")]
    HeaderText,
    /// The header lacks a key.
    #[error("its header has no {0:?}")]
    NoKey(&'static str),
    /// The elements have several fields.
    #[error("its elements are records; only numbers and text are supported")]
    Records,
    /// The elements have an unknown type.
    #[error("its elements have the unsupported type {0:?}")]
    ElementType(String),
    /// The shape is not a list of sizes.
    #[error("its header has an invalid shape")]
    NoShape,
    /// The number of bytes does not match type and shape.
    #[error("it has {bytes} bytes of data, which do not match shape {shape:?} of {dtype}")]
    DataBytes {
        /// Number of bytes of data.
        bytes: usize,
        /// Shape in the header.
        shape: Vec<usize>,
        /// Type in the header.
        dtype: DType,
    },
}

/// An array in the bytes of a file. The length of its data matches type and shape, except for
/// pickled objects.
pub(super) struct Npy<'a> {
    pub(super) dtype: DType,
    pub(super) shape: Vec<usize>,
    /// Whether the first index runs fastest instead of the last.
    pub(super) fortran_order: bool,
    pub(super) data: &'a [u8],
}

impl<'a> Npy<'a> {
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, NpyFault> {
        let rest = bytes.strip_prefix(MAGIC).ok_or(NpyFault::Start)?;
        let (&[version, _], rest) = rest.split_first_chunk().ok_or(NpyFault::Cut)?;
        let (length, rest) = match version {
            1 => rest.split_first_chunk().map(|(n, rest)| (usize::from(u16::from_le_bytes(*n)), rest)),
            2 | 3 => rest.split_first_chunk().map(|(n, rest)| (u32::from_le_bytes(*n) as usize, rest)),
            _ => return Err(NpyFault::Version(version)),
        }
        .ok_or(NpyFault::Cut)?;
        if length > MAX_HEADER_BYTES {
            return Err(NpyFault::HeaderBytes(length));
        }
        let (header, data) = rest.split_at_checked(length).ok_or(NpyFault::Cut)?;
        let header = std::str::from_utf8(header).map_err(|_| NpyFault::HeaderText)?;
        let (dtype, fortran_order, shape) = fields(header)?;
        let items = shape.iter().try_fold(1_usize, |n, &m| n.checked_mul(m));
        let expected = items.and_then(|n| n.checked_mul(dtype.bytes));
        if dtype.kind != Kind::Object && expected != Some(data.len()) {
            return Err(NpyFault::DataBytes { bytes: data.len(), shape, dtype });
        }
        Ok(Self { dtype, shape, fortran_order, data })
    }
}

/// Reads the fields of a header, such as
/// `{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }`.
fn fields(header: &str) -> Result<(DType, bool, Vec<usize>), NpyFault> {
    let value = |key: &'static str| {
        let after = header.split_once(&format!("'{key}'")).map(|(_, after)| after.trim_start());
        let value = after.and_then(|after| after.strip_prefix(':'));
        value.map(str::trim_start).ok_or(NpyFault::NoKey(key))
    };
    let descr = value("descr")?;
    let name = descr.strip_prefix('\'').and_then(|text| text.split_once('\'')).map(|(name, _)| name);
    let name = name.ok_or(NpyFault::Records)?;
    let dtype = DType::parse(name).ok_or_else(|| NpyFault::ElementType(name.to_owned()))?;
    let fortran_order = value("fortran_order")?.starts_with("True");
    let shape = value("shape")?.strip_prefix('(').and_then(|text| text.split_once(')')).map(|(shape, _)| shape);
    let sizes = shape.unwrap_or("?").split(',').map(str::trim).filter(|size| !size.is_empty());
    // Python 2 wrote its long integers as 3L.
    let shape: Option<Vec<usize>> = sizes.map(|size| size.strip_suffix('L').unwrap_or(size).parse().ok()).collect();
    Ok((dtype, fortran_order, shape.ok_or(NpyFault::NoShape)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(header: &str, data: &[u8]) -> Vec<u8> {
        let length = (header.len() as u16).to_le_bytes();
        [MAGIC, &[1, 0], &length, header.as_bytes(), data].concat()
    }

    #[test]
    fn a_header_of_numpy_is_read() {
        let bytes = file("{'descr': '<f4', 'fortran_order': True, 'shape': (1L, 2), }  \n", &[0; 8]);
        let npy = Npy::parse(&bytes).unwrap();
        assert_eq!((npy.shape.as_slice(), npy.fortran_order, npy.data), ([1, 2].as_slice(), true, [0; 8].as_slice()));
        let bytes = file("{'descr': '<i8', 'fortran_order': False, 'shape': (), }", &[0; 8]);
        assert!(Npy::parse(&bytes).unwrap().shape.is_empty());
    }

    #[test]
    fn each_fault_of_a_header_has_its_message() {
        let fault = |bytes: &[u8]| Npy::parse(bytes).err().unwrap().to_string();
        let header = |descr: &str, shape: &str| {
            file(&format!("{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}"), &[0; 8])
        };
        assert!(fault(b"PK").contains("start"));
        assert!(fault(b"\x93NUMPY\x01\x00\xff").contains("incomplete"));
        assert!(fault(b"\x93NUMPY\x01\x00\xff\x00{}").contains("incomplete"));
        assert!(fault(b"\x93NUMPY\x02\x00\xff\xff\xff\xff").contains("4294967295"));
        assert!(fault(b"\x93NUMPY\x09\x00\x00\x00").contains("version 9"));
        assert!(fault(&file("{}", b"")).contains("descr"));
        assert!(fault(&header("[('a', '<f4')]", "(2,)")).contains("records"));
        assert!(fault(&header("'<c8'", "(1,)")).contains("<c8"));
        assert!(fault(&header("'<f4'", "(3,)")).contains("8 bytes"));
        assert!(fault(&header("'<f4'", "(-2,)")).contains("shape"));
        assert!(fault(&header("'<f4'", "(4294967296, 4294967296)")).contains("8 bytes"));
    }
}
