//! The plan of a convolution: cuDNN's descriptors of its shape, and the algorithm.
//!
//! A convolution with a 1x1 kernel and stride 1 is a matrix product. cuBLAS can be faster there, so
//! it competes with cuDNN.
#![expect(unsafe_code, reason = "cuDNN is a C library")]

use super::gemm::Gemm;
use super::shape::{ConvShape, Direction};
use crate::cuda::device::{Cost, error};
use crate::geometry::{Conv2dConfig, Hw};
use candle_core::cuda::CudaDevice;
use candle_core::{Result, bail};
use cudarc::cudnn::result::{self, CudnnError};
use cudarc::cudnn::sys;
use std::ffi::c_void;
use std::mem::MaybeUninit;

/// Addresses on the device.
#[derive(Clone, Copy)]
pub(crate) struct Buffers {
    pub(crate) x: u64,
    pub(crate) weights: u64,
    pub(crate) y: u64,
}

/// Largest workspace of an algorithm, in bytes. A larger limit made no convolution faster.
pub(super) const MAX_WORKSPACE_BYTES: usize = 256 << 20;

/// Name of the algorithm that uses a matrix product.
const PRODUCT: &str = "cuBLAS";

/// Descriptors of a shape, and the chosen algorithm.
pub(super) struct Plan {
    shape: ConvShape,
    x: sys::cudnnTensorDescriptor_t,
    y: sys::cudnnTensorDescriptor_t,
    weights: sys::cudnnFilterDescriptor_t,
    conv: sys::cudnnConvolutionDescriptor_t,
    algorithm: Algorithm,
    math: sys::cudnnMathType_t,
    pub(super) workspace_bytes: usize,
}

#[derive(Clone, Copy, Debug)]
enum Algorithm {
    Forward(sys::cudnnConvolutionFwdAlgo_t),
    Data(sys::cudnnConvolutionBwdDataAlgo_t),
    Weights(sys::cudnnConvolutionBwdFilterAlgo_t),
    Product(Gemm),
}

/// An algorithm that cuDNN offers for a shape. It works, and its workspace is small enough.
struct Offer {
    algorithm: Algorithm,
    math: sys::cudnnMathType_t,
    workspace_bytes: usize,
    is_deterministic: bool,
    /// Negative if it was not timed.
    milliseconds: f32,
}

/// Memory for timing algorithms, which overwrite it.
#[derive(Clone, Copy)]
struct Trial {
    buffers: Buffers,
    /// Address of [`MAX_WORKSPACE_BYTES`] bytes.
    scratch: u64,
}

/// Returns the algorithms that a function of cuDNN lists.
macro_rules! offers {
    ($result:ty, $algorithm:path, |$max:ident, $count:ident, $results:ident| $list:expr) => {{
        let mut found = [const { MaybeUninit::<$result>::uninit() }; MAX_RESULTS];
        let mut listed = 0;
        // SAFETY: descriptors and handle are valid, and buffers and scratch memory have the sizes
        // that cuDNN receives. cuDNN initialises the first `listed` of the `MAX_RESULTS` results.
        let found = unsafe {
            let ($max, $count, $results) = (MAX_RESULTS as i32, &raw mut listed, found.as_mut_ptr().cast());
            $list.result().map_err(|e| error("cuDNN cannot list its algorithms", e))?;
            std::slice::from_raw_parts(found.as_ptr().cast::<$result>(), listed as usize)
        };
        found
            .iter()
            .filter(|found| found.status == sys::cudnnStatus_t::CUDNN_STATUS_SUCCESS)
            .map(|found| Offer {
                algorithm: $algorithm(found.algo),
                math: found.mathType,
                workspace_bytes: found.memory,
                is_deterministic: found.determinism == sys::cudnnDeterminism_t::CUDNN_DETERMINISTIC,
                milliseconds: found.time,
            })
            .filter(|offer| offer.workspace_bytes <= MAX_WORKSPACE_BYTES)
            .collect()
    }};
}

/// Largest number of results of a search.
const MAX_RESULTS: usize = 16;

impl Plan {
    pub(super) fn new(shape: ConvShape) -> std::result::Result<Self, CudnnError> {
        let mut plan = Self {
            shape,
            x: result::create_tensor_descriptor()?,
            y: std::ptr::null_mut(),
            weights: std::ptr::null_mut(),
            conv: std::ptr::null_mut(),
            algorithm: Algorithm::Forward(
                sys::cudnnConvolutionFwdAlgo_t::CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM,
            ),
            math: match (shape.bf16, shape.tf32) {
                (true, _) => sys::cudnnMathType_t::CUDNN_TENSOR_OP_MATH,
                (false, true) => sys::cudnnMathType_t::CUDNN_DEFAULT_MATH,
                (false, false) => sys::cudnnMathType_t::CUDNN_FMA_MATH,
            },
            workspace_bytes: 0,
        };
        plan.y = result::create_tensor_descriptor()?;
        plan.weights = result::create_filter_descriptor()?;
        plan.conv = result::create_convolution_descriptor()?;
        let dtype =
            if shape.bf16 { sys::cudnnDataType_t::CUDNN_DATA_BFLOAT16 } else { sys::cudnnDataType_t::CUDNN_DATA_FLOAT };
        let nhwc = sys::cudnnTensorFormat_t::CUDNN_TENSOR_NHWC;
        let ints = |dims: [usize; 4]| dims.map(|dim| dim as i32);
        let Conv2dConfig { stride, padding, dilation, groups } = shape.config;
        let filter = [shape.output[1], shape.input[1] / groups, shape.kernel.h, shape.kernel.w];
        // SAFETY: the descriptors are new and not shared.
        unsafe {
            result::set_tensor4d_descriptor(plan.x, nhwc, dtype, ints(shape.input))?;
            result::set_tensor4d_descriptor(plan.y, nhwc, dtype, ints(shape.output))?;
            result::set_filter4d_descriptor(plan.weights, dtype, nhwc, ints(filter))?;
            result::set_convolution2d_descriptor(
                plan.conv,
                padding.h as i32,
                padding.w as i32,
                stride.h as i32,
                stride.w as i32,
                dilation.h as i32,
                dilation.w as i32,
                sys::cudnnConvolutionMode_t::CUDNN_CROSS_CORRELATION,
                sys::cudnnDataType_t::CUDNN_DATA_FLOAT,
            )?;
            sys::cudnnSetConvolutionGroupCount(plan.conv, groups as i32).result()?;
        }
        plan.set_math(plan.math)?;
        Ok(plan)
    }

    /// Returns the name for a profile.
    pub(super) fn name(&self) -> String {
        let ConvShape { direction, input, output, kernel, config, .. } = self.shape;
        let Conv2dConfig { stride, groups, .. } = config;
        let direction = match direction {
            Direction::Forward => "conv forward",
            Direction::Data => "conv data gradient",
            Direction::Weights => "conv weight gradient",
        };
        let by = if matches!(self.algorithm, Algorithm::Product(_)) { " by cuBLAS" } else { "" };
        let groups = if groups == 1 { String::new() } else { format!(" in {groups} groups") };
        format!("{direction} {kernel} {} -> {} /{stride} at {}{groups}{by}", input[1], output[1], input[2])
    }

    pub(super) fn cost(&self) -> Cost {
        self.shape.cost()
    }

    /// Returns the name of the algorithm.
    pub(super) fn chosen(&self) -> String {
        named(self.algorithm, self.math)
    }

    fn set_math(&mut self, math: sys::cudnnMathType_t) -> std::result::Result<(), CudnnError> {
        self.math = math;
        // SAFETY: the descriptor is valid.
        unsafe { sys::cudnnSetConvolutionMathType(self.conv, math) }.result()
    }

    /// Chooses the algorithm `name`. Returns false if cuDNN does not offer it.
    pub(super) fn follow(&mut self, handle: sys::cudnnHandle_t, name: &str) -> Result<bool> {
        if name == PRODUCT {
            let Some(gemm) = self.product() else { return Ok(false) };
            self.algorithm = Algorithm::Product(gemm);
            return Ok(true);
        }
        let offers = self.offers(handle, None)?;
        let offer = offers.into_iter().find(|offer| named(offer.algorithm, offer.math) == name);
        offer.map(|offer| self.take(&offer)).transpose().map(|taken| taken.is_some())
    }

    /// Chooses the fastest algorithm. The measurements overwrite the result buffer.
    ///
    /// If `deterministic`, the rules of cuDNN choose, because measured times differ from run to
    /// run.
    pub(super) fn choose(
        &mut self,
        handle: sys::cudnnHandle_t,
        device: &CudaDevice,
        buffers: Buffers,
        scratch: u64,
        deterministic: bool,
    ) -> Result<()> {
        let trial = (!deterministic).then_some(Trial { buffers, scratch });
        let offers = self.offers(handle, trial)?.into_iter().filter(|offer| !deterministic || offer.is_deterministic);
        // `min_by` returns the first of equal times. Algorithms that were not timed have equal
        // times, and cuDNN lists the one that it prefers first.
        let Some(best) = offers.min_by(|a, b| a.milliseconds.total_cmp(&b.milliseconds)) else {
            bail!("cuDNN has no suitable algorithm for the convolution {}", self.shape)
        };
        self.take(&best)?;
        if !deterministic
            && let Some(gemm) = self.product()
            && gemm.milliseconds(device, self.operands(buffers))? < best.milliseconds
        {
            self.algorithm = Algorithm::Product(gemm);
            self.workspace_bytes = 0;
        }
        Ok(())
    }

    fn take(&mut self, offer: &Offer) -> Result<()> {
        self.algorithm = offer.algorithm;
        self.workspace_bytes = offer.workspace_bytes;
        self.set_math(offer.math).map_err(|e| error("cannot set the math type of a convolution", e))
    }

    /// Lists all algorithms: timed in `trial`, or without times in the order of cuDNN's rules.
    #[rustfmt::skip]
    fn offers(&self, handle: sys::cudnnHandle_t, trial: Option<Trial>) -> Result<Vec<Offer>> {
        let (xd, wd, yd, conv) = (self.x, self.weights, self.y, self.conv);
        let in_trial = trial.map(|Trial { buffers: Buffers { x, weights, y }, scratch }| {
            (pointer(x), pointer(weights), pointer(y), pointer(scratch), MAX_WORKSPACE_BYTES)
        });
        Ok(match self.shape.direction {
            Direction::Forward => offers!(
                sys::cudnnConvolutionFwdAlgoPerf_t, Algorithm::Forward,
                |max, count, found| match in_trial {
                    None => sys::cudnnGetConvolutionForwardAlgorithm_v7(handle, xd, wd, conv, yd, max, count, found),
                    Some((x, w, y, scratch, bytes)) => sys::cudnnFindConvolutionForwardAlgorithmEx(
                        handle, xd, x, wd, w, conv, yd, y, max, count, found, scratch, bytes,
                    ),
                }
            ),
            Direction::Data => offers!(
                sys::cudnnConvolutionBwdDataAlgoPerf_t, Algorithm::Data,
                |max, count, found| match in_trial {
                    None => {
                        sys::cudnnGetConvolutionBackwardDataAlgorithm_v7(handle, wd, yd, conv, xd, max, count, found)
                    }
                    Some((x, w, y, scratch, bytes)) => sys::cudnnFindConvolutionBackwardDataAlgorithmEx(
                        handle, wd, w, yd, y, conv, xd, x, max, count, found, scratch, bytes,
                    ),
                }
            ),
            Direction::Weights => offers!(
                sys::cudnnConvolutionBwdFilterAlgoPerf_t, Algorithm::Weights,
                |max, count, found| match in_trial {
                    None => {
                        sys::cudnnGetConvolutionBackwardFilterAlgorithm_v7(handle, xd, yd, conv, wd, max, count, found)
                    }
                    Some((x, w, y, scratch, bytes)) => sys::cudnnFindConvolutionBackwardFilterAlgorithmEx(
                        handle, xd, x, yd, y, conv, wd, w, max, count, found, scratch, bytes,
                    ),
                }
            ),
        })
    }

    /// Returns the matrix product that is equal to this convolution, if there is one.
    fn product(&self) -> Option<Gemm> {
        let ConvShape { direction, input, output, kernel, config, bf16, tf32 } = self.shape;
        if kernel != Hw::from(1) || config != Conv2dConfig::default() {
            return None;
        }
        let (pixels, inputs, outputs) = (input[0] * input[2] * input[3], input[1], output[1]);
        // All matrices are row-major: Y[pixels, outputs] = X · Wᵀ, dX = dY · W, dW[outputs, inputs]
        // = dYᵀ · X.
        let (rows, columns, inner, transposed) = match direction {
            Direction::Forward => (pixels, outputs, inputs, (false, true)),
            Direction::Data => (pixels, inputs, outputs, (false, false)),
            Direction::Weights => (outputs, inputs, pixels, (true, false)),
        };
        Some(Gemm { rows, columns, inner, transposed, bf16, tf32 })
    }

    /// Returns left, right and result of the matrix product.
    fn operands(&self, Buffers { x, weights, y }: Buffers) -> [u64; 3] {
        match self.shape.direction {
            Direction::Forward => [x, weights, y],
            Direction::Data => [y, weights, x],
            Direction::Weights => [y, x, weights],
        }
    }

    pub(super) fn run(
        &self,
        handle: sys::cudnnHandle_t,
        device: &CudaDevice,
        buffers: Buffers,
        workspace: u64,
    ) -> Result<()> {
        if let Algorithm::Product(gemm) = self.algorithm {
            return gemm.run(device, self.operands(buffers));
        }
        let (x, w, y) = (pointer(buffers.x), pointer(buffers.weights), pointer(buffers.y));
        let (workspace, bytes) = (pointer(workspace), self.workspace_bytes);
        let (one, zero) = (1f32, 0f32);
        let (one, zero) = ((&raw const one).cast::<c_void>(), (&raw const zero).cast::<c_void>());
        // SAFETY: descriptors and handle are valid. The buffers have the sizes of the descriptors,
        // and the workspace has the size that the algorithm requires. The scales are f32, as cuDNN
        // requires for f32 and bf16.
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
        .map_err(|e| error("a convolution of cuDNN failed", e))
    }
}

impl Drop for Plan {
    fn drop(&mut self) {
        // SAFETY: `new` created each descriptor, and each is destroyed once. cuDNN does not accept
        // null, so null ones are skipped.
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

fn named(algorithm: Algorithm, math: sys::cudnnMathType_t) -> String {
    match algorithm {
        Algorithm::Forward(algorithm) => format!("{algorithm:?}, {math:?}"),
        Algorithm::Data(algorithm) => format!("{algorithm:?}, {math:?}"),
        Algorithm::Weights(algorithm) => format!("{algorithm:?}, {math:?}"),
        Algorithm::Product(_) => PRODUCT.to_owned(),
    }
}
