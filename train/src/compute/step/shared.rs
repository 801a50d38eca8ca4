//! Steps whose micro-batches are shared out among ranks.

use super::backward::MicroBatch;
use super::inputs::StepPlace;
use super::recorded::Tensors;
use super::rule::StepRule;
use crate::formats::safetensors_file;
use crate::ranks::{Ranks, Share, micro_batches};
use anyhow::{Context, Result, bail};
use candle_convnet::{Classifier, Model, Sgd};
use candle_core::backprop::GradStore;
use candle_core::{DType, Device, Tensor, Var};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

/// The share of samples that do not count. In f32, it is 0; but candle omits the backward pass of a loss that is
/// multiplied by 0, and so the exchanges of batch norms in it.
const NO_SHARE: f64 = f64::MIN_POSITIVE;

/// The samples that a rank brings to a step, except for their pixels.
#[derive(Clone, Debug, Default)]
pub struct Own {
    /// Labels of the rank's samples.
    pub labels: Vec<u32>,
    /// Number of them that replace damaged ones.
    pub damaged: u64,
    /// Whether the rank was asked to stop after the step.
    pub stop: bool,
}

/// The samples that all ranks brought to a step.
#[derive(Clone, Debug)]
pub struct Joint {
    /// Labels of all samples of the batch, in its order.
    pub labels: Vec<u32>,
    /// Number of them that replace damaged ones.
    pub damaged: u64,
    /// Whether a rank was asked to stop after the step.
    pub stop: bool,
}

/// The part of a rank's message that is not a tensor.
#[derive(Serialize, Deserialize)]
struct Note {
    damaged: u64,
    stop: bool,
    /// Variables that the step does not change; none if the rank has no samples.
    unchanged: Option<Vec<String>>,
}

/// Takes a step of a batch of `n` samples. `images` has the rank's samples, a tensor per view. Without samples and
/// with `sync_bn`, it has a sample that does not count.
///
/// The gradients and the running statistics of the micro-batches are added in the order of their numbers, as
/// one process adds them up. All ranks take the same step.
pub(super) fn step(
    (model, sgd): (&Model<Classifier>, &mut Sgd),
    images: &[Tensor],
    own: &Own,
    n: usize,
    place: StepPlace,
    rule: &StepRule,
    ranks: &Arc<dyn Ranks>,
) -> Result<(Tensors, Joint)> {
    let (count, net) = (rule.accumulate, rule.network(&model.net));
    let share = Share { rank: ranks.rank(), size: ranks.size(), batch_size: n, micro_batches: count };
    let (parameters, statistics) = (model.trainable(), model.running_statistics());
    let before = statistics.iter().map(|(_, var)| var.copy()).collect::<candle_core::Result<Vec<_>>>()?;
    let len = parameters.iter().chain(&statistics).map(|(_, var)| var.elem_count()).sum();
    let mut sum = ranks.start_sum(len);
    let (mut first, mut outputs, mut unchanged) = (0, Vec::new(), None);
    for (micro_batch, samples) in share.rounds(n) {
        let place = StepPlace { micro_batch, ..place };
        let net = rule.over_ranks(&net, ranks, samples > 0);
        let values = if samples > 0 {
            let (fraction, places) = (samples as f64 / n as f64, first..first + samples);
            let labels = &own.labels[places.clone()];
            first = places.end;
            let (result, gradients) =
                MicroBatch { images, places, labels, place, share: fraction }.backward(&net, rule)?;
            outputs.push(result);
            let without = parameters.iter().filter(|(_, var)| gradients.get(var).is_none());
            unchanged = Some(without.map(|(name, _)| name.clone()).collect::<Vec<_>>());
            Some(flat(&parameters, (&statistics, &before), &gradients, fraction)?)
        } else {
            if rule.sync_bn {
                MicroBatch { images, places: 0..1, labels: &[0], place, share: NO_SHARE }.backward(&net, rule)?;
            }
            None
        };
        for ((_, var), before) in statistics.iter().zip(&before) {
            var.set(before)?;
        }
        ranks.add(&mut sum, values.as_deref())?;
    }
    let sums = ranks.total(sum)?;
    let (tensors, joint, unchanged) = exchange(own, outputs, unchanged, n, count, &**ranks)?;
    take_in(&sums, [&parameters, &statistics], &unchanged, sgd)?;
    Ok((tensors, joint))
}

/// Returns the gradients of a micro-batch and the changes of the running statistics as one vector. The gradients
/// contain its share of the samples, `fraction`; the changes are multiplied by it.
fn flat(
    parameters: &[(String, Var)],
    (statistics, before): (&[(String, Var)], &[Tensor]),
    gradients: &GradStore,
    fraction: f64,
) -> Result<Vec<f32>> {
    let count = parameters.iter().chain(statistics).map(|(_, var)| var.elem_count()).sum();
    let mut values = Vec::with_capacity(count);
    for (_, var) in parameters {
        match gradients.get(var) {
            Some(gradient) => values.extend(gradient.flatten_all()?.to_vec1::<f32>()?),
            None => values.resize(values.len() + var.elem_count(), 0.0),
        }
    }
    for ((_, var), before) in statistics.iter().zip(before) {
        values.extend(((var.as_tensor() - before)? * fraction)?.flatten_all()?.to_vec1::<f32>()?);
    }
    Ok(values)
}

/// Exchanges what the meters need. Returns logits and loss of the batch, and the variables that stay unchanged.
fn exchange(
    own: &Own,
    outputs: Vec<Tensors>,
    unchanged: Option<Vec<String>>,
    n: usize,
    count: usize,
    ranks: &dyn Ranks,
) -> Result<(Tensors, Joint, Vec<String>)> {
    let mut tensors = BTreeMap::new();
    if !outputs.is_empty() {
        let (logits, losses): (Vec<_>, Vec<_>) = outputs.into_iter().map(|of| (of.logits, of.loss)).unzip();
        let labels: Vec<f32> = own.labels.iter().map(|&label| label as f32).collect();
        tensors.insert("labels".to_owned(), Tensor::new(labels, &Device::Cpu)?);
        tensors.insert("logits".to_owned(), Tensor::cat(&logits, 0)?);
        tensors.insert("losses".to_owned(), Tensor::cat(&losses, 0)?);
    }
    let note = serde_json::to_string(&Note { damaged: own.damaged, stop: own.stop, unchanged })?;
    let message = safetensors_file::to_bytes(tensors.iter().map(|(name, tensor)| (name.clone(), tensor)), &note)?;
    let (mut joint, mut common) = (Joint { labels: Vec::new(), damaged: 0, stop: false }, Vec::new());
    let mut of_ranks = Vec::with_capacity(ranks.size());
    for (rank, bytes) in ranks.gather(message)?.iter().enumerate() {
        let (note, tensors) = safetensors_file::parse(bytes, &format!("the message of rank {rank}"))?;
        let note: Note = serde_json::from_str(&note).with_context(|| format!("the message of rank {rank}"))?;
        joint.damaged += note.damaged;
        joint.stop |= note.stop;
        if let Some(unchanged) = note.unchanged {
            common = unchanged;
        }
        of_ranks.push(Queue { tensors, first: 0, losses: VecDeque::new() }.with_losses()?);
    }
    let (mut logits, mut losses) = (Vec::new(), Vec::new());
    for (micro_batch, samples) in micro_batches(n, count) {
        let queue = &mut of_ranks[micro_batch % ranks.size()];
        joint
            .labels
            .extend(queue.next("labels", samples.len())?.to_vec1::<f32>()?.into_iter().map(|label| label as u32));
        logits.push(queue.next("logits", samples.len())?);
        queue.first += samples.len();
        losses.push(queue.losses.pop_front().context("a rank sent too few losses")?);
    }
    let losses = Tensor::new(losses, &Device::Cpu)?;
    Ok((Tensors { logits: Tensor::cat(&logits, 0)?, loss: losses.sum_keepdim(0)? }, joint, common))
}

/// The results of a rank that have not been used yet.
struct Queue {
    tensors: HashMap<String, Tensor>,
    first: usize,
    losses: VecDeque<f32>,
}

impl Queue {
    fn with_losses(mut self) -> Result<Self> {
        if let Some(losses) = self.tensors.get("losses") {
            self.losses = losses.to_vec1()?.into();
        }
        Ok(self)
    }

    fn next(&self, name: &str, samples: usize) -> Result<Tensor> {
        let tensor = self.tensors.get(name).context("a rank sent no results")?;
        if self.first + samples > tensor.dim(0)? {
            bail!("a rank sent too few results");
        }
        Ok(tensor.narrow(0, self.first, samples)?)
    }
}

/// Takes the step with the sums over all micro-batches.
fn take_in(
    sums: &[f32],
    [parameters, statistics]: [&[(String, Var)]; 2],
    unchanged: &[String],
    sgd: &mut Sgd,
) -> Result<()> {
    let mut gradients = GradStore::default();
    let mut rest = sums;
    let mut next = |var: &Var| -> Result<Tensor> {
        let (own, after) = rest.split_at(var.elem_count());
        rest = after;
        Ok(Tensor::from_slice(own, var.shape(), var.device())?.to_dtype(DType::F32)?)
    };
    for (name, var) in parameters {
        let sum = next(var)?;
        if !unchanged.contains(name) {
            gradients.insert(var, sum);
        }
    }
    for (_, var) in statistics {
        let change = next(var)?;
        var.set(&(var.as_tensor() + change)?)?;
    }
    Ok(sgd.step(&gradients)?)
}
