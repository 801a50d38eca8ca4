//! The operations on the CPU.
//!
//! Only shapes determine how work is split into blocks, so results do not depend on the number of
//! threads.

pub(crate) mod activation;
pub(crate) mod aligned;
pub(crate) mod avg_pool;
pub(crate) mod channels;
pub(crate) mod conv;
pub(crate) mod dense;
pub(crate) mod element;
pub(crate) mod matmul;
pub(crate) mod max_pool;
pub(crate) mod norm;
pub(crate) mod parallel;
pub(crate) mod product;
pub(crate) mod shift;
pub(crate) mod simd;
pub(crate) mod statistics;
pub(crate) mod unwritten;

use simd::Isa;

/// Returns whether this processor has instructions that multiply bf16 values (AVX512-BF16 or AMX): AMD
/// Zen 4 and Intel Cooper Lake, for example.
///
/// With AMX (Intel Sapphire Rapids and later, on Linux), convolutions of bf16 images are faster than
/// those of f32 images. On processors without such instructions, operations on bf16 images convert
/// each value to f32 and back, and are slower than on f32 images.
pub fn cpu_has_bf16() -> bool {
    Isa::best().multiplies_bf16()
}
