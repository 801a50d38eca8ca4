//! Times the work of the decoding threads.

use serde::{Deserialize, Serialize};
use std::ops::AddAssign;
use std::time::{Duration, Instant};

/// The time that the decoding threads of a loader have spent, in seconds, summed over the threads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Work {
    /// Time in which the threads worked on samples.
    pub busy: f64,
    /// Processor time within `busy`. In the rest of `busy`, the threads waited for the disk or for
    /// a free core. Equal to `busy` on systems that do not measure processor time per thread.
    pub computing: f64,
    /// Time since the threads started.
    pub there: f64,
}

impl Work {
    /// Makes a value from its three fields, in seconds.
    pub const fn new(busy: f64, computing: f64, there: f64) -> Self {
        Self { busy, computing, there }
    }
}

impl AddAssign for Work {
    fn add_assign(&mut self, other: Self) {
        self.busy += other.busy;
        self.computing += other.computing;
        self.there += other.there;
    }
}

/// A stopwatch for one piece of work of the current thread.
pub(crate) struct Clock {
    start: Instant,
    computed: Duration,
}

impl Clock {
    pub fn start() -> Self {
        Self { computed: computed(), start: Instant::now() }
    }

    pub fn stop(self) -> Work {
        let busy = self.start.elapsed();
        // Systems that do not measure processor time per thread count all time as computing.
        let computing =
            if cfg!(all(unix, not(miri))) { computed().saturating_sub(self.computed).min(busy) } else { busy };
        Work { busy: busy.as_secs_f64(), computing: computing.as_secs_f64(), there: 0.0 }
    }
}

/// Returns the processor time of the current thread so far.
#[cfg(all(unix, not(miri)))]
fn computed() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}

#[cfg(not(all(unix, not(miri))))]
fn computed() -> Duration {
    Duration::ZERO
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_sleeps_is_busy_but_does_not_compute() {
        let clock = Clock::start();
        std::thread::sleep(Duration::from_millis(50));
        let work = clock.stop();
        assert!(work.busy >= 0.05);
        assert!(cfg!(not(all(unix, not(miri)))) || work.computing < 0.04, "{work:?}");
    }
}
