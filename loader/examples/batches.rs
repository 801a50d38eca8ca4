//! Prints a CRC-32 of each part of each batch of an epoch, to compare loaders in other languages.
//!
//! ```sh
//! cargo run --example batches -- DATASET SPLIT SUBSET SEED EPOCH REPEAT BATCH_SIZE VIEW...
//! ```
//!
//! A view is STREAM:FRAMES:SIDE:CROP, with `:flip` at the end if it is mirrored half of the time.
//! Clips that are shorter than a view are shown again from their first frame.

use clip_loader::{Crop, Loader, Short, SplitClip, TrainOptions, TrainSamples, View};
use clipshard::{Dataset, Subset};
use std::error::Error;
use std::sync::Arc;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    lines(&arguments)?.iter().for_each(|line| println!("{line}"));
    Ok(())
}

/// Returns one line per batch: the numbers of the clips, and the CRC-32 of each part.
pub fn lines(arguments: &[&str]) -> Result<Vec<String>> {
    let &[dataset, split, subset, seed, epoch, repeat, batch_size, ref views @ ..] = arguments else {
        return Err("pass DATASET SPLIT SUBSET SEED EPOCH REPEAT BATCH_SIZE VIEW...".into());
    };
    let views = views.iter().map(|view| parse(view)).collect::<Result<Vec<View>>>()?;
    let first = views.first().ok_or("pass a view, such as rgb:1:224:random:flip")?;
    let data = Arc::new(Dataset::open(dataset)?);
    let clips = SplitClip::of_subset(&data, split, &Subset::from(subset), &first.stream)?;
    let options = TrainOptions::new().short(Short::Loop).seed(seed.parse()?).epoch(epoch.parse()?);
    let options = options.repeat(repeat.parse()?);
    let samples = Arc::new(TrainSamples::of_views(&data, clips, &views, options)?);
    let loader = Loader::builder(samples.clone()).batch_size(batch_size.parse()?).start()?;
    let line = |batch: clip_loader::Result<_>| -> Result<String> {
        let batch: clip_loader::Batch = batch?;
        let clips: Vec<String> = batch.samples().map(|i| samples.clip(i).clip.to_string()).collect();
        let sums: Vec<String> = (0..views.len()).map(|part| format!(" {:08x}", crc32(batch.part(part)))).collect();
        Ok(clips.join(",") + &sums.concat())
    };
    loader.map(line).collect()
}

/// Reads a view.
fn parse(text: &str) -> Result<View> {
    let wrong = || format!("{text} is not STREAM:FRAMES:SIDE:CROP or STREAM:FRAMES:SIDE:CROP:flip");
    let parts: Vec<&str> = text.split(':').collect();
    let (stream, frames, side, crop, flip) = match parts[..] {
        [stream, frames, side, crop] => (stream, frames, side, crop, false),
        [stream, frames, side, crop, "flip"] => (stream, frames, side, crop, true),
        _ => return Err(wrong().into()),
    };
    let crop = Crop::ALL.into_iter().find(|known| known.name() == crop).ok_or_else(wrong)?;
    Ok(View::stack(stream, frames.parse()?).side(side.parse()?).crop(crop).flip(flip))
}

/// Returns the CRC-32 that zlib and Python compute.
fn crc32(bytes: &[u8]) -> u32 {
    let shift = |crc: u32, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
    !bytes.iter().fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), shift))
}
