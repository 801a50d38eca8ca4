//! The words that lists, files and folders use for subsets.

use clipshard::Subset;

/// Returns the subset that a word means: `train`, `val`, `test` or `unused`, or another usual word
/// for one of them. Case is ignored.
///
/// ```
/// use clipshard::Subset;
/// use ucfpack::lists::subset_of_word;
///
/// assert_eq!(subset_of_word("Validation"), Some(Subset::Val));
/// assert_eq!(subset_of_word("hard"), None);
/// ```
pub fn subset_of_word(word: &str) -> Option<Subset> {
    match word.to_ascii_lowercase().as_str() {
        "train" | "training" => Some(Subset::Train),
        "test" | "testing" => Some(Subset::Test),
        "val" | "valid" | "validate" | "validation" | "dev" => Some(Subset::Val),
        "unused" | "none" => Some(Subset::Unused),
        _ => None,
    }
}

/// Returns the subset of a cell of a list. A word that [`subset_of_word`] does not know is the name
/// of a subset of its own. The error is a message.
pub(super) fn subset_of_cell(word: &str) -> Result<Subset, String> {
    if let Some(subset) = subset_of_word(word) {
        return Ok(subset);
    }
    if word.is_empty() || word.len() > 255 {
        return Err(format!("the name of the subset has {} bytes; shorten it to 1 to 255 bytes", word.len()));
    }
    Ok(Subset::from(word))
}

/// Returns the subset that a folder is named after. The name may have a suffix, as in `train_256`.
pub(crate) fn subset_of_folder(name: &str) -> Option<Subset> {
    let word = name.split(['_', '-', '.', ' ']).next()?;
    subset_of_word(name).or_else(|| subset_of_word(word)).filter(|subset| *subset != Subset::Unused)
}

/// A clip folder with its class folder, for datasets in which each folder is a class.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClassedFolder {
    /// Name of the class folder.
    pub class: String,
    /// Name of the clip folder.
    pub clip: String,
    /// Subset that a folder above the class folder names, such as `train/`.
    pub subset: Option<Subset>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_words_are_known_and_others_are_names() {
        for (words, subset) in [
            (&["train", "TRAIN", "training"][..], Subset::Train),
            (&["val", "valid", "Validation", "validate", "dev"], Subset::Val),
            (&["test", "testing"], Subset::Test),
            (&["unused", "none"], Subset::Unused),
            (&["holdout"], Subset::Other("holdout".into())),
        ] {
            for word in words {
                assert_eq!(subset_of_cell(word).unwrap(), subset, "{word}");
            }
        }
        let error = subset_of_cell(&"s".repeat(256)).unwrap_err();
        assert_eq!(error, "the name of the subset has 256 bytes; shorten it to 1 to 255 bytes");
    }

    #[test]
    fn folders_may_have_a_suffix() {
        for (name, subset) in [
            ("train_256", Some(Subset::Train)),
            ("Val-small", Some(Subset::Val)),
            ("test", Some(Subset::Test)),
            ("trainer", None),
            ("none", None),
            ("", None),
        ] {
            assert_eq!(subset_of_folder(name), subset, "{name}");
        }
    }
}
