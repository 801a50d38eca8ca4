//! Residual networks and their named parameters.

mod config;
mod init;
mod layers;
mod model;
mod resnet;
mod tape;

pub use config::{Depth, ParseDepthError, ResNetConfig};
pub use model::Model;
pub use resnet::ResNet;
