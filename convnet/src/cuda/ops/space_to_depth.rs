//! Converts a convolution with stride 2 over few channels to one with stride 1 over four times as
//! many channels.
//!
//! Tensor cores read 16 bytes of channels at a time. cuDNN pads the 3 channels of RGB and the 20
//! channels of flow for the 7x7 kernel, and multiplies the padding, too. If the four pixels of each
//! 2x2 square are channels, the 7x7 kernel becomes a 4x4 kernel over 12 (padded to 16) or 80
//! channels.

use crate::cuda::device::{Arg, BLOCK, Gpu, Operand, float_type, fresh, suffix, tensor};
use crate::geometry::{Conv2dConfig, Geometry, Hw};
use candle_core::cuda::CudaStorage;
use candle_core::{DType, Result, Shape, Storage, Tensor, bail};

/// Sizes of a convolution in which squares of 2 x 2 pixels become channels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SpaceToDepth {
    /// Channels of the images.
    images_c: usize,
    /// Channels of the squares, with padding.
    channels: usize,
    outputs: usize,
    kernel: usize,
    padding: usize,
    /// Rows and columns of squares.
    size: (usize, usize),
    /// Height and width of the kernel over squares.
    side: usize,
    /// First square under the kernel for output 0; negative or 0.
    first: isize,
}

impl SpaceToDepth {
    /// Returns the sizes, or `None` if the conversion is impossible or useless.
    pub(crate) fn of(geometry: &Geometry) -> Option<Self> {
        let (kernel, padding) = (geometry.kernel.h, geometry.config.padding.h);
        let square = Conv2dConfig::default().with_stride(2).with_padding(padding);
        let useful = kernel >= 3 && !geometry.input.c.is_multiple_of(8);
        if geometry.config != square || geometry.kernel != Hw::from(kernel) || !useful {
            return None;
        }
        let first = -(padding as isize).div_euclid(2) - (padding as isize).rem_euclid(2);
        let last = (kernel as isize - 1 - padding as isize).div_euclid(2);
        let side = (last - first + 1) as usize;
        Some(Self {
            images_c: geometry.input.c,
            channels: (4 * geometry.input.c).next_multiple_of(8),
            outputs: geometry.output.c,
            kernel,
            padding,
            size: (geometry.output.h + side - 1, geometry.output.w + side - 1),
            side,
            first,
        })
    }

    /// Converts images [N, H, W, C] to [N, rows, columns, channels].
    pub(crate) fn images(&self, x: &Tensor) -> Result<Tensor> {
        let (n, h, w, c) = x.dims4()?;
        let (rows, columns) = self.size;
        with_storage(x, |x| {
            let dtype = float_type(x.0, "space-to-depth")?;
            let count = n * rows * columns * self.channels;
            let out = fresh(&x.0.device, dtype, count)?;
            let args = [
                Arg::tensor(x, dtype, "space-to-depth")?,
                Arg::fresh(&out),
                Arg::Int(n),
                Arg::Int(h),
                Arg::Int(w),
                Arg::Int(c),
                Arg::Int(rows),
                Arg::Int(columns),
                Arg::Int(self.channels),
                Arg::Signed(self.first),
            ];
            let v = if c.is_multiple_of(4) { 4 } else { 1 };
            let grid = ((columns * self.channels / v).div_ceil(BLOCK), (n * rows).min(1 << 15));
            Gpu::of(&x.0.device)?.launch(
                &format!("space_to_depth_images_{}_v{v}", suffix(dtype)),
                grid,
                (BLOCK, 1),
                0,
                &args,
            )?;
            Ok(tensor(out, (n, rows, columns, self.channels)))
        })
    }

    /// Returns the shape of the converted weights, [O, channels, side, side].
    pub(crate) fn weights_shape(&self) -> Shape {
        (self.outputs, self.channels, self.side, self.side).into()
    }

    /// Converts weights OIHW to [O, channels, side, side], both f32.
    pub(crate) fn weights(&self, weight: &Tensor) -> Result<Tensor> {
        with_storage(weight, |weight| Ok(tensor(self.move_weights(weight, false)?, self.weights_shape())))
    }

    /// Converts the gradient of the converted weights to that of the OIHW weights.
    pub(crate) fn weights_back(&self, grad: &Tensor) -> Result<Tensor> {
        let shape = (self.outputs, self.images_c, self.kernel, self.kernel);
        with_storage(grad, |grad| Ok(tensor(self.move_weights(grad, true)?, shape)))
    }

    fn move_weights(&self, from: Operand, back: bool) -> Result<CudaStorage> {
        let count = self.outputs
            * if back { self.images_c * self.kernel * self.kernel } else { self.channels * self.side * self.side };
        let to = fresh(&from.0.device, DType::F32, count)?;
        let args = [
            Arg::tensor(from, DType::F32, "space-to-depth weights")?,
            Arg::fresh(&to),
            Arg::Int(self.outputs),
            Arg::Int(self.images_c),
            Arg::Int(self.kernel),
            Arg::Int(self.padding),
            Arg::Int(self.channels),
            Arg::Int(self.side),
            Arg::Signed(self.first),
            Arg::Int(back.into()),
        ];
        Gpu::of(&from.0.device)?.launch_over("space_to_depth_weights", count, &args)?;
        Ok(to)
    }
}

fn with_storage<T>(tensor: &Tensor, work: impl FnOnce(Operand) -> Result<T>) -> Result<T> {
    let (storage, layout) = tensor.storage_and_layout();
    let Storage::Cuda(storage) = &*storage else { bail!("space-to-depth: the tensor is not on the GPU") };
    work((storage, layout))
}
