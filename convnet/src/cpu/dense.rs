//! Access to the f32 data of candle's CPU storage.

use candle_core::{CpuStorage, Layout, Result, bail};

/// Returns the elements of a contiguous f32 tensor.
pub(crate) fn slice<'a>(storage: &'a CpuStorage, layout: &Layout, op: &str) -> Result<&'a [f32]> {
    let CpuStorage::F32(data) = storage else { bail!("{op}: expected f32, found {:?}", dtype(storage)) };
    let Some((start, end)) = layout.contiguous_offsets() else {
        bail!("{op}: the tensor of shape {:?} is not contiguous; call .contiguous() first", layout.shape())
    };
    Ok(&data[start..end])
}

/// Returns the elements of a contiguous f32 tensor, for an in-place operation.
pub(crate) fn slice_mut<'a>(storage: &'a mut CpuStorage, layout: &Layout, op: &str) -> Result<&'a mut [f32]> {
    let found = dtype(storage);
    let CpuStorage::F32(data) = storage else { bail!("{op}: expected f32, found {found:?}") };
    let Some((start, end)) = layout.contiguous_offsets() else {
        bail!("{op}: the tensor of shape {:?} is not contiguous; call .contiguous() first", layout.shape())
    };
    Ok(&mut data[start..end])
}

fn dtype(storage: &CpuStorage) -> candle_core::DType {
    use candle_core::backend::BackendStorage;
    storage.dtype()
}

/// Returns `max(x, 0)`. A NaN stays a NaN.
#[inline]
pub(crate) fn rectify(x: f32) -> f32 {
    if x <= 0. { 0. } else { x }
}
