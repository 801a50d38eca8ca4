//! What PyTorch writes of tensors.
//!
//! A tensor is `_rebuild_tensor_v2(storage, offset, size, stride, ...)`. In a file of `torch.save` a storage is
//! `('storage', type, key, location, elements)` by `BINPERSID`, and its elements lie outside of the pickle: see [`archive`] for
//! zip files and [`legacy`] for files from before PyTorch 1.6. In a plain pickle a storage is `_load_from_bytes(...)` of a file of
//! the older kind.

mod archive;
mod legacy;
mod rebuild;
mod search;
mod tensors;

pub(crate) use tensors::Nowhere;
pub use tensors::{NamedTensor, Tensors};

use crate::error::{PickleError, Result};
use crate::machine::Machine;

/// Reads the floating-point tensors of a file that `torch.save` wrote, or of a plain pickle.
///
/// # Example
///
/// ```
/// let file = std::fs::read("tests/goldens/key-net.pth").unwrap();
/// let found = inert_pickle::read_tensors(&file)?;
/// assert_eq!(found.path, "net");
/// assert_eq!((found.tensors[0].shape.as_slice(), found.tensors[0].values.as_slice()), (&[2][..], &[1.0, 2.0][..]));
/// # Ok::<(), inert_pickle::PickleError>(())
/// ```
///
/// They are the state dictionary that the file is, or the first one within it (under `state_dict`, `model`, `net` and so on, or
/// else under any key), or the parameters and persistent buffers of a pickled module. f16, bf16 and f64 are converted to f32.
/// Nothing in the file is run.
///
/// # Errors
///
/// [`PickleError::is_damage`] tells whether the file is cut short or its checksums do not fit.
pub fn read_tensors(bytes: &[u8]) -> Result<Tensors> {
    if bytes.starts_with(b"PK\x03\x04") {
        return archive::read(bytes);
    }
    if legacy::is_legacy(bytes) {
        return legacy::read(bytes);
    }
    // A protocol's number, or the start of a dictionary in text.
    let (Some(0x80 | b'(' | b'}' | b'c'), false) = (bytes.first(), bytes.starts_with(b"PK")) else {
        return Err(PickleError::Format);
    };
    let mut machine = Machine::new(bytes);
    machine.keeps_unknown = true;
    let top = machine.run()?;
    machine.budget = bytes.len();
    machine.tensors(top, &mut Nowhere)
}
