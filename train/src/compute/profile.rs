//! Times of the ops of a training step on a GPU, with the times that its peak arithmetic and memory
//! rates allow.

/// All calls of one op in a step.
#[derive(Clone, Debug, PartialEq)]
pub struct Op {
    /// Name of the op.
    pub name: String,
    /// Time of all calls in milliseconds.
    pub milliseconds: f64,
    /// Number of calls.
    pub calls: usize,
    /// Multiplications and additions in the convolutions and matrix products of all calls.
    pub flops: f64,
    /// Bytes that all calls read and write, each counted once.
    pub bytes: f64,
    /// Time of these operations and bytes at the peak rates of the GPU, in milliseconds.
    pub roof_milliseconds: f64,
}

/// The ops of a step, and the peak rates of the GPU.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    /// Ops of the step.
    pub ops: Vec<Op>,
    /// Floating-point operations per second of a large matrix product.
    pub peak_flops: f64,
    /// Bytes per second of a large copy.
    pub peak_bytes: f64,
}
