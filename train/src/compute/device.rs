//! The device of a network, and the precision of its computation.

use super::backend;
use crate::base::console::note;
use crate::base::usage::Usage;
use anyhow::{Context, Result, bail};
use candle_convnet::cpu_is_faster_in_bf16;
use candle_core::{DType, Device};
use serde::{Deserialize, Serialize};

/// The number format of activations and products. Parameters, their gradients and all sums are
/// always f32.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 16-bit bfloat16 activations: less memory; faster on a GPU, and on a CPU with AMX
    Bf16,
    /// 32-bit activations, multiplied with 10-bit mantissas; GPU only
    Tf32,
    /// 32 bits everywhere
    F32,
    /// bf16 where it is faster: on a GPU, and on a CPU with AMX; otherwise f32
    Auto,
}

/// Sets the number of threads that compute. Call it once per program.
///
/// # Errors
/// The threads were set before, or cannot be started.
pub fn set_threads(threads: usize) -> Result<()> {
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build_global()
        .context("cannot start threads; use fewer --threads")
}

/// An opened device.
#[derive(Clone, Debug)]
pub struct Compute {
    /// Device of the tensors.
    pub device: Device,
    /// Precision of the computation, never `Auto`.
    pub precision: Precision,
    /// Number type of activations.
    pub dtype: DType,
    /// Name for the log: `cpu`, or that of the GPU.
    pub name: String,
}

impl Compute {
    /// Opens a device by its name: `cpu`, `cuda:N`, or `auto` for the first GPU, if there is one,
    /// and otherwise the CPU.
    ///
    /// The default precision is bf16 on a GPU and f32 on the CPU.
    pub fn open(name: &str, precision: Option<Precision>, deterministic: bool) -> Result<Self> {
        let ordinal = match name {
            "cpu" => None,
            "auto" => backend::first()?,
            _ => match name.strip_prefix("cuda:").and_then(|n| n.parse().ok()).or((name == "cuda").then_some(0)) {
                Some(ordinal) => Some(ordinal),
                None => bail!(Usage(format!("--device {name}: unknown device; use auto, cpu or cuda:N"))),
            },
        };
        let Some(ordinal) = ordinal else {
            return Self::cpu(match precision {
                Some(Precision::Auto) if cpu_is_faster_in_bf16() => Precision::Bf16,
                None | Some(Precision::Auto) => Precision::F32,
                Some(precision) => precision,
            });
        };
        let precision = precision.filter(|&precision| precision != Precision::Auto).unwrap_or(Precision::Bf16);
        let (device, name) = backend::open(ordinal, precision == Precision::Tf32, deterministic)?;
        Ok(Self { device, precision, dtype: precision.dtype(), name })
    }

    /// Returns whether the device `auto` is a GPU.
    ///
    /// # Errors
    /// There is a GPU that cannot be used.
    pub fn has_gpu() -> Result<bool> {
        Ok(backend::first()?.is_some())
    }

    fn cpu(precision: Precision) -> Result<Self> {
        match precision {
            Precision::Tf32 => bail!(Usage(
                "--precision tf32 needs a GPU, but the device is the CPU; use --precision f32 or bf16, or a GPU".into()
            )),
            Precision::Bf16 if !cpu_is_faster_in_bf16() => {
                note("note: --precision bf16 saves memory, but is not faster than f32 on this processor");
            }
            _ => {}
        }
        Ok(Self { device: Device::Cpu, precision, dtype: precision.dtype(), name: "cpu".into() })
    }
}

impl Precision {
    /// Returns the number type of activations.
    fn dtype(self) -> DType {
        if self == Self::Bf16 { DType::BF16 } else { DType::F32 }
    }
}

/// The error that the memory of a GPU is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the memory of the GPU is full; use a smaller --batch-size, stop other programs on the GPU, or use --device cpu"
)]
pub struct OutOfMemory;

impl OutOfMemory {
    /// Adds this error as context if a full GPU memory caused `error`; returns other errors
    /// unchanged.
    ///
    /// Only the text shows the cause: candle has no error variant for it, and wraps the errors of
    /// CUDA, cuBLAS and cuDNN as text.
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
    fn the_cpu_computes_in_f32_or_bf16() {
        let cpu = Compute::open("cpu", None, false).unwrap();
        assert!(cpu.device.is_cpu() && cpu.dtype == DType::F32);
        assert_eq!(Compute::open("cpu", Some(Precision::F32), true).unwrap().dtype, DType::F32);
        assert_eq!(Compute::open("cpu", Some(Precision::Bf16), true).unwrap().dtype, DType::BF16);
        let faster = if cpu_is_faster_in_bf16() { Precision::Bf16 } else { Precision::F32 };
        assert_eq!(Compute::open("cpu", Some(Precision::Auto), true).unwrap().precision, faster);
        let error = Compute::open("cpu", Some(Precision::Tf32), false).unwrap_err();
        assert!(error.is::<Usage>() && error.to_string().contains("--precision tf32"), "{error}");
    }

    #[test]
    fn unknown_device_names_are_wrong_usage() {
        for name in ["gpu", "cuda:x", "cuda:-1", ""] {
            assert!(Compute::open(name, None, false).unwrap_err().is::<Usage>(), "{name}");
        }
    }

    #[test]
    fn a_full_memory_gets_a_cure_and_other_errors_stay_unchanged() {
        let full = anyhow::anyhow!("DriverError(CUDA_ERROR_OUT_OF_MEMORY, \"out of memory\")").context("step 3");
        let text = format!("{:#}", OutOfMemory::explain(full));
        assert!(
            text.starts_with("the memory of the GPU is full; use a smaller --batch-size") && text.contains("step 3"),
            "{text}"
        );
        assert_eq!(format!("{:#}", OutOfMemory::explain(anyhow::anyhow!("a file is gone"))), "a file is gone");
    }

    #[cfg(not(feature = "cuda"))]
    #[test]
    fn without_cuda_a_gpu_is_refused_and_auto_means_the_cpu() {
        let error = Compute::open("cuda:0", None, false).unwrap_err().to_string();
        assert!(error.contains("--features cuda"), "{error}");
        assert!(Compute::open("auto", None, false).unwrap().device.is_cpu());
    }
}
