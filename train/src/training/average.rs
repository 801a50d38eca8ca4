//! A running average of a network's weights, which varies less than the weights (Polyak and
//! Juditsky 1992).

use anyhow::{Context, Result, bail};
use candle_convnet::Model;
use candle_core::Tensor;
use std::collections::HashMap;

/// Copies tensors of a network, so that later steps do not change the copies.
pub fn copied(tensors: &[(String, Tensor)]) -> Result<Vec<(String, Tensor)>> {
    tensors.iter().map(|(name, tensor)| Ok((name.clone(), tensor.copy()?))).collect()
}

/// A running average of all parameters and running statistics of a network.
#[derive(Debug)]
pub struct Average {
    share: f64,
    steps: u64,
    tensors: Vec<(String, Tensor)>,
}

impl Average {
    /// Starts the average of a network that has taken no step. Each step keeps the share `share` of
    /// the past. Returns none for share 0.
    pub fn new(share: f64, model: &Model) -> Result<Option<Self>> {
        if share == 0.0 {
            return Ok(None);
        }
        Ok(Some(Self { share, steps: 0, tensors: copied(&model.tensors())? }))
    }

    /// Restores the average of a checkpoint, which has seen `steps` steps.
    ///
    /// # Errors
    /// A tensor is missing or has another shape.
    pub fn resumed(share: f64, model: &Model, saved: &HashMap<String, Tensor>, steps: u64) -> Result<Option<Self>> {
        let Some(mut average) = Self::new(share, model)? else { return Ok(None) };
        average.steps = steps;
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
        Ok(Some(average))
    }

    /// Adds the weights after a step. After n steps the past counts at most (1 + n) / (10 + n), so
    /// that the first weights lose their influence soon.
    pub fn take_in(&mut self, model: &Model) -> Result<()> {
        let n = self.steps as f64;
        let past = self.share.min((1.0 + n) / (10.0 + n));
        for ((_, average), (_, now)) in self.tensors.iter_mut().zip(model.tensors()) {
            *average = ((&*average * past)? + (now * (1.0 - past))?)?;
        }
        self.steps += 1;
        Ok(())
    }

    /// Returns the averages, sorted by name.
    pub fn tensors(&self) -> &[(String, Tensor)] {
        &self.tensors
    }

    /// Replaces the weights of the network by the averages, and returns the weights that it had.
    pub fn put_in(&self, model: &Model) -> Result<Vec<(String, Tensor)>> {
        let weights = copied(&model.tensors())?;
        model.load_tensors(&self.tensors.iter().cloned().collect())?;
        Ok(weights)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_convnet::{Depth, ResNetConfig};
    use candle_core::Device;

    #[test]
    fn the_average_is_the_weighted_sum_of_all_that_it_saw() {
        let config = ResNetConfig::new(Depth::R18, 3, 2);
        let model = Model::random(&config, 0, &Device::Cpu).unwrap();
        let bias = |tensors: &[(String, Tensor)]| -> f32 {
            let (_, tensor) = tensors.iter().find(|(name, _)| name == "fc.bias").unwrap();
            tensor.to_vec1::<f32>().unwrap()[0]
        };
        let set = |value: f32| {
            let all = model.tensors().into_iter();
            let changed = all.map(|(name, tensor)| {
                let is_bias = name == "fc.bias";
                (name, if is_bias { (tensor.zeros_like().unwrap() + f64::from(value)).unwrap() } else { tensor })
            });
            model.load_tensors(&changed.collect()).unwrap();
        };
        set(1.0);
        let mut average = Average::new(0.15, &model).unwrap().unwrap();
        let mut expected = 1.0;
        for (value, past) in [(2.0, 0.1), (4.0, 0.15), (-3.0, 0.15)] {
            set(value);
            average.take_in(&model).unwrap();
            expected = expected * past + value * (1.0 - past);
        }
        assert!((bias(average.tensors()) - expected).abs() < 1e-6);
        let weights = average.put_in(&model).unwrap();
        assert!((bias(&model.tensors()) - expected).abs() < 1e-6);
        model.load_tensors(&weights.into_iter().collect()).unwrap();
        assert!((bias(&model.tensors()) + 3.0).abs() < 1e-6);
        assert!(Average::new(0.0, &model).unwrap().is_none());
    }
}
