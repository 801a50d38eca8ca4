//! Skipped clips, and sources with missing or damaged clips.

use std::fmt;

use super::problem::{Names, Problem};
use super::setting::Setting;
use crate::escape::escape;
use crate::quantity::show_count;

/// A clip that is not in the dataset, and the reason.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Skipped {
    /// Id of the clip, such as `v_Archery_g01_c03`.
    pub clip: String,
    /// The reason, with the file if there is one.
    pub reason: String,
}

/// The classes that the source has, if it lacks all clips of others.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SomeClasses {
    /// Names of the classes with clips.
    pub present: Vec<String>,
    /// Number of all classes.
    pub of: usize,
}

/// Number of classes that an advice names.
const CLASSES_NAMED: usize = 8;

impl SomeClasses {
    /// Returns a note about the classes without clips, and how to remove them from the class list.
    pub fn note(&self) -> Problem {
        let (missing, of) = (show_count((self.of - self.present.len()) as u64), show_count(self.of as u64));
        let have = if missing == "1" { "has" } else { "have" };
        Problem::from(format!("{missing} of {of} classes {have} no clips; to remove them from the class list, use "))
            .with(self.setting())
    }

    /// Returns the setting that selects the classes with clips, quoted for a shell.
    fn setting(&self) -> Problem {
        let mut names = self.present.iter().take(CLASSES_NAMED).cloned().collect::<Vec<_>>().join(",");
        if self.present.len() > CLASSES_NAMED {
            names.push_str(",...");
        }
        let is_plain = |c: char| c.is_alphanumeric() || "_-+.,:@/".contains(c);
        if !names.chars().all(is_plain) && !names.contains('\'') {
            names = format!("'{names}'");
        }
        Problem::from(Setting::Classes).then(format!(" {names}"))
    }
}

/// The missing and damaged clips of a source.
#[derive(Debug)]
#[non_exhaustive]
pub struct NotWhole {
    /// Every missing or damaged clip, in order of ids.
    pub faults: Vec<Skipped>,
    /// Number of clips that the lists name.
    pub asked: usize,
    /// The tree or the folder of videos, as the user named it.
    pub tree: String,
    /// The classes with clips, if others have none.
    pub classes: Option<SomeClasses>,
}

/// Number of clips that an error names. More are only counted.
const NAMED: usize = 10;

impl NotWhole {
    pub(crate) fn new(faults: Vec<Skipped>, asked: usize, tree: &str, classes: Option<SomeClasses>) -> Self {
        Self { faults, asked, tree: tree.to_owned(), classes }
    }

    /// Writes the message, which has several lines. All names in it are escaped.
    pub(super) fn write(&self, f: &mut fmt::Formatter<'_>, names: Names<'_>) -> fmt::Result {
        let (faults, asked) = (show_count(self.faults.len() as u64), show_count(self.asked as u64));
        write!(f, "{faults} of {asked} clips in {} cannot be used:", escape(&self.tree))?;
        for fault in self.faults.iter().take(NAMED) {
            write!(f, "\n  {}: {}", escape(&fault.clip), escape(&fault.reason))?;
        }
        if self.faults.len() > NAMED {
            write!(f, "\n  ... and {} more", show_count((self.faults.len() - NAMED) as u64))?;
        }
        if let Some(classes) = &self.classes {
            let (present, of) = (show_count(classes.present.len() as u64), show_count(classes.of as u64));
            let have = if classes.present.len() == 1 { "has" } else { "have" };
            let setting = classes.setting().named(names);
            write!(f, "\nOnly {present} of {of} classes {have} clips; to pack only these, use {}", escape(&setting))?;
        }
        write!(f, "\nFix them, or skip them with {}", names(Setting::KeepGoing))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_quote_names_and_name_a_few() {
        let note = |names: &[&str]| {
            let present = names.iter().map(|&name| name.to_owned()).collect();
            SomeClasses { present, of: 101 }.note().to_string()
        };
        let cure = "no clips; to remove them from the class list, use `classes`";
        assert_eq!(note(&["a b", "c"]), format!("99 of 101 classes have {cure} 'a b,c'"));
        assert_eq!(note(&["a"; 9]), format!("92 of 101 classes have {cure} a,a,a,a,a,a,a,a,..."));
    }

    #[test]
    fn counts_have_separators() {
        let fault = Skipped { clip: "a".into(), reason: "missing".into() };
        let error = crate::Error::NotWhole(NotWhole::new(vec![fault; 13_036], 13_320, "v", None)).to_string();
        assert!(error.starts_with("13,036 of 13,320 clips in v cannot be used:\n"), "{error}");
        assert!(error.contains("\n  ... and 13,026 more\n"), "{error}");
    }
}
