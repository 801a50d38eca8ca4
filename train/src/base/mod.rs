//! What every other room uses: text for people, tables, signals, wrong usage, files written whole, means.

pub mod choice;
pub mod console;
pub mod float;
pub mod meters;
pub mod replace_file;
pub mod stop;
pub mod table;
pub mod usage;
