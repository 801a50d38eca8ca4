//! Errors of scores and their files. The callers add the name of the file.

use super::npy::NpyFault;
use inert_pickle::{DType, PickleError};
use npyz::zip::result::ZipError;

/// The reason why scores or their file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ScoreFault {
    /// The file is empty.
    #[error("the file is empty")]
    Empty,
    /// The file is text in another encoding.
    #[error("the file is UTF-16 text; save it as UTF-8")]
    Utf16,
    /// The first bytes belong to no known format.
    #[error("not a scores file; use .npz, .npy, .csv or a pickle of scores")]
    UnknownFormat,
    /// An npy file has no names of clips, and the caller gave none.
    #[error("npy files have no clip names; name a list of clips with --names")]
    NpyWithoutNames,
    /// A pickled list has no names of clips, and the caller gave none.
    #[error("the pickle has no clip names; name a list of clips with --names")]
    ListWithoutNames,
    /// The number of given names differs from the number of clips.
    #[error("the file has {clips} clips, but --names lists {names}; use the list of these clips")]
    NameCount {
        /// Number of clips in the file.
        clips: usize,
        /// Number of given names.
        names: usize,
    },
    /// The pickle cannot be read.
    #[error(transparent)]
    Pickle(#[from] PickleError),
    /// The npy file cannot be read.
    #[error(transparent)]
    Npy(#[from] NpyFault),

    /// The text is not CSV.
    #[error("not a valid csv file: {0}")]
    Csv(csv::Error),
    /// The first line names other columns.
    #[error("the first line starts with {0:?}; it must list the columns name, label, samples and one per class")]
    CsvHead(String),
    /// A line cannot be read, or differs from the first in its number of columns.
    #[error("{0}")]
    CsvLine(csv::Error),
    /// A cell does not have the type of its column.
    #[error("line {line}: {cell:?} is not a {expected}")]
    CsvCell {
        /// Number of the line, from 1.
        line: u64,
        /// Text of the cell.
        cell: String,
        /// Type of the column: `number` or `whole number`.
        expected: &'static str,
    },

    /// The npz file is incomplete or damaged.
    #[error("the file is incomplete or damaged: {0}")]
    Zip(ZipError),
    /// An array of an npz file has a fault.
    #[error("array {array:?}: {fault}")]
    Array {
        /// Name of the array.
        array: String,
        /// Fault of the array.
        fault: Box<ScoreFault>,
    },
    /// The npz file lacks an array.
    #[error("no array {array:?}; scores files need the arrays names and logits (found: {found})")]
    NoArray {
        /// Name of the array.
        array: &'static str,
        /// First names of the existing arrays.
        found: String,
    },
    /// An array would unpack to far more than the size of the file.
    #[error("array {array:?} would unpack to more than {limit} times the size of the file, so it is not read")]
    Unpacked {
        /// Name of the array.
        array: String,
        /// Largest size of the arrays, as a multiple of the size of the file.
        limit: u64,
    },
    /// The entry of an array in the archive is invalid.
    #[error("{0}")]
    ZipEntry(ZipError),
    /// An array cannot be unpacked.
    #[error("{0}")]
    ZipRead(std::io::Error),
    /// The names are stored as pickled objects.
    #[error("it contains Python objects; save it as text with np.array(names, dtype=str)")]
    PythonObjects,
    /// The elements have the wrong type.
    #[error("it contains {found}; {expected} are needed")]
    ElementType {
        /// Type of the elements.
        found: DType,
        /// Required kind of type.
        expected: &'static str,
    },
    /// The array has the wrong shape.
    #[error("it has shape {found:?}; {expected} is needed")]
    Shape {
        /// Shape of the array.
        found: Vec<usize>,
        /// Required shape.
        expected: &'static str,
    },
    /// The names are too long for names of clips.
    #[error("a name has {found} bytes; at most {most} are allowed")]
    NameBytes {
        /// Number of bytes in a name.
        found: usize,
        /// Largest number of bytes.
        most: usize,
    },
    /// A name appears twice.
    #[error("name number {0} appears twice")]
    NameTwice(usize),
    /// The numbers of rows and names differ.
    #[error("it has {rows} rows, but there are {names} names")]
    RowCount {
        /// Number of rows of logits.
        rows: usize,
        /// Number of names.
        names: usize,
    },
    /// A label or a number of samples is negative or too large.
    #[error("{0} is out of range")]
    OutOfRange(i64),

    /// The file has no clips.
    #[error("the file contains no clips")]
    NoClips,
    /// The scores have no clips or no classes.
    #[error("the scores have {clips} clips and {classes} classes; at least one of each is needed")]
    NoScores {
        /// Number of clips.
        clips: usize,
        /// Number of classes.
        classes: usize,
    },
    /// Two clips differ in their number of classes.
    #[error("clip {clip} has {scores} scores, but clip {first} has {classes}")]
    RowLength {
        /// Name of a clip, escaped.
        clip: String,
        /// Number of its scores.
        scores: usize,
        /// Name of the first clip, escaped.
        first: String,
        /// Number of the first clip's scores.
        classes: usize,
    },
    /// The number of logits is not clips times classes.
    #[error("there are {logits} logits for {clips} clips and {classes} classes")]
    LogitCount {
        /// Number of logits.
        logits: usize,
        /// Number of clips.
        clips: usize,
        /// Number of classes.
        classes: usize,
    },
    /// The number of labels, or of sample counts, is not the number of clips.
    #[error("there are {found} {what} for {clips} clips")]
    Count {
        /// `labels` or `samples`.
        what: &'static str,
        /// Number of values.
        found: usize,
        /// Number of clips.
        clips: usize,
    },
    /// A name is empty or has control characters.
    #[error("clip name {0:?} is empty or has control characters")]
    ClipName(String),
    /// A clip appears twice, perhaps in two spellings.
    #[error("clip {name} appears twice (also as {other})")]
    ClipTwice {
        /// Second spelling of the name.
        name: String,
        /// First spelling of the name.
        other: String,
    },
    /// A score is NaN or infinite.
    #[error("clip {clip} has the score {value}, but scores must be finite")]
    NotFinite {
        /// Name of the clip.
        clip: String,
        /// Value of the score.
        value: f32,
    },
    /// A label is not below the number of classes.
    #[error("clip {clip} has label {label}, but there are only {classes} classes")]
    Label {
        /// Name of the clip.
        clip: String,
        /// Label of the clip.
        label: u32,
        /// Number of classes.
        classes: usize,
    },
    /// The number of samples of a clip is 0.
    #[error("clip {0} has 0 samples")]
    NoSamples(String),
}
