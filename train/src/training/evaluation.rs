//! The test pass: the network sees several samples of each clip, and their logits are summed per
//! clip.
//!
//! [`Evaluation`] holds the clips and settings of a pass, and [`Outcome`] its results.

use crate::base::console::{Console, Figures};
use crate::base::meters::{Scored, cross_entropy};
use crate::base::stop::Stop;
use crate::compute::batches::{DeviceBatch, DeviceBatches, Plan, SamplePixels};
use crate::compute::device::Compute;
use crate::compute::groups;
use crate::input;
use crate::ranks::Ranks;
use crate::run::state::Seconds;
use crate::scores::accuracy::{Accuracy, accuracy};
use crate::scores::{SampleScores, Scores};
use crate::stream::Stream;
use crate::view::{Consensus, View};
use anyhow::{Context, Result, bail};
use candle_convnet::Classifier;
use candle_core::Tensor;
use clip_loader::{Samples, SplitClip, Work};
use clipshard::Dataset;
use std::sync::Arc;
use std::time::Instant;

/// Number of samples in a batch on a GPU, where small batches would leave it idle. The batch size
/// does not change the results.
const GPU_BATCH: usize = 256;
/// Number of pixels in a batch on the CPU.
const CPU_PIXELS: usize = 16 * 224 * 224;
/// Largest number of samples in a batch on the CPU: with small images, most of the work is on the
/// weights.
const CPU_BATCH: usize = 128;

/// The inputs of a test pass, except for the network.
pub struct Evaluation<'a> {
    /// The packed dataset.
    pub data: &'a Arc<Dataset>,
    /// The clips to test.
    pub clips: &'a Arc<[SplitClip]>,
    /// The stream that the network reads.
    pub stream: Stream,
    /// Side of the network's input in pixels.
    pub side: usize,
    /// How the network sees clips.
    pub view: View,
    /// Number of classes.
    pub classes: usize,
    /// Smallest number of samples in a batch; the pass uses larger batches where they are faster.
    pub batch_size: usize,
    /// Number of decode threads.
    pub threads: usize,
    /// The device of the network.
    pub compute: &'a Compute,
    /// Whether other samples of the clip replace damaged ones.
    pub skip_damaged: bool,
    /// Whether the outcome has the logits of each sample, in addition to the sums.
    pub keeps_samples: bool,
}

/// The results of a test pass.
#[derive(Debug)]
pub struct Outcome {
    /// Loss and accuracy over the clips; none if a clip has no label. With the consensus `sum`, the
    /// loss is that of summed logits and therefore higher than the training loss.
    pub scored: Option<Scored>,
    /// Summed logits of each clip.
    pub scores: Scores,
    /// Logits of each sample, if `keeps_samples` is set.
    pub samples: Option<SampleScores>,
    /// Mean times of a batch.
    pub seconds: Seconds,
    /// Work of the decode threads.
    pub decoding: Work,
    /// Number of damaged samples that were replaced.
    pub damaged: u64,
}

impl Outcome {
    /// Describes a loss or score that is NaN or infinite, if there is one: `the test loss is NaN`.
    pub fn fault(&self) -> Option<String> {
        if let Some(Scored { loss, .. }) = self.scored.filter(|scored| !scored.loss.is_finite()) {
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
    /// Runs the pass, whose clips `ranks` share out. Returns none if `stop` of a rank ended it.
    ///
    /// # Errors
    /// A sample cannot be read, the device fails, or another rank has ended.
    pub fn run(&self, net: &Classifier, console: Console, stop: &Stop, ranks: &dyn Ranks) -> Result<Option<Outcome>> {
        let (n, rank, size) = (self.clips.len(), ranks.rank(), ranks.size());
        if size == 1 {
            return self.alone(net, console, stop);
        }
        let clips = self.clips[n * rank / size..n * (rank + 1) / size].into();
        let outcome = Evaluation { clips: &clips, ..*self }.alone(net, console, stop)?;
        let head = [u64::from(outcome.is_none()), outcome.as_ref().map_or(0, |outcome| outcome.damaged)];
        let logits = outcome.as_ref().map_or(&[][..], |outcome| &outcome.scores.logits);
        let message = [bytemuck::cast_slice(&head), bytemuck::cast_slice(logits)].concat();
        let (mut all, mut damaged, mut is_stopped) = (Vec::with_capacity(n * self.classes), 0, false);
        for bytes in ranks.gather(message)? {
            let (head, logits) = bytes.split_at_checked(16).context("a rank sent an incomplete message")?;
            let head: Vec<u64> = bytemuck::pod_collect_to_vec(head);
            is_stopped |= head[0] == 1;
            damaged += head[1];
            all.extend(bytemuck::pod_collect_to_vec::<u8, f32>(logits));
        }
        let Some(outcome) = outcome.filter(|_| !is_stopped) else { return Ok(None) };
        if all.len() != n * self.classes {
            bail!("the ranks sent {} scores instead of {}", all.len(), n * self.classes);
        }
        let scored = self.scored(&all);
        Ok(Some(Outcome { scored, scores: self.scores(all), damaged, ..outcome }))
    }

    /// Runs the pass in this process alone.
    fn alone(&self, net: &Classifier, console: Console, stop: &Stop) -> Result<Option<Outcome>> {
        let options = input::test_options(self.view).damage(input::damage(self.skip_damaged));
        let samples = input::test_samples(self.data, self.clips, (self.stream, self.view, self.side), options)?;
        let most_images = self.batch_size.max(if self.compute.device.is_cpu() {
            (CPU_PIXELS / (self.side * self.side * self.view.test_views())).min(CPU_BATCH)
        } else {
            GPU_BATCH
        });
        // The groups of a temporal shift span their clip, so a batch has whole clips.
        let batch_size =
            if self.view.temporal_shift { most_images.next_multiple_of(self.view.test_samples) } else { most_images };
        let net = net.clone().with_kept_kernels();
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
                Ok(Some((batch.samples(), self.logits_of(&net, batch, most_images)?)))
            });
            let (seen, logits) = match started? {
                None => break,
                Some(None) => return Ok(None),
                Some(Some(started)) => started,
            };
            // A GPU is computing now. Meanwhile, loads the next batch and starts its copy. The wait
            // for that batch counts as waiting, although the GPU may be busy.
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
        let scores = self.scores(sums);
        let damaged = samples.damaged();
        let samples = of_samples.map(|logits| SampleScores {
            names: scores.names.clone(),
            labels: scores.labels.clone(),
            subset: None,
            classes: self.classes,
            samples: self.view.test_samples,
            views: self.view.test_views() as u32,
            frames: (0..self.clips.len()).flat_map(|clip| samples.starts(clip)).collect(),
            logits,
        });
        Ok(Some(Outcome { scored, scores, samples, seconds, decoding, damaged }))
    }

    /// Starts the forward passes of all views of a batch, and returns the sum of their logits,
    /// `[n, classes]`. With a temporal shift, a pass has at most `most_images` images, or one group.
    fn logits_of(&self, net: &Classifier, batch: &DeviceBatch<'_>, most_images: usize) -> Result<Tensor> {
        let mut logits: Option<Tensor> = None;
        for input in batch.inputs()? {
            let view = if self.view.temporal_shift {
                group_logits(net, &input, self.view, most_images)?
            } else {
                net.forward_t(&input, false)?
            };
            logits = Some(logits.map_or(Ok(view.clone()), |sum| sum + view)?);
        }
        logits.context("a test sample has no view")
    }

    /// Returns the scores of all clips from their sums of logits.
    fn scores(&self, sums: Vec<f32>) -> Scores {
        let views = self.view.test_samples * self.view.test_views();
        Scores {
            names: self.clips.iter().map(|clip| clip.id.clone()).collect(),
            classes: self.classes,
            logits: sums,
            samples: Some(vec![views as u32; self.clips.len()]),
            labels: self.labels(),
            subset: None,
        }
    }

    fn pixels(&self) -> SamplePixels {
        let (stream, view) = (self.stream, self.view);
        SamplePixels {
            stream,
            stack: view.stack(stream),
            side: self.side,
            views: view.test_views(),
            range: view.range(stream),
        }
    }

    /// Returns the labels of the clips; none if a clip has no label.
    fn labels(&self) -> Option<Vec<u32>> {
        self.clips.iter().map(|clip| clip.label).collect()
    }

    /// Returns loss and accuracy of the sums of logits `[clips, classes]`; none if a clip has no
    /// label.
    fn scored(&self, sums: &[f32]) -> Option<Scored> {
        let labels = self.labels()?;
        let Accuracy { top1, top5 } = accuracy(sums, self.classes, &labels);
        let loss = match self.view.consensus {
            Consensus::Sum => cross_entropy(sums, self.classes, &labels),
            Consensus::Mean => {
                let views = self.view.test_samples * self.view.test_views();
                let means: Vec<f32> = sums.iter().map(|sum| sum / views as f32).collect();
                cross_entropy(&means, self.classes, &labels)
            }
        };
        Some(Scored { loss, top1, top5 })
    }
}

/// Returns the logits `[n, classes]` of the samples of whole clips by a network that shifts channels
/// between the frames of a group.
fn group_logits(net: &Classifier, images: &Tensor, view: View, most_images: usize) -> Result<Tensor> {
    let View { test_samples, segments, .. } = view;
    let groups = groups::of_samples(images, test_samples, segments)?;
    let (n, most) = (groups.dim(0)?, (most_images / segments).max(1) * segments);
    let of_pass = |first: usize| Ok(net.forward_t(&groups.narrow(0, first, most.min(n - first))?, false)?);
    let logits = (0..n).step_by(most).map(of_pass).collect::<Result<Vec<_>>>()?;
    Ok(groups::to_samples(&Tensor::cat(&logits, 0)?, test_samples, segments)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::{SHIFT_FRACTION, View};
    use candle_convnet::{Arch, ClassifierConfig, Depth, Model};
    use candle_core::Device;

    #[test]
    fn the_frames_of_each_group_are_spread_over_its_clip_however_few_images_a_pass_has() {
        let net = Model::random(&ClassifierConfig::new(Arch::ResNet(Depth::R18), 3, 4), 3, &Device::Cpu).unwrap().net;
        let net = net.with_shift(3, SHIFT_FRACTION).unwrap();
        let images = Tensor::randn(0_f32, 1.0, (12, 32, 32, 3), &Device::Cpu).unwrap();
        let view = View { test_samples: 6, segments: 3, ..View::tsn() };
        // Two clips of six samples. The groups of the first are 0 2 4 and 1 3 5.
        let mut expected = vec![Vec::new(); 12];
        for group in [[0, 2, 4], [1, 3, 5], [6, 8, 10], [7, 9, 11]] {
            let frames: Vec<Tensor> = group.iter().map(|&i| images.get(i).unwrap()).collect();
            let logits = net.forward_t(&Tensor::stack(&frames, 0).unwrap(), false).unwrap().to_vec2::<f32>().unwrap();
            group.into_iter().zip(logits).for_each(|(i, logits)| expected[i] = logits);
        }
        for most_images in [1, 6, 7, 100] {
            let found = group_logits(&net, &images, view, most_images).unwrap().to_vec2::<f32>().unwrap();
            for (found, expected) in found.iter().flatten().zip(expected.iter().flatten()) {
                assert!((found - expected).abs() < 1e-4, "{most_images}: {found} {expected}");
            }
        }
    }
}
