//! Sizes of images and rectangular parts of images.

use crate::layout::MAX_IMAGE_BYTES;
use std::ops::Range;

/// Size of an image of u8 samples, stored row by row with interleaved channels.
///
/// # Example
///
/// ```
/// use clipshard::ImageSize;
///
/// let size = ImageSize { width: 224, height: 224, channels: 3 };
/// assert_eq!((size.bytes(), size.row_bytes()), (150_528, 672));
/// assert_eq!(size.to_string(), "224x224x3");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ImageSize {
    /// Pixels per row.
    pub width: u16,
    /// Number of rows.
    pub height: u16,
    /// Samples per pixel: 1 to 4.
    pub channels: u8,
}

impl ImageSize {
    /// Returns the size of the decoded image in bytes.
    pub fn bytes(self) -> usize {
        self.width as usize * self.height as usize * self.channels as usize
    }

    /// Returns the size of one row in bytes.
    pub fn row_bytes(self) -> usize {
        self.width as usize * self.channels as usize
    }

    /// Returns the window that covers the image.
    pub fn whole(self) -> Window {
        Window { x: 0, y: 0, width: self.width, height: self.height }
    }

    /// Returns whether the format can store the image: it has pixels, 1 to 4 channels and at most
    /// [`MAX_IMAGE_BYTES`].
    pub fn is_storable(self) -> bool {
        // The product is computed in 64 bits, because 65535 x 65535 x 4 overflows a 32-bit usize.
        let bytes = u64::from(self.width) * u64::from(self.height) * u64::from(self.channels);
        bytes > 0 && self.channels <= 4 && bytes <= MAX_IMAGE_BYTES as u64
    }
}

impl std::fmt::Display for ImageSize {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}x{}x{}", self.width, self.height, self.channels)
    }
}

/// A rectangular part of an image.
///
/// # Example
///
/// ```
/// use clipshard::{ImageSize, Window};
///
/// let image = ImageSize { width: 320, height: 240, channels: 3 };
/// let crop = Window { x: 48, y: 8, width: 224, height: 224 };
/// assert!(crop.is_inside(image));
/// assert_eq!(crop.bytes(image), 224 * 224 * 3);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Window {
    /// Column of its first pixel.
    pub x: u16,
    /// Row of its first pixel.
    pub y: u16,
    /// Pixels per row.
    pub width: u16,
    /// Number of rows.
    pub height: u16,
}

impl Window {
    /// Returns the size in bytes of this window of an image.
    pub fn bytes(self, image: ImageSize) -> usize {
        ImageSize { width: self.width, height: self.height, ..image }.bytes()
    }

    /// Returns whether the window is not empty and is inside an image of this size.
    pub fn is_inside(self, image: ImageSize) -> bool {
        self.width > 0
            && self.height > 0
            && self.columns().end <= image.width.into()
            && self.rows().end <= image.height.into()
    }

    pub(crate) fn columns(self) -> Range<usize> {
        usize::from(self.x)..usize::from(self.x) + usize::from(self.width)
    }

    pub(crate) fn rows(self) -> Range<usize> {
        usize::from(self.y)..usize::from(self.y) + usize::from(self.height)
    }
}

impl std::fmt::Display for Window {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}x{} at column {}, row {}", self.width, self.height, self.x, self.y)
    }
}
