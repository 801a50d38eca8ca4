//! Where a network computes, and how precisely.

use super::backend;
use crate::base::usage::Usage;
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
            "auto" => backend::first()?,
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
        let (device, name) = backend::open(ordinal, precision == Precision::Tf32, deterministic)?;
        let dtype = if precision == Precision::Bf16 { DType::BF16 } else { DType::F32 };
        Ok(Self { device, precision, dtype, name })
    }
}

/// A GPU had no memory left for what was asked of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the card's memory is full: take a smaller --batch-size, end what else uses the card, or use --device cpu")]
pub struct OutOfMemory;

impl OutOfMemory {
    /// Adds this error, which tells the cure, above one whose cause is that a GPU's memory is full; leaves others as they are.
    ///
    /// The cause is known by its text alone: candle has no error variant for it, and wraps those of CUDA, cuBLAS and cuDNN,
    /// which are types of their own, as text.
    pub fn explain(error: anyhow::Error) -> anyhow::Error {
        const CODES: [&str; 3] =
            ["CUDA_ERROR_OUT_OF_MEMORY", "CUDNN_STATUS_ALLOC_FAILED", "CUBLAS_STATUS_ALLOC_FAILED"];
        let text = format!("{error:#}");
        if CODES.iter().any(|code| text.contains(code)) { error.context(Self) } else { error }
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
        let text = format!("{:#}", OutOfMemory::explain(full));
        assert!(
            text.starts_with("the card's memory is full: take a smaller --batch-size") && text.contains("step 3"),
            "{text}"
        );
        assert_eq!(format!("{:#}", OutOfMemory::explain(anyhow::anyhow!("a file is gone"))), "a file is gone");
    }

    #[cfg(not(feature = "cuda"))]
    #[test]
    fn without_cuda_a_card_is_refused_and_auto_means_the_cpu() {
        let error = Compute::open("cuda:0", None, false).unwrap_err().to_string();
        assert!(error.contains("--features cuda"), "{error}");
        assert!(Compute::open("auto", None, false).unwrap().device.is_cpu());
    }
}
