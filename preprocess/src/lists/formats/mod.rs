//! The formats of lists, one file each. Each adds a `read_...` to [`Lists`](super::Lists).

pub(super) mod csv;
pub(super) mod custom;
mod diving48;
pub(super) mod hmdb51;
mod jester;
mod json_lines;
pub(super) mod kinetics;
mod merged;
mod misnamed;
pub(super) mod moments;
mod something_v2;
pub(super) mod text_lists;
mod ucf101;
