//! SHA-256 of files. PyTorch puts its start into the name of a file: `resnet18-f37072fd.pth`.

use clipshard::read_regular;
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::io;
use std::path::Path;

/// Largest file that is read or downloaded. The weights of a ResNet-152 take 0.24 GB.
pub const MOST_BYTES: u64 = 1 << 30;

/// Fewest hexadecimal digits of a digest in a name.
const FEWEST_DIGITS: usize = 8;

/// Returns the first digits of the SHA-256, which the name of a file states; `None` if it does not.
pub fn of_name(name: &str) -> Option<&str> {
    let (_, rest) = name.rsplit_once('-')?;
    let digits = rest.split_once('.').map_or(rest, |(digits, _)| digits);
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    ((FEWEST_DIGITS..=64).contains(&digits.len()) && digits.bytes().all(is_digit)).then_some(digits)
}

/// Returns the SHA-256 of a whole file in hexadecimal.
///
/// # Errors
/// The path is no regular file, or the file cannot be read or is larger than [`MOST_BYTES`].
pub fn of_file(path: &Path) -> io::Result<String> {
    let mut text = String::with_capacity(64);
    for byte in Sha256::digest(read_regular(path, MOST_BYTES)?) {
        let _ = write!(text, "{byte:02x}");
    }
    Ok(text)
}

/// Returns whether the file has the digest that `name` states.
///
/// # Errors
/// Returns the errors of [`of_file`].
pub fn is_right(path: &Path, name: &str) -> io::Result<bool> {
    let found = of_file(path)?;
    Ok(of_name(name).is_some_and(|digest| found.starts_with(digest)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_states_eight_or_more_digits() {
        assert_eq!(of_name("resnet18-f37072fd.pth"), Some("f37072fd"));
        assert_eq!(of_name("wide-resnet50_2-95faca4d00.pth.tar"), Some("95faca4d00"));
        for other in ["resnet18.pth", "resnet18-f37072f.pth", "resnet18-F37072FD.pth", "resnet-eighteen.pth"] {
            assert_eq!(of_name(other), None, "{other}");
        }
    }

    #[test]
    fn the_digest_is_that_of_the_standard() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("abc");
        std::fs::write(&path, "abc").unwrap();
        // FIPS 180-2, appendix B.1.
        let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(of_file(&path).unwrap(), digest);
        assert!(is_right(&path, "x-ba7816bf.pth").unwrap() && !is_right(&path, "x-ba7816be.pth").unwrap());
        assert!(of_file(temp.path()).is_err(), "a folder");
    }
}
