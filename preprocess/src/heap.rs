//! Memory of the C library.

/// Limits glibc to two heaps for all threads. Call it before threads start.
///
/// One thread allocates a record and another frees it. With a heap per thread, each heap would keep
/// the largest amount that it ever held, which is several times the memory in use. Other C
/// libraries have no such heaps.
pub fn share_heaps() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: mallopt only changes how malloc works from now on; no other thread runs yet.
    #[allow(unsafe_code)]
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 2);
    }
}
