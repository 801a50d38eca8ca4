//! The subset of a clip in a custom dataset, and the words for it.

/// The subset of a clip in a custom dataset: what the CSV file or a folder says. [`Lists`] makes it
/// into one [`clipshard::Subset`] per split.
///
/// [`Lists`]: super::Lists
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Role {
    /// The clip is used for training.
    Train,
    /// The clip is used for testing.
    Test,
    /// The clip is used to compare networks during development.
    Validation,
    /// The clip is not used.
    Unused,
}

impl Role {
    /// Returns the subset that a word names. Case is ignored.
    pub fn of_name(word: &str) -> Option<Self> {
        match word.to_ascii_lowercase().as_str() {
            "train" | "training" => Some(Self::Train),
            "test" | "testing" => Some(Self::Test),
            "val" | "valid" | "validation" => Some(Self::Validation),
            "unused" | "none" => Some(Self::Unused),
            _ => None,
        }
    }

    /// Returns the subset that a folder is named after. The name may have a suffix, as in
    /// `train_256`.
    pub fn of_folder(name: &str) -> Option<Self> {
        let word = name.split(['_', '-', '.', ' ']).next()?;
        Self::of_name(word).filter(|part| *part != Self::Unused)
    }

    /// Returns the usual name of the subset.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Test => "test",
            Self::Validation => "val",
            Self::Unused => "unused",
        }
    }
}

/// A clip folder with its class folder, for datasets in which each folder is a class.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClassedFolder {
    /// Name of the class folder.
    pub class: String,
    /// Name of the clip folder.
    pub clip: String,
    /// Subset that a folder above the class folder names, such as `train/`.
    pub role: Option<Role>,
}
