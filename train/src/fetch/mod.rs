//! ImageNet weights of torchvision: finds them on this machine, or downloads them once.
//!
//! [`imagenet`] names the file of a network. [`Places`] says where to look for it. A download goes
//! through [`http`] into a part of a file, which [`download`] continues, checks and renames.
//! [`digest`] compares a file with the digest in its name.

mod digest;
mod download;
mod http;
mod imagenet;
mod places;
mod proxy;
#[cfg(test)]
mod tests;

pub use imagenet::{RemoteFile, of as imagenet};
pub use places::Places;
