//! Chroma smoothing and conversion from YCbCr to RGB, with the same results as libjpeg
//! (`jdsample.c`, `jdcolor.c`).

use super::kernels::{CHUNK, Kernels};
use super::plane::{Plane, SLACK};
use crate::geometry::Window;

/// Memory for one row of the image.
#[derive(Default)]
pub(super) struct Rows {
    /// Vertically smoothed chroma samples, not yet divided.
    sums: Vec<u16>,
    /// A row of each chroma plane at the resolution of the image.
    chroma: [Vec<u8>; 2],
}

impl Rows {
    /// Writes a window as RGB. A chroma sample covers `h` pixels horizontally and `v` pixels
    /// vertically.
    #[inline(always)]
    pub fn write_rgb<K: Kernels>(
        &mut self,
        luma: &Plane,
        chroma: &[Plane; 2],
        (h, v): (usize, usize),
        window: Window,
        out: &mut [u8],
    ) {
        let (x, width) = (window.columns().start, window.columns().len());
        let columns = x / h..(x + width - 1) / h + 1;
        for row in &mut self.chroma {
            row.resize(h * columns.len() + SLACK, 0);
        }
        self.sums.resize(columns.len() + 2, 0);
        for (y, out) in window.rows().zip(out.chunks_exact_mut(3 * width)) {
            for (plane, row) in chroma.iter().zip(&mut self.chroma) {
                smooth(plane, (h, v), y, &columns, &mut self.sums, row);
            }
            let from = x - columns.start * h;
            let [blue, red] = &self.chroma;
            let luma = &luma.row(y)[x - 8 * luma.columns.start..];
            write_row::<K>(luma, &blue[from..], &red[from..], out);
        }
    }
}

/// Computes row `y` of a chroma plane at the resolution of the image, starting at column
/// `h * columns.start`.
///
/// Chroma samples are located between pixels. In each direction, a pixel gets three quarters of the
/// nearest sample and one quarter of the next sample.
#[inline(always)]
fn smooth(
    plane: &Plane,
    (h, v): (usize, usize),
    y: usize,
    columns: &std::ops::Range<usize>,
    sums: &mut [u16],
    out: &mut [u8],
) {
    let near = y / v;
    let is_lower = y % v == 1;
    // Outside of the image, the samples at the edge are repeated.
    let far = if v == 1 {
        near
    } else if is_lower {
        (near + 1).min(plane.height - 1)
    } else {
        near.saturating_sub(1)
    };
    let from = 8 * plane.columns.start;
    let (near, far) = (plane.row(near), plane.row(far));
    let n = columns.len();
    let (near_part, far_part) = (&near[columns.start - from..][..n], &far[columns.start - from..][..n]);
    if h == 1 {
        let bias = if is_lower { 2 } else { 1 };
        if v == 1 {
            out[..n].copy_from_slice(near_part);
        } else {
            for i in 0..n {
                out[i] = ((3 * u16::from(near_part[i]) + u16::from(far_part[i]) + bias) >> 2) as u8;
            }
        }
        return;
    }
    let sum = |column: usize| {
        let (near, far) = (u16::from(near[column - from]), u16::from(far[column - from]));
        if v == 1 { near } else { 3 * near + far }
    };
    sums[0] = sum(columns.start.saturating_sub(1));
    sums[n + 1] = sum(columns.end.min(plane.width - 1));
    let sums = &mut sums[..n + 2];
    if v == 1 {
        for i in 0..n {
            sums[i + 1] = near_part[i].into();
        }
    } else {
        for i in 0..n {
            sums[i + 1] = 3 * u16::from(near_part[i]) + u16::from(far_part[i]);
        }
    }
    let (left, middle, right) = (&sums[..n], &sums[1..=n], &sums[2..n + 2]);
    let out = &mut out.as_chunks_mut::<2>().0[..n];
    // These are the biases of libjpeg.
    let (biases, shift) = if v == 1 { ([1, 2], 2) } else { ([8, 7], 4) };
    for i in 0..n {
        let near = 3 * middle[i];
        out[i] = [((near + left[i] + biases[0]) >> shift) as u8, ((near + right[i] + biases[1]) >> shift) as u8];
    }
}

/// Writes a row of RGB. The inputs are longer than the row by at least [`SLACK`].
#[inline(always)]
fn write_row<K: Kernels>(luma: &[u8], blue: &[u8], red: &[u8], out: &mut [u8]) {
    let mut at = 0;
    let mut chunks = out.chunks_exact_mut(3 * CHUNK);
    for out in &mut chunks {
        K::convert(chunk(luma, at), chunk(blue, at), chunk(red, at), out.try_into().expect("a chunk"));
        at += CHUNK;
    }
    let rest = chunks.into_remainder();
    if !rest.is_empty() {
        let mut whole = [0; 3 * CHUNK];
        K::convert(chunk(luma, at), chunk(blue, at), chunk(red, at), &mut whole);
        rest.copy_from_slice(&whole[..rest.len()]);
    }
}

#[inline(always)]
fn chunk(row: &[u8], at: usize) -> &[u8; CHUNK] {
    row[at..at + CHUNK].try_into().expect("a chunk")
}

/// Factors times 2^16 without their whole parts: Cr in red, Cb and Cr in green, Cb in blue.
pub(super) const RED: i16 = 26345;
pub(super) const GREEN: [i32; 2] = [-22554, 18734];
pub(super) const BLUE: i16 = -14942;

/// Converts pixels: R = Y + 1.402 Cr, G = Y - 0.34414 Cb - 0.71414 Cr, B = Y + 1.772 Cb.
///
/// Each term is rounded like libjpeg's tables of 16-bit fractions. The whole parts of the factors
/// are added separately, so that the fractions fit 16 bits.
#[inline(always)]
pub(super) fn convert(luma: &[u8; CHUNK], blue: &[u8; CHUNK], red: &[u8; CHUNK], out: &mut [u8; 3 * CHUNK]) {
    for i in 0..CHUNK {
        let (y, cb, cr) = (i16::from(luma[i]), i16::from(blue[i]) - 128, i16::from(red[i]) - 128);
        let green = (i32::from(cb) * GREEN[0] + i32::from(cr) * GREEN[1] + 32768) >> 16;
        out[3 * i] = (y + cr + rounded(cr, RED)).clamp(0, 255) as u8;
        out[3 * i + 1] = (y - cr + green as i16).clamp(0, 255) as u8;
        out[3 * i + 2] = (y + 2 * cb + rounded(cb, BLUE)).clamp(0, 255) as u8;
    }
}

/// Computes `(x * factor + 2^15) >> 16` from the upper half of a 16-bit product.
#[inline(always)]
fn rounded(x: i16, factor: i16) -> i16 {
    (((i32::from(2 * x) * i32::from(factor)) >> 16) as i16 + 1) >> 1
}

/// Writes a window of luma to every channel.
pub(super) fn write_grey(luma: &Plane, window: Window, channels: usize, out: &mut [u8]) {
    let width = window.columns().len();
    for (y, out) in window.rows().zip(out.chunks_exact_mut(channels * width)) {
        let row = &luma.row(y)[window.columns().start - 8 * luma.columns.start..][..width];
        if channels == 1 {
            out.copy_from_slice(row);
        } else {
            for (pixel, &value) in out.chunks_exact_mut(channels).zip(row) {
                pixel.fill(value);
            }
        }
    }
}
