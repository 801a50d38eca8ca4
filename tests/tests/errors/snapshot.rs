//! A snapshot test: a table of cases becomes one text file, which is compared with the file in the repository.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::SystemTime;
use whole_program_tests::{Done, program};

/// A command that fails, and the files that make it fail.
pub struct Case {
    title: &'static str,
    command: String,
    prepare: Box<dyn Fn(&Path)>,
    replacements: Vec<(&'static str, &'static str, &'static str)>,
    is_possible: bool,
}

impl Case {
    /// Describes a case: `title` tells the situation, and a POSIX shell runs `command` in a copy of the shared folder.
    /// The command calls `ucfpack` and `ucftrain` by their names.
    pub fn new(title: &'static str, command: impl Into<String>) -> Self {
        let command = command.into();
        Self { title, command, prepare: Box::new(|_| ()), replacements: Vec::new(), is_possible: true }
    }

    /// Changes the copy of the shared folder before the command runs.
    pub fn prepare(mut self, prepare: impl Fn(&Path) + 'static) -> Self {
        self.prepare = Box::new(prepare);
        self
    }

    /// Replaces the text between each `before` and the next `after`, for values that differ between machines. An empty
    /// `after` stands for the end of the line.
    pub fn replace(mut self, before: &'static str, after: &'static str, with: &'static str) -> Self {
        self.replacements.push((before, after, with));
        self
    }

    /// Keeps the recorded entry, without a comparison, where `is_possible` is false: a program is missing, for example.
    pub fn only_if(mut self, is_possible: bool) -> Self {
        self.is_possible = is_possible;
        self
    }

    /// Runs the command and returns its entry.
    fn entry(&self, shared: &Path) -> String {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().canonicalize().unwrap();
        copy_tree(shared, &dir);
        (self.prepare)(&dir);
        let function = |name: &str| format!("{name}() {{ '{}' \"$@\"; }}\n", program(name).display());
        let script = format!("{}{}{}", function("ucfpack"), function("ucftrain"), self.command);
        let mut command = Command::new("sh");
        command.args(["-c", &script]).current_dir(&dir).stdin(Stdio::null());
        // Messages of the system in English, and lines of help as wide as without a terminal.
        command.env("LC_ALL", "C").env_remove("COLUMNS").env_remove("LINES");
        let Done { code, stdout, stderr } = Done::of(command);
        let status = code.map_or_else(|| "a signal".to_owned(), |code| code.to_string());
        let mut entry = format!("$ {}\nexit status {status}\n{stderr}", self.command);
        if !stdout.is_empty() {
            write!(entry, "stdout:\n{stdout}").unwrap();
        }
        assert!(!stderr.contains("panicked at"), "{}: {entry}", self.title);
        let mut entry = entry.replace(&dir.display().to_string(), "DIR");
        for (before, after, with) in &self.replacements {
            entry = replace_between(&entry, before, after, with);
        }
        entry.truncate(entry.trim_end().len());
        entry
    }
}

/// Compares the entries of `cases` with `tests/snapshots/NAME`, and fails with the differences.
/// With `UPDATE_SNAPSHOTS=1` in the environment, writes the file instead.
///
/// Each case runs in its own copy of the folder `shared`.
pub fn check(name: &str, introduction: &str, shared: &Path, cases: &[Case]) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("snapshots").join(name);
    let recorded = fs::read_to_string(&path).unwrap_or_default();
    let recorded = entries(&recorded);
    let recorded_of = |title: &str| recorded.iter().find(|(name, _)| *name == title).map_or("", |(_, entry)| *entry);
    let unchanged = changes(shared);
    let mut text = introduction.trim().to_owned() + "\n";
    let mut differences = String::new();
    for (i, case) in cases.iter().enumerate() {
        assert!(cases[..i].iter().all(|other| other.title != case.title), "two cases are called {:?}", case.title);
        let old = recorded_of(case.title);
        let entry = if case.is_possible { case.entry(shared) } else { old.to_owned() };
        assert_eq!(changes(shared), unchanged, "the case {:?} writes to a file that other cases read", case.title);
        if entry != old {
            writeln!(differences, "\n== {}\n{}", case.title, difference(old, &entry)).unwrap();
        }
        write!(text, "\n== {}\n{entry}\n", case.title).unwrap();
    }
    for (title, _) in recorded.iter().filter(|(title, _)| !cases.iter().any(|case| case.title == *title)) {
        writeln!(differences, "\n== {title}\nno case has this title").unwrap();
    }
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some_and(|value| value == "1") {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        return;
    }
    assert!(
        differences.is_empty(),
        "messages differ from {} (- recorded, + printed now); if the new ones are right, run the test with \
         UPDATE_SNAPSHOTS=1\n{differences}",
        path.display()
    );
}

/// Returns the number of files in a folder, and the time of the last change.
fn changes(dir: &Path) -> (usize, Option<SystemTime>) {
    let (mut files, mut last) = (0, None);
    for entry in fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            let (more, time) = changes(&entry.path());
            (files, last) = (files + more, last.max(time));
        } else {
            (files, last) = (files + 1, last.max(entry.metadata().unwrap().modified().ok()));
        }
    }
    (files, last)
}

/// Splits a snapshot into titles and entries.
fn entries(text: &str) -> Vec<(&str, &str)> {
    let blocks = text.split("\n== ").skip(1);
    blocks.map(|block| block.split_once('\n').unwrap_or((block, ""))).map(|(t, entry)| (t, entry.trim_end())).collect()
}

fn replace_between(text: &str, before: &str, after: &str, with: &str) -> String {
    let after = if after.is_empty() { "\n" } else { after };
    let mut replaced = String::new();
    let mut rest = text;
    while let Some((head, tail)) = rest.split_once(before) {
        replaced.push_str(head);
        replaced.push_str(before);
        let end = tail.find(after).unwrap_or(tail.len());
        replaced.push_str(with);
        rest = &tail[end..];
    }
    replaced + rest
}

/// Marks lines that are only in `old` with `-` and those that are only in `new` with `+`.
fn difference(old: &str, new: &str) -> String {
    let (old, new): (Vec<_>, Vec<_>) = (old.lines().collect(), new.lines().collect());
    // Lengths of the longest common subsequences of the rests.
    let mut common = vec![vec![0; new.len() + 1]; old.len() + 1];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            common[i][j] =
                if old[i] == new[j] { common[i + 1][j + 1] + 1 } else { common[i + 1][j].max(common[i][j + 1]) };
        }
    }
    let (mut i, mut j) = (0, 0);
    let mut lines = Vec::new();
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            lines.push(format!("  {}", old[i]));
            (i, j) = (i + 1, j + 1);
        } else if j == new.len() || i < old.len() && common[i + 1][j] >= common[i][j + 1] {
            lines.push(format!("- {}", old[i]));
            i += 1;
        } else {
            lines.push(format!("+ {}", new[j]));
            j += 1;
        }
    }
    lines.join("\n")
}

/// Copies what is in the folder `from`, with all folders in it, into the folder `to`. JPEG files
/// become hard links, because frame trees have thousands: replace these files, never write into
/// them.
pub fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            copy_tree(&entry.path(), &to.join(entry.file_name()));
        } else {
            let copy = to.join(entry.file_name());
            if copy.extension().is_some_and(|ending| ending == "jpg") {
                fs::hard_link(entry.path(), copy).unwrap();
            } else {
                fs::copy(entry.path(), copy).unwrap();
            }
        }
    }
}

#[test]
fn a_snapshot_is_read_as_it_is_written() {
    let text = "About\n\n== One\n$ a\nexit status 1\n\n== Two\n$ b\n";
    assert_eq!(entries(text), [("One", "$ a\nexit status 1"), ("Two", "$ b")]);
    assert_eq!(difference("a\nb\nc", "a\nx\nc"), "  a\n- b\n+ x\n  c");
    assert_eq!(replace_between("took 1.2 s, took 3 s\n", "took ", " s", "T"), "took T s, took T s\n");
    assert_eq!(replace_between("pid 7\npid 8", "pid ", "", "N"), "pid N\npid N");
}
