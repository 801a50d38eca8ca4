//! Where a network computes, and how precisely.

use crate::usage::Usage;
use anyhow::{Context, Result, bail};
use candle_core::{DType, Device};
use serde::{Deserialize, Serialize};

/// How activations are kept and multiplied. Parameters, their gradients and all sums are f32 in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// Half as many bits; CUDA only.
    Bf16,
    /// f32, multiplied with 10 bits; CUDA only.
    Tf32,
    /// f32 throughout.
    F32,
}

/// Where and how to compute, as it is typed.
#[derive(Clone, Debug, clap::Args)]
pub struct ComputeArgs {
    /// auto, cpu or cuda:N
    #[arg(long, default_value = "auto")]
    device: String,
    /// How precisely to compute [default: bf16 on a card, f32 on the CPU]
    #[arg(long, value_enum)]
    precision: Option<Precision>,
    /// Threads that decode and compute [default: all cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    threads: Option<u32>,
}

impl ComputeArgs {
    /// Opens the device and sets the threads that compute; how many these are.
    pub fn start(&self) -> Result<(Compute, usize)> {
        let compute = Compute::open(&self.device, self.precision, false)?;
        let threads = threads_or_all(self.threads);
        set_threads(threads)?;
        Ok((compute, threads))
    }
}

/// What is typed, or all cores.
pub fn threads_or_all(typed: Option<u32>) -> usize {
    typed.map_or_else(|| std::thread::available_parallelism().map_or(1, usize::from), |n| n as usize)
}

/// Sets the threads that compute, once a program.
pub fn set_threads(threads: usize) -> Result<()> {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global().context("cannot start threads")
}

/// An opened device.
#[derive(Clone, Debug)]
pub struct Compute {
    /// Where tensors are.
    pub device: Device,
    /// How precisely it computes.
    pub precision: Precision,
    /// Type of activations.
    pub dtype: DType,
    /// For the log: `cpu`, or the card's name.
    pub name: String,
}

impl Compute {
    /// Opens the device of a name: `cpu`, `cuda:N`, or `auto` for the first card if there is one.
    ///
    /// Without a precision a card computes in bf16, the CPU in f32.
    pub fn open(name: &str, precision: Option<Precision>, deterministic: bool) -> Result<Self> {
        let ordinal = match name {
            "cpu" => None,
            "auto" => cuda::first()?,
            _ => match name.strip_prefix("cuda:").and_then(|n| n.parse().ok()).or((name == "cuda").then_some(0)) {
                Some(ordinal) => Some(ordinal),
                None => bail!(Usage(format!("--device {name}: there is auto, cpu and cuda:N"))),
            },
        };
        let Some(ordinal) = ordinal else {
            if let Some(precision @ (Precision::Bf16 | Precision::Tf32)) = precision {
                let precision = format!("{precision:?}").to_lowercase();
                bail!(Usage(format!(
                    "--precision {precision}: the CPU computes in f32; use --precision f32 or a card"
                )));
            }
            return Ok(Self { device: Device::Cpu, precision: Precision::F32, dtype: DType::F32, name: "cpu".into() });
        };
        let precision = precision.unwrap_or(Precision::Bf16);
        let (device, name) = cuda::open(ordinal, precision == Precision::Tf32, deterministic)?;
        let dtype = if precision == Precision::Bf16 { DType::BF16 } else { DType::F32 };
        Ok(Self { device, precision, dtype, name })
    }
}

/// Says what helps where an error is that a card's memory is full.
pub fn explain(error: anyhow::Error) -> anyhow::Error {
    // By name: candle, cuDNN and cuBLAS have error types of their own, and some arrive as text.
    let text = format!("{error:#}");
    let is_full = ["CUDA_ERROR_OUT_OF_MEMORY", "CUDNN_STATUS_ALLOC_FAILED", "CUBLAS_STATUS_ALLOC_FAILED"]
        .iter()
        .any(|code| text.contains(code));
    if !is_full {
        return error;
    }
    error.context(
        "the card's memory is full: take a smaller --batch-size, end what else uses the card, or use --device cpu",
    )
}

#[cfg(feature = "cuda")]
mod cuda {
    use anyhow::{Context, Result, anyhow, bail};
    use candle_convnet::cuda::{Card, CudaConfig, cards as shown, open as open_card};
    use candle_core::Device;

    /// What helps against every error here.
    const CURE: &str = "or use --device cpu";

    /// The first card, if there is one.
    pub fn first() -> Result<Option<usize>> {
        Ok((!cards()?.is_empty()).then_some(0))
    }

    /// All cards; none where there is no driver.
    fn cards() -> Result<Vec<Card>> {
        if cuda_delayload::load_driver().is_err() {
            return Ok(Vec::new());
        }
        let cards = shown().map_err(|error| anyhow!("{error}, {CURE}"))?;
        // Where there is no card, nobody needs the libraries.
        if !cards.is_empty() {
            cuda_delayload::load().map_err(|error| anyhow!("{error}; install it (pip's packages will do), {CURE}"))?;
        }
        Ok(cards)
    }

    pub fn open(ordinal: usize, tf32: bool, deterministic: bool) -> Result<(Device, String)> {
        let device = format!("--device cuda:{ordinal}");
        cuda_delayload::load_driver().map_err(|error| anyhow!("{device}: {error}; install it, {CURE}"))?;
        let cards = cards().context(device.clone())?;
        let Some(card) = cards.get(ordinal) else {
            let names: Vec<&str> = cards.iter().map(|card| card.name.as_str()).collect();
            let there = if names.is_empty() { "none".into() } else { names.join(", ") };
            bail!("{device}: no such card (there is: {there}); use another number, {CURE}");
        };
        let opened = open_card(ordinal, CudaConfig::default().with_tf32(tf32).with_deterministic(deterministic));
        Ok((opened.map_err(|error| anyhow!("{device}: {error}, {CURE}"))?, card.name.clone()))
    }
}

#[cfg(not(feature = "cuda"))]
mod cuda {
    use crate::usage::Usage;
    use anyhow::{Result, bail};
    use candle_core::Device;

    #[expect(clippy::unnecessary_wraps, reason = "a driver may not answer")]
    pub fn first() -> Result<Option<usize>> {
        Ok(None)
    }

    pub fn open(ordinal: usize, _: bool, _: bool) -> Result<(Device, String)> {
        bail!(Usage(format!(
            "--device cuda:{ordinal}: this program was built without CUDA; build it with --features cuda, or use --device cpu"
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cpu_computes_in_f32_only() {
        let cpu = Compute::open("cpu", None, false).unwrap();
        assert!(cpu.device.is_cpu() && cpu.dtype == DType::F32);
        assert!(Compute::open("cpu", Some(Precision::F32), true).is_ok());
        let error = Compute::open("cpu", Some(Precision::Bf16), false).unwrap_err();
        assert!(error.is::<Usage>() && error.to_string().contains("--precision bf16"), "{error}");
    }

    #[test]
    fn names_that_are_none_are_wrong_usage() {
        for name in ["gpu", "cuda:x", "cuda:-1", ""] {
            assert!(Compute::open(name, None, false).unwrap_err().is::<Usage>(), "{name}");
        }
    }

    #[test]
    fn full_memory_comes_with_a_cure_and_other_errors_as_they_are() {
        let full = anyhow::anyhow!("DriverError(CUDA_ERROR_OUT_OF_MEMORY, \"out of memory\")").context("step 3");
        let text = format!("{:#}", explain(full));
        assert!(
            text.starts_with("the card's memory is full: take a smaller --batch-size") && text.contains("step 3"),
            "{text}"
        );
        assert_eq!(format!("{:#}", explain(anyhow::anyhow!("a file is gone"))), "a file is gone");
    }

    #[cfg(not(feature = "cuda"))]
    #[test]
    fn without_cuda_a_card_is_refused_and_auto_means_the_cpu() {
        let error = Compute::open("cuda:0", None, false).unwrap_err().to_string();
        assert!(error.contains("--features cuda"), "{error}");
        assert!(Compute::open("auto", None, false).unwrap().device.is_cpu());
    }
}
