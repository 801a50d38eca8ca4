//! Vectors of f32, and the instruction sets for them. The program chooses a set when it runs.
//!
//! bf16 values are in memory only: vectors load them as f32, and round when they store. Only
//! products use them directly, two at a time ([`Vector::add_products`]).
#![allow(unsafe_code)]

#[cfg(target_arch = "x86_64")]
pub(crate) mod amx;
mod portable;
#[cfg(target_arch = "x86_64")]
mod x86;

use half::bf16;
pub(crate) use portable::{rounded, widened};
use std::sync::OnceLock;

/// An instruction set of this CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Isa {
    /// Plain arrays, which the compiler vectorises for its target.
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// AVX-512 with products of bf16. For f32, it computes the same bits as [`Isa::Avx512`].
    #[cfg(target_arch = "x86_64")]
    Avx512Bf16,
    /// The vectors of [`Isa::Avx512Bf16`], and tiles for products of bf16.
    #[cfg(target_arch = "x86_64")]
    AmxBf16,
}

impl Isa {
    /// Returns all sets of this CPU, the fastest last.
    pub(crate) fn available() -> Vec<Self> {
        #[cfg(target_arch = "x86_64")]
        let has_avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
        #[cfg(target_arch = "x86_64")]
        let has_avx512 = has_avx2 && is_x86_feature_detected!("avx512f");
        #[cfg(target_arch = "x86_64")]
        let has_bf16 = has_avx512 && is_x86_feature_detected!("avx512bf16");
        let sets = [
            Some(Self::Portable),
            #[cfg(target_arch = "x86_64")]
            has_avx2.then_some(Self::Avx2),
            #[cfg(target_arch = "x86_64")]
            has_avx512.then_some(Self::Avx512),
            #[cfg(target_arch = "x86_64")]
            has_bf16.then_some(Self::Avx512Bf16),
            #[cfg(target_arch = "x86_64")]
            (has_bf16 && amx::available()).then_some(Self::AmxBf16),
        ];
        sets.into_iter().flatten().collect()
    }

    /// Returns the fastest set of this CPU, or the one that the environment names.
    ///
    /// `CANDLE_CONVNET_SIMD` can be `portable`, `avx2`, `avx512`, `avx512bf16` or `amxbf16`, and is
    /// read once. Other names, and sets that the CPU does not have, are ignored.
    pub(crate) fn best() -> Self {
        static BEST: OnceLock<Isa> = OnceLock::new();
        *BEST.get_or_init(|| {
            let mut sets = Self::available();
            let wanted = std::env::var("CANDLE_CONVNET_SIMD").unwrap_or_default();
            let named = sets.iter().copied().find(|set| format!("{set:?}").eq_ignore_ascii_case(&wanted));
            named.or_else(|| sets.pop()).unwrap_or(Self::Portable)
        })
    }

    /// Returns whether this set has instructions for products of bf16.
    pub(crate) fn multiplies_bf16(self) -> bool {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Bf16 | Self::AmxBf16 => true,
            _ => false,
        }
    }

    /// Returns whether this set has tiles ([`amx`]).
    pub(crate) fn has_tiles(self) -> bool {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::AmxBf16 => true,
            _ => false,
        }
    }

    /// Returns the number of values in a vector.
    pub(crate) fn lanes(self) -> usize {
        match self {
            Self::Portable => <[f32; 8]>::LANES,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => x86::Avx2::LANES,
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 | Self::Avx512Bf16 | Self::AmxBf16 => x86::Avx512::LANES,
        }
    }

    /// Runs `job`, compiled for this set.
    pub(crate) fn run<J: Job>(self, job: J) -> J::Output {
        match self {
            Self::Portable => job.run::<[f32; 8]>(),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: only `available` creates this value, after it has detected AVX2 and FMA.
            Self::Avx2 => unsafe { x86::run_avx2(job) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: only `available` creates this value, after it has detected AVX-512, AVX2 and
            // FMA.
            Self::Avx512 => unsafe { x86::run_avx512(job) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: only `available` creates this value, after it has detected AVX-512 with bf16,
            // AVX2 and FMA.
            Self::Avx512Bf16 | Self::AmxBf16 => unsafe { x86::run_avx512_bf16(job) },
        }
    }
}

/// Work that has one source for all instruction sets.
///
/// All functions that `run` calls must be `#[inline(always)]`. [`Isa::run`] compiles one function
/// per instruction set, and only code inlined into it uses the set.
pub(crate) trait Job {
    type Output;
    fn run<V: Vector>(self) -> Self::Output;
}

/// A vector of f32.
///
/// Only [`Isa::run`] may choose the type, because the CPU may not have the instructions of its
/// methods.
pub(crate) trait Vector: Copy {
    const LANES: usize;

    /// A vector of pairs of bf16: `LANES` u32, with the first value of a pair in the low half.
    type Pairs: Copy;

    fn splat(value: f32) -> Self;

    /// Reads a vector.
    ///
    /// # Safety
    /// `from` must be valid for reads of `LANES` values.
    unsafe fn load(from: *const f32) -> Self;

    /// Writes the vector.
    ///
    /// # Safety
    /// `to` must be valid for writes of `LANES` values.
    unsafe fn store(self, to: *mut f32);

    fn add(self, other: Self) -> Self;

    fn sub(self, other: Self) -> Self;

    fn mul(self, other: Self) -> Self;

    /// Returns `self * factor + sum`, rounded only once if the CPU can do so.
    fn mul_add(self, factor: Self, sum: Self) -> Self;

    /// Returns `(self, yes)` in lanes where `self > other` or `self` is NaN, and `(other, no)` in
    /// the other lanes.
    fn above(self, other: Self, yes: Self, no: Self) -> (Self, Self);

    /// Reads a vector of bf16 values.
    ///
    /// # Safety
    /// `from` must be valid for reads of `LANES` values.
    unsafe fn load_bf16(from: *const bf16) -> Self;

    /// Writes the vector as bf16, rounded to the nearest value, and to the even one of two.
    ///
    /// # Safety
    /// `to` must be valid for writes of `LANES` values.
    unsafe fn store_bf16(self, to: *mut bf16);

    /// Writes both vectors as bf16, each value of the first before that of the second. It rounds like
    /// [`Vector::store_bf16`].
    ///
    /// # Safety
    /// `to` must be valid for writes of `2 * LANES` values.
    #[inline(always)]
    unsafe fn store_pairs(self, second: Self, to: *mut bf16) {
        let mut values = [[0f32; 32]; 2];
        // SAFETY: a vector has at most 32 lanes. The caller guarantees `to`.
        unsafe {
            self.store(values[0].as_mut_ptr());
            second.store(values[1].as_mut_ptr());
            for lane in 0..Self::LANES {
                to.add(2 * lane).write(rounded(values[0][lane]));
                to.add(2 * lane + 1).write(rounded(values[1][lane]));
            }
        }
    }

    /// Reads a vector of pairs.
    ///
    /// # Safety
    /// `from` must be valid for reads of `2 * LANES` values.
    unsafe fn load_pairs(from: *const bf16) -> Self::Pairs;

    /// Returns a vector whose pairs are all the two values at `from`.
    ///
    /// # Safety
    /// `from` must be valid for reads of two values.
    unsafe fn splat_pair(from: *const bf16) -> Self::Pairs;

    /// Returns `self + a.first * b.first + a.second * b.second` per lane. The order of the sum, its
    /// rounding, and values below 2^-126 depend on the set.
    fn add_products(self, a: Self::Pairs, b: Self::Pairs) -> Self;

    /// Writes value `column` of row `row` of a square as value `row` of row `column`. Rows of
    /// [`SQUARE`] values start at distance `from_pitch` and `to_pitch`.
    ///
    /// # Safety
    /// All rows of `from` must be valid for reads, and all rows of `to` for writes.
    #[inline(always)]
    unsafe fn transpose(from: *const bf16, from_pitch: usize, to: *mut bf16, to_pitch: usize) {
        for row in 0..SQUARE {
            for column in 0..SQUARE {
                // SAFETY: guaranteed by the caller.
                unsafe { to.add(column * to_pitch + row).write(from.add(row * from_pitch + column).read()) };
            }
        }
    }
}

/// Side of the squares that [`Vector::transpose`] turns.
pub(crate) const SQUARE: usize = 8;
