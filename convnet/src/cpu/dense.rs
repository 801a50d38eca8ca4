//! Access to the data of candle's CPU storage.

use super::element::Element;
use candle_core::{CpuStorage, Layout, Result, Storage, bail};

/// Evaluates `$body` with `$T` as the type of the images in `$storage`: f32 or bf16.
macro_rules! with_images {
    ($storage:expr, $op:expr, $T:ident => $body:expr) => {
        match candle_core::backend::BackendStorage::dtype($storage) {
            candle_core::DType::F32 => {
                type $T = f32;
                $body
            }
            candle_core::DType::BF16 => {
                type $T = half::bf16;
                $body
            }
            found => candle_core::bail!("{}: expected f32 or bf16, found {found:?}", $op),
        }
    };
}
pub(crate) use with_images;

/// Returns the elements of a contiguous tensor.
pub(crate) fn slice<'a, T: Element>(storage: &'a CpuStorage, layout: &Layout, op: &str) -> Result<&'a [T]> {
    let Some(data) = T::slice(storage) else {
        bail!("{op}: expected {}, found {:?}", T::DTYPE.as_str(), dtype(storage))
    };
    let Some((start, end)) = layout.contiguous_offsets() else {
        bail!("{op}: the tensor of shape {:?} is not contiguous; call .contiguous() first", layout.shape())
    };
    Ok(&data[start..end])
}

/// Returns the elements of a contiguous tensor on the CPU, if there is one.
pub(crate) fn optional<'a, T: Element>(tensor: Option<(&'a Storage, &Layout)>, op: &str) -> Result<Option<&'a [T]>> {
    match tensor {
        None => Ok(None),
        Some((Storage::Cpu(storage), layout)) => slice(storage, layout, op).map(Some),
        Some(_) => bail!("{op}: the residual is on another device"),
    }
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
#[inline(always)]
pub(crate) fn rectify(x: f32) -> f32 {
    if x <= 0. { 0. } else { x }
}
