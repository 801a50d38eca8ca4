//! The median time of some runs, for the examples that measure times.

use std::time::Instant;

/// Returns the median time of `count` runs, in milliseconds, after two that are not timed.
///
/// # Errors
/// A run fails.
pub fn median<E>(count: usize, mut run: impl FnMut() -> Result<(), E>) -> Result<f64, E> {
    let mut times = Vec::with_capacity(count);
    for i in 0..count + 2 {
        let start = Instant::now();
        run()?;
        if i >= 2 {
            times.push(1e3 * start.elapsed().as_secs_f64());
        }
    }
    times.sort_by(f64::total_cmp);
    Ok(times[count / 2])
}
