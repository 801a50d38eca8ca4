//! Helpers that all other modules use: console output, help headings, tables, signals, usage
//! errors, file writing, means, the rule of the best epoch.

pub mod best_by;
pub mod choice;
pub mod console;
pub mod float;
pub mod heading;
pub mod meters;
pub mod replace_file;
pub mod stop;
pub mod table;
pub mod usage;
