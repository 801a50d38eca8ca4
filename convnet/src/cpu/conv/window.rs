//! The source rows that a block of destination pixels needs, with a border of zeros.
//!
//! A block copies only its own rows, so they stay in cache until it multiplies them.
#![allow(unsafe_code)]

use crate::cpu::aligned::Aligned;
use crate::cpu::element::Element;
use crate::cpu::unwritten::Unwritten;
use crate::geometry::Images;
use std::mem::MaybeUninit;
use std::ops::Range;

/// A border of zeros around images, in pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Border {
    pub top: usize,
    pub bottom: usize,
    pub left: usize,
    pub right: usize,
}

/// Source rows of some images. Blocks reuse the memory.
#[derive(Default)]
pub(crate) struct Window<T> {
    copy: Aligned<T>,
    /// For each image: its first row, and the place of this row in the values.
    pub images: Vec<(isize, usize)>,
}

impl<T: Element> Window<T> {
    /// Returns rows of consecutive images with columns of zeros at the left and the right, and `slack`
    /// zeros at the end. Rows outside of an image are zeros.
    ///
    /// `first` is the first image, and `rows` are the rows of each image. If nothing is added to the
    /// images, the result is `src`.
    pub(crate) fn fill<'a>(
        &'a mut self,
        src: &'a [T],
        images: Images,
        (border, slack): (Border, usize),
        first: usize,
        rows: impl Iterator<Item = Range<isize>>,
    ) -> (&'a [T], &'a [(isize, usize)]) {
        let (image, Border { left, right, .. }) = (images.h * images.w * images.c, border);
        self.images.clear();
        if border == Border::default() && slack == 0 {
            self.images.extend(rows.enumerate().map(|(at, _)| (0, (first + at) * image)));
            return (src, &self.images);
        }
        let width = (left + images.w + right) * images.c;
        let rows: Vec<Range<isize>> = rows.collect();
        let mut len = 0;
        for rows in &rows {
            self.images.push((rows.start, len));
            len += rows.len() * width;
        }
        let mut copy = Unwritten::reusing(std::mem::take(&mut self.copy), len + slack);
        let mut rest = copy.slots();
        for (at, rows) in rows.iter().enumerate() {
            let (out, after) = rest.split_at_mut(rows.len() * width);
            copy_rows(&src[(first + at) * image..][..image], images, rows.start, (left, right), out);
            rest = after;
        }
        rest.fill(MaybeUninit::new(T::default()));
        // SAFETY: the rows of all images were written, and the slack after them.
        self.copy = unsafe { copy.into_aligned() };
        (&self.copy, &self.images)
    }
}

/// Returns the image of the first of `bands`, and the bands of each image from this one on, counted from the start
/// of the image.
pub(crate) fn bands_by_image(bands: &Range<usize>, per_image: usize) -> (usize, impl Iterator<Item = Range<usize>>) {
    let Range { start, end } = *bands;
    let of_image = move |image: usize| {
        let before = image * per_image;
        start.max(before) - before..end.min(before + per_image) - before
    };
    (start / per_image, (start / per_image..end.div_ceil(per_image)).map(of_image))
}

/// Writes rows of an image, from row `first` on, with zeros at the left and the right. Rows outside of
/// the image are zeros. `out` has whole rows.
fn copy_rows<T: Element>(
    image: &[T],
    Images { h, w, c, .. }: Images,
    first: isize,
    (left, right): (usize, usize),
    out: &mut [MaybeUninit<T>],
) {
    let zero = |slots: &mut [MaybeUninit<T>]| slots.fill(MaybeUninit::new(T::default()));
    for (y, out) in (first..).zip(out.chunks_exact_mut((left + w + right) * c)) {
        if !(0..h as isize).contains(&y) {
            zero(out);
            continue;
        }
        let (before, out) = out.split_at_mut(left * c);
        let (inside, after) = out.split_at_mut(w * c);
        zero(before);
        inside.write_copy_of_slice(&image[y as usize * w * c..][..w * c]);
        zero(after);
    }
}
