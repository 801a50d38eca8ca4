//! Names of clips as different programs write them.

use anyhow::{Context, Result, bail};
use std::path::Path;

/// What two names of one clip have in common: lower case, without `v_` before and `.avi` after.
///
/// `v_HandStandPushups_g01_c01.avi` in the official lists is `HandstandPushups_g01_c01` in the reference code's score files.
pub fn clip_key(name: &str) -> String {
    let lower = name.trim().to_lowercase();
    let stem = lower.strip_suffix(".avi").unwrap_or(&lower);
    stem.strip_prefix("v_").unwrap_or(stem).to_owned()
}

/// The clips of a list with one a line: a name, or a path of which the last part counts, and whatever stands behind a blank.
pub fn read_names(path: &Path) -> Result<Vec<String>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("{}: cannot read it", path.display()))?;
    let name = |line: &str| line.split_whitespace().next()?.rsplit('/').next().map(str::to_owned);
    let names: Vec<String> = text.lines().filter_map(name).collect();
    if names.is_empty() {
        bail!("{}: it names no clips", path.display());
    }
    Ok(names)
}

/// The first few of the names, for a message.
pub(crate) fn first_few<S: AsRef<str>>(names: &[S]) -> String {
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
}
