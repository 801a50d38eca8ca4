//! Split lists: the clips of a dataset, their classes, and their subset in each split.
//!
//! [`Lists`] holds the classes, the splits and one [`ListedClip`] per clip. `formats` has a reader
//! for each format, and `reading` what they share. [`DatasetKind`] chooses the reader (`read`);
//! `recognise` finds the kind of given files. Without lists, [`Lists::from_folders`] makes them from class
//! folders. `published` is a built-in copy of the lists of UCF101.

mod folders;
mod formats;
mod kind;
mod listed;
mod published;
mod read;
mod reading;
mod recognise;
mod subset;

pub use kind::DatasetKind;
pub use listed::{ListedClip, Lists, clip_key};
pub(crate) use listed::{renumber_labels, same_name};
pub(crate) use published::published_ucf101;
pub(crate) use reading::classes::CLASSES_FILE;
pub(crate) use reading::clips::strip_extension;
pub(crate) use subset::subset_of_folder;
pub use subset::{ClassedFolder, subset_of_word};
