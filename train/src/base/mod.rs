//! What every other room uses: text for people, tables, signals, wrong usage, files written whole, means.

pub mod choice;
pub mod console;
pub mod float;
pub mod meters;
pub mod stop;
pub mod table;
pub mod usage;
pub mod whole_file;
