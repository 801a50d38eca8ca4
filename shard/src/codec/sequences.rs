//! zstd's frames out of matches that were found by others.
#![expect(unsafe_code, reason = "the crate zstd does not offer ZSTD_compressSequences")]

use super::matches::Sequence;
use std::ffi::CStr;
use std::ptr::NonNull;
use zstd::zstd_safe::zstd_sys as sys;

/// A context of zstd that compresses given sequences.
pub(super) struct SequenceEncoder {
    context: NonNull<sys::ZSTD_CCtx>,
    sequences: Vec<sys::ZSTD_Sequence>,
}

// SAFETY: a context belongs to whoever holds it, and may move between threads.
unsafe impl Send for SequenceEncoder {}

impl SequenceEncoder {
    /// With the entropy coding of a level.
    pub fn new(level: i32) -> Result<Self, String> {
        // SAFETY: makes a context or says by null that there is no memory.
        let context = NonNull::new(unsafe { sys::ZSTD_createCCtx() }).ok_or("no memory")?;
        let encoder = Self { context, sequences: Vec::new() };
        let validates = sys::ZSTD_cParameter::ZSTD_c_experimentalParam12;
        for (parameter, value) in [(sys::ZSTD_cParameter::ZSTD_c_compressionLevel, level), (validates, 1)] {
            // SAFETY: the context is alive; wrong values are an error.
            checked(unsafe { sys::ZSTD_CCtx_setParameter(context.as_ptr(), parameter, value) })?;
        }
        Ok(encoder)
    }

    /// Takes the next sequence of what will be encoded.
    pub fn push(&mut self, Sequence { literals, length, offset }: Sequence) {
        let [offset, length, literals] = [offset, length, literals].map(|number| number as u32);
        self.sequences.push(sys::ZSTD_Sequence { offset, litLength: literals, matchLength: length, rep: 0 });
    }

    /// One frame of `bytes`, whose sequences were pushed; what follows the last stands for itself.
    pub fn encode(&mut self, bytes: &[u8]) -> Result<Vec<u8>, String> {
        let mut frame = vec![0; zstd::zstd_safe::compress_bound(bytes.len())];
        // SAFETY: the context is alive, lengths are those of the buffers, and sequences that do not fit `bytes` are an error, as
        // the context validates them.
        let written = checked(unsafe {
            sys::ZSTD_compressSequences(
                self.context.as_ptr(),
                frame.as_mut_ptr().cast(),
                frame.len(),
                self.sequences.as_ptr(),
                self.sequences.len(),
                bytes.as_ptr().cast(),
                bytes.len(),
            )
        });
        self.sequences.clear();
        let written = written?;
        frame.truncate(written);
        Ok(frame)
    }
}

impl Drop for SequenceEncoder {
    fn drop(&mut self) {
        // SAFETY: made in `new`, freed once.
        unsafe { sys::ZSTD_freeCCtx(self.context.as_ptr()) };
    }
}

/// A size, or what zstd says of an error.
fn checked(code: usize) -> Result<usize, String> {
    // SAFETY: both take any number; names are static.
    let name = unsafe {
        if sys::ZSTD_isError(code) == 0 {
            return Ok(code);
        }
        CStr::from_ptr(sys::ZSTD_getErrorName(code))
    };
    Err(name.to_string_lossy().into_owned())
}
