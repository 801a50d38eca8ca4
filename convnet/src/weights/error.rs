//! Why weights could not be used.

use candle_core::Shape;
use inert_pickle::PickleError;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Why weights could not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WeightsError {
    /// The file could not be opened or read.
    #[error("{}: cannot read it", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is neither safetensors nor a `.pth`.
    #[error("{}: neither a safetensors file nor a .pth that PyTorch saved", path.display())]
    Format {
        /// The file.
        path: PathBuf,
    },
    /// The file is cut short or damaged.
    #[error("{}: damaged, perhaps cut short: fetch it again ({fault})", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        fault: String,
    },
    /// The header of a safetensors file contradicts itself.
    #[error("{}: not a safetensors file, though it begins as one: {fault}", path.display())]
    Header {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        fault: String,
    },
    /// The file is a `.pth` that holds something else than weights, or is made to do harm.
    #[error("{}: {reason}", path.display())]
    Pickle {
        /// The file.
        path: PathBuf,
        /// What it holds.
        reason: PickleError,
    },
    /// A number that no network can compute with.
    #[error(
        "{}: tensor {} holds {value}; a network with it computes no answers: take the weights of an earlier epoch or of another training",
        path.display(), name.escape_debug()
    )]
    Value {
        /// The file, or a word for where the tensors came from.
        path: PathBuf,
        /// The tensor's name.
        name: String,
        /// NaN, an infinity or a negative variance.
        value: f32,
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
#[non_exhaustive]
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
    /// Two tensors of the file have this name once the prefixes are cut off.
    Twice {
        /// The name.
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
            Self::Shape { name, expected, found } => write!(f, "{name} has shape {found:?}, expected {expected:?}"),
            Self::Unknown { name } => write!(f, "{} has no place in this network", name.escape_debug()),
            Self::Twice { name } => write!(f, "{} is there twice, with and without a prefix", name.escape_debug()),
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
    let prefixes = unknown_prefixes(problems);
    if !prefixes.is_empty() {
        let _ = write!(text, ". Names that are not known begin with {}", prefixes.join(", "));
    }
    text + ". Check that the network's depth and channels are those that the weights were saved from"
}

/// The first parts of the names that the network does not have.
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
