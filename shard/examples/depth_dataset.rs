//! Writes a dataset with synthetic clips of a depth camera: `cargo run --release --example
//! depth_dataset -- DIR [CLIPS [FRAMES]]`. `codec_table -- DIR depth` measures its codecs.
//!
//! The frames have 640 x 480 depths in millimetres, as those of a Kinect: walls, a floor, and boxes
//! that move. The sensor sees nothing at edges and at some random pixels, and writes 0. It measures
//! in steps, with noise. Both grow with the square of the depth: steps of 2.85e-6 z^2 mm and a
//! standard deviation of 1.425e-6 z^2 mm (K. Khoshelham and S. O. Elberink, 2012).

use clipshard::order::Draws;
use clipshard::{
    DatasetInfo, DatasetWriter, EncodeOptions, ImageSize, Images, NewClip, Result, SampleType, Shape, StreamSpec,
    Subset,
};

const SIZE: ImageSize = ImageSize { width: 640, height: 480, channels: 1 };
/// The steps of the sensor in mm, divided by the square of the depth in mm.
const STEP: f64 = 2.85e-6;
/// The standard deviation of the noise in mm, divided by the square of the depth in mm.
const NOISE: f64 = 1.425e-6;

fn main() -> Result<()> {
    let mut args = std::env::args_os().skip(1);
    let dir = std::path::PathBuf::from(args.next().expect("name the folder to write"));
    let mut number = |default| args.next().map_or(default, |n| n.to_string_lossy().parse().expect("a number"));
    let (clips, frames): (u64, u64) = (number(4), number(50));
    let shape = Shape::image(SIZE, SampleType::U16);
    let mut writer = DatasetWriter::create(&dir, DatasetInfo::new("synthetic depth", [""; 0], ["1"]))?;
    let spec = StreamSpec::new("depth", 1, 1).with_samples(SampleType::U16);
    writer.add_stream(spec, EncodeOptions::zstd(6).for_samples(SampleType::U16))?;
    for clip in 0..clips {
        let mut described = NewClip::new(format!("clip_{clip:03}"), None, vec![Subset::Train]);
        described.attributes.set("fps", 30);
        let images: Vec<Vec<u16>> = (0..frames).map(|frame| depths(clip, frame)).collect();
        writer.add_images(&described, &[("depth", Images::of_samples(shape, &images)?)])?;
    }
    writer.finish().map(drop)
}

/// Returns the depths of one frame in mm.
fn depths(clip: u64, frame: u64) -> Vec<u16> {
    let mut draws = Draws::new(clip, 0, 0);
    let mut uniform = |low: f64, high: f64| low + (high - low) * draws.below(1 << 20) as f64 / f64::from(1 << 20);
    // Boxes at (x, y) with half sizes, a depth, and a speed in pixels per frame.
    let boxes: Vec<[f64; 6]> = (0..6)
        .map(|_| {
            let (x, y) = (uniform(60.0, 580.0), uniform(60.0, 420.0));
            [x, y, uniform(20.0, 90.0), uniform(20.0, 90.0), uniform(900.0, 2600.0), uniform(-3.0, 3.0)]
        })
        .collect();
    let mut noise = Draws::new(clip, frame + 1, 0);
    let mut out = Vec::with_capacity(usize::from(SIZE.width) * usize::from(SIZE.height));
    for y in 0..SIZE.height {
        for x in 0..SIZE.width {
            let (x, y) = (f64::from(x), f64::from(y));
            // The back wall and the floor, which comes nearer towards the bottom of the image.
            let floor = 1400.0 * 240.0 / (y - 239.0).max(1.0);
            let mut depth = (3600.0 + 0.6 * x).min(floor);
            let mut is_edge = false;
            for [left, top, half_width, half_height, at, speed] in &boxes {
                let (dx, dy) = ((x - left - speed * frame as f64).abs(), (y - top).abs());
                if dx < *half_width && dy < *half_height && *at < depth {
                    // The front of a box is inclined.
                    depth = at + 0.8 * dx + 0.3 * dy;
                    is_edge = dx > half_width - 3.0;
                }
            }
            let random = noise.below(1000);
            if random < 4 || (is_edge && random < 600) || depth > 8000.0 {
                out.push(0);
                continue;
            }
            // The sum of twelve uniform numbers has the variance 1.
            let normal: f64 = (0..12).map(|_| noise.below(1 << 16) as f64 / 65_536.0).sum::<f64>() - 6.0;
            let step = (STEP * depth * depth).max(1.0);
            let measured = ((depth + normal * NOISE * depth * depth) / step).round() * step;
            out.push(measured.round() as u16);
        }
    }
    out
}
