//! Why a file of scores, or scores themselves, cannot be used. The file's name is told around these.

use super::npy::NpyFault;
use inert_pickle::{DType, PickleError};
use npyz::zip::result::ZipError;

/// Why a file of scores, or scores themselves, cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ScoreFault {
    /// The file has no bytes.
    #[error("the file is empty")]
    Empty,
    /// The file is text in another encoding.
    #[error("it is text in UTF-16; save it as UTF-8")]
    Utf16,
    /// The file begins like none that is known.
    #[error("not a score file: neither npz nor npy nor a pickle nor csv")]
    UnknownFormat,
    /// The names of the clips must be given.
    #[error("an npy file has no clip names; give --names a list of them")]
    NpyWithoutNames,
    /// The names of the clips must be given.
    #[error("the pickle is a list without clip names; give --names a list of them")]
    ListWithoutNames,
    /// The names that are given are of other clips.
    #[error("it holds {clips} clips, --names has {names}")]
    NameCount {
        /// In the file.
        clips: usize,
        /// Given.
        names: usize,
    },
    /// The pickle cannot be read.
    #[error(transparent)]
    Pickle(#[from] PickleError),
    /// The npy file cannot be read.
    #[error(transparent)]
    Npy(#[from] NpyFault),

    /// The text is not CSV.
    #[error("not a csv file: {0}")]
    Csv(csv::Error),
    /// The first line names other columns.
    #[error("its first line begins with {0:?}, not with name,label,samples and a column for each class")]
    CsvHead(String),
    /// A line is not like the first one.
    #[error("{0}")]
    CsvLine(csv::Error),
    /// A cell is not what its column holds.
    #[error("line {line}: {cell:?} is no {expected}")]
    CsvCell {
        /// Number of the line, from 1.
        line: u64,
        /// What stands there.
        cell: String,
        /// `number` or `whole number`.
        expected: &'static str,
    },

    /// The npz file is cut off or damaged.
    #[error("not a whole zip archive: {0}")]
    Zip(ZipError),
    /// A fault of one array of an npz file.
    #[error("array {array:?}: {fault}")]
    Array {
        /// Name of the array.
        array: String,
        /// Its fault.
        fault: Box<ScoreFault>,
    },
    /// The npz file lacks an array.
    #[error("no array {array:?} in it; score files have `names` and `logits` (found: {found})")]
    NoArray {
        /// Name of the array.
        array: &'static str,
        /// The first few that are there.
        found: String,
    },
    /// The npz file would unpack to far more than its own size.
    #[error("array {array:?} has more than {limit} times the file's size unpacked; it is not read")]
    Unpacked {
        /// Name of the array.
        array: String,
        /// How many times the file's size its arrays may have.
        limit: u64,
    },
    /// An array cannot be unpacked.
    #[error("{0}")]
    ZipEntry(ZipError),
    /// An array cannot be unpacked.
    #[error("{0}")]
    ZipRead(std::io::Error),
    /// Names are stored as pickled objects.
    #[error("it holds Python objects; save it as text, np.array(names, dtype=str)")]
    PythonObjects,
    /// Elements of another kind.
    #[error("it holds {found}, not {expected}")]
    ElementType {
        /// Type of the elements.
        found: DType,
        /// Kind of the elements that are read.
        expected: &'static str,
    },
    /// An array of another shape.
    #[error("it has shape {found:?}, not {expected}")]
    Shape {
        /// Its shape.
        found: Vec<usize>,
        /// The shape that is read.
        expected: &'static str,
    },
    /// Names are too long for those of clips.
    #[error("its names take {found} bytes each; at most {most} are read")]
    NameBytes {
        /// Bytes of a name.
        found: usize,
        /// The most that are read.
        most: usize,
    },
    /// A name is there twice.
    #[error("name number {0} is there twice")]
    NameTwice(usize),
    /// Logits of another number of clips than there are names.
    #[error("it has {rows} rows for {names} names")]
    RowCount {
        /// Rows of logits.
        rows: usize,
        /// Names of clips.
        names: usize,
    },
    /// A label or a number of samples that none can be.
    #[error("{0} is out of range")]
    OutOfRange(i64),

    /// There are no clips.
    #[error("it holds no clips")]
    NoClips,
    /// There are no clips or no classes.
    #[error("it holds scores of {clips} clips and {classes} classes")]
    NoScores {
        /// Number of clips.
        clips: usize,
        /// Number of classes.
        classes: usize,
    },
    /// Clips have different numbers of classes.
    #[error("clip {clip} has {scores} scores, clip {first} has {classes}")]
    RowLength {
        /// Name of a clip, escaped.
        clip: String,
        /// Its scores.
        scores: usize,
        /// Name of the first clip, escaped.
        first: String,
        /// The first clip's scores.
        classes: usize,
    },
    /// Not one logit for each clip and class.
    #[error("{logits} logits for {clips} clips and {classes} classes")]
    LogitCount {
        /// Number of logits.
        logits: usize,
        /// Number of clips.
        clips: usize,
        /// Number of classes.
        classes: usize,
    },
    /// Not one label, or number of samples, for each clip.
    #[error("{found} {what} for {clips} clips")]
    Count {
        /// `labels` or `samples`.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// Number of clips.
        clips: usize,
    },
    /// A name is empty or has control characters.
    #[error("{0:?} is not the name of a clip")]
    ClipName(String),
    /// A clip is there twice, perhaps in two spellings.
    #[error("clip {name} is there twice (also as {other})")]
    ClipTwice {
        /// Its second name.
        name: String,
        /// Its first name.
        other: String,
    },
    /// A score is NaN or infinite.
    #[error("clip {clip} has a score of {value}")]
    NotFinite {
        /// Name of the clip.
        clip: String,
        /// The score.
        value: f32,
    },
    /// A label is not that of a class.
    #[error("clip {clip} has label {label} of {classes} classes")]
    Label {
        /// Name of the clip.
        clip: String,
        /// Its label.
        label: u32,
        /// Number of classes.
        classes: usize,
    },
    /// A clip has no samples.
    #[error("clip {0} is the sum of no samples")]
    NoSamples(String),
}
