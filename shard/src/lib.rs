// The first definition of a link counts: here the module, on the repository's pages the file.
//! [The format]: crate::format
#![doc = include_str!("../README.md")]

mod budget;
mod clip_handle;
mod clip_records;
mod codec;
mod contents;
mod dataset;
mod error;
mod geometry;
#[doc(hidden)]
pub mod layout;
mod manifest;
mod metadata;
pub mod order;
mod rebuild;
mod regular;
mod shard;
mod shard_file;
mod storage;
mod verify;
mod writer;

/// The format, normative.
#[doc = include_str!("../format-spec.md")]
pub mod format {}

pub use budget::{DecodingBudget, ReservedMemory};
pub use clip_handle::ClipHandle;
pub use clip_records::{ClipRecords, Frame, Record, RecordInfo};
pub use codec::{Codec, Decoder, EncodeOptions, EncodedRecord, Encoder, Filter, jpeg};
pub use contents::Access;
pub use dataset::{ClipPlace, Dataset};
pub use error::{Error, Result, ShardPart};
pub use geometry::{ImageSize, Window};
pub use layout::{MANIFEST_FILE, MAX_IMAGE_BYTES};
pub use manifest::{Clip, Manifest, ShardInfo, Stream, StreamSpec, Subset};
pub use metadata::{ShardClip, ShardMetadata};
pub use regular::{open_regular, read_regular};
pub use shard::Shard;
#[doc(hidden)]
pub use storage::{Disk, PartialFile, Storage, write_whole};
pub use verify::{CheckedShards, VerifyDepth, VerifyReport, check_shards, verify, verify_listed};
pub use writer::ShardWriter;
