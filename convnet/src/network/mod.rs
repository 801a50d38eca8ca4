//! Residual networks and their named parameters.

mod backbone;
mod block;
mod config;
mod conv_norm;
mod mobilenet_v3;
mod model;
mod pass;
mod resnet;
mod tape;

pub use block::{Block, Stem};
pub use config::{Depth, ParseDepthError, ResNetConfig};
pub use mobilenet_v3::MobileNetV3;
pub use model::Model;
pub use pass::TrainPass;
pub use resnet::ResNet;
