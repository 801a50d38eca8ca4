//! Residual networks and their named parameters.

mod config;
mod init;
mod layers;
mod model;
mod pass;
mod resnet;
mod tape;

pub use config::{Depth, ParseDepthError, ResNetConfig};
pub use model::Model;
pub use pass::TrainPass;
pub use resnet::ResNet;
