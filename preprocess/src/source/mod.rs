//! Sources of clips: frame trees and folders of videos.
//!
//! An [`Input`] is a [`Tree`] or a folder of [`Videos`] at a [`Location`]. Each [`Layout`] of trees
//! has a small module that finds its folders and file names; `recognise` tries all layouts.
//! [`Input::scan`] then finds the files of each listed clip and checks their numbering (`scan`,
//! `numbering`). The result is a [`Scan`] with one [`ScannedClip`] per clip.

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
