//! The test pass: many samples of each clip, raw logits summed per clip.

use crate::base::console::{Console, Figures};
use crate::base::meters::{Scored, cross_entropy};
use crate::base::stop::Stop;
use crate::compute::batches::{DeviceBatch, DeviceBatches, Plan, SamplePixels};
use crate::compute::device::Compute;
use crate::input;
use crate::run::state::Seconds;
use crate::scores::accuracy::{Accuracy, accuracy};
use crate::scores::{SampleScores, Scores};
use crate::stream::Stream;
use crate::view::{Consensus, View};
use anyhow::{Context, Result};
use candle_convnet::ResNet;
use candle_core::Tensor;
use clip_loader::{Samples, SplitClip, Work};
use clipshard::Dataset;
use std::sync::Arc;
use std::time::Instant;

/// Samples that a card takes at once: its results for a sample do not depend on the others, and small batches leave it idle.
const CARD_BATCH: usize = 256;
/// Pixels that the processor takes at once, and samples at most: where images are small, a batch's work is mostly on the weights.
const CPU_PIXELS: usize = 16 * 224 * 224;
const CPU_BATCH: usize = 128;

/// What a test pass needs beside the network.
pub struct Evaluation<'a> {
    /// The packed data set.
    pub data: &'a Arc<Dataset>,
    /// The clips.
    pub clips: &'a Arc<[SplitClip]>,
    /// Which frames they are seen by.
    pub stream: Stream,
    /// Side of the network's input in pixels.
    pub side: usize,
    /// How the network sees clips.
    pub view: View,
    /// Classes.
    pub classes: usize,
    /// Samples a batch, at least; a card takes more at once.
    pub batch_size: usize,
    /// Decode threads.
    pub threads: usize,
    /// Where the network is.
    pub compute: &'a Compute,
    /// Whether damaged samples are replaced by others of their clips.
    pub skip_damaged: bool,
    /// Whether each sample's logits are kept beside the sums.
    pub keeps_samples: bool,
}

/// What a test pass gives.
#[derive(Debug)]
pub struct Outcome {
    /// Loss and precisions of the clips. Where logits are summed, the loss is that of sums of 19, say, so it reads high.
    pub scored: Scored,
    /// Summed logits of each clip.
    pub scores: Scores,
    /// Logits of each sample, if they were to be kept.
    pub samples: Option<SampleScores>,
    /// Seconds a batch.
    pub seconds: Seconds,
    /// What the decode threads did.
    pub decoding: Work,
    /// Damaged samples that were replaced.
    pub damaged: u64,
}

impl Outcome {
    /// The loss or a score that is NaN or infinite, if there is one: `the test loss is NaN`.
    pub fn fault(&self) -> Option<String> {
        let loss = self.scored.loss;
        if !loss.is_finite() {
            return Some(format!("the test loss is {loss}"));
        }
        let place = self.scores.logits.iter().position(|logit| !logit.is_finite())?;
        Some(format!(
            "a score of clip {} is {}",
            self.scores.names[place / self.scores.classes],
            self.scores.logits[place]
        ))
    }
}

impl Evaluation<'_> {
    /// Runs the pass; none where `stop` ended it.
    pub fn run(&self, net: &ResNet, console: Console, stop: &Stop) -> Result<Option<Outcome>> {
        let options = input::test_options(self.view).damage(input::damage(self.skip_damaged));
        let samples = input::test_samples(self.data, self.clips, (self.stream, self.side), options)?;
        let batch_size = self.batch_size.max(if self.compute.device.is_cpu() {
            (CPU_PIXELS / (self.side * self.side * self.view.test_views())).min(CPU_BATCH)
        } else {
            CARD_BATCH
        });
        let mut sums = vec![0_f32; self.clips.len() * self.classes];
        let mut of_samples = self.keeps_samples.then(|| vec![0_f32; samples.len() * self.classes]);
        let mut seconds = Seconds::default();
        let mut decoding = Work::default();
        let mut progress = console.progress("test", samples.len().div_ceil(batch_size), 0);
        let plan = Plan { batch_size, first_sample: 0, threads: self.threads };
        let mut batches = DeviceBatches::start(self.compute, samples.clone(), plan, self.pixels())?;
        loop {
            let start = Instant::now();
            let started = batches.next(|batch| {
                if stop.is_asked() {
                    return Ok(None);
                }
                Ok(Some((batch.samples(), logits_of(net, batch)?)))
            });
            let (seen, logits) = match started? {
                None => break,
                Some(None) => return Ok(None),
                Some(Some(started)) => started,
            };
            // A GPU is computing now: the next batch comes and goes there beside that. What is waited here counts as waiting,
            // though the GPU may be busy.
            batches.look_ahead()?;
            let logits = logits.flatten_all()?.to_vec1::<f32>()?;
            for (i, logits) in seen.clone().zip(logits.chunks_exact(self.classes)) {
                let clip = samples.clip_number(i);
                let sum = &mut sums[clip * self.classes..(clip + 1) * self.classes];
                for (sum, logit) in sum.iter_mut().zip(logits) {
                    *sum += logit;
                }
                if let Some(of_samples) = &mut of_samples {
                    let sample = clip * self.view.test_samples + i % self.view.test_samples;
                    of_samples[sample * self.classes..][..self.classes].copy_from_slice(logits);
                }
            }
            seconds.add(start.elapsed(), batches.take_waits());
            decoding = batches.work();
            let figures = Figures { seconds: seconds.batch.get(), data_seconds: seconds.data.get(), scored: None };
            progress.step(seen.len(), Some(figures));
        }
        let scored = self.scored(&sums);
        let views = self.view.test_samples * self.view.test_views();
        let scores = Scores {
            names: self.clips.iter().map(|clip| clip.id.clone()).collect(),
            classes: self.classes,
            logits: sums,
            samples: Some(vec![views as u32; self.clips.len()]),
            labels: Some(self.labels()),
        };
        let damaged = samples.damaged();
        let samples = of_samples.map(|logits| SampleScores {
            names: scores.names.clone(),
            labels: scores.labels.clone(),
            classes: self.classes,
            samples: self.view.test_samples,
            views: self.view.test_views() as u32,
            frames: (0..self.clips.len()).flat_map(|clip| samples.starts(clip)).collect(),
            logits,
        });
        Ok(Some(Outcome { scored, scores, samples, seconds, decoding, damaged }))
    }

    fn pixels(&self) -> SamplePixels {
        let (stream, view) = (self.stream, self.view);
        SamplePixels { stream, side: self.side, views: view.test_views(), range: view.range(stream) }
    }

    fn labels(&self) -> Vec<u32> {
        self.clips.iter().map(|clip| clip.label).collect()
    }

    /// Returns the loss and the precisions of sums of logits `[clips, classes]`.
    fn scored(&self, sums: &[f32]) -> Scored {
        let labels = self.labels();
        let Accuracy { top1, top5 } = accuracy(sums, self.classes, &labels);
        let loss = match self.view.consensus {
            Consensus::Sum => cross_entropy(sums, self.classes, &labels),
            Consensus::Mean => {
                let views = self.view.test_samples * self.view.test_views();
                let means: Vec<f32> = sums.iter().map(|sum| sum / views as f32).collect();
                cross_entropy(&means, self.classes, &labels)
            }
        };
        Scored { loss, top1, top5 }
    }
}

/// Starts the forward passes of all views of a batch; returns the sum of their logits `[n, classes]`.
fn logits_of(net: &ResNet, batch: &DeviceBatch<'_>) -> Result<Tensor> {
    let mut logits: Option<Tensor> = None;
    for input in batch.inputs()? {
        let view = net.forward_t(&input, false)?;
        logits = Some(logits.map_or(Ok(view.clone()), |sum| sum + view)?);
    }
    logits.context("a test sample without a view")
}
