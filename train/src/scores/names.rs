//! Names of clips as different programs write them.

use anyhow::{Context, Result, anyhow, bail};
use std::path::Path;

/// What two names of one clip have in common: lower case, without `v_` before and `.avi` after.
///
/// `v_HandStandPushups_g01_c01.avi` in the official lists is `HandstandPushups_g01_c01` in the reference code's score files.
pub fn clip_key(name: &str) -> String {
    let lower = name.trim().to_lowercase();
    let stem = lower.strip_suffix(".avi").unwrap_or(&lower);
    stem.strip_prefix("v_").unwrap_or(stem).to_owned()
}

/// The largest list that is read: the clips of Kinetics-700 take 30 MB.
const MAX_LIST_BYTES: u64 = 256 << 20;

/// Reads a list's text, without a byte order mark.
pub(super) fn read_text(path: &Path) -> Result<String> {
    let name = || path.display().to_string();
    let bytes = clipshard::read_regular(path, MAX_LIST_BYTES).with_context(|| format!("{}: cannot read it", name()))?;
    let text = String::from_utf8(bytes).map_err(|_| anyhow!("{}: not text in UTF-8", name()))?;
    Ok(match text.strip_prefix('\u{feff}') {
        Some(rest) => rest.to_owned(),
        None => text,
    })
}

/// Lines with their numbers from 1, whichever of the three line ends they have; without blank ones.
pub(super) fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    // CRLF gives an empty piece between its two halves, which is no line.
    let pieces = text.split('\n').flat_map(|line| line.strip_suffix('\r').unwrap_or(line).split('\r'));
    pieces.enumerate().map(|(at, line)| (at + 1, line.trim())).filter(|(_, line)| !line.is_empty())
}

/// What stands first in a line of a list. Numbers may follow, as those of classes and frames do; other text is an error.
pub(super) fn entry(line: &str) -> Result<&str> {
    let mut words = line.split_whitespace();
    let first = words.next().unwrap_or_default();
    if let Some(word) = words.find(|word| word.parse::<u64>().is_err()) {
        bail!("{word:?} behind {first:?} is not a number; names have no blanks");
    }
    Ok(first)
}

/// The clips of a list with one a line: a name, or a path of which the last part counts. Numbers may stand behind it.
pub fn read_names(path: &Path) -> Result<Vec<String>> {
    let text = read_text(path)?;
    let name = |(number, line)| {
        let entry = entry(line).with_context(|| format!("{}, line {number}", path.display()))?;
        Ok(entry.rsplit('/').next().unwrap_or(entry).to_owned())
    };
    let names = lines(&text).map(name).collect::<Result<Vec<String>>>()?;
    if names.is_empty() {
        bail!("{}: it names no clips", path.display());
    }
    Ok(names)
}

/// The first few of the names, for a message.
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
    fn lists_have_any_line_end_and_only_numbers_behind_a_name() {
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
        assert!(error.contains("list.txt, line 2: \"v_z.avi\" behind \"v_y.avi\" is not a number"), "{error}");
        let numbers: Vec<usize> = lines("a\r\nb\rc\n\nd").map(|(number, _)| number).collect();
        assert_eq!(numbers, [1, 2, 3, 5]);
        assert!(read("\n").unwrap_err().to_string().contains("names no clips"));
        let error = format!("{:#}", read_names(dir.path()).unwrap_err());
        assert!(error.contains("it is a folder, not a regular file"), "{error}");
    }
}
