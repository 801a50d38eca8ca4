//! Split lists: the clips of a dataset, their classes, and their subset in each split.
//!
//! [`Lists`] holds the classes, the splits and one [`ListedClip`] per clip. Each kind of lists has
//! a module that reads them: `ucf101`, `hmdb51` and `custom`. Without lists,
//! [`Lists::from_folders`] makes them from class folders. `published` is a built-in copy of the
//! lists of UCF101.

mod clips;
mod custom;
mod hmdb51;
mod listed;
mod published;
mod role;
mod text;
mod ucf101;

pub(crate) use clips::same_name;
pub use clips::{ListedClip, clip_key};
pub use listed::Lists;
pub(crate) use published::published_ucf101;
pub use role::{ClassedFolder, Role};
