//! All layers of a residual network before its last layer.

use super::block::{Block, BlockTrace, Stem, StemTrace, sum};
use super::config::ResNetConfig;
use super::tape::Gradients;
use crate::ops::batch_norm::NormBy;
use candle_core::{Result, Tensor};
use candle_nn::VarBuilder;

/// Stem and blocks.
#[derive(Clone, Debug)]
pub(super) struct Backbone {
    pub stem: Stem,
    pub blocks: Vec<Block>,
}

/// Activations that the backward pass needs. It drops them layer by layer.
pub(super) struct BackboneTrace {
    stem: StemTrace,
    blocks: Vec<BlockTrace>,
}

impl Backbone {
    pub(super) fn new(config: &ResNetConfig, vb: &VarBuilder<'_>) -> Result<Self> {
        let stem = Stem::new(config.in_channels, vb)?;
        let mut blocks = Vec::new();
        let mut channels = 64;
        for (stage, &count) in config.depth.blocks().iter().enumerate() {
            let width = 64 << stage;
            for index in 0..count {
                let stride = if stage > 0 && index == 0 { 2 } else { 1 };
                let vb = vb.pp(format!("layer{}.{index}", stage + 1));
                let block = Block::new(channels, width, stride, config.depth.bottleneck(), &vb)?;
                channels = block.outputs();
                blocks.push(block);
            }
        }
        Ok(Self { stem, blocks })
    }

    pub(super) fn parameters(&self) -> Vec<&Tensor> {
        let mut parameters = self.stem.parameters().to_vec();
        parameters.extend(self.blocks.iter().flat_map(Block::parameters));
        parameters
    }

    /// Maps images [N, H, W, C] to features [N, H', W', F], outside candle's graph.
    ///
    /// `factors` [blocks, N] are those of stochastic depth.
    pub(super) fn forward(&self, x: &Tensor, train: bool, factors: Option<&Tensor>) -> Result<(Tensor, BackboneTrace)> {
        let (mut x, stem) = self.stem.forward(x, train)?;
        let mut blocks = Vec::with_capacity(self.blocks.len());
        for (at, block) in self.blocks.iter().enumerate() {
            let factors = factors.map(|factors| factors.get(at)).transpose()?;
            let (y, trace) = block.forward(&x, train, factors)?;
            x = y;
            blocks.push(trace);
        }
        Ok((x, BackboneTrace { stem, blocks }))
    }

    /// Maps images [N, H, W, C] to features [N, H', W', F], outside candle's graph and without a
    /// backward pass.
    pub(super) fn evaluate(&self, x: &Tensor, by: NormBy) -> Result<Tensor> {
        let mut x = self.stem.evaluate(x, by)?;
        for block in &self.blocks {
            x = block.evaluate(&x, by)?;
        }
        Ok(x)
    }

    /// Computes the gradients of all parameters, and of the input if `wants_input`, from the
    /// gradient of the features.
    pub(super) fn backward(
        &self,
        trace: BackboneTrace,
        grad: Tensor,
        wants_input: bool,
        gradients: &mut Gradients,
    ) -> Result<Option<Tensor>> {
        let BackboneTrace { stem, mut blocks } = trace;
        let mut grad = (grad, None);
        for block in self.blocks.iter().rev() {
            let Some(trace) = blocks.pop() else {
                candle_core::bail!("network: the activations of a block are missing")
            };
            grad = block.backward(trace, &grad, gradients)?;
        }
        self.stem.backward(&stem, &sum(grad)?, wants_input, gradients)
    }
}
