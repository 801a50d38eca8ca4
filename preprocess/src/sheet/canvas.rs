//! An RGB image to draw on.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use super::font;

pub(super) struct Canvas {
    pub width: usize,
    pub height: usize,
    /// Rows of interleaved RGB samples.
    pub pixels: Vec<u8>,
}

impl Canvas {
    pub fn new(width: usize, height: usize, colour: [u8; 3]) -> Self {
        Self { width, height, pixels: colour.repeat(width * height) }
    }

    /// Sets a pixel. Does nothing outside the image.
    pub fn set(&mut self, x: usize, y: usize, colour: [u8; 3]) {
        if x < self.width && y < self.height {
            let at = (y * self.width + x) * 3;
            self.pixels[at..at + 3].copy_from_slice(&colour);
        }
    }

    /// Copies an RGB image to a position.
    pub fn place(&mut self, x: usize, y: usize, pixels: &[u8], width: usize, height: usize) {
        let (pixels, _) = pixels.as_chunks::<3>();
        for (j, row) in pixels.chunks_exact(width).take(height).enumerate() {
            for (i, &colour) in row.iter().enumerate() {
                self.set(x + i, y + j, colour);
            }
        }
    }

    /// Writes a line of text with letters of height `7 * size` and without accents. Returns the x
    /// coordinate of its end.
    pub fn text(&mut self, x: usize, y: usize, size: usize, colour: [u8; 3], text: &str) -> usize {
        let mut left = x;
        for letter in text.nfd().filter(|&letter| !is_combining_mark(letter)) {
            for (column, bits) in font::columns(letter).into_iter().enumerate() {
                for row in (0..8).filter(|row| bits >> row & 1 == 1) {
                    for i in 0..size * size {
                        self.set(left + column * size + i % size, y + row * size + i / size, colour);
                    }
                }
            }
            left += font::ADVANCE * size;
        }
        left
    }
}
