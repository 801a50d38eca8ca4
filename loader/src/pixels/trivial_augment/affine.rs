//! Shears, translates and rotates RGB images, with the bytes of PIL's `Image.transform`.

use std::ops::Range;

/// A number of pixels with 16 binary places.
type Fixed = i64;
const ONE: Fixed = 1 << 16;

/// A map from places in the result to places in the image, in pixels from its top left corner.
///
/// The values of `x` and `y` are the factors of the column and of the row, and a constant.
#[derive(Clone, Copy, Debug)]
pub(super) struct Affine {
    x: [f64; 3],
    y: [f64; 3],
}

impl Affine {
    /// Moves row `y` to the left by `share * y`.
    pub fn shear_x(share: f64) -> Self {
        Self { x: [1.0, share, 0.0], y: [0.0, 1.0, 0.0] }
    }

    /// Moves column `x` up by `share * x`.
    pub fn shear_y(share: f64) -> Self {
        Self { x: [1.0, 0.0, 0.0], y: [share, 1.0, 0.0] }
    }

    /// Moves the image to the right and down.
    pub fn translate(right: f64, down: f64) -> Self {
        Self { x: [1.0, 0.0, -right], y: [0.0, 1.0, -down] }
    }

    /// Rotates a square image anticlockwise about its middle.
    pub fn rotate(degrees: f64, side: usize) -> Self {
        let (sin, cos) = (-degrees.to_radians()).sin_cos();
        let middle = side as f64 / 2.0;
        let constant = |column: f64, row: f64| middle - column * middle - row * middle;
        Self { x: [cos, sin, constant(cos, sin)], y: [-sin, cos, constant(-sin, cos)] }
    }

    /// Applies the map to a square image of interleaved RGB pixels. Each pixel becomes the nearest
    /// one, and black where the image ends. Uses `scratch` for a copy of the image.
    pub fn apply(self, rgb: &mut [u8], side: usize, scratch: &mut Vec<u8>) {
        scratch.clear();
        scratch.extend_from_slice(rgb);
        let source = scratch.as_chunks::<3>().0;
        let [x, y] = [self.x, self.y].map(Line::new);
        for (row, pixels) in rgb.as_chunks_mut::<3>().0.chunks_exact_mut(side).enumerate() {
            let (x_start, y_start) = (x.start_of_row(row), y.start_of_row(row));
            let in_x = inside(x_start, x.per_column, side);
            let in_y = inside(y_start, y.per_column, side);
            let start = in_x.start.max(in_y.start);
            let shown = start..in_x.end.min(in_y.end).max(start);
            pixels[..shown.start].fill([0; 3]);
            pixels[shown.end..].fill([0; 3]);
            let place = |column: usize| {
                let at = |start: Fixed, per_column: Fixed| ((start + column as Fixed * per_column) >> 16) as usize;
                at(y_start, y.per_column) * side + at(x_start, x.per_column)
            };
            if (x.per_column, y.per_column) == (ONE, 0) && !shown.is_empty() {
                let first = place(shown.start);
                let count = shown.len();
                pixels[shown].copy_from_slice(&source[first..first + count]);
                continue;
            }
            for (column, pixel) in shown.clone().zip(&mut pixels[shown]) {
                *pixel = source[place(column)];
            }
        }
    }
}

/// One coordinate of a map, at the middles of pixels.
#[derive(Clone, Copy)]
struct Line {
    per_column: Fixed,
    per_row: Fixed,
    start: Fixed,
}

impl Line {
    fn new([per_column, per_row, constant]: [f64; 3]) -> Self {
        let fixed = |value: f64| (value * ONE as f64 + 0.5).floor() as Fixed;
        let start = fixed(constant + per_column * 0.5 + per_row * 0.5);
        Self { per_column: fixed(per_column), per_row: fixed(per_row), start }
    }

    /// Returns the coordinate of the first pixel of a row.
    fn start_of_row(self, row: usize) -> Fixed {
        self.start + row as Fixed * self.per_row
    }
}

/// Returns the columns below `side` whose coordinate is at least 0 and below `side`.
fn inside(start: Fixed, per_column: Fixed, side: usize) -> Range<usize> {
    let (columns, end) = (side as Fixed, side as Fixed * ONE);
    // A falling line counts from the other end.
    let (start, step) = if per_column < 0 { (end - 1 - start, -per_column) } else { (start, per_column) };
    if step == 0 {
        return if (0..end).contains(&start) { 0..side } else { 0..0 };
    }
    // The first column whose coordinate is at least `value`: the distance over the step, rounded up.
    let first_from = |value: Fixed| ((value - start + step - 1).div_euclid(step)).clamp(0, columns) as usize;
    first_from(0)..first_from(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_columns_inside_are_those_that_a_search_finds() {
        for start in [-700_000, -65_537, -1, 0, 1, 40_000, 327_679, 327_680, 900_000] {
            for step in [-70_000, -65_536, -3, 0, 1, 65_536, 123_456, 400_000] {
                let is_inside = |column: &usize| (0..5 * ONE).contains(&(start + *column as Fixed * step));
                let expected: Vec<usize> = (0..5).filter(is_inside).collect();
                let found = inside(start, step, 5);
                assert!(found.clone().eq(expected), "{start} {step}: {found:?}");
            }
        }
    }
}
