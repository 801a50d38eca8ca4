//! Conversion of u8 pixels to the images that a network expects.

use crate::cuda::device::{Arg, Gpu, Operand, address_of_first, fresh, suffix};
use crate::geometry::{Normalisation, PixelLayout, images};
use candle_core::cuda::CudaStorage;
use candle_core::cuda::cudarc::driver::DevicePtr;
use candle_core::{DType, Result};

/// Converts u8 images [N, H, W, C] or [N, C, H, W] to normalised images [N, H, W, C] of type
/// `dtype`.
pub(crate) fn normalise(
    x: Operand,
    layout: PixelLayout,
    normalisation: &Normalisation,
    dtype: DType,
) -> Result<CudaStorage> {
    let (n, h, w, c) = layout.sizes(x.1.shape())?;
    let device = &x.0.device;
    let out = fresh(device, dtype, n * h * w * c)?;
    let table = device.clone_htod(&[&normalisation.mean[..], &normalisation.std[..]].concat())?;
    let mean = table.device_ptr(&device.cuda_stream()).0;
    let period = normalisation.mean.len();
    let bytes = period * size_of::<f32>();
    let (first, step) = images(x.1)?;
    let args = [
        Arg::Memory(address_of_first(x.0, DType::U8, "normalise")? + first as u64, n * h * w * c),
        Arg::fresh(&out),
        Arg::Memory(mean, bytes),
        Arg::Memory(mean + bytes as u64, bytes),
        Arg::Int(period),
        Arg::Int((layout == PixelLayout::Planes).into()),
        Arg::Long(n),
        Arg::Long(step),
        Arg::Int(h * w),
        Arg::Int(c),
    ];
    Gpu::of(device)?.launch_over(&format!("normalise_{}", suffix(dtype)), n * h * w, &args)?;
    Ok(out)
}
