//! Prints a table of size and speed for each codec, filter and level, measured on images of a
//! dataset: `cargo run --release --example codec_table -- DIR [STREAM [IMAGES]]`.
//!
//! It uses one thread. The decoding time is the median of five rounds, in which the rows take
//! turns.

use clipshard::{
    Codec, Dataset, Decoder, EncodeOptions, EncodedRecord, Encoder, Filter, Result, Shape, Shard, ShardClip,
    ShardMetadata, ShardWriter,
};
use std::path::{Path, PathBuf};
use std::time::Instant;

const ROUNDS: usize = 5;
const ROWS: [(Codec, &[i32]); 3] =
    [(Codec::Zstd, &[1, 3, 6, 9, 12, 19]), (Codec::Lz4, &[3, 9, 12]), (Codec::Raw, &[0])];

/// A row of the table: the images, stored with some options in a shard.
struct Row {
    options: EncodeOptions,
    /// Microseconds per image.
    encode_us: f64,
    bytes: usize,
    shard: Shard,
    /// Microseconds per image, for each round.
    decode_us: Vec<f64>,
}

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let dir: PathBuf = args.next().expect("name the folder of a dataset").into();
    let stream = args.next().unwrap_or_else(|| "flow".into());
    let wanted = args.next().map_or(400, |n| n.parse().expect("a number of images"));
    let data = Dataset::open(&dir)?;
    let images = images(&data, &stream, wanted)?;
    let pixels: usize = images.iter().map(|(_, pixels)| pixels.len()).sum();
    let temp = tempfile::tempdir().expect("cannot create a temporary folder");
    let mut rows = Vec::new();
    for (codec, levels) in ROWS {
        for filter in [Filter::None, Filter::Up, Filter::Shuffle, Filter::UpShuffle] {
            if !filter.fits(codec, data.stream(&stream)?.samples) {
                continue;
            }
            for &level in levels {
                rows.push(row(&data, &stream, &images, EncodeOptions::new(codec, filter, level), temp.path())?);
            }
        }
    }
    let mut decoder = Decoder::new()?;
    let mut out = vec![0; images.iter().map(|(_, pixels)| pixels.len()).max().unwrap_or(0)];
    for _ in 0..ROUNDS {
        for row in &mut rows {
            let clip = row.shard.clip(0)?;
            let start = Instant::now();
            for (i, (shape, _)) in images.iter().enumerate() {
                clip.decode(i, 0, &mut decoder, &mut out[..shape.bytes()])?;
            }
            row.decode_us.push(start.elapsed().as_secs_f64() * 1e6 / images.len() as f64);
        }
    }
    println!("{} images of {}, {:.1} MB of pixels\n", images.len(), dir.display(), pixels as f64 / 1e6);
    println!(
        "| codec | filter | level | bytes per image | of raw | encode, µs | decode, µs | decode, GB/s |\n\
         |---|---|---|---|---|---|---|---|"
    );
    for Row { options: EncodeOptions { codec, filter, level, .. }, encode_us, bytes, mut decode_us, .. } in rows {
        decode_us.sort_by(f64::total_cmp);
        let decode = decode_us[ROUNDS / 2];
        println!(
            "| {} | {} | {level} | {} | {:.4} | {encode_us:.0} | {decode:.1} | {:.2} |",
            codec,
            filter,
            bytes / images.len(),
            bytes as f64 / pixels as f64,
            pixels as f64 / images.len() as f64 / decode / 1e3,
        );
    }
    Ok(())
}

/// Reads `wanted` images that are spread evenly over a stream.
fn images(data: &Dataset, stream: &str, wanted: usize) -> Result<Vec<(Shape, Vec<u8>)>> {
    let mut places = Vec::new();
    for (clip, records) in data.clips(stream)? {
        let records = records?;
        places.extend((0..records.frame_count()).flat_map(|f| (0..records.planes()).map(move |p| (clip, f, p))));
    }
    let mut decoder = Decoder::new()?;
    let step = (places.len() / wanted.max(1)).max(1);
    let spread = places.iter().step_by(step).take(wanted);
    spread
        .map(|&(clip, frame, plane)| {
            let records = data.clip(stream, clip)?;
            let shape = records.shape(frame, plane)?;
            let mut pixels = vec![0; shape.bytes()];
            records.decode(frame, plane, &mut decoder, &mut pixels)?;
            Ok((shape, pixels))
        })
        .collect()
}

/// Stores the images with the given options and measures the encoding time.
fn row(data: &Dataset, stream: &str, images: &[(Shape, Vec<u8>)], options: EncodeOptions, temp: &Path) -> Result<Row> {
    let mut encoder = Encoder::new(options)?;
    let start = Instant::now();
    let records: Vec<EncodedRecord> =
        images.iter().map(|(shape, pixels)| encoder.encode(pixels, *shape)).collect::<Result<_>>()?;
    let encode_us = start.elapsed().as_secs_f64() * 1e6 / images.len() as f64;
    let spec = data.stream(stream)?.clone().with_planes(1);
    let path = temp.join(format!("{}-{}-{}.clipshard", options.codec, options.filter, options.level));
    let mut writer = ShardWriter::create(&path, &spec)?;
    writer.add_clip("all", &records)?;
    writer.finish(&ShardMetadata::default().with_clips(vec![ShardClip::new(None, Vec::new())]))?;
    let bytes = records.iter().map(|record| record.bytes().len()).sum();
    Ok(Row { options, encode_us, bytes, shard: Shard::open(&path)?, decode_us: Vec::new() })
}
