//! Compares `candle-convnet` with results of PyTorch, finite differences and plain definitions.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod bf16;
#[cfg(feature = "cuda")]
mod cuda;
mod determinism;
mod finite_differences;
mod layer_goldens;
mod loading;
mod networks;
mod op_goldens;
mod other_networks;
mod parts;
mod passes;
mod sgd;
mod synchronised;
mod values;
