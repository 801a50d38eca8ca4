//! A run's folder and the files in it.

pub mod checkpoint;
pub mod folder;
pub mod lock;
pub mod log;
pub mod tensorboard;
pub mod trained;
