//! Temporal shift: copies of channels between the frames of a clip.

use crate::cuda::device::{Arg, Gpu, Operand, float_type, fresh, suffix, vector};
use crate::geometry::{Images, TemporalShift};
use candle_core::Result;
use candle_core::cuda::CudaStorage;

/// Returns `x`, NHWC, with shifted channels.
pub(crate) fn temporal_shift(x: Operand, shift: &TemporalShift) -> Result<CudaStorage> {
    let Images { h, w, c, .. } = shift.images;
    let len = shift.images.len();
    let dtype = float_type(x.0, "temporal-shift")?;
    // A thread copies channels of one group, so groups are whole vectors.
    let v = vector(dtype, c).min(vector(dtype, shift.fold));
    let out = fresh(&x.0.device, dtype, len)?;
    let args = [
        Arg::tensor(x, dtype, "temporal-shift")?,
        Arg::fresh(&out),
        Arg::Long(len / v),
        Arg::Int(shift.frames),
        Arg::Int(h * w),
        Arg::Int(c / v),
        Arg::Int(shift.fold / v),
        Arg::Signed(if shift.reverse { -1 } else { 1 }),
    ];
    Gpu::of(&x.0.device)?.launch_over(&format!("temporal_shift_{}_v{v}", suffix(dtype)), len / v, &args)?;
    Ok(out)
}
