//! Parts that the readers of all formats share: text with any line ends, rows, JSON, class names, and the
//! collection of clips.

pub(super) mod classes;
pub(super) mod clips;
pub(super) mod family;
pub(super) mod json;
pub(super) mod part_rows;
pub(super) mod parts;
pub(super) mod rows;
pub(super) mod text;
