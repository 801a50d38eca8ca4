//! Keeps freed memory in the process, and asks for large pages.
//!
//! Every candle operation allocates its result, and frees it when the tensor is dropped. For blocks
//! above 32 MiB, glibc asks the system for fresh pages each time. The kernel then has to clear all
//! memory of the activations in every step.
//!
//! A convolution reads and writes many places of an image in turn. With pages of 4 KiB, the processor
//! looks up most of their addresses in memory. Pages of 2 MiB avoid this.
#![allow(unsafe_code)]

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
    unsafe {
        // The first call forbids separate mappings for large blocks. The second one forbids
        // trimming: -1 becomes the largest size_t. If a call fails, allocation is only slower, so
        // the results are ignored.
        libc::mallopt(libc::M_MMAP_MAX, 0);
        libc::mallopt(libc::M_TRIM_THRESHOLD, -1);
    }
}

/// Bytes of a large page. Smaller memory does not ask for large pages.
#[cfg(target_os = "linux")]
const LARGE_PAGE: usize = 2 << 20;

/// Asks the system for large pages for the capacity of `memory`, if it is large.
///
/// It is a wish: a system without such pages ignores it, and no value changes.
pub(crate) fn prefer_large_pages<T>(memory: &Vec<T>) {
    #[cfg(target_os = "linux")]
    {
        let bytes = memory.capacity() * size_of::<T>();
        if bytes >= LARGE_PAGE {
            // The advice is for whole large pages. Their other parts are mostly freed memory of the heap.
            let before = memory.as_ptr().addr() % LARGE_PAGE;
            let first = memory.as_ptr().cast::<u8>().wrapping_sub(before);
            let length = (before + bytes).next_multiple_of(LARGE_PAGE);
            // SAFETY: the advice changes the content of no memory, and skips addresses without memory. Its
            // result is ignored, because without large pages the program is only slower.
            unsafe { libc::madvise(first.cast_mut().cast(), length, libc::MADV_HUGEPAGE) };
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = memory;
}
