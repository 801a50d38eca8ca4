//! What lies under a root beside its clips: skipped, but never silently.

use std::fmt::Write as _;
use std::path::Path;

use crate::error::{Error, Result, Skipped, machine_fault};

/// Entries that a note names before it only counts.
const NAMED: usize = 5;

/// What was skipped under a root.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Strangers {
    /// Clips that cannot be packed under their names. Where no list says what the clips are, they keep a tree from being whole.
    pub clips: Vec<Skipped>,
    /// Folders and links that cannot be read, each with the reason.
    unreadable: Vec<String>,
    /// Hidden folders and videos, and folders that systems make.
    hidden: Vec<String>,
}

impl Strangers {
    /// A clip that cannot be packed.
    pub(super) fn add_clip(&mut self, path: &Path, reason: &str) {
        let clip = shown(Path::new(path.file_stem().unwrap_or_default()));
        self.clips.push(Skipped { reason: format!("{}: {reason}", shown(path)), clip });
    }

    /// A clip whose name is not UTF-8.
    pub(super) fn add_unnamed(&mut self, path: &Path) {
        self.add_clip(path, "its name is not UTF-8, so it cannot be a clip's id; rename it");
    }

    /// Something that cannot be read. Errors that are the machine's end the work.
    pub(super) fn add_unreadable(&mut self, path: &Path, error: std::io::Error) -> Result<()> {
        match machine_fault(&format!("{} cannot be read", path.display()), error) {
            Ok(fault) => Err(fault),
            Err(error) => {
                self.unreadable.push(format!("{}: {error}", path.display()));
                Ok(())
            }
        }
    }

    /// A hidden folder or video.
    pub(super) fn add_hidden(&mut self, path: &Path) {
        self.hidden.push(path.display().to_string());
    }

    /// Takes what another search skipped.
    pub(super) fn add(&mut self, other: Self) {
        self.clips.extend(other.clips);
        self.unreadable.extend(other.unreadable);
        self.hidden.extend(other.hidden);
    }

    /// What is to be said of all of it but the clips.
    pub(super) fn notes(&self) -> Vec<String> {
        let named = |what: &str, entries: &[String]| {
            let more =
                if entries.len() > NAMED { format!(" and {} more", entries.len() - NAMED) } else { String::new() };
            let first = entries.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
            (!entries.is_empty()).then(|| format!("skipped {what}: {first}{more}"))
        };
        let notes = [named("what cannot be read", &self.unreadable), named("what is hidden", &self.hidden)];
        notes.into_iter().flatten().collect()
    }
}

/// A path whose bytes that are not UTF-8 are shown as `\xe9`, so that its file can be found again.
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

/// Whether a folder of this name holds no clips: hidden ones, and those that systems and archives make.
pub(super) fn is_hidden(name: &str) -> bool {
    const OF_SYSTEMS: [&str; 5] = ["__MACOSX", "$RECYCLE.BIN", "System Volume Information", "lost+found", "@eaDir"];
    name.starts_with('.') || OF_SYSTEMS.contains(&name)
}

/// The error where a root holds clips, but none that can be packed.
pub(super) fn none_can_be_packed(root: &Path, strangers: &Strangers) -> Option<Error> {
    let first = strangers.clips.first()?;
    let count = strangers.clips.len();
    Some(Error::input(format!(
        "{}: none of its {count} clips can be packed; the first: {}",
        root.display(),
        first.reason
    )))
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
                "skipped what cannot be read: t/a: entity not found",
                "skipped what is hidden: t/.0, t/.1, t/.2, t/.3, t/.4 and 2 more"
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
