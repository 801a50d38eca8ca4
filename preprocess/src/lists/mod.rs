//! Lists: which clips there are, their classes, and who trains or tests in each split. One module a kind of lists.

mod clips;
mod custom;
mod hmdb51;
mod listed;
mod published;
mod role;
mod text;
mod ucf101;

pub use clips::{ListedClip, clip_key};
pub use listed::Lists;
pub(crate) use published::published_ucf101;
pub use role::{ClassedFolder, Role};
