//! Vectors, and work for any of them.
#![allow(unsafe_code)]

use super::scalar::rounded;
use half::bf16;

/// Work that has one source for all instruction sets.
///
/// All functions that `run` calls must be `#[inline(always)]`. `Isa::run` compiles one function
/// per instruction set, and only code inlined into it uses the set.
pub(crate) trait Job {
    type Output;
    fn run<V: Vector>(self) -> Self::Output;
}

/// A vector of f32.
///
/// Only `Isa::run` may choose the type, because the CPU may not have the instructions of its
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

    /// Writes the vector to memory past the caches, if the set can do so. [`Vector::fence`] must follow the last
    /// of these writes.
    ///
    /// # Safety
    /// `to` must be valid for writes of `LANES` values, and a multiple of their size.
    #[inline(always)]
    unsafe fn stream(self, to: *mut f32) {
        // SAFETY: guaranteed by the caller.
        unsafe { self.store(to) }
    }

    /// Lets other threads see what [`Vector::stream`] wrote before.
    #[inline(always)]
    fn fence() {}

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
