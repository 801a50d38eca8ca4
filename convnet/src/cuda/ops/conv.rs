//! Convolutions of NHWC images. Channels are padded for tensor cores. Each call packs the weights,
//! which are OIHW, f32.

use crate::cuda::cudnn::{Buffers, ConvShape, Direction};
use crate::cuda::device::{Arg, Gpu, Operand, address, float_type, fresh, start, suffix};
use crate::geometry::Geometry;
use candle_core::cuda::{CudaDevice, CudaStorage};
use candle_core::{DType, Result};
use std::sync::{Arc, PoisonError};

/// Convolves images [N, H, W, C] with weights [O, C, KH, KW], f32. The result [N, H', W', O] has
/// the type of the images.
pub(crate) fn forward(geometry: &Geometry, x: Operand, weight: Operand) -> Result<CudaStorage> {
    let call = Call::new(geometry, x.0)?;
    let x_padded = call.pad(address(x.0, x.1, call.dtype, "conv2d")?)?;
    let weights = call.pack(weight)?;
    let y = fresh(call.device, call.dtype, geometry.output.len())?;
    call.run(Direction::Forward, x_padded.address, start(&weights), start(&y))?;
    Ok(y)
}

/// Returns the gradient of the input, from the weights and the gradient of the output.
pub(crate) fn data_grad(geometry: &Geometry, weight: Operand, grad: Operand) -> Result<CudaStorage> {
    let call = Call::new(geometry, grad.0)?;
    let weights = call.pack(weight)?;
    let grad = address(grad.0, grad.1, call.dtype, "conv2d-data-gradient")?;
    let (c, pixels) = (geometry.input.c, geometry.input.len() / geometry.input.c);
    let padded = fresh(call.device, call.dtype, pixels * call.channels)?;
    call.run(Direction::Data, start(&padded), start(&weights), grad)?;
    if call.channels == c {
        return Ok(padded);
    }
    let out = fresh(call.device, call.dtype, pixels * c)?;
    let args = [Arg::fresh(&padded), Arg::fresh(&out), Arg::Long(pixels), Arg::Int(c), Arg::Int(call.channels)];
    call.gpu.launch_over(&format!("crop_channels_{}", suffix(call.dtype)), pixels * c, &args)?;
    Ok(out)
}

/// Returns the gradient of the weights, OIHW, f32, from the input and the gradient of the output.
pub(crate) fn weight_grad(geometry: &Geometry, x: Operand, grad: Operand) -> Result<CudaStorage> {
    let call = Call::new(geometry, x.0)?;
    let x_padded = call.pad(address(x.0, x.1, call.dtype, "conv2d-weight-gradient")?)?;
    let grad = address(grad.0, grad.1, call.dtype, "conv2d-weight-gradient")?;
    let (o, c, taps) = call.weights();
    let packed = fresh(call.device, call.dtype, o * taps * call.packed())?;
    call.run(Direction::Weights, x_padded.address, start(&packed), grad)?;
    let out = fresh(call.device, DType::F32, o * taps * c)?;
    let args =
        [Arg::fresh(&packed), Arg::fresh(&out), Arg::Int(o), Arg::Int(c), Arg::Int(taps), Arg::Int(call.packed())];
    call.gpu.launch_over(&format!("unpack_weights_{}", suffix(call.dtype)), o * taps * c, &args)?;
    Ok(out)
}

/// A convolution on a device.
struct Call<'a> {
    gpu: Arc<Gpu>,
    device: &'a CudaDevice,
    geometry: &'a Geometry,
    dtype: DType,
    /// Input channels with padding. Groups have none.
    channels: usize,
}

/// Images that cuDNN reads. Keeps the padded copy alive, if there is one.
struct Padded {
    address: u64,
    _copy: Option<CudaStorage>,
}

impl<'a> Call<'a> {
    fn new(geometry: &'a Geometry, images: &'a CudaStorage) -> Result<Self> {
        let dtype = float_type(images, "conv2d")?;
        // Tensor cores read 16 bytes of channels at a time.
        let padded = dtype == DType::BF16 && geometry.config.groups == 1;
        let channels = if padded { geometry.input.c.next_multiple_of(8) } else { geometry.input.c };
        let device = &images.device;
        Ok(Self { gpu: Gpu::of(device)?, device, geometry, dtype, channels })
    }

    /// Returns the numbers of output channels, input channels of a group and kernel positions.
    fn weights(&self) -> (usize, usize, usize) {
        let Geometry { input, output, kernel, config } = self.geometry;
        (output.c, input.c / config.groups, kernel.product())
    }

    /// Returns the number of input channels of a group, with padding.
    fn packed(&self) -> usize {
        self.channels / self.geometry.config.groups
    }

    fn pad(&self, images: u64) -> Result<Padded> {
        let c = self.geometry.input.c;
        if c == self.channels {
            return Ok(Padded { address: images, _copy: None });
        }
        let pixels = self.geometry.input.len() / c;
        let copy = fresh(self.device, self.dtype, pixels * self.channels)?;
        let bytes = self.geometry.input.len() * self.dtype.size_in_bytes();
        let args =
            [Arg::Memory(images, bytes), Arg::fresh(&copy), Arg::Long(pixels), Arg::Int(c), Arg::Int(self.channels)];
        self.gpu.launch_over(&format!("pad_channels_{}", suffix(self.dtype)), pixels * self.channels, &args)?;
        Ok(Padded { address: start(&copy), _copy: Some(copy) })
    }

    /// Converts weights OIHW, f32, to [O, KH, KW, padded channels] of the images' type.
    fn pack(&self, weight: Operand) -> Result<CudaStorage> {
        let (o, c, taps) = self.weights();
        let packed = fresh(self.device, self.dtype, o * taps * self.packed())?;
        let args = [
            Arg::tensor(weight, DType::F32, "conv2d weights")?,
            Arg::fresh(&packed),
            Arg::Int(o),
            Arg::Int(c),
            Arg::Int(taps),
            Arg::Int(self.packed()),
        ];
        self.gpu.launch_over(&format!("pack_weights_{}", suffix(self.dtype)), o * taps * self.packed(), &args)?;
        Ok(packed)
    }

    /// Runs cuDNN. `x`, `weights` and `y` are images, packed weights and output, or their
    /// gradients, as `direction` requires.
    fn run(&self, direction: Direction, x: u64, weights: u64, y: u64) -> Result<()> {
        let shape = ConvShape {
            direction,
            input: [self.geometry.input.n, self.channels, self.geometry.input.h, self.geometry.input.w],
            output: [self.geometry.output.n, self.geometry.output.c, self.geometry.output.h, self.geometry.output.w],
            kernel: self.geometry.kernel,
            config: self.geometry.config,
            bf16: self.dtype == DType::BF16,
            tf32: self.gpu.config.tf32,
        };
        let mut convolutions = self.gpu.convolutions.lock().unwrap_or_else(PoisonError::into_inner);
        let deterministic = self.gpu.config.deterministic;
        convolutions.run(&self.gpu.timer, self.device, shape, Buffers { x, weights, y }, deterministic)
    }
}
