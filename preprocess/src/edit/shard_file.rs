//! File names of shards: `STREAM-NNNNN.clipshard`.

const ENDING: &str = ".clipshard";

/// Returns the file name of a shard by its number in the stream.
pub(super) fn shard_file(stream: &str, number: u64) -> String {
    format!("{stream}-{number:05}{ENDING}")
}

/// Returns the number in the file name of a shard, or `None` if the shard has another name.
pub(super) fn number_of(file: &str) -> Option<u64> {
    let (stream, digits) = file.strip_suffix(ENDING)?.rsplit_once('-')?;
    let number = digits.parse().ok()?;
    (shard_file(stream, number) == file).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back_from_usual_names_only() {
        for number in [0, 7, 99_999, 100_000] {
            assert_eq!(number_of(&shard_file("a-b", number)), Some(number));
        }
        for other in ["rgb.clipshard", "rgb-7.clipshard", "rgb-+0007.clipshard", "rgb-00007", "rgb-000007.clipshard"] {
            assert_eq!(number_of(other), None, "{other}");
        }
    }
}
