//! The fixed-size structures of a shard, byte for byte as `format-spec.md` lays them out. Little-endian throughout.
//!
//! The module is public for this workspace's tests and fuzz targets only: its items may change in any version.

use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// First eight bytes of a shard: a byte that is no text, three letters, and line ends that text-mode copies damage.
pub const MAGIC: [u8; 8] = *b"\x89CSD\r\n\x1a\n";
/// Last eight bytes of a shard.
pub const END_MAGIC: [u8; 8] = *b"\n\x1a\r\nDSC\x89";
/// Major version: readers refuse any other.
pub const VERSION_MAJOR: u16 = 1;
/// Minor version: readers accept any.
pub const VERSION_MINOR: u16 = 0;
/// No decoded image is larger than this, in bytes.
pub const MAX_IMAGE_BYTES: usize = 1 << 28;
/// Name of the manifest in a data set's folder.
pub const MANIFEST_FILE: &str = "manifest.json";
/// The index starts at a multiple of this.
pub const INDEX_ALIGN: u64 = 8;

/// The first 64 bytes.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Header {
    /// [`MAGIC`].
    pub magic: [u8; 8],
    /// [`VERSION_MAJOR`].
    pub major: U16,
    /// [`VERSION_MINOR`].
    pub minor: U16,
    /// Bits of features without which the shard cannot be read. None are defined in 1.0.
    pub required_features: U32,
    /// Bits of features that a reader may ignore. None are defined in 1.0.
    pub optional_features: U32,
    /// Stream name: ASCII letters, digits, `-` and `_`, padded with zero bytes.
    pub stream: [u8; 16],
    /// Records a frame (1 for RGB; 2 for flow, x then y).
    pub planes: u8,
    /// Channels of each record (3 for RGB, 1 for a flow plane).
    pub channels: u8,
    /// Zero.
    pub reserved: [u8; 22],
    /// CRC-32 of the 60 bytes before.
    pub crc32: U32,
}

/// One record, 32 bytes.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct IndexEntry {
    /// Where the stored bytes start, from the start of the file.
    pub offset: U64,
    /// How many bytes are stored.
    pub stored_bytes: U32,
    /// CRC-32 of the stored bytes.
    pub crc32: U32,
    /// Width in pixels.
    pub width: U16,
    /// Height in pixels.
    pub height: U16,
    /// Channels, interleaved.
    pub channels: u8,
    /// See [`crate::Codec`].
    pub codec: u8,
    /// See [`crate::Filter`].
    pub filter: u8,
    /// Zero.
    pub reserved: u8,
    /// The clip, by its place in this shard's clip table.
    pub clip: U32,
    /// frame * planes + plane.
    pub position: U32,
}

/// One clip, 32 bytes.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct ClipEntry {
    /// Number of its first record in the shard.
    pub first_record: U64,
    /// Its records: frames * planes.
    pub records: U32,
    /// CRC-32 of its index entries.
    pub index_crc32: U32,
    /// Where its id starts in the names.
    pub name_offset: U32,
    /// Length of its id in bytes.
    pub name_bytes: U16,
    /// Zero.
    pub reserved: [u8; 10],
}

/// The last 64 bytes.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Trailer {
    /// Size of the whole file.
    pub file_bytes: U64,
    /// Where the index starts.
    pub index_offset: U64,
    /// Entries of the index.
    pub records: U64,
    /// Entries of the clip table.
    pub clips: U32,
    /// Size of the names.
    pub names_bytes: U32,
    /// Size of the metadata.
    pub metadata_bytes: U32,
    /// CRC-32 of clip table and names.
    pub clip_table_crc32: U32,
    /// CRC-32 of the metadata.
    pub metadata_crc32: U32,
    /// The header's CRC-32.
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
    /// CRC-32 of everything before the checksum.
    pub fn compute_crc32(&self) -> u32 {
        crc32fast::hash(&self.as_bytes()[..HEADER_BYTES - 4])
    }
}

impl Trailer {
    /// CRC-32 of everything before the checksum.
    pub fn compute_crc32(&self) -> u32 {
        crc32fast::hash(&self.as_bytes()[..48])
    }
}
