//! The settings from which a model creates its network.

use candle_core::Result;
use candle_nn::VarBuilder;

/// Settings of a network that [`Model::random`](crate::Model::random) and
/// [`Model::from_pretrained`](crate::Model::from_pretrained) can create.
///
/// Implement it for your own network to load weights with a new last layer:
///
/// ```
/// # use candle_convnet::{Conv2d, Conv2dConfig, Linear, Model, NetworkConfig, global_avg_pool};
/// # use candle_core::{Device, Result, Tensor};
/// # use candle_nn::VarBuilder;
/// struct Small {
///     classes: usize,
/// }
///
/// impl NetworkConfig for Small {
///     type Network = (Conv2d, Linear);
///
///     fn build(&self, vb: VarBuilder<'_>) -> Result<(Conv2d, Linear)> {
///         let conv = Conv2d::new(3, 8, 3, Conv2dConfig::default(), vb.pp("conv"))?;
///         Ok((conv, Linear::new(8, self.classes, vb.pp("head"))?))
///     }
///
///     fn first_weights(&self) -> &str {
///         "conv.weight"
///     }
///
///     fn last_layer(&self) -> &str {
///         "head"
///     }
///
///     fn in_channels(&self) -> usize {
///         3
///     }
/// }
///
/// # fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
/// let trained = Model::random(&Small { classes: 10 }, 1, &Device::Cpu)?;
/// let weights = trained.tensors().into_iter().collect();
/// let model = Model::from_weights(&Small { classes: 2 }, "trained", weights, 2, &Device::Cpu)?;
/// assert_eq!(model.net.1.parameters().0.dims(), [2, 8]);
/// # Ok(())
/// # }
/// ```
pub trait NetworkConfig {
    /// The network.
    type Network;

    /// Creates the network. Its parameters and running statistics come from `vb`.
    ///
    /// # Errors
    /// Returns the error of `vb` if a parameter is missing or has another shape.
    fn build(&self, vb: VarBuilder<'_>) -> Result<Self::Network>;

    /// Returns the name of the first convolution's weights.
    fn first_weights(&self) -> &str;

    /// Returns the name of the last layer, which computes the logits.
    fn last_layer(&self) -> &str;

    /// Returns the number of channels of the images.
    fn in_channels(&self) -> usize;
}
