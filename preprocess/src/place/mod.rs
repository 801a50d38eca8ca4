//! The place of an output. [`target`] decides whether an existing folder may be written or
//! replaced, [`lock`] keeps other programs away, and [`staging`] builds the output in a temporary
//! folder and moves it into place in one step. [`name`] holds the names of all auxiliary files.

pub(crate) mod lock;
pub(crate) mod name;
pub(crate) mod staging;
pub(crate) mod target;
