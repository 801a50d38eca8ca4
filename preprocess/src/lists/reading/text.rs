//! Reads the text of lists, with any line ends.

use std::fs;
use std::path::{Path, PathBuf};

use clipshard::read_regular;

use crate::error::{Error, Problem, Result, Setting};

/// Largest accepted size of a list, in bytes.
const MAX_LIST_BYTES: u64 = 1 << 28;

/// Reads the text of a list, without a byte order mark.
pub(in crate::lists) fn read_text(path: &Path) -> Result<String> {
    let bytes = read_regular(path, MAX_LIST_BYTES).map_err(Error::io(path, "cannot read the list"))?;
    let fault = |line: usize, what: &str| Error::List { path: path.into(), line, what: what.into() };
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Err(fault(1, "the list is UTF-16 text; save it as UTF-8"));
    }
    if let Some(at) = bytes.iter().position(|byte| *byte == 0) {
        let line = line_at(&String::from_utf8_lossy(&bytes[..at]), usize::MAX);
        return Err(fault(line, "the list has a zero byte, so it is no text, or UTF-16; save it as UTF-8"));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        fault(line_at(&String::from_utf8_lossy(before), usize::MAX), "the list is not UTF-8 text; save it as UTF-8")
    })?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

/// Returns the number of the line, from 1, that holds the byte at `offset`. Lines may have any ends.
pub(in crate::lists) fn line_at(text: &str, offset: usize) -> usize {
    let before = text.as_bytes().get(..offset).unwrap_or(text.as_bytes());
    let ends = before.iter().enumerate().filter(|(i, byte)| match byte {
        b'\n' => true,
        b'\r' => before.get(i + 1).or_else(|| text.as_bytes().get(i + 1)) != Some(&b'\n'),
        _ => false,
    });
    ends.count() + 1
}

/// Checks that the official lists of a dataset are a folder.
pub(in crate::lists) fn check_folder(path: &Path, dataset: &str) -> Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    check_exists(path)?;
    Err(Error::usage(
        Problem::from(format!("{} is a file, but ", path.display()))
            .name(Setting::Dataset)
            .then(format!(" {dataset} needs the folder of the official lists; for a CSV file, use "))
            .name(Setting::Dataset)
            .then(" custom"),
    ))
}

/// Checks that a path exists.
pub(in crate::lists) fn check_exists(path: &Path) -> Result<()> {
    if path.exists() { Ok(()) } else { Err(Error::input(format!("{}: no such file or folder", path.display()))) }
}

/// Returns the visible files in a folder, sorted by name.
pub(in crate::lists) fn files_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let fault = |e| Error::io(folder, "cannot list the folder")(e);
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(fault)? {
        let path = entry.map_err(fault)?.path();
        let is_hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if !is_hidden && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Returns the name of a file in lower case, or an empty text if it is not UTF-8.
pub(in crate::lists) fn name_of(path: &Path) -> String {
    path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_ascii_lowercase()
}

/// Returns whether a file has one of these endings, which are in lower case.
pub(in crate::lists) fn has_ending(path: &Path, endings: &[&str]) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    endings.iter().any(|known| ending.eq_ignore_ascii_case(known))
}

/// Splits a text into lines that end in LF, CR LF or CR.
pub(in crate::lists) fn split_lines(text: &str) -> impl Iterator<Item = &str> {
    text.split_inclusive('\n')
        .flat_map(|line| line.strip_suffix("\r\n").or(line.strip_suffix('\n')).unwrap_or(line).split('\r'))
}

/// Returns the non-empty lines with their numbers from 1. Whitespace around a line is removed.
pub(in crate::lists) fn lines(path: &Path) -> Result<Vec<(usize, String)>> {
    let text = read_text(path)?;
    let numbered = split_lines(&text).enumerate().map(|(i, line)| (i + 1, line.trim().to_owned()));
    Ok(numbered.filter(|(_, line)| !line.is_empty()).collect())
}

#[cfg(test)]
pub(in crate::lists) mod tests {
    use super::*;

    /// Creates a folder of lists.
    pub(in crate::lists) fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(dir.path().join(name), text).unwrap();
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
    fn offsets_have_lines() {
        for text in ["a\nb\nc", "a\r\nb\r\nc", "a\rb\rc"] {
            let lines: Vec<usize> = ["a", "b", "c"].map(|c| line_at(text, text.find(c).unwrap())).into();
            assert_eq!(lines, [1, 2, 3], "{text:?}");
        }
        assert_eq!(line_at("a\n", usize::MAX), 2);
    }

    #[test]
    fn what_is_no_text_is_named_with_its_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("l");
        for (bytes, line, what) in [
            (&b"a 1\nb\xe9 1\n"[..], 2, "the list is not UTF-8 text; save it as UTF-8"),
            (b"\xff\xfea\0", 1, "the list is UTF-16 text; save it as UTF-8"),
            (b"\xfe\xff\0a", 1, "the list is UTF-16 text; save it as UTF-8"),
            (b"a 1\nb\0 1", 2, "the list has a zero byte, so it is no text, or UTF-16; save it as UTF-8"),
        ] {
            fs::write(&path, bytes).unwrap();
            let error = lines(&path).unwrap_err().to_string();
            assert!(error.ends_with(&format!("l: line {line}: {what}")), "{error}");
        }
        assert!(lines(dir.path()).unwrap_err().to_string().contains("it is a folder, not a regular file"));
    }
}
