//! Random numbers that no seed determines.

use clipshard::order::mix64;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

/// A sequence of 64-bit numbers that differs between processes, also between those of a fork.
#[derive(Debug)]
pub struct Entropy {
    key: u64,
    next: AtomicU64,
}

impl Entropy {
    pub fn new() -> Self {
        // The child of a fork has the same state of `RandomState` as its parent.
        let time = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |time| time.as_nanos() as u64);
        let key = [RandomState::new().build_hasher().finish(), std::process::id().into(), time];
        Self { key: key.into_iter().fold(0, |key, value| mix64(key ^ value)), next: AtomicU64::new(0) }
    }

    pub fn next(&self) -> u64 {
        mix64(self.key ^ self.next.fetch_add(1, Ordering::Relaxed))
    }
}
