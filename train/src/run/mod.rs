//! The folder of a run and its files.
//!
//! [`folder::RunFolder`] opens and locks a folder and knows the paths in it. [`state::State`] is
//! the state of a run, which [`checkpoint`] stores together with the tensors. [`rank_work::JointWork`] is
//! the work of several processes. [`log`] and [`tensorboard`] write the history for other programs, and
//! [`loaded_network`] loads a trained network again.

pub mod checkpoint;
pub mod folder;
pub mod loaded_network;
pub mod lock;
pub mod log;
pub mod rank_work;
pub mod state;
pub mod tensorboard;
