//! Reads tensors that PyTorch wrote.
//!
//! A tensor is pickled as `_rebuild_tensor_v2(storage, offset, size, stride, ...)`.
//!
//! In a file of `torch.save`, the opcode `BINPERSID` with
//! `('storage', type, key, location, elements)` stands for a storage, whose elements are outside of
//! the pickle. See [`archive`] for zip files and [`legacy`] for the format before PyTorch 1.6.
//!
//! In a plain pickle, a storage is `_load_from_bytes(...)` of a file in the legacy format.

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
/// The file may be a state dictionary, or a dictionary that contains one under a key. Usual keys
/// such as `state_dict`, `model` and `net` are tried first, then all others. The file may also be
/// or contain a pickled module, whose parameters and persistent buffers are read.
///
/// f16, bf16 and f64 are converted to f32. Nothing in the file is run.
///
/// # Errors
///
/// Returns an error if the file has no tensors or is not supported. [`PickleError::is_damage`]
/// returns whether the file is truncated or damaged.
///
/// # Example
///
/// ```
/// let file = std::fs::read("tests/goldens/key-net.pth").unwrap();
/// let found = inert_pickle::read_tensors(&file)?;
/// assert_eq!(found.path, "net");
/// assert_eq!(found.tensors[0].shape, [2]);
/// assert_eq!(found.tensors[0].values, [1.0, 2.0]);
/// # Ok::<(), inert_pickle::PickleError>(())
/// ```
pub fn read_tensors(bytes: &[u8]) -> Result<Tensors> {
    if bytes.starts_with(b"PK\x03\x04") {
        return archive::read(bytes);
    }
    if legacy::is_legacy(bytes) {
        return legacy::read(bytes);
    }
    // A pickle starts with PROTO in protocols 2 and above, or with a dictionary or a call in text.
    let (Some(0x80 | b'(' | b'}' | b'c'), false) = (bytes.first(), bytes.starts_with(b"PK")) else {
        return Err(PickleError::Format);
    };
    let mut machine = Machine::new(bytes);
    machine.keeps_unknown = true;
    let top = machine.run()?;
    machine.budget = bytes.len();
    machine.tensors(top, &mut Nowhere)
}
