//! Computes the flow between consecutive grey frames, and times it.
//!
//! Usage: `pairs WIDTHxHEIGHT IN OUT [OPTIONS]`
//!
//! Reads raw frames of one byte per pixel from IN. Writes the quantised x and y components of each
//! pair to OUT. Prints the seconds that the last computation of each pair took.
//!
//! * `--dis` computes DIS instead of TV-L1.
//! * `--float` writes f32 values (little-endian) instead of bytes.
//! * `--portable` disables SIMD instructions that are detected at run time.
//! * `--times=N` computes each pair N times.

use std::error::Error;
use std::time::Instant;

use clip_flow::{Dis, DisParams, Flow, TvL1, TvL1Params, quantise};

fn main() -> Result<(), Box<dyn Error>> {
    let (flags, names): (Vec<String>, Vec<String>) = std::env::args().skip(1).partition(|arg| arg.starts_with("--"));
    let [size, input, output] = &names[..] else { return Err("usage: pairs WIDTHxHEIGHT IN OUT".into()) };
    let (width, height) = size.split_once('x').ok_or_else(|| format!("{size} is not a size: write WIDTHxHEIGHT"))?;
    let (width, height): (usize, usize) = (width.parse()?, height.parse()?);
    let flag = |name: &str| flags.iter().any(|flag| flag == name);
    let (mut tvl1, mut dis) =
        (TvL1::new(width, height, TvL1Params::default())?, Dis::new(width, height, DisParams::default())?);
    if flag("--portable") {
        (tvl1, dis) = (tvl1.portable(), dis.portable());
    }
    let times = flags.iter().find_map(|flag| flag.strip_prefix("--times=")).map_or(Ok(1), str::parse::<u32>)?;
    let frames = std::fs::read(input)?;
    let frames: Vec<&[u8]> = frames.chunks_exact(width * height).collect();
    let (mut flow, mut bytes, mut out) = (Flow::default(), Vec::new(), Vec::new());
    for pair in frames.windows(2) {
        let mut seconds = 0.0;
        for _ in 0..times {
            let started = Instant::now();
            if flag("--dis") {
                dis.compute(pair[0], pair[1], &mut flow)?;
            } else {
                tvl1.compute(pair[0], pair[1], &mut flow)?;
            }
            seconds = started.elapsed().as_secs_f64();
        }
        for component in [&flow.x, &flow.y] {
            if flag("--float") {
                out.extend(component.iter().flat_map(|value| value.to_le_bytes()));
            } else {
                quantise(component, &mut bytes);
                out.extend_from_slice(&bytes);
            }
        }
        println!("{seconds:.6}");
    }
    Ok(std::fs::write(output, out)?)
}
