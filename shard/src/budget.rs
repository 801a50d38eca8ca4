//! A common limit for the memory of all threads that decode.

use crate::codec::Codec;
use crate::geometry::ImageSize;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Memory that images may take while they are decoded, for all threads together. A file may state images of up to
/// 256 MiB; without a limit, each thread would take as much at the same time.
///
/// # Example
///
/// ```
/// use clipshard::{Codec, DecodingBudget, ImageSize};
/// let budget = DecodingBudget::default();
/// let reserved = budget.reserve(ImageSize { width: 342, height: 256, channels: 3 }, Codec::Jpeg);
/// // ... decode ...
/// assert!(!reserved.is_large());
/// ```
#[derive(Debug)]
pub struct DecodingBudget {
    most: u64,
    used: Mutex<u64>,
    freed: Condvar,
}

/// Half a gigabyte.
impl Default for DecodingBudget {
    fn default() -> Self {
        Self::new(512 << 20)
    }
}

/// Images that need no more than this are not counted: every thread may decode one at any time.
const SMALL_BYTES: u64 = 1 << 20;

impl DecodingBudget {
    /// Creates a budget of so many bytes.
    pub fn new(most: u64) -> Self {
        Self { most, used: Mutex::new(0), freed: Condvar::new() }
    }

    /// Waits until there is room to decode an image, and takes that room. One image is always let through, however large.
    pub fn reserve(&self, size: ImageSize, codec: Codec) -> ReservedMemory<'_> {
        let bytes = decoding_bytes(size, codec);
        if bytes <= SMALL_BYTES {
            return ReservedMemory { budget: self, bytes: 0 };
        }
        let mut used = self.lock();
        while *used > 0 && *used + bytes > self.most {
            used = self.freed.wait(used).unwrap_or_else(PoisonError::into_inner);
        }
        *used += bytes;
        ReservedMemory { budget: self, bytes }
    }

    fn lock(&self) -> MutexGuard<'_, u64> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A part of a [`DecodingBudget`], given back when it is dropped.
#[derive(Debug)]
pub struct ReservedMemory<'a> {
    budget: &'a DecodingBudget,
    /// 0 for small images.
    bytes: u64,
}

impl ReservedMemory<'_> {
    /// Whether the image is large: buffers and decoders that have grown with it should be dropped before this is.
    pub fn is_large(&self) -> bool {
        self.bytes > 0
    }
}

impl Drop for ReservedMemory<'_> {
    fn drop(&mut self) {
        if self.is_large() {
            *self.budget.lock() -= self.bytes;
            self.budget.freed.notify_all();
        }
    }
}

/// The most memory that decoding an image takes, its pixels included.
fn decoding_bytes(size: ImageSize, codec: Codec) -> u64 {
    let (pixels, bytes) = (u64::from(size.width) * u64::from(size.height), size.bytes() as u64);
    match codec {
        Codec::Raw => bytes,
        // The image before its filter is undone, and after.
        Codec::Zstd | Codec::Lz4 => 2 * bytes,
        // A progressive file is decoded from 16-bit coefficients of up to three planes, whatever the channels of the record.
        Codec::Jpeg => bytes + 6 * pixels,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    #[test]
    fn the_sum_over_threads_stays_in_the_budget_and_one_image_always_passes() {
        let image = |width| ImageSize { width, height: 1024, channels: 1 };
        let budget = DecodingBudget::new(10 << 20);
        let (used, most) = (AtomicU64::new(0), AtomicU64::new(0));
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let (budget, used, most) = (&budget, &used, &most);
                scope.spawn(move || {
                    for round in 0..40 {
                        // 2 to 5 MiB; one in forty is larger than the budget.
                        let mib = if thread == 0 && round == 20 { 30 } else { 2 + (thread + round) % 4 };
                        let reserved = budget.reserve(image(mib * 1024), Codec::Raw);
                        let now = used.fetch_add(u64::from(mib), Ordering::SeqCst) + u64::from(mib);
                        assert!(now <= 10 || now == 30, "{now} MiB");
                        most.fetch_max(now, Ordering::SeqCst);
                        std::thread::yield_now();
                        used.fetch_sub(u64::from(mib), Ordering::SeqCst);
                        assert!(reserved.is_large());
                    }
                });
            }
        });
        assert_eq!(most.into_inner(), 30);
        assert_eq!(*budget.lock(), 0);
    }

    #[test]
    fn small_images_are_not_counted() {
        let budget = DecodingBudget::new(1);
        let small = ImageSize { width: 342, height: 256, channels: 3 };
        let reserved = [(); 9].map(|()| budget.reserve(small, Codec::Jpeg));
        assert!(reserved.iter().all(|reserved| !reserved.is_large()));
    }
}
