//! A running average of a network's weights, which is steadier than the weights themselves (Polyak and Juditsky 1992).

use anyhow::{Context, Result, bail};
use candle_convnet::Model;
use candle_core::Tensor;
use std::collections::HashMap;

/// Tensors of a network that keep their values when it moves on.
pub fn copied(tensors: &[(String, Tensor)]) -> Result<Vec<(String, Tensor)>> {
    tensors.iter().map(|(name, tensor)| Ok((name.clone(), tensor.copy()?))).collect()
}

/// Averages of all parameters and running statistics of a network.
#[derive(Debug)]
pub struct Average {
    share: f64,
    steps: u64,
    tensors: Vec<(String, Tensor)>,
}

impl Average {
    /// Of a network that has taken no step. `share` of the past stays in it at each step; none for 0.
    pub fn new(share: f64, model: &Model) -> Result<Option<Self>> {
        if share == 0.0 {
            return Ok(None);
        }
        Ok(Some(Self { share, steps: 0, tensors: copied(&model.tensors())? }))
    }

    /// As a checkpoint holds it, behind `steps` steps.
    pub fn resumed(share: f64, model: &Model, saved: &HashMap<String, Tensor>, steps: u64) -> Result<Option<Self>> {
        let Some(mut average) = Self::new(share, model)? else { return Ok(None) };
        average.steps = steps;
        for (name, tensor) in &mut average.tensors {
            let saved = saved.get(name).with_context(|| format!("no average of {name} in it"))?;
            if saved.shape() != tensor.shape() {
                bail!("average of {name}: shape {:?}, expected {:?}", saved.shape(), tensor.shape());
            }
            *tensor = saved.to_device(tensor.device())?;
        }
        Ok(Some(average))
    }

    /// Takes the weights behind a step in. At first the past counts less, (1 + n) / (10 + n) of it behind n steps, so that the
    /// start does not linger.
    pub fn take_in(&mut self, model: &Model) -> Result<()> {
        let n = self.steps as f64;
        let past = self.share.min((1.0 + n) / (10.0 + n));
        for ((_, average), (_, now)) in self.tensors.iter_mut().zip(model.tensors()) {
            *average = ((&*average * past)? + (now * (1.0 - past))?)?;
        }
        self.steps += 1;
        Ok(())
    }

    /// The averages, sorted by name.
    pub fn tensors(&self) -> &[(String, Tensor)] {
        &self.tensors
    }

    /// Gives the network the averages as its weights; returns those that it had.
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
