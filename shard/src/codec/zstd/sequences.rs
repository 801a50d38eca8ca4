//! Compression to zstd frames from matches that another match finder found.
#![expect(unsafe_code, reason = "the crate zstd does not offer ZSTD_compressSequences")]

use super::matches::Sequence;
use std::ffi::CStr;
use std::ptr::NonNull;
use zstd::zstd_safe::zstd_sys as sys;

/// A zstd context that compresses given sequences.
pub(super) struct SequenceEncoder {
    context: NonNull<sys::ZSTD_CCtx>,
    sequences: Vec<sys::ZSTD_Sequence>,
}

// SAFETY: the encoder owns its context, and a zstd context may move between threads.
unsafe impl Send for SequenceEncoder {}

impl SequenceEncoder {
    /// Creates an encoder with the entropy coding of a level.
    pub fn new(level: i32) -> Result<Self, String> {
        // SAFETY: the function creates a context, or returns null if there is no memory.
        let context = NonNull::new(unsafe { sys::ZSTD_createCCtx() }).ok_or("out of memory")?;
        let encoder = Self { context, sequences: Vec::new() };
        let validates = sys::ZSTD_cParameter::ZSTD_c_experimentalParam12;
        for (parameter, value) in [(sys::ZSTD_cParameter::ZSTD_c_compressionLevel, level), (validates, 1)] {
            // SAFETY: the context is alive. The function returns an error for wrong values.
            checked(unsafe { sys::ZSTD_CCtx_setParameter(context.as_ptr(), parameter, value) })?;
        }
        Ok(encoder)
    }

    /// Adds the next sequence of the bytes that will be encoded.
    pub fn push(&mut self, Sequence { literals, length, offset }: Sequence) {
        let [offset, length, literals] = [offset, length, literals].map(|number| number as u32);
        self.sequences.push(sys::ZSTD_Sequence { offset, litLength: literals, matchLength: length, rep: 0 });
    }

    /// Compresses `bytes` to one frame with the sequences that were pushed, and removes the
    /// sequences.
    ///
    /// The bytes after the last sequence are literals.
    pub fn encode(&mut self, bytes: &[u8]) -> Result<Vec<u8>, String> {
        let mut frame = vec![0; zstd::zstd_safe::compress_bound(bytes.len())];
        // SAFETY: the context is alive and the lengths are those of the buffers. The context
        // validates the sequences, so it returns an error if they do not match `bytes`.
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
        // SAFETY: `new` created the context, and it is freed only here.
        unsafe { sys::ZSTD_freeCCtx(self.context.as_ptr()) };
    }
}

/// Converts a return code of zstd to a size, or to the text of its error.
fn checked(code: usize) -> Result<usize, String> {
    // SAFETY: both functions accept any number, and the names are static.
    let name = unsafe {
        if sys::ZSTD_isError(code) == 0 {
            return Ok(code);
        }
        CStr::from_ptr(sys::ZSTD_getErrorName(code))
    };
    Err(name.to_string_lossy().into_owned())
}
