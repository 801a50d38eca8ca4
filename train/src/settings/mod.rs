//! The settings of a run: options and configuration files over the defaults of a recipe.
//! `config.toml` stores all of them.

mod deciding;
mod defaults;
mod given;
mod place;
mod recipe;
mod seed;
#[cfg(test)]
mod tests;
mod values;
mod weights;

pub use deciding::{Deciding, Difference, shown};
pub use given::Given;
pub use recipe::Recipe;
pub use values::Settings;
pub use weights::{IMAGENET, file as weights_file};
