//! Names of clips in the spellings of different programs, and lists of names.

use anyhow::{Context, Result, anyhow, bail};
use std::path::Path;

/// Returns the common form of all spellings of a clip's name: lower case, without the prefix `v_`
/// and the suffix `.avi`.
///
/// For example, `v_HandStandPushups_g01_c01.avi` in the official lists is
/// `HandstandPushups_g01_c01` in the scores files of the reference code.
pub fn clip_key(name: &str) -> String {
    let lower = name.trim().to_lowercase();
    let stem = lower.strip_suffix(".avi").unwrap_or(&lower);
    stem.strip_prefix("v_").unwrap_or(stem).to_owned()
}

/// Largest size of a list that is read. The clips of Kinetics-700 take 30 MB.
const MAX_LIST_BYTES: u64 = 256 << 20;

/// Reads the text of a list, and removes a byte order mark.
pub(super) fn read_text(path: &Path) -> Result<String> {
    let name = || path.display().to_string();
    let bytes = clipshard::read_regular(path, MAX_LIST_BYTES).with_context(|| format!("{}: cannot read it", name()))?;
    let text = String::from_utf8(bytes).map_err(|_| anyhow!("{}: not UTF-8 text; save the list as UTF-8", name()))?;
    Ok(match text.strip_prefix('\u{feff}') {
        Some(rest) => rest.to_owned(),
        None => text,
    })
}

/// Returns the lines that are not blank with their numbers from 1. Lines end in LF, CRLF or CR.
pub(super) fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    // The CR of a CRLF is removed first, so that it does not start a line of its own.
    let pieces = text.split('\n').flat_map(|line| line.strip_suffix('\r').unwrap_or(line).split('\r'));
    pieces.enumerate().map(|(at, line)| (at + 1, line.trim())).filter(|(_, line)| !line.is_empty())
}

/// Returns the first word of a line in a list. Numbers may follow, such as those of classes and
/// frames.
///
/// # Errors
/// A later word is not a number.
pub(super) fn entry(line: &str) -> Result<&str> {
    let mut words = line.split_whitespace();
    let first = words.next().unwrap_or_default();
    if let Some(word) = words.find(|word| word.parse::<u64>().is_err()) {
        bail!("{word:?} after {first:?} is not a number; names must not contain spaces");
    }
    Ok(first)
}

/// Reads a list of clips, one per line: a name, or a path whose last part is the name. Numbers may
/// follow.
///
/// # Errors
/// The list cannot be read, is empty, or has a line with other text.
pub fn read_names(path: &Path) -> Result<Vec<String>> {
    let text = read_text(path)?;
    let name = |(number, line)| {
        let entry = entry(line).with_context(|| format!("{}, line {number}", path.display()))?;
        Ok(entry.rsplit('/').next().unwrap_or(entry).to_owned())
    };
    let names = lines(&text).map(name).collect::<Result<Vec<String>>>()?;
    if names.is_empty() {
        bail!("{}: the list is empty; name a list of clips", path.display());
    }
    Ok(names)
}

/// Joins the first three names for a message, and adds `...` if there are more.
pub fn first_few<S: AsRef<str>>(names: &[S]) -> String {
    const SHOWN: usize = 3;
    let mut text = names.iter().take(SHOWN).map(AsRef::as_ref).collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN {
        text += ", ...";
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_clip_have_one_key() {
        let spellings = [
            "v_HandStandPushups_g01_c02.avi",
            "HandstandPushups_g01_c02",
            "HandStandPushups_g01_c02",
            "V_HANDSTANDPUSHUPS_g01_C02.AVI\r",
        ];
        for name in spellings {
            assert_eq!(clip_key(name), "handstandpushups_g01_c02");
        }
        assert_ne!(clip_key("v_Archery_g01_c02"), clip_key("v_Archery_g01_c03"));
    }
    #[test]
    fn lists_have_any_line_end_and_only_numbers_after_a_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("list.txt");
        let read = |text: &str| {
            std::fs::write(&path, text).unwrap();
            read_names(&path)
        };
        for text in ["a/v_x.avi 1\nb/v_y.avi 2 30\n", "a/v_x.avi\rv_y.avi\r", "\u{feff}v_x.avi\r\n\r\nv_y.avi"] {
            assert_eq!(read(text).unwrap(), ["v_x.avi", "v_y.avi"], "{text:?}");
        }
        let error = format!("{:#}", read("v_x.avi\rv_y.avi v_z.avi\r").unwrap_err());
        assert!(error.contains("list.txt, line 2: \"v_z.avi\" after \"v_y.avi\" is not a number"), "{error}");
        let numbers: Vec<usize> = lines("a\r\nb\rc\n\nd").map(|(number, _)| number).collect();
        assert_eq!(numbers, [1, 2, 3, 5]);
        assert!(read("\n").unwrap_err().to_string().contains("the list is empty"));
        let error = format!("{:#}", read_names(dir.path()).unwrap_err());
        assert!(error.contains("it is a folder, not a regular file"), "{error}");
    }
}
