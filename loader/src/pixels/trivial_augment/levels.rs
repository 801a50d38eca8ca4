//! Changes of the levels of RGB images, with the bytes of PIL's `ImageOps`.

/// Sets the `bits` lowest bits of each value to zero. `bits` is below 8.
pub(super) fn posterize(rgb: &mut [u8], bits: u16) {
    let mask = (0xff_u16 << bits) as u8;
    for v in rgb {
        *v &= mask;
    }
}

/// Inverts all values from `threshold` on. `threshold` is between 0 and 255.
pub(super) fn solarize(rgb: &mut [u8], threshold: f64) {
    let least = threshold.ceil() as u8;
    for v in rgb {
        *v = if *v >= least { !*v } else { *v };
    }
}

/// Stretches the values of each channel, so that they reach from 0 to 255.
pub(super) fn autocontrast(rgb: &mut [u8]) {
    let tables = extremes(rgb).map(|(low, high)| {
        let scale = 255.0 / f64::from(high.saturating_sub(low));
        let offset = -f64::from(low) * scale;
        // A channel of one value stays as it is.
        let stretched = |v: usize| (v as f64 * scale + offset) as u8;
        std::array::from_fn(|v| if high > low { stretched(v) } else { v as u8 })
    });
    map_channels(rgb, &tables);
}

/// Maps the values of each channel such that all parts of the range are about equally frequent.
pub(super) fn equalize(rgb: &mut [u8]) {
    let mut counts = [[0_u32; 256]; 3];
    for pixel in rgb.as_chunks::<3>().0 {
        for (counts, v) in counts.iter_mut().zip(pixel) {
            counts[usize::from(*v)] += 1;
        }
    }
    let pixels = (rgb.len() / 3) as u32;
    let tables = counts.map(|counts| {
        let of_largest = counts.iter().rev().find(|count| **count > 0).copied().unwrap_or(0);
        let step = (pixels - of_largest) / 255;
        let mut below = step / 2;
        std::array::from_fn(|v| {
            let level = below.checked_div(step).map_or(v as u32, |level| level.min(255));
            below += counts[v];
            level as u8
        })
    });
    map_channels(rgb, &tables);
}

/// Returns the smallest and the largest value of each channel.
fn extremes(rgb: &[u8]) -> [(u8, u8); 3] {
    // Blocks of 16 pixels fill whole registers, and each place in a block has one channel.
    let (mut low, mut high) = ([u8::MAX; 48], [0; 48]);
    for block in rgb.chunks(48) {
        for ((low, high), v) in low.iter_mut().zip(&mut high).zip(block) {
            *low = (*low).min(*v);
            *high = (*high).max(*v);
        }
    }
    std::array::from_fn(|channel| {
        let of_channel = |values: [u8; 48]| values.into_iter().skip(channel).step_by(3);
        (of_channel(low).min().unwrap_or(0), of_channel(high).max().unwrap_or(0))
    })
}

fn map_channels(rgb: &mut [u8], tables: &[[u8; 256]; 3]) {
    for pixel in rgb.as_chunks_mut::<3>().0 {
        for (v, table) in pixel.iter_mut().zip(tables) {
            *v = table[usize::from(*v)];
        }
    }
}
