//! Tests of `candle-convnet` against PyTorch's results, finite differences and plain definitions.

mod determinism;
mod finite_differences;
mod loading;
mod networks;
mod op_goldens;
mod sgd;
mod values;
