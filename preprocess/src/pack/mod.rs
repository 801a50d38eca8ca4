//! Packs a frame tree, or a folder of videos, into a dataset of shards.
//!
//! [`build()`] reads the split lists and scans the source, then plans which clip goes into which
//! shard (`plan`). A `job` runs the plan: threads read and encode clips (`pipeline`, `encode`), and
//! one writer fills the shards in order (`writer`). Unfinished builds live in a folder next to the
//! output (`partial`) and can be resumed. [`merge()`] joins the [`Part`]s that several machines
//! made; [`pack_video`] packs a single video.

mod build;
pub(crate) mod carry;
pub(crate) mod described;
pub(crate) mod difference;
mod encode;
mod encoded;
mod estimate;
mod finished;
mod images;
pub(crate) mod job;
mod merge;
pub(crate) mod options;
mod part;
pub(crate) mod part_record;
mod partial;
pub(crate) mod pipeline;
pub(crate) mod plan;
mod read_items;
mod report;
mod stream_encoder;
mod video;
pub(crate) mod writer;

pub use build::{build, build_in};
pub use estimate::Estimate;
pub use merge::{MergeOptions, merge};
pub use options::BuildOptions;
pub(crate) use options::lists_missing;
pub use part::Part;
pub use report::BuildReport;
pub use video::{OneVideoOptions, OneVideoReport, pack_video};

pub use crate::lists::DatasetKind;
