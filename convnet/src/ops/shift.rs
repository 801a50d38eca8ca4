//! Temporal shift: moves channels between the frames of a clip.

use crate::cpu::dense::{self, with_images};
use crate::cpu::element::Element;
use crate::cpu::shift;
use crate::geometry::{Clips, TemporalShift};
#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};

/// Shifts channels of the images `x` `[N, H, W, C]` between neighbouring frames. `x` is f32 or
/// bf16.
///
/// The images of a clip are `frames` consecutive ones. In each image, the first channels come from
/// the next frame, as many channels after them from the previous frame, and the others stay. The
/// share of the channels that move in each direction is `fraction`, from 0 to 1/2; their number is
/// rounded down. Outside the clip, frames are 0. This is the temporal shift of Lin et al. 2019, "TSM:
/// Temporal Shift Module for Efficient Video Understanding". The authors recommend 1/8, which is
/// `shift_div` 8 in their [code](https://github.com/mit-han-lab/temporal-shift-module).
///
/// ```
/// # use candle_convnet::temporal_shift;
/// # use candle_core::{Device, Tensor};
/// # fn main() -> candle_core::Result<()> {
/// // A clip of three frames with one pixel and eight channels.
/// let frame = |value: f32| Tensor::full(value, (1, 1, 1, 8), &Device::Cpu);
/// let clip = Tensor::cat(&[frame(1.)?, frame(2.)?, frame(3.)?], 0)?;
/// let shifted = temporal_shift(&clip, 3, 1. / 8.)?.reshape((3, 8))?.narrow(1, 0, 3)?;
/// assert_eq!(shifted.to_vec2::<f32>()?, [[2., 0., 1.], [3., 1., 2.], [0., 2., 3.]]);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// Returns an error if `frames` is 0, if N is not a multiple of `frames`, if `fraction` is out of
/// its range, or if `x` has another type.
pub fn temporal_shift(x: &Tensor, frames: usize, fraction: f64) -> Result<Tensor> {
    x.contiguous()?.apply_op1(Shift { clips: Clips { frames, fraction }, reverse: false })
}

/// Runs [`temporal_shift`] outside the autograd graph.
pub(crate) fn temporal_shift_forward(x: &Tensor, clips: Clips) -> Result<Tensor> {
    x.apply_op1_no_bwd(&Shift { clips, reverse: false })
}

/// Returns the gradient of the input of [`temporal_shift`] from that of the result.
pub(crate) fn temporal_shift_grad(grad: &Tensor, clips: Clips) -> Result<Tensor> {
    grad.apply_op1_no_bwd(&Shift { clips, reverse: true })
}

struct Shift {
    clips: Clips,
    reverse: bool,
}

impl CustomOp1 for Shift {
    fn name(&self) -> &'static str {
        if self.reverse { "temporal-shift-gradient" } else { "temporal-shift" }
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let sizes = TemporalShift::new(layout.shape(), self.clips, self.reverse)?;
        with_images!(x, self.name(), T => {
            let out = shift::temporal_shift::<T>(dense::slice(x, layout, self.name())?, &sizes);
            Ok((T::storage(out), layout.shape().clone()))
        })
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, x: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        let sizes = TemporalShift::new(layout.shape(), self.clips, self.reverse)?;
        Ok((crate::cuda::shift::temporal_shift((x, layout), &sizes)?, layout.shape().clone()))
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        Ok(Some(temporal_shift_grad(&grad.contiguous()?, self.clips)?))
    }
}
