//! A clip that is added to a dataset: its description and its frames.

use crate::attributes::Attributes;
use crate::error::{Error, Result};
use crate::manifest::Subset;
use crate::metadata::{ShardClip, ShardMetadata};
use crate::samples::{Sample, to_little_endian};
use crate::shape::Shape;
use std::borrow::Cow;
use std::fmt;
use zerocopy::IntoBytes;

/// The description of a clip that is added to a dataset.
///
/// # Example
///
/// ```
/// use clipshard::{NewClip, Subset};
///
/// let mut clip = NewClip::new("v_Wave_g01_c01", 0, vec![Subset::Train]).with_group("g01");
/// clip.attributes.set("fps", 25);
/// let unlabelled = NewClip::new("v_Other_g01_c01", None, vec![Subset::Unused]);
/// assert_eq!(unlabelled.label, None);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NewClip {
    /// Name of the clip, unique in the dataset, of 1 to 65535 bytes.
    pub id: String,
    /// Its class, as an index into the classes of the dataset. `None` for a clip without a label.
    pub label: Option<u32>,
    /// Its subset in each split of the dataset.
    pub subsets: Vec<Subset>,
    /// Name of its group, of 1 to 65535 bytes. The clips of a group have, for example, the same
    /// actor, and belong on the same side of a split.
    pub group: Option<String>,
    /// Anything else that is worth knowing about the clip.
    pub attributes: Attributes,
}

impl NewClip {
    /// Describes a clip without a group and attributes. `label` is the number of a class, or
    /// `None`.
    pub fn new(id: impl Into<String>, label: impl Into<Option<u32>>, subsets: Vec<Subset>) -> Self {
        Self { id: id.into(), label: label.into(), subsets, group: None, attributes: Attributes::new() }
    }

    /// Sets the group.
    #[must_use]
    pub fn with_group(self, group: impl Into<String>) -> Self {
        Self { group: Some(group.into()), ..self }
    }

    /// Replaces the attributes.
    #[must_use]
    pub fn with_attributes(self, attributes: Attributes) -> Self {
        Self { attributes, ..self }
    }

    /// Checks the description and returns it in the form of a shard.
    pub(super) fn describe(&self, dataset: &ShardMetadata) -> Result<Described> {
        let usage = |fault: String| Error::Usage(format!("clip {}: {fault}", self.id));
        let sizes = [("its id", Some(self.id.len())), ("its group", self.group.as_ref().map(String::len))];
        for (what, bytes) in sizes {
            if let Some(bytes) = bytes.filter(|bytes| !(1..=usize::from(u16::MAX)).contains(bytes)) {
                let start: String = self.id.chars().take(60).collect();
                return Err(Error::Usage(format!("clip {start:?}: {what} has {bytes} bytes, not 1 to 65535")));
            }
        }
        // A subset that was not made by `Subset::from` may have the name of another one.
        let subsets = self.subsets.iter().map(|subset| Subset::from(subset.name())).collect();
        let mut clip = ShardClip::new(self.label, subsets);
        clip.attributes = self.attributes.clone();
        dataset.check_clip(&clip).map_err(usage)?;
        Ok(Described { id: self.id.clone(), clip, group: self.group.clone() })
    }
}

/// The description of a clip in the form of a shard.
#[derive(Clone, Debug)]
pub(super) struct Described {
    pub(super) id: String,
    pub(super) clip: ShardClip,
    pub(super) group: Option<String>,
}

impl Described {
    /// Returns an upper bound for the size of the description in a shard's metadata.
    pub(super) fn bytes(&self) -> u64 {
        // JSON writes a byte as at most six.
        let subsets: usize = self.clip.subsets.iter().map(|subset| 6 * subset.name().len() + 3).sum();
        let group = self.group.as_ref().map_or(0, |group| 6 * (self.id.len() + group.len()) + 6);
        (100 + subsets + group + self.clip.attributes.as_json().len()) as u64
    }
}

/// The frames of a clip in one stream as pixels or other samples, frame after frame and plane after
/// plane.
///
/// Samples have the order of the dimensions: of an image, rows of pixels with interleaved channels.
///
/// # Example
///
/// ```
/// use clipshard::{ImageSize, Images, SampleType, Shape};
///
/// let size = ImageSize { width: 32, height: 24, channels: 3 };
/// let frames = vec![vec![0_u8; size.bytes()]; 16];
/// assert_eq!(Images::new(size, &frames).len(), 16);
/// let depth = Shape::image(ImageSize { channels: 1, ..size }, SampleType::U16);
/// assert_eq!(Images::of_samples(depth, [&[7_u16; 32 * 24][..]])?.len(), 1);
/// # Ok::<(), clipshard::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct Images<'a> {
    pub(super) records: Vec<(Shape, Cow<'a, [u8]>)>,
}

impl fmt::Debug for Images<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shapes = self.records.iter().map(|(shape, _)| shape);
        f.debug_list().entries(shapes).finish()
    }
}

impl<'a> Images<'a> {
    /// Combines images or arrays of one shape. Each has `shape.bytes()` bytes: little-endian
    /// samples.
    pub fn new<T: AsRef<[u8]> + ?Sized + 'a>(shape: impl Into<Shape>, pixels: impl IntoIterator<Item = &'a T>) -> Self {
        let shape = shape.into();
        Self { records: pixels.into_iter().map(|pixels| (shape, pixels.as_ref().into())).collect() }
    }

    /// Combines images or arrays of one shape, from samples of the type that the shape states.
    ///
    /// # Errors
    ///
    /// Returns [`Error::Usage`] if `T` is not the type of the samples of `shape`.
    pub fn of_samples<T, S>(shape: impl Into<Shape>, samples: impl IntoIterator<Item = &'a S>) -> Result<Self>
    where
        T: Sample + 'a,
        S: AsRef<[T]> + ?Sized + 'a,
    {
        let shape = shape.into();
        if T::TYPE != shape.samples() {
            return Err(Error::Usage(format!("{} samples cannot be images or arrays of {shape}", T::TYPE)));
        }
        let bytes = |samples: &'a S| {
            let bytes = samples.as_ref().as_bytes();
            if cfg!(target_endian = "little") {
                return Cow::Borrowed(bytes);
            }
            let mut bytes = bytes.to_vec();
            to_little_endian(&mut bytes, T::TYPE);
            Cow::Owned(bytes)
        };
        Ok(Self { records: samples.into_iter().map(|samples| (shape, bytes(samples))).collect() })
    }

    /// Adds an image or an array of any shape, as little-endian samples.
    #[must_use]
    pub fn with(mut self, shape: impl Into<Shape>, pixels: &'a [u8]) -> Self {
        self.records.push((shape.into(), pixels.into()));
        self
    }

    /// Returns the number of images or arrays.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Returns whether there are no images or arrays.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }
}
