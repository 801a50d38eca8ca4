//! Stores and reads video datasets as *shards*: a few large, memory-mapped files instead of
//! millions of small ones.
//!
//! # How the types fit together
//!
//! A [`Dataset`] is an open folder. Its [`Manifest`] lists classes, splits, clips, streams and
//! shards. The dataset finds the records of a clip in one stream, and a [`Decoder`] turns a record
//! into pixels:
//!
//! ```text
//! reading   Dataset ── clip("flow", 7) ──> ClipRecords ── frames() ──> Frame ── record(plane) ──> Record
//!              │                                └── decode, decode_window, decode_stack ──> your buffer of pixels
//!              └── shards("flow") ──> Shard ── clip(0) ──> ClipRecords
//!
//! writing   pixels ──────────────────────────────────> DatasetWriter::add_images ┐
//!           JPEG file ── EncodedRecord::from_jpeg ──> DatasetWriter::add_clip ───┴─> shard files of all streams
//!                                                     DatasetWriter::finish ───────> manifest.json
//! ```
//!
//! | term | meaning |
//! |---|---|
//! | clip | one video, with an id, a label and one [`Subset`] per split |
//! | stream | one kind of images of every clip, such as `rgb` or `flow`; described by a [`StreamSpec`] |
//! | frame | one moment of a clip in one stream: one record per plane |
//! | plane | part of a frame: RGB frames have one plane; flow frames have two, x and y |
//! | record | one stored image, compressed by a [`Codec`] after a [`Filter`] |
//! | shard | one file with the records of some clips of one stream |
//!
//! # What to read first
//!
//! * To read a dataset: [`Dataset`], then [`ClipRecords`] and [`Decoder`]. [`ClipHandle`] keeps a
//!   clip in a struct without a lifetime.
//! * To write a dataset, or to change one: [`DatasetWriter`], then [`NewClip`] and [`Images`]. For
//!   special cases, [`ShardWriter`] writes one shard, and [`Manifest::write`] a manifest.
//! * To check a dataset: [`verify`]. To replace a lost manifest: [`Manifest::rebuild`].
//! * To read or write the files from another language: [`mod@format`].
//!
//! # Reading
//!
//! ```
//! use clipshard::{Dataset, Decoder, Subset};
//!
//! let data = Dataset::open("tests/golden")?;
//! let mut decoder = Decoder::new()?; // one per thread
//! for number in data.clips_of("1", Subset::Train)? {
//!     let flow = data.clip("flow", number)?;
//!     // Two frames with an x and a y plane each: [4, H, W].
//!     let mut stack = vec![0; 2 * flow.planes() * flow.size(0, 0)?.bytes()];
//!     flow.decode_stack(0, 2, &mut decoder, &mut stack)?;
//! }
//! # Ok::<(), clipshard::Error>(())
//! ```
//!
//! # Writing
//!
//! ```
//! use clipshard::{Dataset, DatasetInfo, DatasetWriter, EncodeOptions, ImageSize, Images, NewClip};
//! use clipshard::{StreamSpec, Subset};
//!
//! # let folder = tempfile::tempdir().unwrap();
//! # let dir = folder.path();
//! let mut writer = DatasetWriter::create(dir, DatasetInfo::new("waves", ["Wave", "Jump"], ["1"]))?;
//! writer.add_stream(StreamSpec::flow(), EncodeOptions::zstd(9))?;
//!
//! // One clip with one frame, which has an x and a y plane.
//! let size = ImageSize { width: 224, height: 224, channels: 1 };
//! let (x, y) = (vec![128; size.bytes()], vec![127; size.bytes()]);
//! let mut clip = NewClip::new("v_Wave_g01_c01", 0, vec![Subset::Train]).with_group("g01");
//! clip.attributes.set("fps", 25);
//! writer.add_images(&clip, &[("flow", Images::new(size, [&x, &y]))])?;
//!
//! // The dataset appears when its manifest is written.
//! let manifest = writer.finish()?;
//! assert_eq!(manifest.clips[0].frames["flow"], 1);
//! assert_eq!(Dataset::open(dir)?.clip("flow", 0)?.frame_count(), 1);
//! # Ok::<(), clipshard::Error>(())
//! ```
//!
//! [`DatasetWriter`] also continues after a crash, and adds clips to a finished dataset or removes
//! some.
//!
//! # Integrity
//!
//! Opening a dataset checks the manifest and, of each shard, header, trailer, clip table and
//! metadata. The index of a clip is checked at its first use. The checksum of a record is checked
//! each time before the record is decoded. [`verify`] checks everything and lists every damaged
//! part as a typed [`Error`].
//!
//! Checksums detect damage, not forgery. A forged file gives an error or other pixels. It causes
//! neither a panic nor a large allocation.
//!
//! By default shards are mapped into memory. If the disk fails, or another program shortens an open
//! shard, the operating system raises SIGBUS and ends the program. Replace shards by renaming, and
//! use [`Access::Read`] on storage that you do not trust.

mod attributes;
mod budget;
mod clip_handle;
mod clip_records;
mod codec;
mod contents;
mod dataset;
#[cfg(feature = "write")]
mod dataset_writer;
mod error;
mod geometry;
mod header;
#[doc(hidden)]
pub mod layout;
mod manifest;
mod metadata;
mod names;
pub mod order;
mod parallel;
mod positioned;
mod rebuild;
mod regular;
mod samples;
mod shape;
mod shard;
mod shard_file;
#[cfg(feature = "write")]
mod storage;
mod verify;
#[cfg(feature = "write")]
mod writer;

/// The normative specification of the format.
#[doc = include_str!("../format-spec.md")]
pub mod format {}

pub use attributes::Attributes;
pub use budget::{DecodingBudget, ReservedMemory};
pub use clip_handle::ClipHandle;
pub use clip_records::{ClipRecords, Frame, Record, RecordInfo};
#[cfg(feature = "jpeg")]
pub use codec::jpeg;
pub use codec::{Codec, Decoder, Filter};
#[cfg(feature = "write")]
pub use codec::{EncodeOptions, EncodedRecord, Encoder};
pub use contents::Access;
pub use dataset::{ClipPlace, Dataset};
#[cfg(feature = "write")]
pub use dataset_writer::{DatasetInfo, DatasetWriter, Images, NewClip, WriteOptions};
pub use error::{Error, Result, ShardPart};
pub use geometry::{ImageSize, Window};
pub use layout::{MANIFEST_FILE, MAX_IMAGE_BYTES};
pub use manifest::{Clip, Manifest, ShardInfo, Stream, StreamSpec, Subset};
pub use metadata::{ShardClip, ShardMetadata};
pub use regular::{open_regular, read_regular};
pub use samples::{Sample, SampleType};
pub use shape::Shape;
pub use shard::Shard;
#[doc(hidden)]
#[cfg(feature = "write")]
pub use storage::{Disk, PartialFile, Storage, write_whole};
pub use verify::{CheckedShards, VerifyDepth, VerifyReport, check_shards, verify, verify_listed};
#[cfg(feature = "write")]
pub use writer::ShardWriter;
