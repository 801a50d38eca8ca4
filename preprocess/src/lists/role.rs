//! What a clip is for, and the folders that say so.

/// What a clip is for, as lists of people's own and folders name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Role {
    /// Learnt from.
    Train,
    /// Tested on.
    Test,
    /// Tested on, to choose between networks.
    Validation,
    /// Neither.
    Unused,
}

impl Role {
    /// The part that a word names, in upper or lower case.
    pub fn of_name(word: &str) -> Option<Self> {
        match word.to_ascii_lowercase().as_str() {
            "train" | "training" => Some(Self::Train),
            "test" | "testing" => Some(Self::Test),
            "val" | "valid" | "validation" => Some(Self::Validation),
            "unused" | "none" => Some(Self::Unused),
            _ => None,
        }
    }

    /// The part that a folder is of: its name, or its name with something behind it, such as `train_256`.
    pub fn of_folder(name: &str) -> Option<Self> {
        let word = name.split(['_', '-', '.', ' ']).next()?;
        Self::of_name(word).filter(|part| *part != Self::Unused)
    }

    /// Its usual name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Test => "test",
            Self::Validation => "val",
            Self::Unused => "unused",
        }
    }
}

/// A clip folder with its class folder, for data sets whose classes are their folders.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClassedFolder {
    /// Name of the class folder.
    pub class: String,
    /// Name of the clip folder.
    pub clip: String,
    /// The part that the folder around the classes names, such as `train/`.
    pub role: Option<Role>,
}
