//! Makes names from foreign data safe for a terminal.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Replaces control characters, and characters that change the direction of text, with escapes.
///
/// ```
/// assert_eq!(ucfpack::console::escape("v_\u{1b}[31mRed"), r"v_\x1b[31mRed");
/// assert_eq!(ucfpack::console::escape("Jürgen's clip"), "Jürgen's clip");
/// ```
pub fn escape(text: &str) -> Cow<'_, str> {
    if !text.contains(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        // Writing to a string cannot fail.
        let _ = match c {
            '\n' => escaped.write_str("\\n"),
            '\r' => escaped.write_str("\\r"),
            '\t' => escaped.write_str("\\t"),
            c if !is_unsafe(c) => escaped.write_char(c),
            c if u32::from(c) < 0x100 => write!(escaped, "\\x{:02x}", u32::from(c)),
            c => write!(escaped, "\\u{{{:x}}}", u32::from(c)),
        };
    }
    Cow::Owned(escaped)
}

/// Returns whether a character is a control character of ASCII or Latin-1, a line or paragraph
/// separator, or a mark that changes the direction of text.
pub(crate) fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped_and_letters_are_not() {
        let escaped = [
            ("\u{1b}]0;title\u{7}", r"\x1b]0;title\x07"),
            ("a\nnote: b\r\tc", r"a\nnote: b\r\tc"),
            ("\u{9b}31m \u{7f}", r"\x9b31m \x7f"),
            ("\u{202e}gpj.exe \u{2028}", r"\u{202e}gpj.exe \u{2028}"),
            ("Grüße, 映像 🎬 a\\b", "Grüße, 映像 🎬 a\\b"),
        ];
        for (text, expected) in escaped {
            assert_eq!(escape(text), expected);
        }
        for c in ('\0'..='\u{ffff}').filter(|c| c.is_control()) {
            assert!(!escape(&c.to_string()).contains(c), "{c:?}");
        }
    }
}
