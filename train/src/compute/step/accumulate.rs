//! Steps that add up the gradients of several micro-batches before they update the network.

use super::backward::MicroBatch;
use super::inputs::StepPlace;
use super::recorded::Tensors;
use super::rule::StepRule;
use crate::ranks::micro_batches;
use candle_convnet::{Classifier, Model, Sgd};
use candle_core::backprop::GradStore;
use candle_core::{Result, Tensor, Var};

/// Takes a step with the images of all views, `[n, side, side, channels]` each.
///
/// The gradients are sums over the micro-batches, in their order. Each counts by its share of the samples, so
/// the sum is the gradient of the mean loss. All micro-batches start from the same running statistics, which
/// become the mean of theirs, weighted in the same way.
pub(super) fn step(
    (model, sgd): (&Model<Classifier>, &mut Sgd),
    images: &[Tensor],
    labels: &[u32],
    place: StepPlace,
    rule: &StepRule,
) -> anyhow::Result<Tensors> {
    let (n, net) = (labels.len(), rule.network(&model.net));
    let mut sums = Sums::new(model)?;
    let (mut logits, mut losses) = (Vec::new(), Vec::new());
    for (micro_batch, samples) in micro_batches(n, rule.accumulate) {
        let share = samples.len() as f64 / n as f64;
        let (place, labels) = (StepPlace { micro_batch, ..place }, &labels[samples.clone()]);
        let own = MicroBatch { images, places: samples, labels, place, share };
        let (outputs, gradients) = own.backward(&net, rule)?;
        sums.add(&gradients, share)?;
        logits.push(outputs.logits);
        losses.push(outputs.loss);
    }
    sums.finish(sgd)?;
    Ok(Tensors { logits: Tensor::cat(&logits, 0)?, loss: Tensor::cat(&losses, 0)?.sum_keepdim(0)? })
}

/// Sums over the micro-batches so far.
struct Sums {
    parameters: Vec<Var>,
    gradients: GradStore,
    statistics: Vec<Statistic>,
}

/// A tensor of running statistics.
struct Statistic {
    var: Var,
    before: Tensor,
    /// The sum of the changes by each micro-batch, times its share of the samples; none before the first.
    sum: Option<Tensor>,
}

impl Sums {
    fn new(model: &Model<Classifier>) -> Result<Self> {
        let statistic = |(_, var): (String, Var)| Ok(Statistic { before: var.copy()?, var, sum: None });
        Ok(Self {
            parameters: model.trainable().into_iter().map(|(_, var)| var).collect(),
            gradients: GradStore::default(),
            statistics: model.running_statistics().into_iter().map(statistic).collect::<Result<_>>()?,
        })
    }

    /// Adds the results of a micro-batch: its gradients, which contain its share of the samples, and its
    /// running statistics, whose values before the step return.
    fn add(&mut self, gradients: &GradStore, share: f64) -> Result<()> {
        for var in &self.parameters {
            let Some(gradient) = gradients.get(var) else { continue };
            let sum = self.gradients.get(var).map_or_else(|| Ok(gradient.clone()), |sum| sum + gradient)?;
            self.gradients.insert(var, sum);
        }
        for Statistic { var, before, sum } in &mut self.statistics {
            let change = ((var.as_tensor() - &*before)? * share)?;
            *sum = Some(sum.take().map_or_else(|| Ok(change.clone()), |sum| sum + &change)?);
            var.set(before)?;
        }
        Ok(())
    }

    /// Updates the network.
    fn finish(self, sgd: &mut Sgd) -> Result<()> {
        for Statistic { var, before, sum } in &self.statistics {
            if let Some(sum) = sum {
                // Not the mean of the values: its rounding would move those of frozen batch norms.
                var.set(&(before + sum)?)?;
            }
        }
        sgd.step(&self.gradients)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compute::step::MixRule;
    use crate::compute::step::inputs::StepInputs;
    use crate::view::Consensus;
    use candle_convnet::{Arch, ClassifierConfig, Depth, SgdConfig, cross_entropy};
    use candle_core::{DType, Device};
    use std::collections::HashMap;

    const CPU: Device = Device::Cpu;
    const RATE: f64 = 0.1;

    fn rule(accumulate: usize) -> StepRule {
        StepRule {
            consensus: Consensus::Mean,
            label_smoothing: 0.1,
            views: 2,
            dropout: 0.0,
            stochastic_depth: 0.0,
            temporal_shift: false,
            mix: MixRule::default(),
            side: 32,
            channels: 3,
            accumulate,
            sync_bn: false,
        }
    }

    fn model() -> Model<Classifier> {
        Model::random(&ClassifierConfig::new(Arch::ResNet(Depth::R18), 3, 4), 7, &CPU).unwrap()
    }

    fn images(n: usize, view: usize) -> Tensor {
        let values = (0..n * 32 * 32 * 3).map(|i| ((i * (31 + view) + i / 7) % 97) as f32 / 50.0 - 1.0);
        Tensor::from_vec(values.collect(), (n, 32, 32, 3), &CPU).unwrap()
    }

    fn values(tensor: &Tensor) -> Vec<f64> {
        let values: Vec<f32> = tensor.flatten_all().unwrap().to_vec1().unwrap();
        values.into_iter().map(f64::from).collect()
    }

    /// Returns all tensors after a step, its logits and its loss.
    fn stepped(n: usize, accumulate: usize) -> (HashMap<String, Vec<f64>>, Vec<f64>, f64) {
        let model = model();
        let mut sgd = Sgd::new(model.trainable(), SgdConfig::new(RATE).with_momentum(0.0)).unwrap();
        let labels: Vec<u32> = (0..n as u32).map(|i| i % 4).collect();
        let place = StepPlace { seed: 1, epoch: 0, step: 0, micro_batch: 0 };
        let views = [images(n, 0), images(n, 1)];
        let Tensors { logits, loss } = step((&model, &mut sgd), &views, &labels, place, &rule(accumulate)).unwrap();
        let tensors = model.tensors().iter().map(|(name, tensor)| (name.clone(), values(tensor))).collect();
        (tensors, values(&logits), values(&loss)[0])
    }

    /// Computes the step with a network of its own for each micro-batch, and sums in f64.
    #[test]
    fn a_step_equals_independent_networks_whose_results_are_averaged_by_samples() {
        let n = 7;
        let (found, logits, loss) = stepped(n, 3);
        let start: HashMap<String, Vec<f64>> =
            model().tensors().iter().map(|(name, tensor)| (name.clone(), values(tensor))).collect();
        let mut expected: HashMap<String, Vec<f64>> =
            start.iter().map(|(name, values)| (name.clone(), vec![0.0; values.len()])).collect();
        let (mut expected_logits, mut expected_loss) = (Vec::new(), 0.0);
        for samples in [0..2, 2..4, 4..7] {
            let model = model();
            let share = samples.len() as f64 / n as f64;
            let labels: Vec<u32> = samples.clone().map(|i| i as u32 % 4).collect();
            let view = |view| {
                let own = images(n, view).narrow(0, samples.start, samples.len()).unwrap().contiguous().unwrap();
                model.net.forward_t(&own, true).unwrap()
            };
            let logits = ((view(0) + view(1)).unwrap() / 2.0).unwrap();
            let loss = cross_entropy(&logits, &Tensor::new(labels, &CPU).unwrap(), 0.1).unwrap();
            let gradients = loss.backward().unwrap();
            expected_logits.extend(values(&logits));
            expected_loss += share * values(&loss)[0];
            let mut add = |name: &String, values: Vec<f64>, factor: f64| {
                let sums = expected.get_mut(name).unwrap();
                sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += factor * value);
            };
            for (name, var) in model.trainable() {
                add(&name, values(gradients.get(&var).unwrap()), -RATE * share);
            }
            for (name, var) in model.running_statistics() {
                add(&name, values(&var), share);
            }
        }
        for (name, var) in model().trainable() {
            let sums = expected.get_mut(&name).unwrap();
            sums.iter_mut().zip(values(&var)).for_each(|(sum, value)| *sum += value);
        }
        for (name, expected) in &expected {
            let scale = expected.iter().fold(1e-3, |scale: f64, value| scale.max(value.abs()));
            for (found, expected) in found[name].iter().zip(expected) {
                assert!((found - expected).abs() <= 1e-5 * scale, "{name}: {found}, not {expected}");
            }
            assert_ne!(found[name], start[name], "{name} did not change");
        }
        assert!((loss - expected_loss).abs() < 1e-6, "{loss}, not {expected_loss}");
        assert_eq!(logits, expected_logits);
    }

    #[test]
    fn frozen_statistics_keep_their_bits() {
        let mut model = model();
        for (name, var) in model.running_statistics() {
            let changed = (var.as_tensor() * 1.1).unwrap();
            var.set(&(changed + 0.3).unwrap()).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
        model.net = model.net.with_frozen_norms();
        let all = |model: &Model<Classifier>| -> HashMap<String, Vec<f64>> {
            model.running_statistics().into_iter().map(|(name, var)| (name, values(&var))).collect()
        };
        let before = all(&model);
        let mut sgd = Sgd::new(model.trainable(), SgdConfig::new(RATE)).unwrap();
        let labels: Vec<u32> = (0..7).map(|i| i % 4).collect();
        let place = StepPlace { seed: 1, epoch: 0, step: 0, micro_batch: 0 };
        step((&model, &mut sgd), &[images(7, 0), images(7, 1)], &labels, place, &rule(3)).unwrap();
        for (name, after) in all(&model) {
            assert_eq!(after == before[&name], !name.starts_with("bn1."), "{name}");
        }
    }

    #[test]
    fn one_micro_batch_is_the_plain_step() {
        let (found, logits, loss) = stepped(3, 1);
        let model = model();
        let mut sgd = Sgd::new(model.trainable(), SgdConfig::new(RATE).with_momentum(0.0)).unwrap();
        let labels = [0_u32, 1, 2];
        let place = StepPlace { seed: 1, epoch: 0, step: 0, micro_batch: 0 };
        let inputs = StepInputs::draw(&rule(1), &model.net, &labels, place, &CPU).unwrap();
        let views = vec![images(3, 0), images(3, 1)];
        let plain = super::super::step((&model, &mut sgd), views, &inputs, &rule(1)).unwrap();
        assert_eq!((values(&plain.logits), values(&plain.loss)), (logits, vec![loss]));
        for (name, tensor) in model.tensors() {
            let plain = values(&tensor);
            if name.contains("running") {
                // The sum of a value and its change is rounded.
                let close = |(found, plain): (&f64, &f64)| (found - plain).abs() <= 1e-7 * plain.abs().max(1.0);
                assert!(found[&name].iter().zip(&plain).all(close), "{name}");
            } else {
                assert_eq!(plain, found[&name], "{name}");
            }
        }
        assert_eq!(plain.loss.dtype(), DType::F32);
    }
}
