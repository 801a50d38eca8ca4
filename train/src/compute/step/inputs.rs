//! The inputs of a step in addition to its pixels: labels and random choices. They are tensors,
//! because a recorded step reads them from fixed addresses.

use super::mixing::MixInputs;
use super::rule::StepRule;
use anyhow::Result;
use candle_convnet::{Classifier, TrainPass};
use candle_core::{Device, Tensor};
use clipshard::order::Draws;

/// Bits that tell the random numbers of a step from those of a sample, one for each purpose.
const DROPOUT: u64 = 1 << 63;
const MIXING: u64 = 1 << 62;
const DEPTH: u64 = 1 << 61;

/// The place of a step in a run, which decides its random numbers.
#[derive(Clone, Copy, Debug)]
pub struct StepPlace {
    /// Seed of the run.
    pub seed: u64,
    /// Epoch, from 0.
    pub epoch: usize,
    /// Step in the epoch, from 0.
    pub step: usize,
    /// Micro-batch of the step, from 0.
    pub micro_batch: usize,
}

impl StepPlace {
    fn draws(self, purpose: u64) -> Draws {
        Draws::new(self.seed, self.epoch as u64, purpose | (self.micro_batch as u64) << 32 | self.step as u64)
    }
}

/// The inputs of a step in addition to its pixels.
#[derive(Clone, Debug)]
pub(super) struct StepInputs {
    /// Labels, `[n]`, u32.
    pub(super) labels: Tensor,
    /// Factors of the features before the last layer, `[passes, images, features]`; none without
    /// dropout.
    pub(super) dropout: Option<Tensor>,
    /// Factors of the branches of residual blocks, `[passes, blocks, images]`; none without
    /// stochastic depth.
    pub(super) stochastic_depth: Option<Tensor>,
    /// The mix of samples; none if samples are not mixed.
    pub(super) mixing: Option<MixInputs>,
}

impl StepInputs {
    /// Draws the inputs of a step.
    pub(super) fn draw(
        rule: &StepRule,
        net: &Classifier,
        labels: &[u32],
        place: StepPlace,
        device: &Device,
    ) -> Result<Self> {
        let n = labels.len();
        let (passes, images) = if rule.temporal_shift { (1, n * rule.views) } else { (rule.views, n) };
        let (features, blocks) = (net.features(), net.depth_blocks());
        // The last block drops its branch with the full share, and the others with less (Huang et al.
        // 2016).
        let of_block = |block: usize| rule.stochastic_depth * (block + 1) as f64 / blocks as f64;
        Ok(Self {
            // Labels have few bytes, so their copy to a GPU does not wait for it.
            labels: Tensor::new(labels, device)?,
            dropout: factors((passes, images, features), |_| rule.dropout, place.draws(DROPOUT), device)?,
            stochastic_depth: factors((passes, blocks, images), of_block, place.draws(DEPTH), device)?,
            mixing: rule.mix.inputs(n, rule.side, place.draws(MIXING), device)?,
        })
    }

    /// Returns the same inputs at other places. Calls `moved` with the tensors, whose order and
    /// number are the same in all steps of a rule.
    pub(super) fn moved(&self, mut moved: impl FnMut(&Tensor) -> Result<Tensor>) -> Result<Self> {
        let Self { labels, dropout, stochastic_depth, mixing } = self;
        let labels = moved(labels)?;
        let dropout = dropout.as_ref().map(&mut moved).transpose()?;
        let stochastic_depth = stochastic_depth.as_ref().map(&mut moved).transpose()?;
        let mixing = match mixing {
            None => None,
            Some(MixInputs { partners, weights, share }) => {
                Some(MixInputs { partners: moved(partners)?, weights: moved(weights)?, share: moved(share)? })
            }
        };
        Ok(Self { labels, dropout, stochastic_depth, mixing })
    }

    /// Returns the factors of a forward pass.
    pub(super) fn pass(&self, number: usize) -> candle_core::Result<TrainPass> {
        let mut pass = TrainPass::new();
        if let Some(factors) = &self.dropout {
            pass = pass.with_dropout(&factors.get(number)?);
        }
        if let Some(factors) = &self.stochastic_depth {
            pass = pass.with_stochastic_depth(&factors.get(number)?);
        }
        Ok(pass)
    }
}

/// Draws factors of the given shape: 0 with the probability `share`, otherwise 1 / (1 - share), which
/// keeps the mean at 1. `share` depends on the index in the second axis. Returns none if all shares
/// are 0.
fn factors(
    shape: (usize, usize, usize),
    share: impl Fn(usize) -> f64,
    mut draws: Draws,
    device: &Device,
) -> candle_core::Result<Option<Tensor>> {
    let (passes, rows, columns) = shape;
    if (0..rows).all(|row| share(row) == 0.0) {
        return Ok(None);
    }
    let mut values = Vec::with_capacity(passes * rows * columns);
    for row in (0..passes).flat_map(|_| 0..rows) {
        let share = share(row);
        let kept = (1.0 / (1.0 - share)) as f32;
        values.extend((0..columns).map(|_| if draws.unit() < share { 0.0 } else { kept }));
    }
    Tensor::from_vec(values, shape, device).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compute::step::mixing::MixRule;
    use crate::view::Consensus;
    use candle_convnet::{Arch, ClassifierConfig, Depth, Model};
    use std::sync::LazyLock;

    fn draw(rule: StepRule, step: usize) -> StepInputs {
        draw_of(rule, step, 0)
    }

    fn draw_of(rule: StepRule, step: usize, micro_batch: usize) -> StepInputs {
        static NET: LazyLock<Classifier> = LazyLock::new(|| {
            Model::random(&ClassifierConfig::new(Arch::ResNet(Depth::R18), 3, 2), 0, &Device::Cpu).unwrap().net
        });
        let place = StepPlace { seed: 1, epoch: 2, step, micro_batch };
        StepInputs::draw(&rule, &NET, &[0; 5], place, &Device::Cpu).unwrap()
    }

    const RULE: StepRule = StepRule {
        consensus: Consensus::Mean,
        label_smoothing: 0.0,
        views: 3,
        dropout: 0.25,
        stochastic_depth: 0.4,
        temporal_shift: false,
        mix: MixRule { mixup: 0.2, cutmix: 0.0 },
        channels: 3,
        side: 32,
        accumulate: 1,
        sync_bn: false,
    };

    #[test]
    fn branches_are_dropped_more_often_in_later_blocks() {
        let mut dropped = [0_u32; 8];
        for step in 0..400 {
            let factors = draw(RULE, step).stochastic_depth.unwrap();
            assert_eq!(factors.dims(), [3, 8, 5]);
            for pass in factors.to_vec3::<f32>().unwrap() {
                for (block, row) in pass.iter().enumerate() {
                    let share = 0.05 * (block + 1) as f64;
                    for &factor in row {
                        let kept = (f64::from(factor) - 1.0 / (1.0 - share)).abs() < 1e-6;
                        assert!(factor == 0.0 || kept, "{factor} in block {block}");
                        dropped[block] += u32::from(factor == 0.0);
                    }
                }
            }
        }
        for (block, dropped) in dropped.into_iter().enumerate() {
            let (expected, n) = (0.05 * (block + 1) as f64, 400.0 * 15.0);
            let error = 4.0 * (expected * (1.0 - expected) / n).sqrt();
            assert!((f64::from(dropped) / n - expected).abs() < error, "{dropped} in block {block}");
        }
    }

    #[test]
    fn one_pass_of_groups_has_factors_for_the_frames_of_all_samples() {
        let shifted = draw(StepRule { temporal_shift: true, ..RULE }, 0);
        assert_eq!(shifted.dropout.unwrap().dims(), [1, 15, 512]);
        assert_eq!(shifted.stochastic_depth.unwrap().dims(), [1, 8, 15]);
        let none = draw(StepRule { dropout: 0.0, stochastic_depth: 0.0, mix: MixRule::default(), ..RULE }, 0);
        assert!(none.dropout.is_none() && none.stochastic_depth.is_none() && none.mixing.is_none());
    }

    #[test]
    fn the_random_numbers_of_a_step_do_not_depend_on_other_options() {
        let values = |tensor: Option<Tensor>| tensor.unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let alone = draw(StepRule { stochastic_depth: 0.0, mix: MixRule::default(), ..RULE }, 3);
        // The draws of dropout in all versions of the program.
        let mut draws = Draws::new(1, 2, 1 << 63 | 3);
        let expected: Vec<f32> =
            (0..15 * 512).map(|_| if draws.unit() < 0.25 { 0.0 } else { (1.0_f64 / 0.75) as f32 }).collect();
        assert_eq!(values(alone.dropout), expected);
        assert_eq!(values(draw(RULE, 3).dropout), expected);
        assert_ne!(values(draw(RULE, 4).dropout), expected);
        assert_ne!(values(draw_of(RULE, 3, 1).dropout), expected);
    }

    #[test]
    fn all_inputs_are_moved_in_one_order() {
        let inputs = draw(RULE, 0);
        let mut shapes = Vec::new();
        let moved = inputs.moved(|tensor| {
            shapes.push(tensor.dims().to_vec());
            Ok(tensor.copy()?)
        });
        assert_eq!(shapes, [vec![5], vec![3, 5, 512], vec![3, 8, 5], vec![5], vec![2, 32], vec![]]);
        let pass = moved.unwrap().pass(2).unwrap();
        let expected = inputs.dropout.unwrap().get(2).unwrap().to_vec2::<f32>().unwrap();
        assert_eq!(pass.dropout.unwrap().to_vec2::<f32>().unwrap(), expected);
    }
}
