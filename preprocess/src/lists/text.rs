//! Reads the text of lists, with any line ends.

use std::path::Path;

use clipshard::read_regular;

use crate::error::{Error, Problem, Result, Setting};

/// Largest accepted size of a list, in bytes.
const MAX_LIST_BYTES: u64 = 1 << 28;

/// Reads the text of a list, without a byte order mark.
pub(super) fn read_text(path: &Path) -> Result<String> {
    let bytes = read_regular(path, MAX_LIST_BYTES).map_err(Error::io(path, "cannot read the list"))?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = split_lines(&String::from_utf8_lossy(before)).count().max(1);
        Error::List { path: path.into(), line, what: "the list is not UTF-8 text; save it as UTF-8".into() }
    })?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

/// Checks that the official lists of a dataset are a folder. A CSV file belongs to custom datasets.
pub(super) fn check_folder(path: &Path, dataset: &str) -> Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    if !path.exists() {
        return Err(Error::input(format!("{}: no such folder", path.display())));
    }
    Err(Error::usage(
        Problem::from(format!("{} is a file, but ", path.display()))
            .name(Setting::Dataset)
            .then(format!(" {dataset} needs the folder of the official lists; for a CSV file, use "))
            .name(Setting::Dataset)
            .then(" custom"),
    ))
}

/// Splits a text into lines that end in LF, CR LF or CR.
fn split_lines(text: &str) -> impl Iterator<Item = &str> {
    text.split_inclusive('\n')
        .flat_map(|line| line.strip_suffix("\r\n").or(line.strip_suffix('\n')).unwrap_or(line).split('\r'))
}

/// Returns the non-empty lines with their numbers from 1. Whitespace around a line is removed.
pub(super) fn lines(path: &Path) -> Result<Vec<(usize, String)>> {
    let text = read_text(path)?;
    let numbered = split_lines(&text).enumerate().map(|(i, line)| (i + 1, line.trim().to_owned()));
    Ok(numbered.filter(|(_, line)| !line.is_empty()).collect())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Creates a folder of lists.
    pub(in crate::lists) fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        dir
    }

    #[test]
    fn all_three_line_ends_are_read() {
        let list = |text: &str| lines(&folder(&[("l", text)]).path().join("l")).unwrap();
        let expected = [(1, "a 1".to_owned()), (2, "b 2".to_owned()), (4, "c".to_owned())];
        for text in ["a 1\nb 2\n\nc\n", "a 1\r\nb 2\r\n\r\nc", "\u{feff}a 1\rb 2\r\r c\r", "a 1\rb 2\r\n\nc"] {
            assert_eq!(list(text), expected, "{text:?}");
        }
    }

    #[test]
    fn what_is_no_text_is_named_with_its_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("l");
        for (bytes, line) in [(&b"a 1\nb\xe9 1\n"[..], 2), (b"\xff\xfea\0", 1)] {
            std::fs::write(&path, bytes).unwrap();
            let error = lines(&path).unwrap_err().to_string();
            assert!(
                error.ends_with(&format!("l: line {line}: the list is not UTF-8 text; save it as UTF-8")),
                "{error}"
            );
        }
        assert!(lines(dir.path()).unwrap_err().to_string().contains("it is a folder, not a regular file"));
    }
}
