//! Copies between the host and a GPU, beside its computing.

mod download;
mod upload;

pub use download::{Download, Downloads};
pub use upload::{Pinned, Upload, Uploads};
