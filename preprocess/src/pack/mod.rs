//! Packs a tree of frames, or videos: lists and source give a plan, threads read and encode clips, one writer fills the shards
//! in order.

mod build;
mod difference;
mod encode;
mod encoded;
mod estimate;
mod finished;
mod images;
mod job;
mod merge;
mod options;
mod part;
mod part_record;
mod partial;
pub(crate) mod pipeline;
pub(crate) mod plan;
mod report;
mod stream_encoder;
mod video;
pub(crate) mod writer;

pub use build::{build, build_in};
pub use estimate::Estimate;
pub use merge::{MergeOptions, merge};
pub(crate) use options::lists_missing;
pub use options::{BuildOptions, DatasetKind};
pub use part::Part;
pub use report::BuildReport;
pub use video::{OneVideoOptions, OneVideoReport, pack_video};
