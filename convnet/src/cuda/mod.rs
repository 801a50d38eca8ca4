//! Training on NVIDIA GPUs: devices, recorded steps, copies and profiles.
//!
//! The functions and layers of this crate run on a GPU if their input is there; this module has the
//! rest. cuDNN computes the convolutions, cuBLAS the matrix products, and this crate's kernels
//! everything else. Activations are f32 or bf16; parameters and their gradients are f32, and sums
//! are f32 or f64. So bf16 needs no loss scaling.
//!
//! * [`gpus`] lists the GPUs, and [`open`] opens one as a candle device. [`CudaConfig`] chooses
//!   TF32 and determinism.
//! * [`rehearse`] and [`record`] turn a training step into a [`Recording`] (a CUDA graph), which
//!   starts with a single call.
//! * [`Uploads`] and [`Downloads`] copy data while the GPU computes, from and to page-locked
//!   ([`Pinned`]) memory.
//! * [`choices`] and [`follow`] save and restore the convolution algorithms, so that a resumed run
//!   computes the same way.
//! * [`profile`] times each operation, and [`peaks`] measures the limits of the GPU.
//!
//! All work of a device is on the one stream of its candle device. The operations therefore run in
//! order, and the host does not wait for them.
//!
//! ```no_run
//! use candle_convnet::cuda::{CudaConfig, open};
//! use candle_convnet::{Depth, Model, ResNetConfig};
//! use candle_core::{DType, Tensor};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let device = open(0, CudaConfig::default())?;
//! let model = Model::random(&ResNetConfig::new(Depth::R18, 3, 101), 42, &device)?;
//! let images = Tensor::zeros((32, 224, 224, 3), DType::BF16, &device)?;
//! let logits = model.net.forward_t(&images, true)?;
//! assert_eq!(logits.dtype(), DType::F32);
//! # Ok(())
//! # }
//! ```

mod algorithms;
mod cudnn;
mod device;
mod ops;
mod profile;
mod recording;
mod transfer;

pub use algorithms::{choices, cudnn_version, follow};
pub use cudnn::Choices;
pub(crate) use device::tensor;
pub use device::{Capability, Cost, CudaConfig, GpuInfo, gpus, open};
pub(crate) use ops::sgd::{Moved, Rates, Rule, step};
pub(crate) use ops::space_to_depth::SpaceToDepth;
pub(crate) use ops::{conv, elementwise, loss, norm, pixels, pool, shift};
pub use profile::{Peaks, Profile, Spent, peaks, profile};
pub use recording::{Recording, record, rehearse};
pub use transfer::{Download, Downloads, Pinned, Upload, Uploads};
