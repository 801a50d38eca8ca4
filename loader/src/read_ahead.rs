//! Asks the system to read samples from disk before the threads decode them.

use crate::Samples;
use crate::ring::Ring;
use crate::share::Share;

/// Asks for all samples of a pass, some way ahead of the decoding threads. Returns early if the
/// ring stops.
pub(crate) fn read_ahead(ring: &Ring, samples: &dyn Samples, share: Share) {
    let ahead = samples_ahead(samples.stored_bytes());
    let mut next = 0;
    while next < ring.shape().samples {
        let Some(wanted) = ring.wait_for_reader(next, ahead) else { return };
        next = next.max(wanted.end);
        for sample in share.samples(wanted) {
            samples.will_need(sample);
        }
    }
}

/// Returns how many samples of `bytes` stored bytes to read ahead. They use at most an eighth of
/// the available memory.
fn samples_ahead(bytes: u64) -> usize {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok()).unwrap_or(1 << 20);
    ((kilobytes * 1024 / 8) / bytes.max(1)).clamp(1, 1024) as usize
}
