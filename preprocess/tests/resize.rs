//! Resizing against Pillow. `make_goldens.py` made the expected pixels.

use ucfpack::resize::Resizer;

/// The formula of `make_goldens.py`.
fn pixels(width: u64, height: u64, channels: u64) -> Vec<u8> {
    let mut out = Vec::new();
    for y in 0..height {
        for x in 0..width {
            for c in 0..channels {
                let noise = (x * 2_654_435_761 + y * 40_503 + c * 97).wrapping_mul(2_246_822_519) >> 24 & 0xff;
                out.push(((x * 7 + y * 13 + c * 50 + noise / 2) % 256) as u8);
            }
        }
    }
    out
}

#[test]
fn resized_images_equal_those_of_pillow() {
    let mut goldens: &[u8] = include_bytes!("goldens/pil_bilinear.bin");
    let mut resizer = Resizer::default();
    let mut cases = 0;
    while let Some((header, rest)) = goldens.split_first_chunk::<10>() {
        let field = |i: usize| usize::from(u16::from_le_bytes([header[2 * i], header[2 * i + 1]]));
        let (from, to, channels) = ((field(0), field(1)), (field(2), field(3)), field(4));
        let (expected, rest) = rest.split_at(to.0 * to.1 * channels);
        let mut out = Vec::new();
        resizer.resize(&pixels(from.0 as u64, from.1 as u64, channels as u64), from, to, channels, &mut out);
        let worst = out.iter().zip(expected).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
        // Pillow 13 takes the vertical pass of tall images first, and rounds after it.
        let tolerance = u8::from(from.1 > from.0);
        assert!(worst <= tolerance, "{from:?} to {to:?}, {channels} channels: {worst}");
        goldens = rest;
        cases += 1;
    }
    assert_eq!(cases, 12);
}
