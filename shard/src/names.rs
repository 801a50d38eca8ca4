//! Names of the files in the folder of a dataset.

/// The file with the progress of an unfinished [`DatasetWriter`](crate::DatasetWriter).
pub(crate) const JOURNAL_FILE: &str = ".writing.json";

/// The end of the name of every shard.
pub(crate) const SHARD_ENDING: &str = ".clipshard";

/// Returns the usual name of a shard, such as `rgb-00000.clipshard`.
pub(crate) fn shard_name(stream: &str, number: u64) -> String {
    format!("{stream}-{number:05}{SHARD_ENDING}")
}

/// Returns the stream and the number of a usual name of a shard.
pub(crate) fn parse_shard_name(file: &str) -> Option<(&str, u64)> {
    let (stream, digits) = file.strip_suffix(SHARD_ENDING)?.rsplit_once('-')?;
    let number = digits.parse().ok()?;
    // A number has one form only: no sign, and zeros only up to five digits.
    (shard_name(stream, number) == file).then_some((stream, number))
}

/// Returns whether a file name names a file in the same folder on every system.
pub(crate) fn is_plain(file: &str) -> bool {
    // The rule is the same on every system, so it covers the separators of all of them.
    !matches!(file, "" | "." | "..") && !file.contains(['/', '\\', ':', '\0'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_names_have_one_form() {
        for (stream, number) in [("rgb", 0), ("flow", 99_999), ("a-00001", 100_000), ("-", u64::MAX)] {
            assert_eq!(parse_shard_name(&shard_name(stream, number)), Some((stream, number)));
        }
        for other in ["rgb.clipshard", "rgb-0.clipshard", "rgb-000000.clipshard", "rgb-+0001.clipshard", "rgb-00000"] {
            assert_eq!(parse_shard_name(other), None, "{other}");
        }
    }
}
