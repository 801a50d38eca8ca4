//! Convolutions by cuDNN: NHWC images, weights packed per call from OIHW f32, algorithms timed once per shape. A 1x1 kernel
//! with stride 1 is a matrix product, which cuBLAS may do faster.
#![expect(unsafe_code, reason = "cuDNN is a C library")]

use super::gemm::Gemm;
use super::gpu::{Arg, CudaConfig, Gpu, error, suffix};
use super::memory::{address, float_type, fresh, start};
use crate::conv::Geometry;
use candle_core::cuda::cudarc::driver::{CudaSlice, CudaStream, DevicePtr};
use candle_core::cuda::{CudaDevice, CudaStorage, WrapErr};
use candle_core::{DType, Layout, Result, bail};
use cudarc::cudnn::result::{self, CudnnError};
use cudarc::cudnn::sys;
use std::collections::HashMap;
use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::sync::{Arc, PoisonError};

/// An operand: storage and its layout.
pub(crate) type Operand<'a> = (&'a CudaStorage, &'a Layout);

/// [N, H, W, C] and [O, C, KH, KW] f32 -> [N, H', W', O] of the images' type.
pub(crate) fn forward(geometry: &Geometry, x: Operand, weight: Operand) -> Result<CudaStorage> {
    let call = Call::new(geometry, x.0)?;
    let x_padded = call.pad(address(x.0, x.1, call.dtype, "conv2d")?)?;
    let weights = call.pack(weight)?;
    let y = fresh(call.device, call.dtype, geometry.output.len())?;
    call.run(Direction::Forward, x_padded.address, start(&weights), start(&y))?;
    Ok(y)
}

/// Weights and the output's gradient -> the input's gradient.
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
    let args =
        [Arg::Ptr(start(&padded)), Arg::Ptr(start(&out)), Arg::Long(pixels), Arg::Int(c), Arg::Int(call.channels)];
    call.gpu.launch_over(&format!("crop_channels_{}", suffix(call.dtype)), pixels * c, &args)?;
    Ok(out)
}

/// The input and the output's gradient -> the weights' gradient, OIHW f32.
pub(crate) fn weight_grad(geometry: &Geometry, x: Operand, grad: Operand) -> Result<CudaStorage> {
    let call = Call::new(geometry, x.0)?;
    let x_padded = call.pad(address(x.0, x.1, call.dtype, "conv2d-weight-gradient")?)?;
    let grad = address(grad.0, grad.1, call.dtype, "conv2d-weight-gradient")?;
    let (o, c, taps) = call.weights();
    let packed = fresh(call.device, call.dtype, o * taps * call.channels)?;
    call.run(Direction::Weights, x_padded.address, start(&packed), grad)?;
    let out = fresh(call.device, DType::F32, o * taps * c)?;
    let args = [
        Arg::Ptr(start(&packed)),
        Arg::Ptr(start(&out)),
        Arg::Int(o),
        Arg::Int(c),
        Arg::Int(taps),
        Arg::Int(call.channels),
    ];
    call.gpu.launch_over(&format!("unpack_weights_{}", suffix(call.dtype)), o * taps * c, &args)?;
    Ok(out)
}

/// One convolution on one device.
struct Call<'a> {
    gpu: Arc<Gpu>,
    device: &'a CudaDevice,
    geometry: &'a Geometry,
    dtype: DType,
    /// Input channels with padding.
    channels: usize,
}

/// Images that cuDNN reads; keeps the padded copy alive if there is one.
struct Padded {
    address: u64,
    _copy: Option<CudaStorage>,
}

impl<'a> Call<'a> {
    fn new(geometry: &'a Geometry, images: &'a CudaStorage) -> Result<Self> {
        let dtype = float_type(images, "conv2d")?;
        // Tensor cores read 16 bytes of channels at a time.
        let channels = if dtype == DType::BF16 { geometry.input.c.next_multiple_of(8) } else { geometry.input.c };
        let device = &images.device;
        Ok(Self { gpu: Gpu::of(device)?, device, geometry, dtype, channels })
    }

    /// (outputs, input channels, kernel positions)
    fn weights(&self) -> (usize, usize, usize) {
        let (kh, kw) = self.geometry.kernel;
        (self.geometry.output.c, self.geometry.input.c, kh * kw)
    }

    fn pad(&self, images: u64) -> Result<Padded> {
        let c = self.geometry.input.c;
        if c == self.channels {
            return Ok(Padded { address: images, _copy: None });
        }
        let pixels = self.geometry.input.len() / c;
        let copy = fresh(self.device, self.dtype, pixels * self.channels)?;
        let args = [Arg::Ptr(images), Arg::Ptr(start(&copy)), Arg::Long(pixels), Arg::Int(c), Arg::Int(self.channels)];
        self.gpu.launch_over(&format!("pad_channels_{}", suffix(self.dtype)), pixels * self.channels, &args)?;
        Ok(Padded { address: start(&copy), _copy: Some(copy) })
    }

    /// OIHW f32 -> [O, KH, KW, padded channels]
    fn pack(&self, (weight, layout): Operand) -> Result<CudaStorage> {
        let (o, c, taps) = self.weights();
        let weight = address(weight, layout, DType::F32, "conv2d weights")?;
        let packed = fresh(self.device, self.dtype, o * taps * self.channels)?;
        let args = [
            Arg::Ptr(weight),
            Arg::Ptr(start(&packed)),
            Arg::Int(o),
            Arg::Int(c),
            Arg::Int(taps),
            Arg::Int(self.channels),
        ];
        self.gpu.launch_over(&format!("pack_weights_{}", suffix(self.dtype)), o * taps * self.channels, &args)?;
        Ok(packed)
    }

    /// Runs cuDNN; `x`, `weights` and `y` are images, packed weights and output, or the gradient of whichever is computed.
    fn run(&self, direction: Direction, x: u64, weights: u64, y: u64) -> Result<()> {
        let shape = ConvShape {
            direction,
            input: [self.geometry.input.n, self.channels, self.geometry.input.h, self.geometry.input.w],
            output: [self.geometry.output.n, self.geometry.output.c, self.geometry.output.h, self.geometry.output.w],
            kernel: self.geometry.kernel,
            stride: self.geometry.config.stride,
            padding: self.geometry.config.padding,
            bf16: self.dtype == DType::BF16,
        };
        let mut convolutions = self.gpu.convolutions.lock().unwrap_or_else(PoisonError::into_inner);
        convolutions.run(&self.gpu, self.device, shape, Buffers { x, weights, y })
    }
}

/// What is computed from the other two of images, weights and output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Direction {
    Forward,
    Data,
    Weights,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct ConvShape {
    direction: Direction,
    /// [N, C, H, W], whatever the layout.
    input: [usize; 4],
    output: [usize; 4],
    kernel: (usize, usize),
    stride: usize,
    padding: usize,
    bf16: bool,
}

/// Device addresses.
#[derive(Clone, Copy)]
struct Buffers {
    x: u64,
    weights: u64,
    y: u64,
}

/// A device's cuDNN handle, the plans of all shapes seen, and their workspace.
pub(crate) struct Convolutions {
    handle: sys::cudnnHandle_t,
    plans: HashMap<ConvShape, Plan>,
    workspace: Option<CudaSlice<u8>>,
}

// SAFETY: the handle and the descriptors are used by one thread at a time, behind the device's mutex.
unsafe impl Send for Convolutions {}

/// Algorithms may take this much memory beside their operands; more has not made them faster.
const MAX_WORKSPACE_BYTES: usize = 256 << 20;

impl Convolutions {
    pub(crate) fn new(stream: &CudaStream) -> Result<Self> {
        stream.context().bind_to_thread().w()?;
        let handle = result::create_handle().map_err(|e| error("cuDNN does not start", e))?;
        let convolutions = Self { handle, plans: HashMap::new(), workspace: None };
        // SAFETY: handle and stream are both alive; the stream lives as long as the device, which outlives this.
        unsafe { result::set_stream(handle, stream.cu_stream().cast()) }.map_err(|e| error("cuDNN stream", e))?;
        Ok(convolutions)
    }

    fn run(&mut self, gpu: &Gpu, device: &CudaDevice, shape: ConvShape, buffers: Buffers) -> Result<()> {
        if !self.plans.contains_key(&shape) {
            let mut plan = Plan::new(shape, gpu.config.tf32).map_err(|e| error("cuDNN convolution", e))?;
            // SAFETY: memory for the algorithms to write to, freed after the search.
            let scratch: CudaSlice<u8> = unsafe { device.alloc(MAX_WORKSPACE_BYTES) }?;
            let scratch_address = scratch.device_ptr(&device.cuda_stream()).0;
            plan.choose(self.handle, device, buffers, scratch_address, gpu.config)?;
            self.plans.insert(shape, plan);
        }
        let plan = &self.plans[&shape];
        if self.workspace.as_ref().is_none_or(|workspace| workspace.num_bytes() < plan.workspace_bytes) {
            self.workspace = None;
            // SAFETY: as above; algorithms write their workspace before they read it.
            self.workspace = Some(unsafe { device.alloc(plan.workspace_bytes.max(1)) }?);
        }
        let workspace = self.workspace.as_ref().map_or(0, |workspace| workspace.device_ptr(&device.cuda_stream()).0);
        gpu.timed(|| plan.name(), || plan.run(self.handle, device, buffers, workspace))
    }
}

impl Drop for Convolutions {
    fn drop(&mut self) {
        self.plans.clear();
        // SAFETY: created in `new`, destroyed once; an error while ending can be told to nobody.
        let _ = unsafe { result::destroy_handle(self.handle) };
    }
}

/// Descriptors of a shape and the algorithm that was fastest on it.
struct Plan {
    shape: ConvShape,
    x: sys::cudnnTensorDescriptor_t,
    y: sys::cudnnTensorDescriptor_t,
    weights: sys::cudnnFilterDescriptor_t,
    conv: sys::cudnnConvolutionDescriptor_t,
    algorithm: Algorithm,
    workspace_bytes: usize,
}

#[derive(Clone, Copy, Debug)]
enum Algorithm {
    Forward(sys::cudnnConvolutionFwdAlgo_t),
    Data(sys::cudnnConvolutionBwdDataAlgo_t),
    Weights(sys::cudnnConvolutionBwdFilterAlgo_t),
    Product(Gemm),
}

/// The best of the algorithms that a cuDNN function lists, which works, fits and is allowed: (algorithm, bytes, math,
/// milliseconds). Where nothing was timed, the first.
macro_rules! best {
    ($result:ty, $algorithm:path, $deterministic:expr, |$max:ident, $count:ident, $results:ident| $list:expr) => {{
        let mut found = [const { MaybeUninit::<$result>::uninit() }; MAX_RESULTS];
        let mut listed = 0;
        // SAFETY: descriptors and handle are alive, buffers hold what the descriptors say, the scratch memory is as large as is
        // said; cuDNN fills `listed` of the `MAX_RESULTS` results.
        let found = unsafe {
            let ($max, $count, $results) = (MAX_RESULTS as i32, &raw mut listed, found.as_mut_ptr().cast());
            $list.result().map_err(|e| error("cuDNN algorithm search", e))?;
            std::slice::from_raw_parts(found.as_ptr().cast::<$result>(), listed as usize)
        };
        found
            .iter()
            .filter(|found| found.status == sys::cudnnStatus_t::CUDNN_STATUS_SUCCESS)
            .filter(|found| found.memory <= MAX_WORKSPACE_BYTES)
            .filter(|found| !$deterministic || found.determinism == sys::cudnnDeterminism_t::CUDNN_DETERMINISTIC)
            .min_by(|a, b| a.time.total_cmp(&b.time))
            .map(|found| ($algorithm(found.algo), found.memory, found.mathType, found.time))
    }};
}

/// Results of a search at most.
const MAX_RESULTS: usize = 16;

impl Plan {
    fn new(shape: ConvShape, tf32: bool) -> std::result::Result<Self, CudnnError> {
        let mut plan = Self {
            shape,
            x: result::create_tensor_descriptor()?,
            y: std::ptr::null_mut(),
            weights: std::ptr::null_mut(),
            conv: std::ptr::null_mut(),
            algorithm: Algorithm::Forward(
                sys::cudnnConvolutionFwdAlgo_t::CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM,
            ),
            workspace_bytes: 0,
        };
        plan.y = result::create_tensor_descriptor()?;
        plan.weights = result::create_filter_descriptor()?;
        plan.conv = result::create_convolution_descriptor()?;
        let dtype =
            if shape.bf16 { sys::cudnnDataType_t::CUDNN_DATA_BFLOAT16 } else { sys::cudnnDataType_t::CUDNN_DATA_FLOAT };
        let nhwc = sys::cudnnTensorFormat_t::CUDNN_TENSOR_NHWC;
        let ints = |dims: [usize; 4]| dims.map(|dim| dim as i32);
        let filter = [shape.output[1], shape.input[1], shape.kernel.0, shape.kernel.1];
        let (padding, stride) = (shape.padding as i32, shape.stride as i32);
        // SAFETY: the descriptors were just created and are not shared.
        unsafe {
            result::set_tensor4d_descriptor(plan.x, nhwc, dtype, ints(shape.input))?;
            result::set_tensor4d_descriptor(plan.y, nhwc, dtype, ints(shape.output))?;
            result::set_filter4d_descriptor(plan.weights, dtype, nhwc, ints(filter))?;
            result::set_convolution2d_descriptor(
                plan.conv,
                padding,
                padding,
                stride,
                stride,
                1,
                1,
                sys::cudnnConvolutionMode_t::CUDNN_CROSS_CORRELATION,
                sys::cudnnDataType_t::CUDNN_DATA_FLOAT,
            )?;
        }
        plan.set_math(match (shape.bf16, tf32) {
            (true, _) => sys::cudnnMathType_t::CUDNN_TENSOR_OP_MATH,
            (false, true) => sys::cudnnMathType_t::CUDNN_DEFAULT_MATH,
            (false, false) => sys::cudnnMathType_t::CUDNN_FMA_MATH,
        })?;
        Ok(plan)
    }

    /// For a profile.
    fn name(&self) -> String {
        let ConvShape { direction, input, output, kernel, stride, .. } = self.shape;
        let direction = match direction {
            Direction::Forward => "conv forward",
            Direction::Data => "conv data gradient",
            Direction::Weights => "conv weight gradient",
        };
        let by = if matches!(self.algorithm, Algorithm::Product(_)) { " by cuBLAS" } else { "" };
        format!("{direction} {}x{} {} -> {} /{stride} at {}{by}", kernel.0, kernel.1, input[1], output[1], input[2])
    }

    fn set_math(&self, math: sys::cudnnMathType_t) -> std::result::Result<(), CudnnError> {
        // SAFETY: the descriptor is alive.
        unsafe { sys::cudnnSetConvolutionMathType(self.conv, math) }.result()
    }

    /// Takes the fastest algorithm; the search overwrites what is computed. Where runs must agree nothing is timed, as times never
    /// agree: cuDNN's own rules choose.
    fn choose(
        &mut self,
        handle: sys::cudnnHandle_t,
        device: &CudaDevice,
        buffers: Buffers,
        scratch: u64,
        CudaConfig { tf32, deterministic }: CudaConfig,
    ) -> Result<()> {
        let (xd, wd, yd, conv) = (self.x, self.weights, self.y, self.conv);
        let (x, w, y) = (pointer(buffers.x), pointer(buffers.weights), pointer(buffers.y));
        let (scratch, bytes) = (pointer(scratch), MAX_WORKSPACE_BYTES);
        #[rustfmt::skip]
        let choice = match self.shape.direction {
            Direction::Forward => best!(
                sys::cudnnConvolutionFwdAlgoPerf_t, Algorithm::Forward, deterministic,
                |max, count, found| if deterministic {
                    sys::cudnnGetConvolutionForwardAlgorithm_v7(handle, xd, wd, conv, yd, max, count, found)
                } else {
                    sys::cudnnFindConvolutionForwardAlgorithmEx(
                        handle, xd, x, wd, w, conv, yd, y, max, count, found, scratch, bytes,
                    )
                }
            ),
            Direction::Data => best!(
                sys::cudnnConvolutionBwdDataAlgoPerf_t, Algorithm::Data, deterministic,
                |max, count, found| if deterministic {
                    sys::cudnnGetConvolutionBackwardDataAlgorithm_v7(handle, wd, yd, conv, xd, max, count, found)
                } else {
                    sys::cudnnFindConvolutionBackwardDataAlgorithmEx(
                        handle, wd, w, yd, y, conv, xd, x, max, count, found, scratch, bytes,
                    )
                }
            ),
            Direction::Weights => best!(
                sys::cudnnConvolutionBwdFilterAlgoPerf_t, Algorithm::Weights, deterministic,
                |max, count, found| if deterministic {
                    sys::cudnnGetConvolutionBackwardFilterAlgorithm_v7(handle, xd, yd, conv, wd, max, count, found)
                } else {
                    sys::cudnnFindConvolutionBackwardFilterAlgorithmEx(
                        handle, xd, x, yd, y, conv, wd, w, max, count, found, scratch, bytes,
                    )
                }
            ),
        };
        let Some((algorithm, bytes, math, milliseconds)) = choice else {
            bail!("cuDNN has no algorithm for {:?}", self.shape)
        };
        self.algorithm = algorithm;
        self.workspace_bytes = bytes;
        self.set_math(math).map_err(|e| error("cuDNN math type", e))?;
        if !deterministic
            && let Some(gemm) = self.product(tf32)
            && gemm.milliseconds(device, self.operands(buffers))? < milliseconds
        {
            self.algorithm = Algorithm::Product(gemm);
            self.workspace_bytes = 0;
        }
        Ok(())
    }

    /// The matrix product that this convolution is, if it is one.
    fn product(&self, tf32: bool) -> Option<Gemm> {
        let ConvShape { direction, input, output, kernel, stride, padding, bf16 } = self.shape;
        if kernel != (1, 1) || stride != 1 || padding != 0 {
            return None;
        }
        let (pixels, inputs, outputs) = (input[0] * input[2] * input[3], input[1], output[1]);
        // Row-major: Y[pixels, outputs] = X · Wᵀ, dX = dY · W, dW[outputs, inputs] = dYᵀ · X.
        let (rows, columns, inner, transposed) = match direction {
            Direction::Forward => (pixels, outputs, inputs, (false, true)),
            Direction::Data => (pixels, inputs, outputs, (false, false)),
            Direction::Weights => (outputs, inputs, pixels, (true, false)),
        };
        Some(Gemm { rows, columns, inner, transposed, bf16, tf32 })
    }

    /// Left, right and result of that product.
    fn operands(&self, Buffers { x, weights, y }: Buffers) -> [u64; 3] {
        match self.shape.direction {
            Direction::Forward => [x, weights, y],
            Direction::Data => [y, weights, x],
            Direction::Weights => [y, x, weights],
        }
    }

    fn run(&self, handle: sys::cudnnHandle_t, device: &CudaDevice, buffers: Buffers, workspace: u64) -> Result<()> {
        if let Algorithm::Product(gemm) = self.algorithm {
            return gemm.run(device, self.operands(buffers));
        }
        let (x, w, y) = (pointer(buffers.x), pointer(buffers.weights), pointer(buffers.y));
        let (workspace, bytes) = (pointer(workspace), self.workspace_bytes);
        let (one, zero) = (1f32, 0f32);
        let (one, zero) = ((&raw const one).cast::<c_void>(), (&raw const zero).cast::<c_void>());
        // SAFETY: descriptors and handle are alive, buffers hold what the descriptors say, the workspace is as large as the
        // algorithm asked for, and scales are f32 because the descriptors' types are f32 and bf16.
        unsafe {
            match self.algorithm {
                Algorithm::Product(_) => return Ok(()),
                Algorithm::Forward(algo) => sys::cudnnConvolutionForward(
                    handle,
                    one,
                    self.x,
                    x,
                    self.weights,
                    w,
                    self.conv,
                    algo,
                    workspace,
                    bytes,
                    zero,
                    self.y,
                    y,
                ),
                Algorithm::Data(algo) => sys::cudnnConvolutionBackwardData(
                    handle,
                    one,
                    self.weights,
                    w,
                    self.y,
                    y,
                    self.conv,
                    algo,
                    workspace,
                    bytes,
                    zero,
                    self.x,
                    x,
                ),
                Algorithm::Weights(algo) => sys::cudnnConvolutionBackwardFilter(
                    handle,
                    one,
                    self.x,
                    x,
                    self.y,
                    y,
                    self.conv,
                    algo,
                    workspace,
                    bytes,
                    zero,
                    self.weights,
                    w,
                ),
            }
        }
        .result()
        .map_err(|e| error("cuDNN convolution", e))
    }
}

impl Drop for Plan {
    fn drop(&mut self) {
        // SAFETY: each was created in `new` and is destroyed once; cuDNN accepts none that is null.
        unsafe {
            let _ = result::destroy_tensor_descriptor(self.x);
            if !self.y.is_null() {
                let _ = result::destroy_tensor_descriptor(self.y);
            }
            if !self.weights.is_null() {
                let _ = result::destroy_filter_descriptor(self.weights);
            }
            if !self.conv.is_null() {
                let _ = result::destroy_convolution_descriptor(self.conv);
            }
        }
    }
}

fn pointer(address: u64) -> *mut c_void {
    address as *mut c_void
}
