//! The test pass: 19 samples of each clip, raw logits summed per clip.

use crate::accuracy::{Accuracy, accuracy};
use crate::checkpoint::{Scored, Seconds};
use crate::console::Console;
use crate::input::{InputRange, Plan, SampleSource, TestSource, to_tensors, with_batches};
use crate::meters::cross_entropy;
use crate::sampler::TEST_SAMPLES;
use crate::scores::Scores;
use crate::stop::Stop;
use crate::stream::Stream;
use crate::videos::Video;
use anyhow::Result;
use candle_convnet::ResNet;
use candle_core::{DType, Device};
use clipshard::Dataset;
use std::time::Instant;

/// What a test pass needs beside the network.
pub struct Evaluation<'a> {
    /// The packed data set.
    pub data: &'a Dataset,
    /// The clips.
    pub videos: &'a [Video],
    /// Which frames they are seen by.
    pub stream: Stream,
    /// Side of the network's input in pixels.
    pub side: usize,
    /// Classes.
    pub classes: usize,
    /// Samples a batch.
    pub batch_size: usize,
    /// Decode threads.
    pub threads: usize,
    /// Where the network is.
    pub device: &'a Device,
}

/// What a test pass gives.
pub struct Outcome {
    /// Loss and precisions of the summed logits. The loss is that of sums of 19, so it reads high.
    pub scored: Scored,
    /// Summed logits of each clip.
    pub scores: Scores,
    /// Seconds a batch.
    pub seconds: Seconds,
}

impl Evaluation<'_> {
    /// Runs the pass; none where `stop` ended it.
    pub fn run(&self, net: &ResNet, console: Console, stop: &Stop) -> Result<Option<Outcome>> {
        let source = TestSource::new(self.data, self.videos, self.stream, self.side);
        let range = InputRange::new(self.stream, self.side);
        let mut sums = vec![0_f32; self.videos.len() * self.classes];
        let mut seconds = Seconds::default();
        let steps = source.len().div_ceil(self.batch_size);
        let mut progress = console.progress("test", steps, 0);
        let plan = Plan { batch_size: self.batch_size, first_batch: 0, threads: self.threads, ring: 3 };
        let is_complete = with_batches(&source, plan, |batches| {
            let mut start = Instant::now();
            let mut waited_before = 0.0;
            while let Some(batch) = batches.next_batch()? {
                if stop.is_asked() {
                    return Ok(false);
                }
                let first = batch.samples.start;
                let input = to_tensors(&batch, 1, &range, self.device)?.remove(0);
                drop(batch);
                let logits = net.forward_t(&input, false)?.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>()?;
                for (i, logits) in logits.chunks_exact(self.classes).enumerate() {
                    let video = (first + i) / TEST_SAMPLES;
                    let sum = &mut sums[video * self.classes..(video + 1) * self.classes];
                    for (sum, logit) in sum.iter_mut().zip(logits) {
                        *sum += logit;
                    }
                }
                let waited = batches.waited.as_secs_f64();
                seconds.batch.add(start.elapsed().as_secs_f64(), 1);
                seconds.data.add(waited - waited_before, 1);
                waited_before = waited;
                start = Instant::now();
                progress.step(&format!("Time [{:.3}] Data [{:.3}]", seconds.batch.get(), seconds.data.get()));
            }
            Ok(true)
        })?;
        if !is_complete {
            return Ok(None);
        }
        let labels: Vec<u32> = self.videos.iter().map(|video| video.label).collect();
        let Accuracy { top1, top5 } = accuracy(&sums, self.classes, &labels);
        let scored = Scored { loss: cross_entropy(&sums, self.classes, &labels), top1, top5 };
        let scores = Scores {
            names: self.videos.iter().map(|video| video.id.clone()).collect(),
            classes: self.classes,
            logits: sums,
            samples: Some(vec![TEST_SAMPLES as u32; labels.len()]),
            labels: Some(labels),
        };
        Ok(Some(Outcome { scored, scores, seconds }))
    }
}
