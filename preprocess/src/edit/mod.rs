//! Changes packed datasets without packing them again.
//!
//! [`subset()`] copies some classes, clips or streams of a dataset into a new one. [`recode()`]
//! stores a stream with another codec, level or size. [`add()`] packs more clips into an existing
//! dataset.
//!
//! Records are copied as they are (`copy`), except for those of a recoded stream. Every result can
//! be rebuilt from its shards, so the metadata of each shard describes the whole result.

mod add;
mod adopt;
mod base;
mod copy;
mod encoding;
mod folder_lock;
mod joined;
mod part;
mod recode;
mod select;
mod shard_file;
mod stream_description;
mod subset;

pub(crate) use adopt::undo_without_manifest;
pub(crate) use folder_lock::FolderLock;

pub use add::{AddOptions, AddReport, add, add_in};
pub use recode::{RecodeOptions, recode};
pub use subset::{SubsetOptions, subset};
