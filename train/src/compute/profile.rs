//! What the ops of a step take on a GPU, beside what its arithmetic and memory would allow.

/// All calls of one op in a step.
#[derive(Clone, Debug, PartialEq)]
pub struct Op {
    /// Its name.
    pub name: String,
    /// Time of all calls.
    pub milliseconds: f64,
    /// Number of calls.
    pub calls: usize,
    /// Multiplications and additions of convolutions and products, of all calls.
    pub flops: f64,
    /// Bytes read and written, each once, of all calls.
    pub bytes: f64,
    /// The least time that these operations and bytes take at the GPU's peaks.
    pub roof_milliseconds: f64,
}

/// The ops of a step and the peaks of the GPU that took it.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    /// The ops.
    pub ops: Vec<Op>,
    /// Floating-point operations a second of a large product.
    pub peak_flops: f64,
    /// Bytes a second of a large copy.
    pub peak_bytes: f64,
}
