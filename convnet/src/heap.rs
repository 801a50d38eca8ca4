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

/// Least size of memory for which large pages are asked, in bytes.
#[cfg(target_os = "linux")]
const LARGE: usize = 1 << 20;

/// Asks the system for large pages for the capacity of `memory`, if it is large.
///
/// It is a wish: a system without such pages ignores it, and the values do not change.
pub(crate) fn prefer_large_pages<T>(memory: &Vec<T>) {
    #[cfg(target_os = "linux")]
    {
        let bytes = memory.capacity() * size_of::<T>();
        if bytes >= LARGE {
            // SAFETY: sysconf only reads a setting. The pages hold the allocation, and the advice does not
            // change their content.
            unsafe {
                let page = usize::try_from(libc::sysconf(libc::_SC_PAGESIZE)).unwrap_or(4096);
                let before = memory.as_ptr().addr() % page;
                let first = memory.as_ptr().cast::<u8>().sub(before);
                libc::madvise(first.cast_mut().cast(), before + bytes, libc::MADV_HUGEPAGE);
            }
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = memory;
}
