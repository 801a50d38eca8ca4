//! Files of weights: the safetensors files of ucftrain, and weights of PyTorch in each of its
//! formats.
//!
//! [`network::Network`] describes a network, and its JSON is the metadata of a file.
//! [`safetensors_file`] reads and writes tensors with metadata, [`network_file`] files of one
//! network, and [`weights`] the tensors of any supported file. [`flow_order`] is the channel order
//! of optical flow in a file.

pub mod flow_order;
pub mod network;
pub mod network_file;
pub mod safetensors_file;
pub mod weights;
