//! Tests that copies of files are equal. The tests of two crates read the same files, and each
//! crate has its own copy, so that it is complete without the other.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::fs;
use std::path::Path;

/// Returns the names of the files that are in both folders, after comparing the files.
fn shared(a: &str, b: &str) -> Vec<String> {
    let mut names = Vec::new();
    for entry in fs::read_dir(a).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let other = Path::new(b).join(&name);
        if other.is_file() {
            assert!(fs::read(Path::new(a).join(&name)).unwrap() == fs::read(other).unwrap(), "{name} differs in {b}");
            names.push(name);
        }
    }
    names.sort();
    names
}

#[test]
fn pickles_of_both_crates_are_equal() {
    let expected = [
        "mmaction2-tensors-protocol2.pickle",
        "numpy2-protocol4.pickle",
        "numpy2-protocol5.pickle",
        "python2-numpy1-protocol0.pickle",
    ];
    assert_eq!(shared("../pickle/tests/scores", "../train/tests/goldens"), expected);
}

#[test]
fn each_crate_has_the_licences() {
    for file in ["LICENSE-MIT", "LICENSE-APACHE"] {
        let text = fs::read(Path::new("..").join(file)).unwrap();
        let mut crates = 0;
        for folder in fs::read_dir("..").unwrap().map(|entry| entry.unwrap().path()) {
            // These two crates are not published.
            if folder.join("Cargo.toml").is_file() && !folder.ends_with("tests") && !folder.ends_with("fuzz") {
                assert!(fs::read(folder.join(file)).unwrap() == text, "{}/{file} differs", folder.display());
                crates += 1;
            }
        }
        assert!(crates >= 7, "{crates}");
    }
}
