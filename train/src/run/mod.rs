//! A run's folder and the files in it.

pub mod checkpoint;
pub mod folder;
pub mod loaded_network;
pub mod lock;
pub mod log;
pub mod state;
pub mod tensorboard;
