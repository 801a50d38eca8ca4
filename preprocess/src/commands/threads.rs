//! Threads of the commands.

use std::thread;

use anyhow::Context;

/// Returns the number of processors that this program may use.
pub fn processors() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// Lets everything that runs in parallel use this many threads.
pub fn use_threads(jobs: usize) -> anyhow::Result<()> {
    rayon::ThreadPoolBuilder::new().num_threads(jobs).build_global().context(
        "cannot start threads: raise the limit of processes (ulimit -u) or of memory (ulimit -v), or use fewer --jobs",
    )
}
