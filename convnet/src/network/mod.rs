//! Residual networks and their named parameters.

mod arch;
mod backbone;
mod block;
mod classifier;
mod config;
mod conv_norm;
mod mobilenet_v3;
mod model;
mod network_config;
mod pass;
mod resnet;
mod tape;

pub use arch::{Arch, ParseArchError};
pub use block::{Block, Stem};
pub use classifier::{Classifier, ClassifierConfig};
pub use config::{Depth, ResNetConfig};
pub use mobilenet_v3::{MobileNetV3, MobileNetV3Config};
pub use model::Model;
pub use network_config::NetworkConfig;
pub use pass::TrainPass;
pub use resnet::ResNet;
