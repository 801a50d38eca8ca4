//! Reads the training clips of a dataset, as a training program does:
//! `cargo run --example read_clips -- DIR`.

use clipshard::{Dataset, Decoder, Subset};
use std::path::PathBuf;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = std::env::args_os().nth(1).map(PathBuf::from).ok_or("name the folder of a dataset")?;
    let data = Dataset::open(&dir)?;
    let mut decoder = Decoder::new()?;

    for number in data.clips_of("1", Subset::Train)? {
        let clip = &data.manifest().clips[number];
        let class = clip.label.map_or("none", |label| &data.manifest().classes[label as usize]);
        println!("{}: class {class}", clip.id);

        // One RGB frame, [H, W, 3].
        let rgb = data.clip("rgb", number)?;
        let size = rgb.size(0, 0)?;
        let mut frame = vec![0; size.bytes()];
        rgb.decode(0, 0, &mut decoder, &mut frame)?;
        println!("  rgb  [{}, {}, {}] mean {:.2}", size.height, size.width, size.channels, mean(&frame));

        // A stack of ten flow frames with an x and a y plane each: [20, H, W].
        let flow = data.clip("flow", number)?;
        let size = flow.size(0, 0)?;
        let mut stack = vec![0; 10 * flow.planes() * size.bytes()];
        flow.decode_stack(0, 10, &mut decoder, &mut stack)?;
        println!("  flow [{}, {}, {}] mean {:.2}", 10 * flow.planes(), size.height, size.width, mean(&stack));
    }
    Ok(())
}

fn mean(pixels: &[u8]) -> f64 {
    pixels.iter().map(|&value| f64::from(value)).sum::<f64>() / pixels.len() as f64
}
