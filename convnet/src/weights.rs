//! Reading weights that PyTorch, torchvision or timm wrote.

use candle_core::{DType, Device, Shape, Tensor, pickle, safetensors};
use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Why weights could not be used.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    /// The file could not be opened or read.
    #[error("{}: cannot read it", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is a pickle from before PyTorch 1.6.
    #[error(
        "{}: written in PyTorch's format from before 1.6, which is not read here; open it with PyTorch 1.6 or newer and save it again: torch.save(torch.load(path), path)",
        path.display()
    )]
    OldPickle {
        /// The file.
        path: PathBuf,
    },
    /// The file is neither safetensors nor a zip `.pth`.
    #[error("{}: neither a safetensors file nor a .pth that PyTorch 1.6 or newer saved", path.display())]
    Format {
        /// The file.
        path: PathBuf,
    },
    /// The file says what it is, but cannot be read as that.
    #[error("{}: damaged, perhaps cut short: fetch it again", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What the reader said.
        source: candle_core::Error,
    },
    /// Tensors are missing, misshapen or unknown.
    #[error("{}: {}", path.display(), describe(problems))]
    Mismatch {
        /// The file, or a word for where the tensors came from.
        path: PathBuf,
        /// Every tensor that does not fit, sorted by name.
        problems: Vec<Problem>,
    },
    /// candle failed to compute.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
}

/// One tensor that does not fit the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// The network needs it and the file lacks it.
    Missing {
        /// Its name.
        name: String,
        /// Its shape in the network.
        expected: Vec<usize>,
    },
    /// It has another shape.
    Shape {
        /// Its name.
        name: String,
        /// Its shape in the network.
        expected: Vec<usize>,
        /// Its shape in the file.
        found: Vec<usize>,
    },
    /// The network has no such tensor.
    Unknown {
        /// Its name.
        name: String,
    },
}

impl Problem {
    pub(crate) fn shape(name: &str, expected: &Shape, found: &Shape) -> Self {
        Self::Shape { name: name.to_owned(), expected: expected.dims().to_vec(), found: found.dims().to_vec() }
    }

    /// The tensor's name.
    pub fn name(&self) -> &str {
        match self {
            Self::Missing { name, .. } | Self::Shape { name, .. } | Self::Unknown { name } => name,
        }
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Missing { name, expected } => write!(f, "{name} {expected:?} is missing"),
            Self::Shape { name, expected, found } => write!(f, "{name} has shape {found:?}, expected {expected:?}"),
            Self::Unknown { name } => write!(f, "{name} has no place in this network"),
        }
    }
}

/// Problems that an error message spells out.
const SHOWN: usize = 5;

fn describe(problems: &[Problem]) -> String {
    let mut text = format!("{} tensors do not fit: ", problems.len());
    if problems.len() == 1 {
        "a tensor does not fit: ".clone_into(&mut text);
    }
    for (i, problem) in problems.iter().take(SHOWN).enumerate() {
        let _ = write!(text, "{}{problem}", if i > 0 { "; " } else { "" });
    }
    if problems.len() > SHOWN {
        let _ = write!(text, "; and {} more", problems.len() - SHOWN);
    }
    text + ". Check that the network's depth and channels are those that the weights were saved from"
}

impl WeightsError {
    pub(crate) fn check(path: &Path, mut problems: Vec<Problem>) -> Result<(), Self> {
        problems.sort_by(|a, b| a.name().cmp(b.name()));
        if problems.is_empty() { Ok(()) } else { Err(Self::Mismatch { path: path.to_owned(), problems }) }
    }
}

/// Where training scripts put the weights inside a `.pth`; empty for the file itself.
/// That comes last, since a checkpoint may have a tensor beside its weights.
const PTH_KEYS: [Option<&str>; 4] = [Some("state_dict"), Some("model"), Some("model_state_dict"), None];

/// All floating-point tensors of a safetensors file or a zip `.pth`, by name, as f32 on the CPU.
///
/// f16, bf16 and f64 are converted. Integer counters (`num_batches_tracked`) are passed over, a prefix `module.` (from
/// `DataParallel`) is cut, and in a `.pth` the weights may lie under the key `state_dict`, `model` or `model_state_dict`. The
/// format is told from the file's first bytes, not from its name.
pub fn read_weights(path: &Path) -> Result<HashMap<String, Tensor>, WeightsError> {
    let io = |source| WeightsError::Io { path: path.to_owned(), source };
    let damaged = |source| WeightsError::Damaged { path: path.to_owned(), source };
    let mut head = Vec::new();
    std::fs::File::open(path).map_err(io)?.take(9).read_to_end(&mut head).map_err(io)?;
    let tensors: Vec<(String, Tensor)> = match head.as_slice() {
        [b'P', b'K', 3, 4, ..] => read_pth(path).map_err(damaged)?,
        // Pickle, protocol 2: the legacy format begins with its magic number.
        [0x80, 2, ..] => return Err(WeightsError::OldPickle { path: path.to_owned() }),
        [_, _, _, _, _, _, _, _, b'{'] => safetensors::load(path, &Device::Cpu).map_err(damaged)?.into_iter().collect(),
        _ => return Err(WeightsError::Format { path: path.to_owned() }),
    };
    let mut weights = HashMap::with_capacity(tensors.len());
    for (name, tensor) in tensors {
        if tensor.dtype().is_int() {
            continue;
        }
        let name = name.strip_prefix("module.").unwrap_or(&name).to_owned();
        weights.insert(name, tensor.to_dtype(DType::F32)?.contiguous()?);
    }
    Ok(weights)
}

fn read_pth(path: &Path) -> candle_core::Result<Vec<(String, Tensor)>> {
    for key in PTH_KEYS {
        // A missing key is an error of the reader's; the next key may be there.
        match pickle::read_all_with_key(path, key) {
            Ok(tensors) if !tensors.is_empty() => return Ok(tensors),
            Err(error) if key.is_none() => return Err(error),
            Ok(_) | Err(_) => {}
        }
    }
    candle_core::bail!("no tensor found, neither at the top nor under state_dict, model or model_state_dict")
}
