//! Keeps freed memory in the process.
//!
//! Every operation of candle takes its result's memory from the allocator and gives it back when the tensor goes. glibc maps
//! blocks of more than 32 MiB anew each time, so a training step that makes 2 GB of activations has the kernel clear 2 GB of
//! pages. On two cores, ResNet-18 at batch 25 x 3 x 224 x 224, a step that took 2.22 s from memory that is kept took 2.68 s so; the
//! loss is larger when the machine is busy.

/// Tells the allocator to serve large blocks from its heap and never to give the heap back to the system. Call it once, before
/// the first tensor is made; the process then holds the most memory that it ever needed. Does nothing where the allocator is
/// not glibc's.
///
/// ```
/// candle_convnet::keep_freed_memory();
/// ```
pub fn keep_freed_memory() {
    // SAFETY: mallopt takes two numbers and changes settings of the allocator only; it is thread-safe in glibc.
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    #[allow(unsafe_code)]
    unsafe {
        // No blocks of their own mapping, and no trimming: -1 becomes the largest size_t. A setting that is refused leaves
        // things as slow as they were.
        libc::mallopt(libc::M_MMAP_MAX, 0);
        libc::mallopt(libc::M_TRIM_THRESHOLD, -1);
    }
}
