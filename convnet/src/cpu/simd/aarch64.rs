//! Vectors of NEON.
#![allow(unsafe_code)]

use super::vector::{Job, Vector};
use half::bf16;
use std::arch::aarch64::{
    float32x4_t, uint16x4_t, uint16x8x2_t, uint32x4_t, vaddq_f32, vaddq_u32, vandq_u32, vbslq_f32, vbslq_u32,
    vceqq_f32, vcgtq_f32, vcombine_u16, vdupq_n_f32, vdupq_n_u32, vfmaq_f32, vld1_u16, vld1q_f32, vld1q_u32, vmovn_u32,
    vmulq_f32, vornq_u32, vorrq_u32, vreinterpretq_f32_u32, vreinterpretq_u32_f32, vshll_n_u16, vshlq_n_u32,
    vshrq_n_u32, vst1_u16, vst1q_f32, vst2q_u16, vsubq_f32,
};

#[target_feature(enable = "neon")]
pub(super) fn run_neon<J: Job>(job: J) -> J::Output {
    job.run::<Neon>()
}

/// Two registers with 4 values each. In a product, 24 of the 32 registers hold sums.
#[derive(Clone, Copy)]
pub(super) struct Neon([float32x4_t; 2]);

/// Calls a function for both registers.
macro_rules! both {
    (|$i:ident| $result:expr) => {{
        let half = |$i: usize| {
            // SAFETY: only `Isa::run` chooses this type, on a CPU that has NEON. Callers of unsafe
            // functions guarantee their pointers.
            #[allow(unused_unsafe)]
            unsafe {
                $result
            }
        };
        [half(0), half(1)]
    }};
}

/// Returns the nearest bf16 values, and the even ones of two. A NaN stays a NaN.
///
/// # Safety
/// The CPU must have NEON.
#[inline(always)]
unsafe fn rounded(value: float32x4_t) -> uint16x4_t {
    // SAFETY: guaranteed by the caller.
    unsafe {
        let bits = vreinterpretq_u32_f32(value);
        let high = vshrq_n_u32::<16>(bits);
        let half = vaddq_u32(vdupq_n_u32(0x7fff), vandq_u32(high, vdupq_n_u32(1)));
        let nearest = vshrq_n_u32::<16>(vaddq_u32(bits, half));
        let quiet = vorrq_u32(high, vdupq_n_u32(0x40));
        vmovn_u32(vbslq_u32(vceqq_f32(value, value), nearest, quiet))
    }
}

/// Returns the first or the second values of pairs as f32.
///
/// # Safety
/// The CPU must have NEON.
#[inline(always)]
unsafe fn of_pairs(pairs: uint32x4_t, second: bool) -> float32x4_t {
    // SAFETY: guaranteed by the caller.
    unsafe {
        let high = vdupq_n_u32(0xffff_0000);
        vreinterpretq_f32_u32(if second { vandq_u32(pairs, high) } else { vshlq_n_u32::<16>(pairs) })
    }
}

impl Vector for Neon {
    const LANES: usize = 8;

    type Pairs = [uint32x4_t; 2];

    #[inline(always)]
    fn splat(value: f32) -> Self {
        Self(both!(|_i| vdupq_n_f32(value)))
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        Self(both!(|i| vld1q_f32(from.add(4 * i))))
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        both!(|i| vst1q_f32(to.add(4 * i), self.0[i]));
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        Self(both!(|i| vaddq_f32(self.0[i], other.0[i])))
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        Self(both!(|i| vsubq_f32(self.0[i], other.0[i])))
    }

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        Self(both!(|i| vmulq_f32(self.0[i], other.0[i])))
    }

    #[inline(always)]
    fn mul_add(self, factor: Self, sum: Self) -> Self {
        Self(both!(|i| vfmaq_f32(sum.0[i], self.0[i], factor.0[i])))
    }

    #[inline(always)]
    fn above(self, other: Self, yes: Self, no: Self) -> (Self, Self) {
        // Lanes in which the value is greater, or is not equal to itself.
        let above = both!(|i| vornq_u32(vcgtq_f32(self.0[i], other.0[i]), vceqq_f32(self.0[i], self.0[i])));
        (
            Self(both!(|i| vbslq_f32(above[i], self.0[i], other.0[i]))),
            Self(both!(|i| vbslq_f32(above[i], yes.0[i], no.0[i]))),
        )
    }

    #[inline(always)]
    unsafe fn load_bf16(from: *const bf16) -> Self {
        Self(both!(|i| vreinterpretq_f32_u32(vshll_n_u16::<16>(vld1_u16(from.add(4 * i).cast())))))
    }

    #[inline(always)]
    unsafe fn store_bf16(self, to: *mut bf16) {
        both!(|i| vst1_u16(to.add(4 * i).cast(), rounded(self.0[i])));
    }

    #[inline(always)]
    unsafe fn store_pairs(self, second: Self, to: *mut bf16) {
        let [a, b, c, d] = [self.0[0], self.0[1], second.0[0], second.0[1]].map(|half| {
            // SAFETY: only `Isa::run` chooses this type, on a CPU that has NEON.
            unsafe { rounded(half) }
        });
        // SAFETY: as above. The caller guarantees the pointer.
        unsafe { vst2q_u16(to.cast(), uint16x8x2_t(vcombine_u16(a, b), vcombine_u16(c, d))) }
    }

    #[inline(always)]
    unsafe fn load_pairs(from: *const bf16) -> Self::Pairs {
        both!(|i| vld1q_u32(from.add(8 * i).cast()))
    }

    #[inline(always)]
    unsafe fn splat_pair(from: *const bf16) -> Self::Pairs {
        both!(|_i| vdupq_n_u32(from.cast::<u32>().read_unaligned()))
    }

    #[inline(always)]
    fn add_products(self, a: Self::Pairs, b: Self::Pairs) -> Self {
        let first = both!(|i| vfmaq_f32(self.0[i], of_pairs(a[i], false), of_pairs(b[i], false)));
        Self(both!(|i| vfmaq_f32(first[i], of_pairs(a[i], true), of_pairs(b[i], true))))
    }
}
