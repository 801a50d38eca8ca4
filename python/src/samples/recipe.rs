//! Makes the samples of the loader crate from the arguments of Python.

use super::layout::Part;
use super::spec::Spec;
use crate::error;
use clip_loader::{
    Damage, Samples, Short, SplitClip, TestCrop, TestOptions, TestSamples, TrainOptions, TrainSamples, View, Worker,
};
use clipshard::Dataset;
use pyo3::PyResult;
use std::sync::Arc;

/// The arguments of `Dataset.samples`, without those that change from epoch to epoch.
#[derive(Debug)]
pub struct Recipe {
    /// The arrays of a sample by name.
    pub streams: Vec<(String, Spec)>,
    pub clips: Arc<[SplitClip]>,
    pub is_random: bool,
    pub segments: Option<usize>,
    pub per_clip: usize,
    pub short: Short,
    pub replaces_damage: bool,
    pub repeat: usize,
}

/// The values that change from epoch to epoch.
#[derive(Clone, Copy, Debug)]
pub struct Choices {
    pub seed: u64,
    pub epoch: u64,
    pub shuffle: bool,
}

/// The samples of an epoch.
#[derive(Clone, Debug)]
pub enum Opened {
    Random(Arc<TrainSamples>),
    Uniform(Arc<TestSamples>),
}

impl Recipe {
    /// Returns the views of a sample.
    fn views(&self) -> PyResult<Vec<View>> {
        let view = |(name, spec): &(String, Spec)| {
            let view = spec.view(spec.stream.as_deref().unwrap_or(name));
            let fault = |text: String| Err(error::option(format!("stream {name}: {text}")));
            let test_crop = TestCrop::ALL.into_iter().find(|crop| crop.name() == spec.crop);
            if self.is_random {
                return if matches!(test_crop, Some(crop) if crop.views() > 1) {
                    fault(format!("crop {:?} is for uniform samples; pass sampling=\"uniform\"", spec.crop))
                } else {
                    Ok(view)
                };
            }
            if test_crop.is_none() {
                return fault(format!("crop {:?} is for random samples; use whole, center, three or ten", spec.crop));
            }
            if spec.crop != self.streams[0].1.crop {
                return fault("the streams of uniform samples need the same crop".into());
            }
            if spec.changes() {
                let options = "flip, jitter, trivial_augment and frame_dropout";
                return fault(format!("{options} are for random samples; pass sampling=\"random\""));
            }
            Ok(view.crop(clip_loader::Crop::Whole))
        };
        self.streams.iter().map(view).collect()
    }

    fn damage(&self) -> Damage {
        if self.replaces_damage { Damage::replace() } else { Damage::fail() }
    }

    /// Makes the samples of an epoch.
    pub fn open(&self, data: &Arc<Dataset>, choices: Choices) -> PyResult<Opened> {
        let (views, clips) = (self.views()?, Arc::clone(&self.clips));
        if self.is_random {
            let Choices { seed, epoch, shuffle } = choices;
            let options = TrainOptions::new().segments(self.segments.unwrap_or(1)).short(self.short);
            let options = options.seed(seed).epoch(epoch).shuffle(shuffle).repeat(self.repeat).damage(self.damage());
            let samples = TrainSamples::of_views(data, clips, &views, options).map_err(error::loader)?;
            return Ok(Opened::Random(Arc::new(samples)));
        }
        let crop = TestCrop::ALL.into_iter().find(|crop| crop.name() == self.streams[0].1.crop).unwrap_or_default();
        let options = TestOptions::new().samples(self.per_clip).crop(crop).short(self.short);
        let options = options.repeat(self.repeat).damage(self.damage());
        let samples = TestSamples::of_views(data, clips, &views, options).map_err(error::loader)?;
        Ok(Opened::Uniform(Arc::new(samples)))
    }

    /// Returns the arrays of a sample.
    pub fn parts(&self, data: &Dataset, opened: &Opened) -> PyResult<Vec<Part>> {
        let shapes = match opened {
            Opened::Random(samples) => samples.shapes(),
            Opened::Uniform(samples) => samples.shapes(),
        };
        let part = |((name, spec), shape): (&(String, Spec), [usize; 6])| {
            let stream = data.stream(spec.stream.as_deref().unwrap_or(name)).map_err(error::shard)?;
            let has_views = self.segments.is_some() || shape[0] > 1;
            Part::new(name, stream.samples, shape, (spec.layout.as_deref(), spec.is_stack, has_views))
        };
        self.streams.iter().zip(shapes).map(part).collect()
    }
}

impl Opened {
    /// Returns the samples for a loader.
    pub fn samples(&self) -> Arc<dyn Samples> {
        match self {
            Self::Random(samples) => Arc::clone(samples) as Arc<dyn Samples>,
            Self::Uniform(samples) => Arc::clone(samples) as Arc<dyn Samples>,
        }
    }

    /// Returns the clip that a sample shows. It is final once the sample has been written.
    pub fn clip(&self, i: usize) -> &SplitClip {
        match self {
            Self::Random(samples) => samples.clip(i),
            Self::Uniform(samples) => samples.clip(i),
        }
    }

    /// Returns the number in `Samples` of a sample of a pass. It is final once the sample has been
    /// written.
    pub fn number(&self, i: usize) -> usize {
        match self {
            Self::Random(samples) => {
                let clips = samples.clips().max(1);
                samples.clip_number(i) + i / clips * clips
            }
            Self::Uniform(_) => i,
        }
    }

    /// Returns how many damaged samples were replaced.
    pub fn damaged(&self) -> u64 {
        match self {
            Self::Random(samples) => samples.damaged(),
            Self::Uniform(samples) => samples.damaged(),
        }
    }

    /// Writes sample `i` in the order of the clips. `epoch` is that of random samples, as a `Loader`
    /// counts it. Returns the clip that the sample shows.
    pub fn fill(
        &self,
        i: usize,
        epoch: u64,
        worker: &mut Worker,
        out: &mut [&mut [u8]],
    ) -> clip_loader::Result<&SplitClip> {
        match self {
            Self::Random(samples) => {
                let clips = samples.clips().max(1);
                let repeat = (samples.len() / clips) as u64;
                // A repetition has the choices of an epoch of its own.
                let epoch = epoch.wrapping_mul(repeat).wrapping_add((i / clips) as u64);
                samples.fill_clip(i % clips, epoch, worker, out)
            }
            Self::Uniform(samples) => {
                samples.fill(i, worker, None, out)?;
                Ok(samples.clip(i))
            }
        }
    }
}
