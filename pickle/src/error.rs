//! Why a pickle or a torch file is not read.

/// Why a pickle or a torch file is not read. Messages do not name the file.
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
    /// It names a function or class that is not known. It was not run.
    #[error("the pickle calls {0}; only plain dictionaries and lists of numpy arrays and torch tensors are read")]
    Calls(String),
    /// An operand reaches beyond the end.
    #[error("the pickle ends too early, in what starts at byte {at}: is the file whole?")]
    Truncated {
        /// Offset in the pickle.
        at: usize,
    },
    /// A byte that is no opcode, or one that these files do not need.
    #[error("byte {at} of the pickle: {code:#04x} is no opcode that plain dictionaries of numpy arrays need")]
    Opcode {
        /// Offset in the pickle.
        at: usize,
        /// The byte.
        code: u8,
    },
    /// The program or an object in it is wrong.
    #[error("byte {at} of the pickle: {fault}")]
    Malformed {
        /// Offset in the pickle.
        at: usize,
        /// What is wrong.
        fault: String,
    },
    /// It holds something other than scores.
    #[error("the pickle is {0}; only dictionaries of clip names and float arrays, and lists of these, are read")]
    NotScores(String),
    /// It holds no tensors where they are looked for.
    #[error(
        "the file is {0}; it needs a dictionary of torch tensors, a module, or a dictionary that has one of these under a key such as state_dict or model"
    )]
    NotTensors(String),
    /// Reading it would take much more memory than its size.
    #[error("the pickle uses its objects again and again, to far more than its own size; it is not read")]
    Expands,
    /// It is neither a zip archive nor a pickle.
    #[error("not a file of torch.save: neither a zip archive nor a pickle")]
    Format,
    /// The archive is torn, or its content is not what its checksums say.
    #[error("not a whole zip archive: {0}")]
    Archive(String),
    /// It is a `TorchScript` program.
    #[error("a TorchScript archive; save its weights instead: torch.save(torch.jit.load(path).state_dict(), path)")]
    Script,
}

impl PickleError {
    /// Whether the file is cut short or damaged, as opposed to whole but of another kind.
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Truncated { .. } | Self::Archive(_))
    }
}

pub(crate) type Result<T> = std::result::Result<T, PickleError>;

/// Text of a file, fit for a message.
pub(crate) fn excerpt(text: &str) -> String {
    const SHOWN: usize = 80;
    text.chars().take(SHOWN).flat_map(char::escape_debug).collect()
}
