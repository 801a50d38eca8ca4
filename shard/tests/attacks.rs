//! Tests of the hostile files in `attacks/` and of the unusual files in `unusual/`. Hostile files must
//! be refused with the error that `attacks/README.md` lists. Unusual files must be read.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod corpus;
mod sample;

use clipshard::Manifest;
use std::collections::BTreeMap;
use std::path::Path;

const HOSTILE: &str = "tests/attacks";
const UNUSUAL: &str = "tests/unusual";

/// Reads the table of a README: the last cell by file.
fn table(folder: &str) -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(Path::new(folder).join("README.md")).unwrap();
    let (_, rows) = text.split_once("|---|---|---|\n").unwrap();
    let row = |line: &str| {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        let [_, file, tries, error, _] = cells[..] else { panic!("{line}") };
        assert!(tries.len() > 10, "{line}");
        (file.trim_matches('`').to_owned(), error.to_owned())
    };
    rows.lines().take_while(|line| line.starts_with('|')).map(row).collect()
}

/// Returns the first error of reading a file.
fn error_of(path: &Path) -> Option<clipshard::Error> {
    if path.extension().is_some_and(|ending| ending == "json") {
        let dir = tempfile::tempdir().unwrap();
        std::fs::copy(path, dir.path().join("manifest.json")).unwrap();
        return Manifest::read(dir.path()).err();
    }
    sample::first_error(path)
}

#[test]
fn every_hostile_file_is_refused_with_its_error() {
    let wrong = |(file, expected): (&String, &String)| match error_of(&Path::new(HOSTILE).join(file)) {
        Some(error) if error.to_string().contains(expected) => None,
        other => Some(format!("{file}: expected {expected:?} in: {other:?}")),
    };
    let wrong: Vec<_> = table(HOSTILE).iter().filter_map(wrong).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_unusual_file_is_read() {
    let wrong = |file: &String| Some(format!("{file}: {}", error_of(&Path::new(UNUSUAL).join(file))?));
    let wrong: Vec<_> = table(UNUSUAL).keys().filter_map(wrong).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_files_are_what_their_source_says() {
    for (folder, files) in [(HOSTILE, corpus::hostile()), (UNUSUAL, corpus::unusual())] {
        let folder = Path::new(folder);
        for (file, bytes) in &files {
            if std::env::var_os("UPDATE_ATTACKS").is_some() {
                std::fs::write(folder.join(file), bytes).unwrap();
            }
            // Other versions of zstd may give other bytes.
            if !has_zstd(file) {
                assert!(std::fs::read(folder.join(file)).unwrap() == *bytes, "{file} differs");
            }
        }
        let is_data = |file: &String| !["README.md", ".gitattributes"].contains(&file.as_str());
        let names = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
        let mut there: Vec<_> = names.filter(is_data).collect();
        there.sort();
        assert_eq!(there, files.keys().copied().collect::<Vec<_>>());
        let named: Vec<_> = table(&folder.display().to_string()).into_keys().collect();
        assert_eq!(named, there);
    }
}

/// Returns whether a file holds what zstd compressed.
fn has_zstd(file: &str) -> bool {
    let others = ["array-above", "array-empty-zstd-", "array-of-", "raw-of-half", "shuffle-of", "up-"];
    file.starts_with("zstd") || others.iter().any(|start| file.starts_with(start))
}
