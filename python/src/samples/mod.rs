//! The samples of a model: `Frames`, `Stack` and `Samples`.
//!
//! `spec` has the arguments of a stream, and `make` those of `Dataset.samples`. `recipe` makes the
//! samples of the loader crate from them. `layout` orders the axes of an array.

mod class;
mod entropy;
mod iterator;
mod layout;
mod make;
mod recipe;
mod spec;

pub use class::{Samples, describe_all};
pub use layout::Part;
pub use recipe::{Choices, Opened};

use pyo3::prelude::*;

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<spec::Frames>()?;
    module.add_class::<spec::Stack>()?;
    module.add_class::<Samples>()?;
    module.add_function(wrap_pyfunction!(make::samples, module)?)?;
    module.add_function(wrap_pyfunction!(class::restore_samples, module)?)
}
