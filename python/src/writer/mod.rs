//! `Writer`: writes a dataset of arrays.
//!
//! | module | content |
//! |---|---|
//! | `class` | the class `Writer` |
//! | `start` | the arguments of `Writer` |
//! | `codec` | the codecs as Python classes |
//! | `input` | reads Python objects |
//! | `form` | the form of a stream, from the first clip |
//! | `frames` | divides arrays into records |
//! | `jpeg` | encodes JPEG files |
//! | `clip` | the description of a clip |
//! | `session` | the open dataset, without Python |
//! | `fault` | errors with the cures of Python |

mod class;
mod clip;
mod codec;
mod fault;
mod form;
mod frames;
mod input;
mod jpeg;
mod session;
mod start;

use pyo3::prelude::*;

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<class::Writer>()?;
    module.add_class::<codec::Codec>()?;
    module.add_class::<codec::Jpeg>()?;
    module.add_class::<codec::Zstd>()?;
    module.add_class::<codec::Lz4>()?;
    module.add_class::<codec::Raw>()
}
