//! Frame trees on disk: one module a layout, each finding the folders and names of its images. What is found is listed and
//! judged alike for all. Videos are the other source.

mod apart;
mod feichtenhofer;
mod folders;
mod found;
mod gpu_flow;
mod input;
mod jeffreyyihuang;
mod layout;
mod location;
mod mmaction2;
mod numbering;
mod recognise;
mod scan;
mod strangers;
mod together;
mod tree;
mod tsn;
mod videos;

pub use found::{ClipFiles, FoundClip, PlaneFiles, Scan, ScannedClip, StreamFiles};
pub use input::Input;
pub use layout::Layout;
pub use location::Location;
pub use numbering::FrameName;
pub use tree::Tree;
pub use videos::Videos;
