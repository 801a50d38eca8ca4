//! An average of a network's weights over a training, which varies less than the weights: an
//! exponential one (Polyak and Juditsky 1992), or the mean of the last epochs (stochastic weight
//! averaging, Izmailov et al. 2018).

use crate::run::state::Cursor;
use crate::settings::Settings;
use anyhow::{Context, Result, bail};
use candle_convnet::{Classifier, Model};
use candle_core::Tensor;
use std::collections::HashMap;

/// Copies tensors of a network, so that later steps do not change the copies.
pub fn copied(tensors: &[(String, Tensor)]) -> Result<Vec<(String, Tensor)>> {
    tensors.iter().map(|(name, tensor)| Ok((name.clone(), tensor.copy()?))).collect()
}

/// When an average takes in weights, and what the past counts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum AverageRule {
    /// After each step. The past keeps this share.
    Decay(f64),
    /// After each of the last `epochs` epochs. All count the same.
    Mean {
        /// Number of epochs whose last weights are averaged.
        epochs: usize,
        /// Number of epochs of the run.
        of: usize,
    },
}

/// A moment of a training at which an average may take in the weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// The end of a step.
    Step,
    /// The end of the last step of this epoch.
    Epoch(usize),
}

impl AverageRule {
    /// Returns the rule of these settings, or none if they have none.
    pub fn of(settings: &Settings) -> Option<Self> {
        match (settings.ema, settings.swa) {
            (share, _) if share > 0.0 => Some(Self::Decay(share)),
            (_, epochs) if epochs > 0 => Some(Self::Mean { epochs, of: settings.epochs }),
            _ => None,
        }
    }

    /// Returns how many weights the average has taken in before the step of a cursor.
    fn taken(self, cursor: Cursor) -> u64 {
        match self {
            Self::Decay(_) => cursor.steps_done,
            Self::Mean { epochs, of } => (cursor.epoch + epochs).saturating_sub(of) as u64,
        }
    }

    /// Returns whether the average takes in the weights at this moment.
    fn takes(self, moment: Moment) -> bool {
        match (self, moment) {
            (Self::Decay(_), Moment::Step) => true,
            (Self::Mean { epochs, of }, Moment::Epoch(epoch)) => epoch + epochs >= of,
            _ => false,
        }
    }

    /// Returns the share of the average in its next value, after `taken` weights.
    ///
    /// With a decay, the past counts at most (1 + n) / (10 + n) after n steps, so that the first
    /// weights lose their influence soon.
    fn past(self, taken: u64) -> f64 {
        let n = taken as f64;
        match self {
            Self::Decay(share) => share.min((1.0 + n) / (10.0 + n)),
            Self::Mean { .. } => n / (n + 1.0),
        }
    }
}

/// An average of all parameters and running statistics of a network.
#[derive(Debug)]
pub struct Average {
    rule: AverageRule,
    taken: u64,
    /// Empty while a mean has taken in no weights.
    tensors: Vec<(String, Tensor)>,
}

impl Average {
    /// Starts the average of a network that has taken no step.
    pub fn new(rule: AverageRule, model: &Model<Classifier>) -> Result<Self> {
        let tensors = match rule {
            AverageRule::Decay(_) => copied(&model.tensors())?,
            AverageRule::Mean { .. } => Vec::new(),
        };
        Ok(Self { rule, taken: 0, tensors })
    }

    /// Restores the average of a checkpoint, whose next step is at `cursor`.
    ///
    /// # Errors
    /// A tensor is missing or has another shape.
    pub fn resumed(
        rule: AverageRule,
        model: &Model<Classifier>,
        saved: &HashMap<String, Tensor>,
        cursor: Cursor,
    ) -> Result<Self> {
        let mut average = Self { taken: rule.taken(cursor), ..Self::new(rule, model)? };
        if rule.past(average.taken) == 0.0 {
            return Ok(average);
        }
        average.tensors = model.tensors();
        for (name, tensor) in &mut average.tensors {
            let saved = saved.get(name).with_context(|| {
                format!("the average of tensor {name} is missing; restore the checkpoint or start a new run")
            })?;
            if saved.shape() != tensor.shape() {
                bail!(
                    "the average of tensor {name} has shape {:?}, but the network needs {:?}",
                    saved.shape(),
                    tensor.shape()
                );
            }
            *tensor = saved.to_device(tensor.device())?;
        }
        Ok(average)
    }

    /// Adds the weights of the network, if the rule asks for them at this moment.
    pub fn take_in(&mut self, model: &Model<Classifier>, moment: Moment) -> Result<()> {
        if !self.rule.takes(moment) {
            return Ok(());
        }
        let past = self.rule.past(self.taken);
        self.taken += 1;
        if self.tensors.is_empty() {
            self.tensors = copied(&model.tensors())?;
            return Ok(());
        }
        for ((_, average), (_, now)) in self.tensors.iter_mut().zip(model.tensors()) {
            *average = ((&*average * past)? + (now * (1.0 - past))?)?;
        }
        Ok(())
    }

    /// Returns the averages, sorted by name. Returns none if there are none yet.
    pub fn tensors(&self) -> &[(String, Tensor)] {
        &self.tensors
    }

    /// Replaces the weights of the network by the averages, and returns the weights that it had.
    /// Does nothing and returns none if there are no averages yet.
    pub fn put_in(&self, model: &Model<Classifier>) -> Result<Option<Vec<(String, Tensor)>>> {
        if self.tensors.is_empty() {
            return Ok(None);
        }
        let weights = copied(&model.tensors())?;
        model.load_tensors(&self.tensors.iter().cloned().collect())?;
        Ok(Some(weights))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_convnet::{Arch, ClassifierConfig, Depth};
    use candle_core::Device;

    fn model() -> Model<Classifier> {
        Model::random(&ClassifierConfig::new(Arch::ResNet(Depth::R18), 3, 2), 0, &Device::Cpu).unwrap()
    }

    /// Sets the first bias of a network to a value.
    fn set(model: &Model<Classifier>, value: f32) {
        let changed = model.tensors().into_iter().map(|(name, tensor)| {
            let is_bias = name == "fc.bias";
            (name, if is_bias { (tensor.zeros_like().unwrap() + f64::from(value)).unwrap() } else { tensor })
        });
        model.load_tensors(&changed.collect()).unwrap();
    }

    fn bias(tensors: &[(String, Tensor)]) -> f32 {
        let (_, tensor) = tensors.iter().find(|(name, _)| name == "fc.bias").unwrap();
        tensor.to_vec1::<f32>().unwrap()[0]
    }

    #[test]
    fn an_average_with_decay_is_the_weighted_sum_of_all_that_it_saw() {
        let model = model();
        set(&model, 1.0);
        let mut average = Average::new(AverageRule::Decay(0.15), &model).unwrap();
        let mut expected = 1.0;
        for (value, past) in [(2.0, 0.1), (4.0, 0.15), (-3.0, 0.15)] {
            set(&model, value);
            average.take_in(&model, Moment::Epoch(9)).unwrap();
            average.take_in(&model, Moment::Step).unwrap();
            expected = expected * past + value * (1.0 - past);
        }
        assert!((bias(average.tensors()) - expected).abs() < 1e-6);
        let weights = average.put_in(&model).unwrap().unwrap();
        assert!((bias(&model.tensors()) - expected).abs() < 1e-6);
        model.load_tensors(&weights.into_iter().collect()).unwrap();
        assert!((bias(&model.tensors()) + 3.0).abs() < 1e-6);
    }

    #[test]
    fn a_mean_is_that_of_the_last_epochs_even_if_the_run_was_resumed_in_between() {
        let model = model();
        let rule = AverageRule::Mean { epochs: 3, of: 5 };
        // Sums in f64 of the values of epochs 2, 3 and 4.
        let (values, means) = ([7.0_f32, -9.0, 0.1, 0.7, -2.5], [0.1_f64, 0.4, (0.1 + 0.7 - 2.5) / 3.0]);
        for resumed_at in 0..5 {
            let mut average = Average::new(rule, &model).unwrap();
            for (epoch, &value) in values.iter().enumerate() {
                if epoch == resumed_at {
                    let saved = average.tensors().iter().cloned().collect();
                    let cursor = Cursor { epoch, step: 1, steps_done: 77 };
                    average = Average::resumed(rule, &model, &saved, cursor).unwrap();
                }
                set(&model, value);
                average.take_in(&model, Moment::Step).unwrap();
                average.take_in(&model, Moment::Epoch(epoch)).unwrap();
                let weights = average.put_in(&model).unwrap();
                assert_eq!(weights.is_some(), epoch >= 2);
                let expected = if epoch < 2 { f64::from(value) } else { means[epoch - 2] };
                assert!((f64::from(bias(&model.tensors())) - expected).abs() < 1e-6, "{resumed_at} {epoch}");
                if let Some(weights) = weights {
                    assert!((bias(&weights) - value).abs() == 0.0);
                    model.load_tensors(&weights.into_iter().collect()).unwrap();
                }
            }
        }
        let cursor = Cursor { epoch: 4, step: 0, steps_done: 9 };
        let error = Average::resumed(rule, &model, &HashMap::new(), cursor).unwrap_err().to_string();
        assert!(error.starts_with("the average of tensor bn1.bias is missing"), "{error}");
    }
}
