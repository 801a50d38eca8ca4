//! Files of weights: this program's own, and those of PyTorch in each of its formats.

pub mod flow_order;
pub mod network;
pub mod network_file;
pub mod safetensors_file;
pub mod weights;
