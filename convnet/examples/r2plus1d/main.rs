//! Builds R(2+1)D-18 from the layers of the crate, loads torchvision's weights if you name a file,
//! and trains one step.
//!
//!     cargo run --release --example r2plus1d -- [r2plus1d_18.pth]

mod network;

use candle_convnet::{Model, Sgd, SgdConfig, cross_entropy, keep_freed_memory, read_weights};
use candle_core::{Device, Tensor};
use network::R2Plus1d;

fn main() -> anyhow::Result<()> {
    keep_freed_memory();
    let device = Device::Cpu;
    let model = Model::new(42, &device, |vb| R2Plus1d::new(400, vb))?;
    if let Some(path) = std::env::args_os().nth(1) {
        println!("{}", model.load_matching(&read_weights(path)?)?);
    }
    // Two clips of 8 frames with 112 x 112 pixels.
    let clips = Tensor::randn(0f32, 1., (2, 8, 112, 112, 3), &device)?;
    let labels = Tensor::new(&[0u32, 1], &device)?;
    let mut sgd = Sgd::new(model.trainable(), SgdConfig::new(1e-3))?;
    for step in 1..=3 {
        let loss = cross_entropy(&model.net.forward_t(&clips, true)?, &labels, 0.)?;
        println!("step {step}: loss {:.3}", loss.to_scalar::<f32>()?);
        sgd.step(&loss.backward()?)?;
    }
    Ok(())
}
