//! Keeps freed memory in the process.
//!
//! Every candle operation allocates its result, and frees it when the tensor is dropped. For blocks
//! above 32 MiB, glibc asks the system for fresh pages each time. The kernel then has to clear all
//! memory of the activations in every step.

/// Configures glibc's allocator to keep freed memory, which makes training on the CPU faster.
///
/// Large blocks then come from the heap, and the heap never shrinks. Call this function once,
/// before you create the first tensor. The process keeps as much memory as it ever needed. With
/// other allocators than glibc's, the function does nothing.
///
/// ```
/// candle_convnet::keep_freed_memory();
/// ```
pub fn keep_freed_memory() {
    // SAFETY: mallopt takes two integers and only changes settings of the allocator; in glibc it is
    // thread-safe.
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    #[allow(unsafe_code)]
    unsafe {
        // The first call forbids separate mappings for large blocks. The second one forbids
        // trimming: -1 becomes the largest size_t. If a call fails, allocation is only slower, so
        // the results are ignored.
        libc::mallopt(libc::M_MMAP_MAX, 0);
        libc::mallopt(libc::M_TRIM_THRESHOLD, -1);
    }
}
