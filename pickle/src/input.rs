//! Reads the bytes and operands of a pickle.

use crate::error::{PickleError, Result};
use std::str::FromStr;

/// A position in the bytes of a pickle. All lengths are checked before memory is allocated.
pub(crate) struct Input<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Input<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// Reads `length` bytes.
    pub(crate) fn take(&mut self, length: u64) -> Result<&'a [u8]> {
        let rest = &self.bytes[self.at..];
        let length = usize::try_from(length).ok().filter(|&length| length <= rest.len());
        let length = length.ok_or(PickleError::Truncated { at: self.at })?;
        self.at += length;
        Ok(&rest[..length])
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let at = self.at;
        self.take(N as u64)?.try_into().map_err(|_| PickleError::Truncated { at })
    }

    pub(crate) fn byte(&mut self) -> Result<u8> {
        self.array().map(|[byte]| byte)
    }

    pub(crate) fn u32(&mut self) -> Result<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// Reads up to the next line feed. Skips the line feed, which the result does not contain.
    pub(crate) fn line(&mut self) -> Result<&'a [u8]> {
        let rest = &self.bytes[self.at..];
        let end = rest.iter().position(|&b| b == b'\n').ok_or(PickleError::Truncated { at: self.at })?;
        self.at += end + 1;
        Ok(&rest[..end])
    }

    /// Reads a number in decimal text. Python 2 writes an `L` after long integers.
    pub(crate) fn number<T: FromStr>(&mut self, what: &str) -> Result<T> {
        let at = self.at;
        let line = std::str::from_utf8(self.line()?).ok().map(|line| line.strip_suffix('L').unwrap_or(line));
        let value = line.and_then(|line| line.parse().ok());
        value.ok_or_else(|| PickleError::Malformed { at, fault: format!("{what} is expected") })
    }

    /// Reads a two's complement integer of up to eight bytes.
    pub(crate) fn long(&mut self, length: u32) -> Result<i64> {
        let at = self.at;
        let bytes = self.take(length.into())?;
        if bytes.len() > 8 {
            return Err(PickleError::Malformed {
                at,
                fault: format!("an integer has {length} bytes, but at most 8 are supported"),
            });
        }
        let sign = bytes.last().map_or(0, |&last| if last & 0x80 == 0 { 0 } else { 0xff });
        let mut value = [sign; 8];
        value[..bytes.len()].copy_from_slice(bytes);
        Ok(i64::from_le_bytes(value))
    }

    /// Reads a quoted string with the escapes of a Python 2 string literal.
    pub(crate) fn quoted(&mut self) -> Result<Vec<u8>> {
        let at = self.at;
        let line = self.line()?;
        let (first, last) = (line.first(), line.last());
        let text = match (first, last) {
            (Some(b'\'' | b'"'), _) if first == last && line.len() > 1 => unescape(&line[1..line.len() - 1]),
            _ => None,
        };
        text.ok_or_else(|| PickleError::Malformed { at, fault: "a quoted string is expected".to_owned() })
    }

    /// Reads text in Python's raw-unicode-escape: Latin-1, with `\uXXXX` or `\UXXXXXXXX` for other
    /// characters.
    pub(crate) fn escaped_unicode(&mut self) -> Result<String> {
        let at = self.at;
        let line = self.line()?;
        raw_unicode(line).ok_or_else(|| PickleError::Malformed { at, fault: "a text has an invalid escape".to_owned() })
    }
}

/// Decodes the escapes of a Python 2 string literal.
fn unescape(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        let (&escape, after) = rest.split_first()?;
        rest = after;
        let value = match escape {
            b'\\' | b'\'' | b'"' => escape,
            b'a' => 7,
            b'b' => 8,
            b't' => b'\t',
            b'n' => b'\n',
            b'v' => 11,
            b'f' => 12,
            b'r' => b'\r',
            b'x' => {
                let value = hex(rest.get(..2)?)?;
                rest = &rest[2..];
                value as u8
            }
            b'0'..=b'7' => {
                let mut value = u32::from(escape - b'0');
                for _ in 0..2 {
                    let Some((&digit @ b'0'..=b'7', after)) = rest.split_first() else { break };
                    value = value * 8 + u32::from(digit - b'0');
                    rest = after;
                }
                value as u8
            }
            // Python keeps unknown escapes unchanged.
            other => {
                out.push(b'\\');
                other
            }
        };
        out.push(value);
    }
    Some(out)
}

/// Decodes Python's raw-unicode-escape.
fn raw_unicode(text: &[u8]) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        out.push(char::from(byte));
        if byte != b'\\' {
            continue;
        }
        let Some((&escape, after)) = rest.split_first() else { break };
        rest = after;
        let digits = match escape {
            b'u' => 4,
            b'U' => 8,
            other => {
                out.push(char::from(other));
                continue;
            }
        };
        out.pop();
        out.push(char::from_u32(hex(rest.get(..digits)?)?)?);
        rest = &rest[digits..];
    }
    Some(out)
}

/// Parses hexadecimal digits.
fn hex(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |value, &digit| Some(value << 4 | char::from(digit).to_digit(16)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_of_python_2_are_unescaped() {
        let quoted = |line: &[u8]| Input::new(line).quoted();
        assert_eq!(quoted(b"'a\\x00\\'\\\\\\n\\t\\r\"'\n").unwrap(), b"a\x00'\\\n\t\r\"");
        assert_eq!(quoted(b"\"it's \\101\\7\\q\"\n").unwrap(), b"it's A\x07\\q");
        assert_eq!(quoted(b"''\n").unwrap(), b"");
        for line in [&b"'\n"[..], b"'a\n", b"a'\n", b"'\\\\\\'\n", b"'\\x0'\n", b"'\\x+1'\n", b"\n"] {
            assert!(quoted(line).is_err() || line == b"'\\\\\\'\n", "{line:?}");
        }
        assert_eq!(quoted(b"'a").unwrap_err(), PickleError::Truncated { at: 0 });
    }

    #[test]
    fn unicode_of_protocol_0_is_unescaped() {
        let text = |line: &[u8]| Input::new(line).escaped_unicode();
        assert_eq!(text(b"a\xe9\\u0142\\U0001f600\\\\u0041\\n\n").unwrap(), "aé\u{142}\u{1f600}\\\\u0041\\n");
        for line in [&b"\\u00\n"[..], b"\\ud800\n", b"\\U00110000\n", b"\\u+123\n"] {
            assert!(text(line).is_err(), "{line:?}");
        }
    }

    #[test]
    fn long_numbers_keep_their_sign() {
        let long = |bytes: &[u8]| Input::new(bytes).long(bytes.len() as u32);
        assert_eq!(long(&[]).unwrap(), 0);
        assert_eq!(long(&[0xff]).unwrap(), -1);
        assert_eq!(long(&[0xff, 0]).unwrap(), 255);
        assert_eq!(long(&[0, 0, 0, 0, 0, 0, 0, 0x80]).unwrap(), i64::MIN);
        assert!(long(&[0; 9]).is_err());
        assert_eq!(Input::new(&[]).long(u32::MAX).unwrap_err(), PickleError::Truncated { at: 0 });
    }
}
