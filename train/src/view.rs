//! How a network sees clips, in training and in testing: which frames, which part of them, in which range of values, and how the
//! logits of several views become one answer. Stored with every network, so that it is tested as it was trained.

use crate::stream::Stream;
use candle_convnet::Normalisation;
use clip_loader::{Crop, Sampling, TestCrop};
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;

/// Samples of a test clip at most.
pub const MAX_TEST_SAMPLES: usize = 1000;
/// Sides of a network's square input, in pixels.
pub const INPUT_SIZES: RangeInclusive<usize> = 32..=1024;

/// Everything about views.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct View {
    /// By which rule frames are chosen.
    pub sampling: Sampling,
    /// Views of a training sample, each a forward pass of its own.
    pub segments: usize,
    /// How the logits of a sample's views become one.
    pub consensus: Consensus,
    /// Which part of a frame a training view shows.
    pub crop: Crop,
    /// Whether training views are mirrored half of the time.
    pub flip: bool,
    /// Samples of a test clip.
    pub test_samples: usize,
    /// Which part of a frame a test sample shows.
    pub test_crop: TestCrop,
    /// What the values of optical flow become.
    pub flow_range: FlowRange,
}

/// How the logits of several views become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Consensus {
    /// Their sum
    Sum,
    /// Their mean
    Mean,
}

/// What the values of optical flow become.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum FlowRange {
    /// 0 to 1: no motion is 0.5
    Unit,
    /// No motion is 0, and the range about that of normalised RGB
    Centered,
}

impl View {
    /// What the documented run saw.
    pub const fn seed(stream: Stream) -> Self {
        let (segments, crop, flip) = match stream {
            Stream::Spatial => (3, Crop::Random, true),
            Stream::Temporal => (1, Crop::Whole, false),
        };
        Self {
            sampling: Sampling::Seed,
            segments,
            consensus: Consensus::Sum,
            crop,
            flip,
            test_samples: 19,
            test_crop: TestCrop::Whole,
            flow_range: FlowRange::Unit,
        }
    }

    /// What Temporal Segment Networks see (Wang et al. 2016), the same geometry in training and testing.
    pub const fn tsn() -> Self {
        Self {
            sampling: Sampling::Segments,
            segments: 3,
            consensus: Consensus::Mean,
            crop: Crop::Corners,
            flip: true,
            test_samples: 25,
            test_crop: TestCrop::Center,
            // Better than the centred range with each of three seeds: docs/recipes.md.
            flow_range: FlowRange::Unit,
        }
    }

    /// Whether a network of a stream can see clips so. The error begins with the option that has a wrong value.
    pub fn check(self, stream: Stream) -> Result<(), String> {
        let most = self.sampling.most_segments(stream.frames());
        for (option, value, most) in
            [("test-samples", self.test_samples, MAX_TEST_SAMPLES), ("segments", self.segments, most)]
        {
            if !(1..=most).contains(&value) {
                return Err(format!("{option} {value} is not between 1 and {most}"));
            }
        }
        if stream == Stream::Temporal && self.crop == Crop::Random {
            return Err("crop random is for RGB; flow is stored in the input's size: take whole or corners".to_owned());
        }
        Ok(())
    }

    /// Views of a test sample.
    pub const fn test_views(self) -> usize {
        self.test_crop.views()
    }

    /// What pixels become: RGB is normalised as ImageNet's networks expect it.
    pub fn range(self, stream: Stream) -> Normalisation {
        match (stream, self.flow_range) {
            (Stream::Spatial, _) => Normalisation::imagenet(),
            (Stream::Temporal, FlowRange::Unit) => Normalisation::unit(),
            // 128 is no motion; the deviation is that of RGB's channels, as in TSN.
            (Stream::Temporal, FlowRange::Centered) => Normalisation::new([128. / 255.], [0.226]),
        }
    }
}
