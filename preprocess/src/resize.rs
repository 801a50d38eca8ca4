//! Antialiased bilinear resizing that equals Pillow's `Image.resize(size, Image.BILINEAR)`.
//!
//! The filter is a triangle whose width grows with the shrink factor. It runs in two passes, first
//! horizontally. Weights are 22-bit fixed-point numbers and sums are 32-bit integers, as in
//! Pillow's `src/libImaging/Resample.c`. The result is therefore the same on every machine, and so
//! are the bytes of shards.
//!
//! Results equal Pillow's bit for bit if Pillow also starts horizontally. Pillow 13 starts vertically
//! for some tall or widened images, which changes pixels by at most one level.

/// Fractional bits of a weight: 32, minus 8 for the sample, minus 2 for sums beyond 255.
const PRECISION_BITS: u32 = 22;
/// One half in the fixed-point sums.
const HALF: i32 = 1 << (PRECISION_BITS - 1);

/// Resizes images. It keeps weights and scratch memory for further images of the same sizes.
#[derive(Debug, Default)]
pub struct Resizer {
    columns: Taps,
    rows: Taps,
    between: Vec<u8>,
    sums: Vec<i32>,
}

/// Width and height in pixels.
pub type Extent = (usize, usize);

impl Resizer {
    /// Resizes `pixels` into `out`. Pixels are rows of interleaved samples; their length is
    /// `from.0 * from.1 * channels`.
    ///
    /// # Panics
    /// Panics if `pixels` has another length, or if an extent is empty.
    pub fn resize(&mut self, pixels: &[u8], from: Extent, to: Extent, channels: usize, out: &mut Vec<u8>) {
        assert_eq!(pixels.len(), from.0 * from.1 * channels, "pixels of another size");
        assert!(from.0 * from.1 * to.0 * to.1 * channels > 0, "an empty image cannot be resized");
        self.columns.set(from.0, to.0);
        self.rows.set(from.1, to.1);
        out.clear();
        match (from.0 == to.0, from.1 == to.1) {
            (true, true) => out.extend_from_slice(pixels),
            (true, false) => resize_rows(pixels, to.0 * channels, &self.rows, &mut self.sums, out),
            (false, true) => resize_columns(pixels, from.0, channels, &self.columns, out),
            (false, false) => {
                self.between.clear();
                resize_columns(pixels, from.0, channels, &self.columns, &mut self.between);
                resize_rows(&self.between, to.0 * channels, &self.rows, &mut self.sums, out);
            }
        }
    }
}

/// Weights along one axis. Each output sample is a weighted sum of `count` consecutive input
/// samples. `first` holds the index of the first of them.
#[derive(Debug, Default)]
struct Taps {
    length_in: usize,
    length_out: usize,
    count: usize,
    first: Vec<usize>,
    /// `count` weights per output sample, padded with zeros.
    weights: Vec<i32>,
}

impl Taps {
    fn set(&mut self, length_in: usize, length_out: usize) {
        if (self.length_in, self.length_out) == (length_in, length_out) {
            return;
        }
        let scale = length_in as f64 / length_out as f64;
        let support = scale.max(1.0);
        let windows: Vec<(usize, Vec<i32>)> =
            (0..length_out).map(|x| window((x as f64 + 0.5) * scale, support, length_in)).collect();
        let count = windows.iter().map(|(_, weights)| weights.len()).max().unwrap_or(1);
        *self = Self { length_in, length_out, count, first: Vec::new(), weights: vec![0; count * length_out] };
        for ((first, weights), padded) in windows.iter().zip(self.weights.chunks_exact_mut(count)) {
            // Near the far edge, the padded window moves back into the image.
            let start = (*first).min(length_in - count);
            padded[first - start..first - start + weights.len()].copy_from_slice(weights);
            self.first.push(start);
        }
    }
}

/// Returns the first sample and the weights of a triangle around `center` that extends `support` to
/// each side.
fn window(center: f64, support: f64, length: usize) -> (usize, Vec<i32>) {
    let from = ((center - support + 0.5) as i64).max(0) as usize;
    let to = ((center + support + 0.5) as usize).min(length);
    let mut weights: Vec<f64> =
        (from..to).map(|x| (1.0 - ((x as f64 - center + 0.5) / support).abs()).max(0.0)).collect();
    let sum = weights.iter().fold(0.0, |sum, weight| sum + weight);
    if sum != 0.0 {
        for weight in &mut weights {
            *weight /= sum;
        }
    }
    (from, weights.iter().map(|weight| (0.5 + weight * f64::from(1 << PRECISION_BITS)) as i32).collect())
}

fn sample(sum: i32) -> u8 {
    (sum >> PRECISION_BITS).clamp(0, 255) as u8
}

fn resize_columns(pixels: &[u8], width: usize, channels: usize, taps: &Taps, out: &mut Vec<u8>) {
    // Constant numbers of channels and taps let the compiler unroll and vectorise the loops. These
    // cases cover the usual images.
    match (channels, taps.count) {
        (1, 2) => columns_fixed::<1, 2>(pixels, width, taps, out),
        (1, 3) => columns_fixed::<1, 3>(pixels, width, taps, out),
        (1, 4) => columns_fixed::<1, 4>(pixels, width, taps, out),
        (1, 5) => columns_fixed::<1, 5>(pixels, width, taps, out),
        (3, 3) => columns_fixed::<3, 3>(pixels, width, taps, out),
        (3, 4) => columns_fixed::<3, 4>(pixels, width, taps, out),
        (3, 5) => columns_fixed::<3, 5>(pixels, width, taps, out),
        _ => {
            for row in pixels.chunks_exact(width * channels) {
                for (&first, weights) in taps.first.iter().zip(taps.weights.chunks_exact(taps.count)) {
                    for channel in 0..channels {
                        let near = row[first * channels + channel..].iter().step_by(channels);
                        let sum = weights.iter().zip(near).fold(HALF, |sum, (&w, &p)| sum + i32::from(p) * w);
                        out.push(sample(sum));
                    }
                }
            }
        }
    }
}

fn columns_fixed<const CHANNELS: usize, const TAPS: usize>(
    pixels: &[u8],
    width: usize,
    taps: &Taps,
    out: &mut Vec<u8>,
) {
    let (weights, _) = taps.weights.as_chunks::<TAPS>();
    let row_out = taps.length_out * CHANNELS;
    let start = out.len();
    out.resize(start + pixels.len() / (width * CHANNELS) * row_out, 0);
    for (row, out) in pixels.chunks_exact(width * CHANNELS).zip(out[start..].chunks_exact_mut(row_out)) {
        let (row, _) = row.as_chunks::<CHANNELS>();
        let (out, _) = out.as_chunks_mut::<CHANNELS>();
        for ((&first, weights), out) in taps.first.iter().zip(weights).zip(out) {
            let mut sums = [HALF; CHANNELS];
            for (pixel, &weight) in row[first..first + TAPS].iter().zip(weights) {
                for (sum, &p) in sums.iter_mut().zip(pixel) {
                    *sum += i32::from(p) * weight;
                }
            }
            *out = sums.map(sample);
        }
    }
}

fn resize_rows(pixels: &[u8], row_bytes: usize, taps: &Taps, sums: &mut Vec<i32>, out: &mut Vec<u8>) {
    sums.resize(row_bytes, 0);
    for (&first, weights) in taps.first.iter().zip(taps.weights.chunks_exact(taps.count)) {
        sums.fill(HALF);
        for (row, &weight) in pixels[first * row_bytes..].chunks_exact(row_bytes).zip(weights) {
            for (sum, &p) in sums.iter_mut().zip(row) {
                *sum += i32::from(p) * weight;
            }
        }
        out.extend(sums.iter().map(|&sum| sample(sum)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resized(pixels: &[u8], from: Extent, to: Extent, channels: usize) -> Vec<u8> {
        let mut out = Vec::new();
        Resizer::default().resize(pixels, from, to, channels, &mut out);
        out
    }

    #[test]
    fn a_constant_image_stays_constant() {
        for (from, to) in [((340, 256), (224, 224)), ((1, 1), (7, 5)), ((5, 300), (17, 3)), ((33, 20), (20, 20))] {
            for channels in [1, 3] {
                let out = resized(&vec![137; from.0 * from.1 * channels], from, to, channels);
                assert_eq!(out, vec![137; to.0 * to.1 * channels]);
            }
        }
    }

    #[test]
    fn unrolled_columns_equal_plain_ones() {
        let pixels: Vec<u8> = (0..60 * 7 * 3).map(|i: u32| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        for width_out in [20, 25, 31, 40, 59, 60, 90] {
            let mut taps = Taps::default();
            taps.set(60, width_out);
            for channels in [1, 3] {
                let mut unrolled = Vec::new();
                resize_columns(&pixels, 60, channels, &taps, &mut unrolled);
                let plain: Vec<u8> = pixels
                    .chunks_exact(60 * channels)
                    .flat_map(|row| {
                        let taps = &taps;
                        (0..width_out * channels).map(move |i| {
                            let (x, channel) = (i / channels, i % channels);
                            let sum: i32 = (0..taps.count)
                                .map(|t| {
                                    i32::from(row[(taps.first[x] + t) * channels + channel])
                                        * taps.weights[x * taps.count + t]
                                })
                                .sum();
                            sample(sum + HALF)
                        })
                    })
                    .collect();
                assert_eq!(unrolled, plain, "60 to {width_out}, {channels} channels, {} taps", taps.count);
            }
        }
    }

    #[test]
    fn a_resizer_that_changes_sizes_gives_what_a_new_one_gives() {
        let pixels: Vec<u8> = (0..40 * 30).map(|i| (i * 7 % 256) as u8).collect();
        let mut resizer = Resizer::default();
        let mut out = Vec::new();
        for to in [(20, 20), (50, 10), (40, 30), (20, 20)] {
            resizer.resize(&pixels, (40, 30), to, 1, &mut out);
            assert_eq!(out, resized(&pixels, (40, 30), to, 1));
        }
    }

    /// Computes the test pixels with the formula of `make_goldens.py`, which made the expected
    /// pixels with Pillow.
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
        let mut goldens: &[u8] = include_bytes!("../tests/goldens/pil_bilinear.bin");
        let mut resizer = Resizer::default();
        let mut cases = 0;
        while let Some((header, rest)) = goldens.split_first_chunk::<10>() {
            let field = |i: usize| usize::from(u16::from_le_bytes([header[2 * i], header[2 * i + 1]]));
            let (from, to, channels) = ((field(0), field(1)), (field(2), field(3)), field(4));
            let (expected, rest) = rest.split_at(to.0 * to.1 * channels);
            let mut out = Vec::new();
            resizer.resize(&pixels(from.0 as u64, from.1 as u64, channels as u64), from, to, channels, &mut out);
            let worst = out.iter().zip(expected).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
            // Pillow 13 resizes tall images vertically first and rounds in between.
            let tolerance = u8::from(from.1 > from.0);
            assert!(worst <= tolerance, "{from:?} to {to:?}, {channels} channels: {worst}");
            goldens = rest;
            cases += 1;
        }
        assert_eq!(cases, 12);
    }
}
