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
pub(crate) mod norm_pool;
pub(crate) mod parallel;
pub(crate) mod product;
pub(crate) mod shift;
pub(crate) mod simd;
pub(crate) mod statistics;
pub(crate) mod unwritten;

use simd::Isa;

/// Returns whether networks are faster in bf16 than in f32 on this processor: on Linux, if it has AMX
/// (Intel Sapphire Rapids and later).
///
/// On other processors that multiply bf16 (AVX512-BF16: AMD Zen 4, for example), both take about the
/// same time. On all others, operations on bf16 images convert each value to f32 and back, and are
/// slower than on f32 images.
pub fn cpu_is_faster_in_bf16() -> bool {
    Isa::best().has_tiles()
}
