//! Entries under a root that are not packed. Notes report all of them.

use std::fmt::Write as _;
use std::path::Path;

use crate::error::{Error, Result, Skipped, machine_fault};

/// Number of entries that a note names. Further ones are only counted.
const NAMED: usize = 5;

/// Entries that were skipped under a root.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Strangers {
    /// Clips that cannot be packed under their names. Without lists they count as faults of the
    /// tree.
    pub clips: Vec<Skipped>,
    /// Unreadable folders and links, each with the reason.
    unreadable: Vec<String>,
    /// Hidden folders and videos, and folders that operating systems create.
    hidden: Vec<String>,
}

impl Strangers {
    /// Adds a clip that cannot be packed.
    pub(super) fn add_clip(&mut self, path: &Path, reason: &str) {
        let clip = shown(Path::new(path.file_stem().unwrap_or_default()));
        self.clips.push(Skipped { reason: format!("{}: {reason}", shown(path)), clip });
    }

    /// Adds a clip whose name is not UTF-8.
    pub(super) fn add_unnamed(&mut self, path: &Path) {
        self.add_clip(path, "its name is not UTF-8, so it cannot be a clip's id; rename it");
    }

    /// Adds an unreadable entry. Returns an error if the machine is at fault.
    pub(super) fn add_unreadable(&mut self, path: &Path, error: std::io::Error) -> Result<()> {
        match machine_fault(&format!("cannot read {}", path.display()), error) {
            Ok(fault) => Err(fault),
            Err(error) => {
                self.unreadable.push(format!("{}: {error}", path.display()));
                Ok(())
            }
        }
    }

    /// Adds a hidden folder or video.
    pub(super) fn add_hidden(&mut self, path: &Path) {
        self.hidden.push(path.display().to_string());
    }

    /// Adds the entries of another search.
    pub(super) fn add(&mut self, other: Self) {
        self.clips.extend(other.clips);
        self.unreadable.extend(other.unreadable);
        self.hidden.extend(other.hidden);
    }

    /// Returns notes about all entries except for the clips.
    pub(super) fn notes(&self) -> Vec<String> {
        let named = |what: &str, entries: &[String]| {
            let more =
                if entries.len() > NAMED { format!(" and {} more", entries.len() - NAMED) } else { String::new() };
            let first = entries.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
            (!entries.is_empty()).then(|| format!("skipped {what}: {first}{more}"))
        };
        let notes = [named("unreadable entries", &self.unreadable), named("hidden entries", &self.hidden)];
        notes.into_iter().flatten().collect()
    }
}

/// Returns a path with bytes that are not UTF-8 written as `\xe9`, so that the file can be found.
fn shown(path: &Path) -> String {
    let mut text = String::new();
    for chunk in path.as_os_str().as_encoded_bytes().utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            // Writing to a string cannot fail.
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    text
}

/// Returns whether folders of this name are ignored: hidden ones, and those that operating systems
/// and archives create.
pub(super) fn is_hidden(name: &str) -> bool {
    const OF_SYSTEMS: [&str; 5] = ["__MACOSX", "$RECYCLE.BIN", "System Volume Information", "lost+found", "@eaDir"];
    name.starts_with('.') || OF_SYSTEMS.contains(&name)
}

/// Returns the error for a root whose clips cannot be packed, or `None` if it has no clips.
pub(super) fn none_can_be_packed(root: &Path, strangers: &Strangers) -> Option<Error> {
    let first = strangers.clips.first()?;
    let (root, reason) = (root.display(), &first.reason);
    Some(Error::input(match strangers.clips.len() {
        1 => format!("{root}: the only clip cannot be used: {reason}"),
        count => format!("{root}: none of the {count} clips can be used; the first one: {reason}"),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_name_a_few_and_count_the_rest() {
        let mut strangers = Strangers::default();
        assert_eq!(strangers.notes(), Vec::<String>::new());
        for number in 0..7 {
            strangers.add_hidden(Path::new(&format!("t/.{number}")));
        }
        strangers.add_unreadable(Path::new("t/a"), std::io::ErrorKind::NotFound.into()).unwrap();
        assert_eq!(
            strangers.notes(),
            [
                "skipped unreadable entries: t/a: entity not found",
                "skipped hidden entries: t/.0, t/.1, t/.2, t/.3, t/.4 and 2 more"
            ]
        );
    }

    #[cfg(unix)]
    #[test]
    fn the_machines_troubles_end_the_work() {
        let files = std::io::Error::from_raw_os_error(rustix::io::Errno::MFILE.raw_os_error());
        let error = Strangers::default().add_unreadable(Path::new("t/a"), files).unwrap_err();
        assert!(matches!(error, Error::Machine { .. }), "{error}");
    }
}
