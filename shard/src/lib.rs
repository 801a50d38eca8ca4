// The first definition of a link counts: here the module, on the repository's pages the file.
//! [The format]: crate::format
#![doc = include_str!("../README.md")]

mod budget;
mod clip_records;
mod codec;
mod contents;
mod dataset;
mod error;
pub mod layout;
mod manifest;
pub mod order;
mod rebuild;
mod regular;
mod shard;
mod storage;
mod verify;
mod writer;

/// The format, normative.
#[doc = include_str!("../format-spec.md")]
pub mod format {}

pub use budget::{DecodingBudget, ReservedMemory};
pub use clip_records::{ClipRecords, Record};
pub use codec::{Codec, Decoder, EncodeOptions, EncodedRecord, Encoder, Filter, ImageSize, Window, jpeg};
pub use contents::Access;
pub use dataset::Dataset;
pub use error::{Error, Result};
pub use manifest::{Clip, MANIFEST_FILE, Manifest, ShardInfo, Stream, StreamSpec, Subset};
pub use regular::{open_regular, read_regular};
pub use shard::Shard;
pub use storage::{Disk, PartialFile, Storage, write_whole};
pub use verify::{CheckedShards, VerifyDepth, VerifyReport, check_shards, verify, verify_listed};
pub use writer::{ShardClip, ShardMetadata, ShardWriter};
