//! The ops on NVIDIA GPUs: convolutions by cuDNN, the rest by the kernels of `kernels.cu`.
//!
//! Activations are bf16 or f32, parameters and their gradients f32; sums are f32 or better. All work of a device goes to the
//! one stream of its candle device, so that order alone keeps data safe and nothing waits for the host.

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
pub use device::{Capability, Card, Cost, CudaConfig, cards, open};
pub(crate) use ops::sgd::{Moved, Rates, Rule, step};
pub(crate) use ops::space_to_depth::SpaceToDepth;
pub(crate) use ops::{conv, elementwise, loss, norm, pixels, pool};
pub use profile::{Peaks, Profile, Spent, peaks, profile};
pub use recording::{Recording, record, rehearse};
pub use transfer::{Download, Downloads, Pinned, Upload, Uploads};
