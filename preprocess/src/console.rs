//! Output of the program: results on stdout, everything else on stderr.
//!
//! The reader of stdout may close it at any time, or its disk may be full. The work continues if a note or a summary is
//! lost. Losing a result that exists nowhere else is an error.
//!
//! Names of clips, classes and files come from data of other people. Control characters in them are escaped, so that no
//! name can move the cursor, change colours or hide a line.

use std::fmt::{Display, Write as _};
use std::io::{self, Write};

use serde::Serialize;

use crate::error::{Error, Result};
use crate::escape::is_unsafe;

pub use crate::escape::escape;

/// Lines of text for stdout.
#[derive(Debug, Default)]
pub struct Page {
    text: String,
}

impl Page {
    /// Adds a line. Line breaks in it are escaped, as all control characters.
    pub fn line(&mut self, line: impl Display) {
        self.text.push_str(&escape(&line.to_string()));
        self.text.push('\n');
    }

    /// Adds an empty line.
    pub fn gap(&mut self) {
        self.text.push('\n');
    }

    /// Writes the page as a result.
    ///
    /// # Errors
    /// Returns [`Error::Stdout`] if stdout is closed or full.
    pub fn write_result(&self) -> Result<()> {
        write_stdout(self.text.as_bytes())
    }

    /// Writes the page as a summary of results that are in files. Errors are ignored.
    pub fn write_summary(&self) {
        let _ = write_stdout(self.text.as_bytes());
    }
}

/// Writes a JSON document as a result, in one line. Keeps the spelling of attributes.
///
/// # Errors
/// Returns [`Error::Stdout`] if stdout is closed or full, and [`Error::Input`] if JSON cannot express
/// the document.
pub fn write_json(document: &impl Serialize) -> Result<()> {
    let json = serde_json::to_string(document).map_err(|e| Error::input(format!("cannot write the result: {e}")))?;
    write_stdout(json_line(&json).as_bytes())
}

/// Returns a document as one line. Escapes control characters that JSON allows, because a terminal
/// would obey them. Line breaks and tabs occur only between values, and others only in strings, where
/// an escape means the same.
fn json_line(json: &str) -> String {
    let mut line = String::new();
    for c in json.chars() {
        if matches!(c, '\n' | '\r' | '\t') {
            line.push(' ');
        } else if is_unsafe(c) {
            // Writing to a string cannot fail; all of these have 16 bits.
            let _ = write!(line, "\\u{:04x}", u32::from(c));
        } else {
            line.push(c);
        }
    }
    line.push('\n');
    line
}

/// Writes bytes to stdout as a result.
///
/// # Errors
/// Returns [`Error::Stdout`] if stdout is closed or full.
pub fn write_stdout(bytes: &[u8]) -> Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).map_err(Error::Stdout)
}

/// Writes lines to stderr, and escapes control characters in each. Errors are ignored.
pub fn say(lines: &str) {
    let mut text = String::new();
    for line in lines.lines() {
        text.push_str(&escape(line));
        text.push('\n');
    }
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// Writes notes to stderr, one per line.
pub fn notes<T: AsRef<str>>(notes: impl IntoIterator<Item = T>) {
    for note in notes {
        say(&format!("note: {}", escape(note.as_ref())));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_means_the_same_without_control_characters() {
        let document = serde_json::json!({"clip \u{9b}1m": ["\u{1b}[31m\n", "\u{7f}\u{202e}\u{2028}", "Grüße \"\\"]});
        let line = json_line(&document.to_string());
        assert_eq!(serde_json::from_str::<serde_json::Value>(&line).unwrap(), document);
        assert!(!line.trim_end().contains(is_unsafe), "{line:?}");
        assert_eq!(json_line("{\r\n\t\"a\": 1.50}"), "{   \"a\": 1.50}\n");
        assert!(line.contains(r"\u009b1m") && line.contains("Grüße"), "{line}");
    }

    #[test]
    fn a_page_has_only_its_own_line_breaks() {
        let mut page = Page::default();
        page.line("class A\nclass B");
        page.gap();
        page.line(format_args!("{:>5}", 7));
        assert_eq!(page.text, "class A\\nclass B\n\n    7\n");
    }
}
