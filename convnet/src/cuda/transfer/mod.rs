//! Copies between the host and a GPU that overlap with its computing.

mod download;
mod upload;

pub use download::{Download, Downloads};
pub use upload::{Pinned, Upload, Uploads};
