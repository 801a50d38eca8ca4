//! The shape of a record: its dimensions and the type of its samples.

use crate::error::{Error, Result};
use crate::geometry::ImageSize;
use crate::layout::MAX_IMAGE_BYTES;
use crate::samples::SampleType;
use std::fmt;

/// Largest number of dimensions of an array.
pub(crate) const MAX_RANK: usize = 4;

/// The shape of a record: an image or an array, and the type of its samples.
///
/// An image has the dimensions `[height, width, channels]`. An array has 1 to 4 dimensions.
///
/// # Example
///
/// ```
/// use clipshard::{ImageSize, SampleType, Shape};
///
/// let depth = Shape::image(ImageSize { width: 640, height: 480, channels: 1 }, SampleType::U16);
/// assert_eq!((depth.dims(), depth.bytes()), (&[480, 640, 1][..], 614_400));
/// let poses = Shape::array(&[2, 17, 3], SampleType::F32)?; // people, joints, coordinates
/// assert_eq!(poses.to_string(), "[2, 17, 3] f32");
/// # Ok::<(), clipshard::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shape {
    samples: SampleType,
    is_image: bool,
    rank: u8,
    dims: [u32; MAX_RANK],
}

impl Shape {
    /// Creates the shape of an image.
    pub fn image(size: ImageSize, samples: SampleType) -> Self {
        let dims = [size.height.into(), size.width.into(), size.channels.into(), 0];
        Self { samples, is_image: true, rank: 3, dims }
    }

    /// Creates the shape of an array.
    ///
    /// # Errors
    ///
    /// Returns [`Error::Usage`] unless there are 1 to 4 dimensions.
    pub fn array(dims: &[u32], samples: SampleType) -> Result<Self> {
        if dims.is_empty() || dims.len() > MAX_RANK {
            return Err(Error::Usage(format!("an array has 1 to {MAX_RANK} dimensions, not {}", dims.len())));
        }
        let mut all = [0; MAX_RANK];
        all[..dims.len()].copy_from_slice(dims);
        Ok(Self { samples, is_image: false, rank: dims.len() as u8, dims: all })
    }

    /// Returns the type of the samples.
    pub fn samples(&self) -> SampleType {
        self.samples
    }

    /// Returns the dimensions, outermost first: `[height, width, channels]` for an image.
    pub fn dims(&self) -> &[u32] {
        &self.dims[..usize::from(self.rank)]
    }

    /// Returns whether this is an image, not an array.
    pub fn is_image(&self) -> bool {
        self.is_image
    }

    /// Returns the size if this is an image. [`ImageSize::bytes`] holds for u8 samples only.
    pub fn image_size(&self) -> Option<ImageSize> {
        let [height, width, channels, _] = self.dims;
        // `image` made the dimensions from these types.
        self.is_image.then_some(ImageSize { width: width as u16, height: height as u16, channels: channels as u8 })
    }

    /// Returns the size if this is an image of u8 samples.
    pub fn u8_image_size(&self) -> Option<ImageSize> {
        self.image_size().filter(|_| self.samples == SampleType::U8)
    }

    /// Returns the number of bytes of the decoded record.
    pub fn bytes(&self) -> usize {
        usize::try_from(self.wide_bytes()).unwrap_or(usize::MAX)
    }

    /// Returns the number of bytes of a row: of everything with the same first coordinate.
    pub fn row_bytes(&self) -> usize {
        self.dims()[1..].iter().fold(self.samples.bytes(), |bytes, &dim| bytes.saturating_mul(dim as usize))
    }

    /// Returns the number of bytes in a type that four dimensions cannot overflow.
    fn wide_bytes(&self) -> u128 {
        // Four factors below 2^32 and the bytes of a sample stay below 2^131, so the product saturates.
        let product = |bytes: u128, &dim: &u32| bytes.saturating_mul(dim.into());
        self.dims().iter().fold(self.samples.bytes() as u128, product)
    }

    /// Returns whether the format can store the shape.
    ///
    /// It has at most [`MAX_IMAGE_BYTES`] bytes. An image has pixels and 1 to 4 channels. Only the
    /// first dimension of an array may be 0.
    pub fn is_storable(&self) -> bool {
        let inner = if self.is_image { self.dims() } else { &self.dims()[1..] };
        let has_channels = !self.is_image || self.dims[2] <= 4;
        has_channels && inner.iter().all(|&dim| dim > 0) && self.wide_bytes() <= MAX_IMAGE_BYTES as u128
    }

    /// Returns whether the array has no samples, as the boxes of a frame without objects.
    pub fn is_empty(&self) -> bool {
        self.dims().contains(&0)
    }
}

impl From<ImageSize> for Shape {
    /// Creates the shape of an image of u8 samples.
    fn from(size: ImageSize) -> Self {
        Self::image(size, SampleType::U8)
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.image_size() {
            Some(size) if self.samples == SampleType::U8 => size.fmt(f),
            Some(size) => write!(f, "{size} {}", self.samples),
            None => write!(f, "{:?} {}", self.dims(), self.samples),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_products_and_never_overflow() {
        let array = |dims: &[u32]| Shape::array(dims, SampleType::F32).unwrap();
        assert_eq!((array(&[5, 17, 3]).bytes(), array(&[5, 17, 3]).row_bytes()), (1020, 204));
        assert_eq!((array(&[7]).bytes(), array(&[7]).row_bytes()), (28, 4));
        let huge = array(&[u32::MAX; 4]);
        assert!(!huge.is_storable() && huge.bytes() == usize::MAX && huge.row_bytes() == usize::MAX);
        assert!(array(&[1 << 26]).is_storable() && !array(&[(1 << 26) + 1]).is_storable());
        assert!(array(&[0, 4]).is_storable() && array(&[0, 4]).is_empty() && !array(&[4, 0]).is_storable());
        assert!(Shape::array(&[], SampleType::U8).is_err() && Shape::array(&[1; 5], SampleType::U8).is_err());
        let image = |width, height, channels| Shape::image(ImageSize { width, height, channels }, SampleType::U16);
        assert!(image(65_535, 2, 2).is_storable() && !image(65_535, 65_535, 1).is_storable());
        assert!(!image(0, 2, 1).is_storable() && !image(2, 2, 0).is_storable() && !image(2, 2, 5).is_storable());
        assert_eq!(image(6, 4, 2).image_size(), Some(ImageSize { width: 6, height: 4, channels: 2 }));
        assert_eq!((image(6, 4, 2).u8_image_size(), image(6, 4, 2).to_string()), (None, "6x4x2 u16".into()));
    }
}
