//! What decode threads do with their time, by which a run says what its limit is.

use serde::{Deserialize, Serialize};
use std::ops::AddAssign;
use std::time::{Duration, Instant};

/// Seconds of all decode threads of a pass together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Work {
    /// While they had samples to write.
    #[serde(with = "crate::base::float")]
    pub busy: f64,
    /// That part of it in which they computed. The rest went into waiting for the disk, or for a core that was taken.
    #[serde(with = "crate::base::float")]
    pub computing: f64,
    /// As long as they were there.
    #[serde(with = "crate::base::float")]
    pub there: f64,
}

impl AddAssign for Work {
    fn add_assign(&mut self, other: Self) {
        self.busy += other.busy;
        self.computing += other.computing;
        self.there += other.there;
    }
}

/// Times one piece of work of this thread.
pub(super) struct Clock {
    start: Instant,
    computed: Duration,
}

impl Clock {
    pub fn start() -> Self {
        Self { computed: computed(), start: Instant::now() }
    }

    pub fn stop(self) -> Work {
        let busy = self.start.elapsed();
        // Where the system does not tell, all of it.
        let computing = if cfg!(unix) { computed().saturating_sub(self.computed).min(busy) } else { busy };
        Work { busy: busy.as_secs_f64(), computing: computing.as_secs_f64(), there: 0.0 }
    }
}

/// Processor time of this thread so far.
#[cfg(unix)]
fn computed() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}

#[cfg(not(unix))]
fn computed() -> Duration {
    Duration::ZERO
}

/// One sentence: what a training would gain most from.
pub fn limit(batch: f64, data: f64, copy: f64, work: Work) -> String {
    let (waiting, copying) = (100.0 * data / batch, 100.0 * copy / batch);
    let computing = 100.0 - waiting - copying;
    if batch <= 0.0 {
        return "no step was taken".into();
    }
    let shares = format!("{computing:.1} % computing, {copying:.1} % copying, {waiting:.1} % waiting for data");
    let limit = if waiting < 5.0 && copying < computing {
        "computing is the limit".to_owned()
    } else if copying > waiting {
        "copying to the device is the limit".to_owned()
    } else if work.busy < 0.5 * work.there {
        "the start of passes is the limit: decode threads were idle for most of the time".to_owned()
    } else if work.computing < 0.6 * work.busy {
        "the disk is the limit: decode threads waited for it, or for a core".to_owned()
    } else {
        "decoding is the limit: more --threads, or data packed with --flow-codec lz4, would help".to_owned()
    };
    format!("{shares}: {limit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sentence_names_what_took_the_time() {
        let work = |busy, computing| Work { busy, computing, there: 10.0 };
        let says = |batch, data, copy, work, what: &str| {
            let found = limit(batch, data, copy, work);
            assert!(found.contains(&format!("{what} is the limit")), "{found}");
        };
        says(1.0, 0.01, 0.01, work(9.0, 9.0), "computing");
        says(1.0, 0.5, 0.1, work(9.5, 9.0), "decoding");
        says(1.0, 0.5, 0.1, work(9.5, 2.0), "the disk");
        says(1.0, 0.2, 0.5, work(9.5, 9.0), "copying to the device");
        says(1.0, 0.3, 0.0, work(2.0, 2.0), "the start of passes");
        assert_eq!(limit(0.0, 0.0, 0.0, Work::default()), "no step was taken");
        assert!(limit(2.0, 0.5, 0.25, work(9.0, 9.0)).starts_with("62.5 % computing, 12.5 % copying, 25.0 % waiting"));
    }

    #[test]
    fn a_thread_that_sleeps_is_busy_but_does_not_compute() {
        let clock = Clock::start();
        std::thread::sleep(Duration::from_millis(50));
        let work = clock.stop();
        assert!(work.busy >= 0.05);
        assert!(cfg!(not(unix)) || work.computing < 0.04, "{work:?}");
    }
}
