//! Operations, layers and networks for training convolutional networks with candle.
//!
//! # How the types fit together
//!
//! ```text
//! u8 pixels ── normalise ──▶ images [N, H, W, C]
//!                              │
//!      Model                   ▼
//!        │ owns         ResNet::forward_t       built from the layers Conv2d, BatchNorm2d, Linear
//!        │                     │                and the operations max_pool2d, add_relu, global_avg_pool
//!        │                     ▼
//!        │              logits [N, classes]
//!        │                     │ cross_entropy
//!        │                     ▼
//!        │                   loss ── Tensor::backward ──▶ GradStore
//!        │                                                    │
//!        └─ trainable() ──▶ Sgd ◀──────── Sgd::step ──────────┘
//! ```
//!
//! * **Operations** are functions on tensors with gradients: [`conv2d`], [`conv3d`], [`max_pool2d`],
//!   [`avg_pool2d`], [`adaptive_avg_pool2d`], [`global_avg_pool`], [`relu`], [`add_relu`], [`silu`],
//!   [`hard_swish`], [`hard_sigmoid`], [`scale_channels`], [`linear`], [`cross_entropy`],
//!   [`stochastic_depth`], [`temporal_shift`]. They work with `Tensor::backward`, like candle's own
//!   operations.
//! * **Layers** hold the parameters of an operation: [`Conv2d`], [`Conv3d`], [`BatchNorm2d`],
//!   [`SqueezeExcitation`], [`Linear`]. They take them from a `VarBuilder`, such as [`seeded`]
//!   returns. Layers without parameters are [`Activation`]s. All are candle modules.
//! * [`ResNet`] is a whole network. [`TrainPass`] adds dropout and stochastic depth to a training
//!   pass, and [`ResNet::with_shift`] a temporal shift for clips of frames. [`MobileNetV3`] is a
//!   smaller one, and [`Classifier`] is either. [`Model`] adds parameter names, initial values, and
//!   loading and saving of weights to any network.
//! * [`Sgd`] updates named variables. It works with any `Var`, not only with those of a [`Model`].
//! * **Weights** come from [`Model::from_pretrained`] in one step. [`read_weights`],
//!   [`torchvision_names`] and [`check_values`] are the single steps.
//! * **Backends**: every operation runs on the device of its input. The CPU code chooses AMX, AVX-512,
//!   AVX2, NEON or portable code when the program runs. The feature `cuda` adds NVIDIA GPUs, which
//!   `cuda::open` opens.
//!
//! Images are NHWC: `[N, H, W, C]` is batch, height, width, channels. Weights of convolutions are
//! OIHW: `[O, I, KH, KW]` is output channels, input channels, kernel height, kernel width. Images
//! and other activations are f32 or bf16. Parameters, their gradients, statistics and logits are
//! f32, and so are all sums. bf16 activations need half of the memory. They are faster on GPUs, and on
//! [processors with AMX](cpu_is_faster_in_bf16). On other processors, they are about as fast as f32
//! if the processor can multiply them, and slower otherwise.
//!
//! To train a ResNet, read [`Model`] first, then [`Sgd`]. To build another network, start with
//! [`Conv2d`] and [`BatchNorm2d`].
//!
//! # Train a step
//!
//! ```
//! use candle_convnet::{Depth, Model, Normalisation, PixelLayout, ResNetConfig, Sgd, SgdConfig};
//! use candle_convnet::{cross_entropy, normalise};
//! use candle_core::{DType, Device, Tensor};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let device = Device::Cpu;
//! // Stacks of ten frames of optical flow, x and y components: 20 channels. The seed determines the weights.
//! let model = Model::random(&ResNetConfig::new(Depth::R18, 20, 101), 42, &device)?;
//! let mut sgd = Sgd::new(model.trainable(), SgdConfig::new(1e-2).with_weight_decay(5e-4))?;
//!
//! let pixels = Tensor::zeros((2, 20, 32, 32), DType::U8, &device)?;
//! let images = normalise(&pixels, PixelLayout::Planes, &Normalisation::unit(), DType::F32)?;
//! let labels = Tensor::new(&[7u32, 100], &device)?;
//!
//! let logits = model.net.forward_t(&images, true)?;
//! let loss = cross_entropy(&logits, &labels, 0.1)?;
//! sgd.step(&loss.backward()?)?;
//!
//! // After training: evaluate with the running statistics, then save the weights.
//! let scores = model.net.forward_t(&images, false)?;
//! assert_eq!(scores.dims(), [2, 101]);
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("flow.safetensors");
//! candle_core::safetensors::save(&model.tensors().into_iter().collect(), &path)?;
//! # Ok(())
//! # }
//! ```
//!
//! # Load torchvision weights
//!
//! ```
//! use candle_convnet::{Depth, Model, ResNetConfig};
//! use candle_core::Device;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("resnet18.safetensors");
//! # let saved = Model::random(&ResNetConfig::new(Depth::R18, 3, 1000), 1, &Device::Cpu)?;
//! # candle_core::safetensors::save(&saved.tensors().into_iter().collect(), &path)?;
//! // `path` is a file of torchvision, such as resnet18-f37072fd.pth, or a safetensors file with the same names.
//! // The last layer is new, with 101 classes. `conv1` becomes its mean over RGB, copied to 20 channels.
//! let config = ResNetConfig::new(Depth::R18, 20, 101);
//! let model = Model::from_pretrained(&config, &path, 42, &Device::Cpu)?;
//! assert_eq!(model.net.features(), 512);
//! # Ok(())
//! # }
//! ```
//!
//! # Memory
//!
//! Call [`keep_freed_memory`] once when your program starts. It makes training on the CPU faster
//! with glibc, because the system then does not have to clear fresh pages in every step.
#![allow(
    clippy::inline_always,
    reason = "only code that is inlined into `Isa::run` may use the instructions of its set"
)]
#![allow(clippy::needless_pass_by_value, reason = "layers take a `VarBuilder` by value, as candle's own")]
#![allow(clippy::needless_range_loop, reason = "in vector code, iterators were not always inlined into `Isa::run`")]

mod cpu;
#[cfg(feature = "cuda")]
pub mod cuda;
mod geometry;
mod heap;
mod network;
mod ops;
mod optim;
mod vars;
mod weights;

/// Runs the examples of the README as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeDoctests;

// Lets the tests start on machines without NVIDIA's libraries.
#[cfg(test)]
use cuda_delayload as _;

pub use cpu::cpu_is_faster_in_bf16;
pub use geometry::{
    Activation, AvgPool2dConfig, BatchNormConfig, Conv2dConfig, Conv3dConfig, Hw, MaxPool2dConfig, Normalisation,
    PixelLayout, Thw,
};
pub use heap::keep_freed_memory;
pub use network::{
    Arch, Block, Classifier, ClassifierConfig, Depth, MobileNetV3, MobileNetV3Config, Model, NetworkConfig,
    ParseArchError, ResNet, ResNetConfig, Stem, TrainPass,
};
pub use ops::activation::{hard_sigmoid, hard_swish, silu};
pub use ops::avg_pool::{adaptive_avg_pool2d, avg_pool2d};
pub use ops::batch_norm::{BatchNorm2d, NormSync};
pub use ops::conv::{Conv2d, conv2d, conv2d_with_bias};
pub use ops::conv3d::{Conv3d, conv3d};
pub use ops::global_avg_pool::global_avg_pool;
pub use ops::linear::{Linear, linear};
pub use ops::loss::cross_entropy;
pub use ops::max_pool::max_pool2d;
pub use ops::pixels::normalise;
pub use ops::relu::{add_relu, relu};
pub use ops::shift::temporal_shift;
pub use ops::squeeze_excitation::{SqueezeExcitation, scale_channels};
pub use ops::stochastic_depth::stochastic_depth;
pub use optim::{Decay, Sgd, SgdConfig, SgdError};
pub use vars::{LoadReport, load_matching, seeded};
pub use weights::{Origin, Problem, WeightsError, check_values, find_weights, read_weights, torchvision_names};
