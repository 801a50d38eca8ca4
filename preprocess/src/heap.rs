//! How the C library keeps freed memory.

/// Lets all threads share two heaps. Records are allocated by one thread and freed by another, and each of many heaps would
/// keep the most that it ever held: with 16 encoders several times the memory that is in use. Call it before threads start.
/// Other C libraries than glibc have no such heaps.
pub fn share_heaps() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: mallopt only changes how malloc works from now on; no other thread runs yet.
    #[allow(unsafe_code)]
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 2);
    }
}
