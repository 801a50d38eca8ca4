//! Vectors of f32, and the instruction sets for them. The program chooses a set when it runs.
//!
//! bf16 values are in memory only: vectors load them as f32, and round when they store. Only
//! products use them directly, two at a time ([`Vector::add_products`]).
#![allow(unsafe_code)]

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(target_arch = "x86_64")]
pub(crate) mod amx;
mod portable;
mod scalar;
mod vector;
#[cfg(target_arch = "x86_64")]
mod x86;

pub(crate) use scalar::{rounded, widened};
use std::sync::OnceLock;
pub(crate) use vector::{Job, SQUARE, Vector};

/// An instruction set of this CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Isa {
    /// Plain arrays, which the compiler vectorises for its target.
    Portable,
    #[cfg(target_arch = "aarch64")]
    Neon,
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
            #[cfg(target_arch = "aarch64")]
            std::arch::is_aarch64_feature_detected!("neon").then_some(Self::Neon),
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
    /// `CANDLE_CONVNET_SIMD` can be `portable`, `neon`, `avx2`, `avx512`, `avx512bf16` or `amxbf16`, and is
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
            #[cfg(target_arch = "aarch64")]
            Self::Neon => aarch64::Neon::LANES,
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
            #[cfg(target_arch = "aarch64")]
            // SAFETY: only `available` creates this value, after it has detected NEON.
            Self::Neon => unsafe { aarch64::run_neon(job) },
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
