//! The streams that a manifest lists.

use super::parts::ShardInfo;
use super::strict::present;
use crate::samples::SampleType;
use crate::shape::{MAX_RANK, Shape};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

/// The name of a stream and the form of its records.
///
/// A record is an image of any size, or an array whose first dimension has any size.
///
/// # Example
///
/// ```
/// use clipshard::{SampleType, StreamSpec};
///
/// assert_eq!(StreamSpec::flow(), StreamSpec::new("flow", 2, 1));
/// let depth = StreamSpec::new("depth", 1, 1).with_samples(SampleType::U16);
/// assert_eq!(depth.to_string(), "depth: u16 images of 1 channel");
/// let poses = StreamSpec::arrays("poses", SampleType::F32, &[17, 3]);
/// assert_eq!(poses.to_string(), "poses: f32 arrays [n, 17, 3]");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StreamSpec {
    /// Name of the stream: `rgb`, `flow` or another name of 1 to 16 ASCII letters, digits, `-` and
    /// `_`.
    pub name: String,
    /// Records per frame: 1 for RGB; 2 for flow, x then y.
    pub planes: u8,
    /// Channels of each image: 3 for RGB, 1 for a flow plane; 0 for arrays.
    pub channels: u8,
    /// Type of the samples.
    #[serde(default, skip_serializing_if = "SampleType::is_u8")]
    pub samples: SampleType,
    /// Sizes of the dimensions after the first, if the records are arrays; at most three. `None`
    /// for images.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub array: Option<Vec<u32>>,
}

impl StreamSpec {
    /// Describes a stream of images of u8 samples. Nothing is checked before a shard is written.
    pub fn new(name: impl Into<String>, planes: u8, channels: u8) -> Self {
        Self { name: name.into(), planes, channels, samples: SampleType::U8, array: None }
    }

    /// Describes a stream of arrays with one record per frame.
    ///
    /// `inner` has the sizes of the dimensions after the first. The first may differ from record to
    /// record, and may be 0.
    pub fn arrays(name: impl Into<String>, samples: SampleType, inner: &[u32]) -> Self {
        Self { name: name.into(), planes: 1, channels: 0, samples, array: Some(inner.to_vec()) }
    }

    /// Describes the stream `rgb`: one record of three channels per frame.
    pub fn rgb() -> Self {
        Self::new("rgb", 1, 3)
    }

    /// Describes the stream `flow`: two records of one channel per frame, x then y.
    pub fn flow() -> Self {
        Self::new("flow", 2, 1)
    }

    /// Replaces the type of the samples.
    #[must_use]
    pub fn with_samples(self, samples: SampleType) -> Self {
        Self { samples, ..self }
    }

    /// Replaces the number of records per frame.
    #[must_use]
    pub fn with_planes(self, planes: u8) -> Self {
        Self { planes, ..self }
    }

    /// Returns whether the records are images of u8 samples.
    pub fn is_u8_images(&self) -> bool {
        self.array.is_none() && self.samples == SampleType::U8
    }

    /// Describes the form of the records, such as `u16 images of 1 channel`.
    pub fn form(&self) -> String {
        let records = match &self.array {
            None if self.channels == 1 => "images of 1 channel".to_owned(),
            None => format!("images of {} channels", self.channels),
            Some(inner) => {
                let dims: Vec<String> = ["n".into()].into_iter().chain(inner.iter().map(u32::to_string)).collect();
                format!("arrays [{}]", dims.join(", "))
            }
        };
        let planes = if self.planes == 1 { String::new() } else { format!(", {} per frame", self.planes) };
        format!("{} {records}{planes}", self.samples)
    }

    /// Checks that the format allows this name.
    pub(crate) fn check_name(&self) -> Result<(), String> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        let name = &self.name;
        if name.is_empty() || name.len() > 16 || !name.bytes().all(plain) {
            return Err(format!("stream name {name:?} is not 1 to 16 letters, digits, - or _"));
        }
        Ok(())
    }

    /// Checks that the format allows this name and these numbers.
    pub(crate) fn check(&self) -> Result<(), String> {
        self.check_name()?;
        let name = &self.name;
        match &self.array {
            None if self.planes > 0 && (1..=4).contains(&self.channels) => Ok(()),
            None => Err(format!(
                "stream {name} has {} planes of {} channels; it needs at least 1 plane and 1 to 4 channels",
                self.planes, self.channels
            )),
            Some(_) if self.planes == 0 || self.channels != 0 => Err(format!(
                "stream {name} of arrays has {} planes of {} channels; it needs at least 1 plane and 0 channels",
                self.planes, self.channels
            )),
            Some(inner) if inner.len() >= MAX_RANK => {
                Err(format!("stream {name} has arrays of {} dimensions, but at most {MAX_RANK} fit", inner.len() + 1))
            }
            Some(_) if !self.array_of(1).is_some_and(|shape| shape.is_storable()) => {
                Err(format!("stream {name} has arrays with an empty or too large dimension"))
            }
            Some(_) => Ok(()),
        }
    }

    /// Returns the shape of an array with this first dimension. Returns `None` if the records are
    /// images, or have too many dimensions.
    pub(crate) fn array_of(&self, first: u32) -> Option<Shape> {
        let inner = self.array.as_ref()?;
        let mut dims = [first; MAX_RANK];
        dims.get_mut(1..=inner.len())?.copy_from_slice(inner);
        Shape::array(&dims[..=inner.len()], self.samples).ok()
    }

    /// Returns whether a record of this shape belongs into the stream.
    pub fn accepts(&self, shape: &Shape) -> bool {
        let fits = match (&self.array, shape.image_size()) {
            (None, Some(size)) => size.channels == self.channels,
            (Some(inner), None) => shape.dims()[1..] == **inner,
            _ => false,
        };
        fits && shape.samples() == self.samples && shape.is_storable()
    }
}

impl std::fmt::Display for StreamSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.name, self.form())
    }
}

/// A stream and its shards.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Stream {
    /// Name of the stream and form of its records.
    #[serde(flatten)]
    pub spec: StreamSpec,
    /// The shards that hold the stream.
    pub shards: Vec<ShardInfo>,
    /// Features that a reader of this stream needs. If this crate does not know one of them, `spec`
    /// has only the name, and there are no shards.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub required_features: Vec<String>,
}

impl Stream {
    /// Combines a stream with its shards.
    pub fn new(spec: StreamSpec, shards: Vec<ShardInfo>) -> Self {
        Self { spec, shards, required_features: Vec::new() }
    }

    /// Returns the features that this crate does not know. It knows none so far.
    pub fn unknown_features(&self) -> &[String] {
        &self.required_features
    }
}

impl<'de> Deserialize<'de> for Stream {
    /// Reads a stream. If it needs unknown features, other keys may have another form, so only its
    /// name is read.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Envelope {
            name: String,
            #[serde(default)]
            required_features: Vec<String>,
        }
        #[derive(Deserialize)]
        struct Known {
            #[serde(flatten)]
            spec: StreamSpec,
            shards: Vec<ShardInfo>,
        }
        // The keys of a stream with unknown features may have any form, so the text is parsed twice.
        let text = Box::<RawValue>::deserialize(deserializer)?;
        let Envelope { name, required_features } = parse(&text).map_err(D::Error::custom)?;
        if !required_features.is_empty() {
            return Ok(Self { spec: StreamSpec::new(name, 0, 0), shards: Vec::new(), required_features });
        }
        let Known { spec, shards } = parse(&text).map_err(D::Error::custom)?;
        Ok(Self::new(spec, shards))
    }
}

/// Parses a part of a manifest. The fault names no line, because it would be counted from the part's
/// start.
fn parse<'a, T: Deserialize<'a>>(text: &'a RawValue) -> Result<T, String> {
    serde_json::from_str(text.get()).map_err(|error| {
        let fault = error.to_string();
        fault.rsplit_once(" at line ").map_or(fault.clone(), |(fault, _)| fault.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_accepted_by_the_streams_that_they_fit() {
        let poses = StreamSpec::arrays("poses", SampleType::F32, &[17, 3]);
        let array = |dims: &[u32], samples| Shape::array(dims, samples).unwrap();
        assert!(
            poses.accepts(&array(&[5, 17, 3], SampleType::F32)) && poses.accepts(&array(&[0, 17, 3], SampleType::F32))
        );
        assert!(
            !poses.accepts(&array(&[5, 17, 3], SampleType::F16)) && !poses.accepts(&array(&[17, 3], SampleType::F32))
        );
        let image = crate::ImageSize { width: 4, height: 4, channels: 1 };
        let depth = StreamSpec::new("depth", 1, 1).with_samples(SampleType::U16);
        assert!(depth.accepts(&Shape::image(image, SampleType::U16)) && !depth.accepts(&image.into()));
        assert!(!poses.accepts(&image.into()) && !depth.accepts(&array(&[4, 4, 1], SampleType::U16)));
    }

    #[test]
    fn a_stream_of_arrays_has_sensible_dimensions() {
        let fault = |inner: &[u32]| StreamSpec::arrays("x", SampleType::F32, inner).check();
        assert!(fault(&[]).is_ok() && fault(&[4]).is_ok() && fault(&[3, 4, 5]).is_ok());
        assert!(fault(&[1, 1, 1, 1]).unwrap_err().contains("arrays of 5 dimensions, but at most 4 fit"));
        assert!(fault(&[0]).unwrap_err().contains("empty or too large"));
        assert!(fault(&[u32::MAX, u32::MAX]).unwrap_err().contains("empty or too large"));
        let with_channels = StreamSpec { channels: 1, ..StreamSpec::arrays("x", SampleType::U8, &[]) };
        assert!(with_channels.check().unwrap_err().contains("needs at least 1 plane and 0 channels"));
    }
}
