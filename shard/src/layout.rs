//! The structures of fixed size in a shard, byte for byte as in `format-spec.md`. All numbers are
//! little-endian.
//!
//! The items are public for the tests and fuzz targets of this workspace only and may change in any
//! version.

use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// First eight bytes of a shard: a byte that no text has, three letters, and line ends that a copy
/// in text mode changes.
pub const MAGIC: [u8; 8] = *b"\x89CSD\r\n\x1a\n";
/// Last eight bytes of a shard.
pub const END_MAGIC: [u8; 8] = *b"\n\x1a\r\nDSC\x89";
/// Major version of the format. Readers refuse all others.
pub const VERSION_MAJOR: u16 = 1;
/// Minor version of the format. Readers accept all.
pub const VERSION_MINOR: u16 = 0;
/// Largest size of a decoded image in bytes.
pub const MAX_IMAGE_BYTES: usize = 1 << 28;
/// Name of the manifest in the folder of a dataset.
pub const MANIFEST_FILE: &str = "manifest.json";
/// The offset of the index is a multiple of this number.
pub const INDEX_ALIGN: u64 = 8;

/// The first 64 bytes of a shard.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Header {
    /// [`MAGIC`].
    pub magic: [u8; 8],
    /// [`VERSION_MAJOR`].
    pub major: U16,
    /// [`VERSION_MINOR`].
    pub minor: U16,
    /// Bits of features that a reader needs to read the shard. None are defined in 1.0.
    pub required_features: U32,
    /// Bits of features that a reader may ignore. None are defined in 1.0.
    pub optional_features: U32,
    /// Name of the stream: ASCII letters, digits, `-` and `_`, padded with zero bytes.
    pub stream: [u8; 16],
    /// Records per frame (1 for RGB; 2 for flow, x then y).
    pub planes: u8,
    /// Channels of each image (3 for RGB, 1 for a flow plane); 0 for arrays.
    pub channels: u8,
    /// Type of the samples, see [`crate::SampleType`].
    pub samples: u8,
    /// Number of dimensions of the arrays, 1 to 4; 0 for images.
    pub rank: u8,
    /// Sizes of the second, third and fourth dimension of the arrays; 0 for dimensions that they
    /// lack, and for images.
    pub dims: [U32; 3],
    /// Zero.
    pub reserved: [u8; 8],
    /// CRC-32 of the 60 bytes before.
    pub crc32: U32,
}

/// The index entry of a record, 32 bytes.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct IndexEntry {
    /// Start of the stored bytes, from the start of the file.
    pub offset: U64,
    /// Number of stored bytes.
    pub stored_bytes: U32,
    /// CRC-32 of the stored bytes.
    pub crc32: U32,
    /// Width in pixels. Of arrays, the low half of the size of the first dimension.
    pub width: U16,
    /// Height in pixels. Of arrays, the high half of the size of the first dimension.
    pub height: U16,
    /// Number of interleaved channels; 0 for arrays.
    pub channels: u8,
    /// Codec, see [`crate::Codec`].
    pub codec: u8,
    /// Filter, see [`crate::Filter`].
    pub filter: u8,
    /// Zero.
    pub reserved: u8,
    /// Number of the clip in the clip table of this shard.
    pub clip: U32,
    /// Position in the clip: frame * planes + plane.
    pub position: U32,
}

/// The entry of a clip in the clip table, 32 bytes.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct ClipEntry {
    /// Number of its first record in the shard.
    pub first_record: U64,
    /// Number of its records: frames * planes.
    pub records: U32,
    /// CRC-32 of its index entries.
    pub index_crc32: U32,
    /// Start of its id in the names.
    pub name_offset: U32,
    /// Length of its id in bytes.
    pub name_bytes: U16,
    /// Zero.
    pub reserved: [u8; 10],
}

/// The last 64 bytes of a shard.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Trailer {
    /// Size of the whole file.
    pub file_bytes: U64,
    /// Start of the index.
    pub index_offset: U64,
    /// Number of index entries.
    pub records: U64,
    /// Number of entries of the clip table.
    pub clips: U32,
    /// Size of the names in bytes.
    pub names_bytes: U32,
    /// Size of the metadata in bytes.
    pub metadata_bytes: U32,
    /// CRC-32 of clip entries and names.
    pub clip_table_crc32: U32,
    /// CRC-32 of the metadata.
    pub metadata_crc32: U32,
    /// CRC-32 of the header.
    pub header_crc32: U32,
    /// CRC-32 of the 48 bytes before.
    pub crc32: U32,
    /// Zero.
    pub reserved: [u8; 4],
    /// [`END_MAGIC`].
    pub end_magic: [u8; 8],
}

/// Size of [`Header`].
pub const HEADER_BYTES: usize = size_of::<Header>();
/// Size of [`IndexEntry`].
pub const INDEX_ENTRY_BYTES: usize = size_of::<IndexEntry>();
/// Size of [`ClipEntry`].
pub const CLIP_ENTRY_BYTES: usize = size_of::<ClipEntry>();
/// Size of [`Trailer`].
pub const TRAILER_BYTES: usize = size_of::<Trailer>();

const _: () = assert!(HEADER_BYTES == 64 && INDEX_ENTRY_BYTES == 32 && CLIP_ENTRY_BYTES == 32 && TRAILER_BYTES == 64);

impl Header {
    /// Computes the CRC-32 of the bytes before the checksum.
    pub fn compute_crc32(&self) -> u32 {
        crc32fast::hash(&self.as_bytes()[..HEADER_BYTES - 4])
    }
}

impl Trailer {
    /// Computes the CRC-32 of the bytes before the checksum.
    pub fn compute_crc32(&self) -> u32 {
        crc32fast::hash(&self.as_bytes()[..48])
    }
}
