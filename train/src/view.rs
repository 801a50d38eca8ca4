//! How a network sees clips in training and testing: the frames, their crop, the range of values,
//! and how the logits of several views are combined. Each network file stores this, so that testing
//! uses the same settings as training.

use crate::stream::Stream;
use candle_convnet::{Classifier, Model, Normalisation};
use clip_loader::{Crop, Sampling, TestCrop};
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;

/// Largest number of samples per test clip.
pub const MAX_TEST_SAMPLES: usize = 1000;
/// Largest number of bytes of a clip's test samples, if a batch must hold all of them.
const MAX_CLIP_BYTES: usize = 1_000_000_000;
/// Largest number of images in a view.
pub const MAX_STACK: usize = 64;
/// Share of the channels that the temporal shift moves in each direction: 1/8, as its authors
/// recommend.
pub const SHIFT_FRACTION: f64 = 0.125;
/// Allowed widths and heights of a network's square input, in pixels.
pub const INPUT_SIZES: RangeInclusive<usize> = 32..=1024;

/// The settings of views.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct View {
    /// Rule that selects the frames.
    pub sampling: Sampling,
    /// Number of views per training sample. Each has its own forward pass.
    pub segments: usize,
    /// How the logits of a sample's views are combined.
    pub consensus: Consensus,
    /// Part of a frame that a training view shows.
    pub crop: Crop,
    /// Whether half of the training views are mirrored.
    pub flip: bool,
    /// Number of samples per test clip.
    pub test_samples: usize,
    /// Part of a frame that a test sample shows.
    pub test_crop: TestCrop,
    /// Range of values of optical flow.
    pub flow_range: FlowRange,
    /// Number of images in a view: flow frames, or differences of RGB frames. `None` is the number
    /// of the stream, [`Stream::stack`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stack: Option<usize>,
    /// Whether the network shifts channels between the views of a training sample, and between the
    /// test samples of a clip in groups of `segments` (TSM, Lin et al. 2019).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub temporal_shift: bool,
}

/// How the logits of several views are combined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Consensus {
    /// Sum of the views
    Sum,
    /// Mean of the views
    Mean,
}

/// Range of values of optical flow in the network's input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum FlowRange {
    /// 0 to 1; no motion is 0.5
    Unit,
    /// No motion is 0; the spread is similar to that of normalised RGB
    Centered,
}

impl View {
    /// Returns the views of the reference run.
    pub const fn seed(stream: Stream) -> Self {
        let (segments, crop, flip) = match stream {
            Stream::Spatial => (3, Crop::Random, true),
            Stream::Temporal | Stream::Difference => (1, Crop::Whole, false),
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
            stack: None,
            temporal_shift: false,
        }
    }

    /// Returns the views of Temporal Segment Networks (Wang et al. 2016), for all streams.
    pub const fn tsn() -> Self {
        Self {
            sampling: Sampling::Segments,
            segments: 3,
            consensus: Consensus::Mean,
            crop: Crop::Corners,
            flip: true,
            test_samples: 25,
            test_crop: TestCrop::Center,
            // More accurate than the centred range with each of three seeds: docs/results.md.
            flow_range: FlowRange::Unit,
            stack: None,
            temporal_shift: false,
        }
    }

    /// Returns the views of the recipe `strong`: one segment, and otherwise those of [`View::tsn`].
    pub const fn strong() -> Self {
        Self { segments: 1, ..Self::tsn() }
    }

    /// Checks that a network of the stream can use these views, with inputs of `side` pixels.
    ///
    /// # Errors
    /// Starts with the name of the option whose value is not allowed, without dashes.
    pub fn check(self, stream: Stream, side: usize) -> Result<(), String> {
        if let Some(stack) = self.stack {
            if stream == Stream::Spatial {
                return Err("stack is for the other streams, because a spatial view is one frame".to_owned());
            }
            if !(1..=MAX_STACK).contains(&stack) {
                return Err(format!("stack {stack} is not between 1 and {MAX_STACK}"));
            }
        }
        let most = self.sampling.most_segments(self.frames(stream));
        for (option, value, most) in
            [("test-samples", self.test_samples, MAX_TEST_SAMPLES), ("segments", self.segments, most)]
        {
            if !(1..=most).contains(&value) {
                return Err(format!("{option} {value} is not between 1 and {most}"));
            }
        }
        if stream != Stream::Spatial && self.crop == Crop::Random {
            return Err("crop random is for the spatial stream only; use whole or corners".to_owned());
        }
        if self.temporal_shift {
            let Self { segments, test_samples, .. } = self;
            if segments < 2 {
                return Err(format!("segments {segments} is less than 2, which a temporal shift needs"));
            }
            if !test_samples.is_multiple_of(segments) {
                return Err(format!(
                    "test-samples {test_samples} is not a multiple of segments {segments}, which a temporal shift needs"
                ));
            }
            // A test batch holds whole clips.
            let bytes = test_samples * stream.bytes(self.stack(stream)) * self.test_views() * side * side;
            if bytes > MAX_CLIP_BYTES {
                let gigabytes = bytes as f64 / 1e9;
                return Err(format!(
                    "test-samples {test_samples} and a temporal shift need {gigabytes:.1} GB of pixels per clip, which \
                     is more than 1 GB; use fewer samples"
                ));
            }
        }
        Ok(())
    }

    /// Adds the temporal shift to a network, if these views have it.
    ///
    /// # Errors
    /// The network has no temporal shift.
    pub fn shift(self, model: &mut Model<Classifier>) -> candle_core::Result<()> {
        if self.temporal_shift {
            model.net = model.net.clone().with_shift(self.segments, SHIFT_FRACTION)?;
        }
        Ok(())
    }

    /// Returns the number of images in a view.
    pub fn stack(self, stream: Stream) -> usize {
        self.stack.unwrap_or(stream.stack())
    }

    /// Returns the number of records that a view reads.
    pub fn frames(self, stream: Stream) -> usize {
        stream.frames(self.stack(stream))
    }

    /// Returns the number of channels of the network's input.
    pub fn channels(self, stream: Stream) -> usize {
        stream.channels(self.stack(stream))
    }

    /// Returns the number of views per test sample.
    pub const fn test_views(self) -> usize {
        self.test_crop.views()
    }

    /// Returns the normalisation of pixels. RGB gets the normalisation of networks trained on
    /// ImageNet.
    pub fn range(self, stream: Stream) -> Normalisation {
        match (stream, self.flow_range) {
            (Stream::Spatial | Stream::Difference, _) => Normalisation::imagenet(),
            (Stream::Temporal, FlowRange::Unit) => Normalisation::unit(),
            // 128 is no motion. The deviation is that of the RGB channels, as in TSN.
            (Stream::Temporal, FlowRange::Centered) => Normalisation::new([128. / 255.], [0.226]),
        }
    }
}
