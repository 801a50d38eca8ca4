//! The settings of a run: what was typed or written in a file, over the recipe's defaults. `config.toml` holds all of them.

mod deciding;
mod defaults;
mod given;
mod place;
mod recipe;
mod seed;
#[cfg(test)]
mod tests;
mod values;

pub use deciding::{Deciding, Difference};
pub use given::Given;
pub use recipe::Recipe;
pub use values::Settings;
