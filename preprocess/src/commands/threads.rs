//! Number of threads.

use std::thread;

/// Returns the number of CPUs that this program may use.
pub fn processors() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// Sets the number of threads for all parallel work.
pub fn use_threads(jobs: usize) -> anyhow::Result<()> {
    rayon::ThreadPoolBuilder::new().num_threads(jobs).build_global().map_err(|error| {
        anyhow::anyhow!(
            "cannot start {jobs} threads: {error}; raise the limit of processes (ulimit -u) or of memory (ulimit -v), \
             or reduce --jobs"
        )
    })
}
