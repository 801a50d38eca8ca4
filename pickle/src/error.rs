//! The errors of reading pickles and torch files.

/// The reason why a pickle or a torch file cannot be read. Messages do not name the file.
///
/// # Example
///
/// ```
/// use inert_pickle::{PickleError, read_rows};
///
/// // pickle.dumps(os.system, 0)
/// let error = read_rows(b"cposix\nsystem\n.").unwrap_err();
/// assert!(matches!(&error, PickleError::NotScores(_) | PickleError::Calls(_)), "{error}");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PickleError {
    /// The pickle names an unknown function or class, which was not run. Holds the name.
    #[error("the pickle calls {0}; only plain dictionaries and lists of numpy arrays and torch tensors are supported")]
    Calls(String),
    /// The pickle ends inside an operand.
    #[error("the pickle ends inside the value that starts at byte {at}; the file may be incomplete")]
    Truncated {
        /// Offset in the pickle.
        at: usize,
    },
    /// A byte is not an opcode, or an opcode that supported files do not need.
    #[error("byte {at} of the pickle: {code:#04x} is not a supported opcode")]
    Opcode {
        /// Offset in the pickle.
        at: usize,
        /// The byte.
        code: u8,
    },
    /// The pickle, or an object in it, is invalid.
    #[error("byte {at} of the pickle: {fault}")]
    Malformed {
        /// Offset in the pickle.
        at: usize,
        /// The fault, in words.
        fault: String,
    },
    /// The pickle contains something other than scores. Holds a description of the content.
    #[error("the pickle is {0}; it must be a dictionary from clip names to rows of floats, or a list of such rows")]
    NotScores(String),
    /// The file contains no tensors where they are expected. Holds a description of the content.
    #[error(
        "the file is {0}; it must be a dictionary of torch tensors, a module, or a dictionary with one of these \
         under a key such as state_dict or model"
    )]
    NotTensors(String),
    /// Reading the file would need much more memory than its size.
    #[error("the file refers to the same data too often, so it would need far more memory than its size")]
    Expands,
    /// The file is neither a zip archive nor a pickle.
    #[error("not a file of torch.save: neither a zip archive nor a pickle")]
    Format,
    /// The zip archive is incomplete, or its content does not match its checksums.
    #[error("the zip archive is incomplete or damaged: {0}")]
    Archive(String),
    /// The file is a `TorchScript` program.
    #[error(
        "the file is a TorchScript archive; save its weights instead: \
         torch.save(torch.jit.load(path).state_dict(), path)"
    )]
    Script,
}

impl PickleError {
    /// Returns whether the file is truncated or damaged, as opposed to a valid file of another
    /// kind.
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Truncated { .. } | Self::Archive(_))
    }
}

pub(crate) type Result<T> = std::result::Result<T, PickleError>;

/// Shortens and escapes text of a file for a message.
pub(crate) fn excerpt(text: &str) -> String {
    const SHOWN: usize = 80;
    text.chars().take(SHOWN).flat_map(char::escape_debug).collect()
}
