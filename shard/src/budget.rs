//! A shared memory limit for all threads that decode.

use crate::codec::Codec;
use crate::shape::Shape;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// A limit for the memory that all threads together use to decode images.
///
/// A file may state images of up to 256 MiB. Without a limit, every thread could need that much at
/// the same time.
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

impl Default for DecodingBudget {
    /// Creates a budget of 512 MiB.
    fn default() -> Self {
        Self::new(512 << 20)
    }
}

/// Images that need at most this many bytes are not counted, so every thread may decode one at any
/// time.
const SMALL_BYTES: u64 = 1 << 20;

impl DecodingBudget {
    /// Creates a budget of `most` bytes.
    pub fn new(most: u64) -> Self {
        Self { most, used: Mutex::new(0), freed: Condvar::new() }
    }

    /// Waits until the budget has enough memory to decode a record, and reserves that memory.
    ///
    /// A record that is larger than the budget waits until no other reservation exists.
    pub fn reserve(&self, shape: impl Into<Shape>, codec: Codec) -> ReservedMemory<'_> {
        let bytes = decoding_bytes(shape.into(), codec);
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

/// A reserved part of a [`DecodingBudget`]. Dropping it returns the memory to the budget.
#[derive(Debug)]
pub struct ReservedMemory<'a> {
    budget: &'a DecodingBudget,
    /// Number of reserved bytes; 0 for small images.
    bytes: u64,
}

impl ReservedMemory<'_> {
    /// Returns whether the image counts against the budget.
    ///
    /// If so, drop the buffers and decoders that have grown with the image before you drop the
    /// reservation.
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

/// Returns an upper bound for the memory that decoding a record takes, including its samples.
fn decoding_bytes(shape: Shape, codec: Codec) -> u64 {
    let bytes = shape.bytes() as u64;
    match codec {
        Codec::Raw => bytes,
        // One buffer holds the filtered record, another the result. A window of a shuffled record
        // needs a third.
        Codec::Zstd | Codec::Lz4 => {
            if shape.samples().bytes() > 1 {
                3 * bytes
            } else {
                2 * bytes
            }
        }
        // A progressive file is decoded from 16-bit coefficients of up to three planes, even if the
        // record has one channel.
        Codec::Jpeg => bytes + 6 * shape.dims().iter().take(2).map(|&dim| u64::from(dim)).product::<u64>(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::ImageSize;
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
