//! Errors of reading and checking weights.

use candle_core::Shape;
use inert_pickle::PickleError;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// An error of reading or checking weights.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WeightsError {
    /// The file cannot be opened or read.
    #[error("{}: cannot read the file", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        source: std::io::Error,
    },
    /// The file is neither a safetensors file nor a `.pth` file.
    #[error("{}: the file is neither a safetensors file nor a .pth file saved by PyTorch", path.display())]
    Format {
        /// The file.
        path: PathBuf,
    },
    /// The file is damaged or incomplete.
    #[error("{}: the file is damaged or incomplete ({fault}); download it again", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Description of the damage.
        fault: String,
    },
    /// The header of a safetensors file is invalid.
    #[error("{}: the safetensors header is invalid ({fault}); save or convert the file again", path.display())]
    Header {
        /// The file.
        path: PathBuf,
        /// Description of the fault.
        fault: String,
    },
    /// The file is a `.pth` file that contains something else than weights, or malicious data.
    #[error("{}: {reason}", path.display())]
    Pickle {
        /// The file.
        path: PathBuf,
        /// The error of the `.pth` reader.
        reason: PickleError,
    },
    /// A tensor contains a value that a network cannot compute with.
    #[error(
        "{}: tensor {} contains {value}; use weights of an earlier epoch or of another run",
        path.display(), name.escape_debug()
    )]
    Value {
        /// The file, or a description of the source.
        path: PathBuf,
        /// The name of the tensor.
        name: String,
        /// The value: NaN, an infinity or a negative variance.
        value: f32,
    },
    /// Tensors are missing, have another shape, or are unknown.
    #[error("{}: {}", path.display(), describe(problems))]
    Mismatch {
        /// The file, or a description of the source.
        path: PathBuf,
        /// All tensors that do not match, sorted by name.
        problems: Vec<Problem>,
    },
    /// An operation of candle failed.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
}

/// A tensor that does not match the network.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// The network needs the tensor, but the file does not have it.
    Missing {
        /// Its name.
        name: String,
        /// Its shape in the network.
        expected: Vec<usize>,
    },
    /// The tensor has another shape than in the network.
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
    /// Two tensors of the file have this name without their prefixes.
    Twice {
        /// The name.
        name: String,
    },
}

impl Problem {
    pub(crate) fn shape(name: &str, expected: &Shape, found: &Shape) -> Self {
        Self::Shape { name: name.to_owned(), expected: expected.dims().to_vec(), found: found.dims().to_vec() }
    }

    /// Returns the name of the tensor.
    pub fn name(&self) -> &str {
        match self {
            Self::Missing { name, .. } | Self::Shape { name, .. } | Self::Unknown { name } | Self::Twice { name } => {
                name
            }
        }
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Missing { name, expected } => write!(f, "{name} {expected:?} is missing"),
            Self::Shape { name, expected, found } => write!(f, "{name} has shape {found:?}, but needs {expected:?}"),
            Self::Unknown { name } => write!(f, "{} is not part of the network", name.escape_debug()),
            Self::Twice { name } => write!(f, "{} occurs twice, under different names", name.escape_debug()),
        }
    }
}

/// Number of problems that an error message lists.
const SHOWN: usize = 5;

fn describe(problems: &[Problem]) -> String {
    let mut text = format!("{} tensors do not match the network: ", problems.len());
    if problems.len() == 1 {
        "a tensor does not match the network: ".clone_into(&mut text);
    }
    for (i, problem) in problems.iter().take(SHOWN).enumerate() {
        let _ = write!(text, "{}{problem}", if i > 0 { "; " } else { "" });
    }
    if problems.len() > SHOWN {
        let _ = write!(text, "; and {} more", problems.len() - SHOWN);
    }
    let prefixes = unknown_prefixes(problems);
    if !prefixes.is_empty() {
        let _ = write!(text, ". Unknown names begin with {}", prefixes.join(", "));
    }
    text + ". Check that the network has the architecture and channels of the saved weights"
}

/// Returns the first parts of the unknown names.
fn unknown_prefixes(problems: &[Problem]) -> Vec<String> {
    let unknown = problems.iter().filter_map(|problem| match problem {
        Problem::Unknown { name } => Some(name.split_once('.')?.0),
        _ => None,
    });
    let prefixes: BTreeSet<&str> = unknown.collect();
    let mut shown: Vec<String> =
        prefixes.iter().take(SHOWN).map(|prefix| format!("{}.", prefix.escape_debug())).collect();
    if prefixes.len() > SHOWN {
        shown.push("...".to_owned());
    }
    shown
}

impl WeightsError {
    pub(crate) fn check(path: &Path, mut problems: Vec<Problem>) -> Result<(), Self> {
        problems.sort_by(|a, b| a.name().cmp(b.name()));
        if problems.is_empty() { Ok(()) } else { Err(Self::Mismatch { path: path.to_owned(), problems }) }
    }
}
