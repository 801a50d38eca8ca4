//! Computation on NVIDIA GPUs: finds and opens a GPU, and re-exports the types of `candle-convnet`.

use crate::compute::profile::{Op, Profile};
use anyhow::{Context, Result, anyhow, bail};
pub use candle_convnet::cuda::{
    Choices, Download, Downloads, Pinned, Recording, Upload, Uploads, choices, cudnn_version, follow, record, rehearse,
};
use candle_convnet::cuda::{CudaConfig, GpuInfo, gpus as visible, open as open_gpu, peaks, profile as spent_by_op};
use candle_core::{DType, Device};

/// The end of each error about a GPU: a cure that always works.
const CURE: &str = "or use --device cpu";

/// Returns the number of the first GPU, if there is one.
pub fn first() -> Result<Option<usize>> {
    Ok((!gpus()?.is_empty()).then_some(0))
}

/// Lists all GPUs; the list is empty without a driver.
fn gpus() -> Result<Vec<GpuInfo>> {
    if cuda_delayload::load_driver().is_err() {
        return Ok(Vec::new());
    }
    let gpus = visible().map_err(|error| anyhow!("{error}, {CURE}"))?;
    // Loads the libraries only if there is a GPU, because nothing else needs them.
    if !gpus.is_empty() {
        cuda_delayload::load().map_err(|error| anyhow!("{error}; install it, for example with pip, {CURE}"))?;
    }
    Ok(gpus)
}

/// Opens a GPU by its number, and returns it with its name.
pub fn open(ordinal: usize, tf32: bool, deterministic: bool) -> Result<(Device, String)> {
    let device = format!("--device cuda:{ordinal}");
    cuda_delayload::load_driver().map_err(|error| anyhow!("{device}: {error}; install it, {CURE}"))?;
    let gpus = gpus().context(device.clone())?;
    let Some(gpu) = gpus.get(ordinal) else {
        let names: Vec<&str> = gpus.iter().map(|gpu| gpu.name.as_str()).collect();
        if names.is_empty() {
            bail!("{device}: no GPU was found; use --device cpu");
        }
        bail!("{device}: no GPU has this number (found: {}); use another number, {CURE}", names.join(", "));
    };
    let opened = open_gpu(ordinal, CudaConfig::default().with_tf32(tf32).with_deterministic(deterministic));
    Ok((opened.map_err(|error| anyhow!("{device}: {error}, {CURE}"))?, gpu.name.clone()))
}

/// Times the ops of `work` and measures the peak rates of the GPU for images of `dtype`. `work`
/// must not wait for the GPU.
pub fn profile(
    device: &Device,
    dtype: DType,
    work: impl FnOnce() -> candle_core::Result<()>,
) -> candle_core::Result<Profile> {
    let (spent, peaks) = (spent_by_op(device, work)?, peaks(device, dtype)?);
    let ops = spent.into_iter().map(|(name, spent)| Op {
        name,
        milliseconds: spent.milliseconds,
        calls: spent.calls,
        flops: spent.cost.flops,
        bytes: spent.cost.bytes,
        roof_milliseconds: peaks.milliseconds(&spent.cost),
    });
    Ok(Profile { ops: ops.collect(), peak_flops: peaks.flops, peak_bytes: peaks.bytes })
}
