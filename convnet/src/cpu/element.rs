//! The types of values that images and weights have in memory. All sums are f32.
#![allow(unsafe_code)]

use super::simd::{Vector, rounded, widened};
use candle_core::{CpuStorage, DType};
use half::bf16;

/// A type of values in memory.
pub(crate) trait Element: Copy + Default + PartialEq + Send + Sync + std::fmt::Debug + 'static {
    const DTYPE: DType;

    /// Number of neighbouring values along the depth that one step of a product multiplies.
    const STEP: usize;

    /// A vector of steps: `LANES` times [`Element::STEP`] values.
    type Steps<V: Vector>: Copy;

    fn of(value: f32) -> Self;

    fn value(self) -> f32;

    /// Returns the values of a storage, or `None` if it has another type.
    fn slice(storage: &CpuStorage) -> Option<&[Self]>;

    fn storage(values: Vec<Self>) -> CpuStorage;

    /// Returns `values` if their type is bf16.
    fn bf16s(values: &[Self]) -> Option<&[bf16]>;

    /// Reads a vector.
    ///
    /// # Safety
    /// `from` must be valid for reads of `V::LANES` values.
    unsafe fn load<V: Vector>(from: *const Self) -> V;

    /// Writes a vector.
    ///
    /// # Safety
    /// `to` must be valid for writes of `V::LANES` values.
    unsafe fn store<V: Vector>(vector: V, to: *mut Self);

    /// Reads a step of `V::LANES` columns.
    ///
    /// # Safety
    /// `from` must be valid for reads of `V::LANES * STEP` values.
    unsafe fn load_steps<V: Vector>(from: *const Self) -> Self::Steps<V>;

    /// Reads a step of one row, for all lanes.
    ///
    /// # Safety
    /// `from` must be valid for reads of `STEP` values.
    unsafe fn splat_step<V: Vector>(from: *const Self) -> Self::Steps<V>;

    /// Writes steps of `V::LANES` columns: the first [`Element::STEP`] of `values`.
    ///
    /// # Safety
    /// `to` must be valid for writes of `V::LANES * STEP` values.
    unsafe fn store_steps<V: Vector>(values: [V; 2], to: *mut Self);

    /// Returns `sum` plus the products of a step, per lane.
    fn add_products<V: Vector>(sum: V, a: Self::Steps<V>, b: Self::Steps<V>) -> V;
}

impl Element for f32 {
    const DTYPE: DType = DType::F32;
    const STEP: usize = 1;

    type Steps<V: Vector> = V;

    #[inline(always)]
    fn of(value: f32) -> Self {
        value
    }

    #[inline(always)]
    fn value(self) -> f32 {
        self
    }

    fn slice(storage: &CpuStorage) -> Option<&[Self]> {
        if let CpuStorage::F32(values) = storage { Some(values) } else { None }
    }

    fn storage(values: Vec<Self>) -> CpuStorage {
        CpuStorage::F32(values)
    }

    fn bf16s(_: &[Self]) -> Option<&[bf16]> {
        None
    }

    #[inline(always)]
    unsafe fn load<V: Vector>(from: *const Self) -> V {
        // SAFETY: guaranteed by the caller.
        unsafe { V::load(from) }
    }

    #[inline(always)]
    unsafe fn store<V: Vector>(vector: V, to: *mut Self) {
        // SAFETY: guaranteed by the caller.
        unsafe { vector.store(to) }
    }

    #[inline(always)]
    unsafe fn load_steps<V: Vector>(from: *const Self) -> V {
        // SAFETY: guaranteed by the caller.
        unsafe { V::load(from) }
    }

    #[inline(always)]
    unsafe fn splat_step<V: Vector>(from: *const Self) -> V {
        // SAFETY: guaranteed by the caller.
        V::splat(unsafe { *from })
    }

    #[inline(always)]
    unsafe fn store_steps<V: Vector>(values: [V; 2], to: *mut Self) {
        // SAFETY: guaranteed by the caller.
        unsafe { values[0].store(to) }
    }

    #[inline(always)]
    fn add_products<V: Vector>(sum: V, a: V, b: V) -> V {
        a.mul_add(b, sum)
    }
}

impl Element for bf16 {
    const DTYPE: DType = DType::BF16;
    const STEP: usize = 2;

    type Steps<V: Vector> = V::Pairs;

    #[inline(always)]
    fn of(value: f32) -> Self {
        rounded(value)
    }

    #[inline(always)]
    fn value(self) -> f32 {
        widened(self)
    }

    fn slice(storage: &CpuStorage) -> Option<&[Self]> {
        if let CpuStorage::BF16(values) = storage { Some(values) } else { None }
    }

    fn storage(values: Vec<Self>) -> CpuStorage {
        CpuStorage::BF16(values)
    }

    fn bf16s(values: &[Self]) -> Option<&[bf16]> {
        Some(values)
    }

    #[inline(always)]
    unsafe fn load<V: Vector>(from: *const Self) -> V {
        // SAFETY: guaranteed by the caller.
        unsafe { V::load_bf16(from) }
    }

    #[inline(always)]
    unsafe fn store<V: Vector>(vector: V, to: *mut Self) {
        // SAFETY: guaranteed by the caller.
        unsafe { vector.store_bf16(to) }
    }

    #[inline(always)]
    unsafe fn load_steps<V: Vector>(from: *const Self) -> V::Pairs {
        // SAFETY: guaranteed by the caller.
        unsafe { V::load_pairs(from) }
    }

    #[inline(always)]
    unsafe fn splat_step<V: Vector>(from: *const Self) -> V::Pairs {
        // SAFETY: guaranteed by the caller.
        unsafe { V::splat_pair(from) }
    }

    #[inline(always)]
    unsafe fn store_steps<V: Vector>(values: [V; 2], to: *mut Self) {
        // SAFETY: guaranteed by the caller.
        unsafe { values[0].store_pairs(values[1], to) }
    }

    #[inline(always)]
    fn add_products<V: Vector>(sum: V, a: V::Pairs, b: V::Pairs) -> V {
        sum.add_products(a, b)
    }
}
