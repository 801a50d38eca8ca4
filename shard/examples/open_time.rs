//! Measures the time to open a dataset, the memory that it takes, and the time of the first two
//! searches for a clip: `cargo run --release --example open_time -- DIR`.

use clipshard::Dataset;
use std::path::PathBuf;
use std::time::Instant;

fn main() -> clipshard::Result<()> {
    let dir: PathBuf = std::env::args_os().nth(1).expect("name the folder of a dataset").into();
    // The first time fills the page cache, so that the disk does not influence the result.
    drop(Dataset::open(&dir)?);
    let before = resident_kib();
    let started = Instant::now();
    let data = Dataset::open(&dir)?;
    let seconds = started.elapsed().as_secs_f64();
    let grown = resident_kib().saturating_sub(before);
    let last = data.manifest().clips.last().map_or("", |clip| &clip.id);
    let started = Instant::now();
    let found = data.find_clip(last);
    let first_find = started.elapsed().as_secs_f64();
    let started = Instant::now();
    assert_eq!(data.find_clip(last), found);
    let next_find = started.elapsed().as_secs_f64();
    println!(
        "{{\"clips\": {}, \"open_ms\": {:.3}, \"grown_mib\": {:.2}, \"first_find_ms\": {:.3}, \
         \"next_find_us\": {:.2}}}",
        data.manifest().clips.len(),
        seconds * 1e3,
        grown as f64 / 1024.0,
        first_find * 1e3,
        next_find * 1e6,
    );
    Ok(())
}

/// Returns the resident memory of this process in KiB, or 0 if the operating system does not state
/// it.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
