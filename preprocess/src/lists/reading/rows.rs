//! Rows of lists whose values are separated by commas, semicolons or tabs.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::text::{read_text, split_lines};
use crate::error::{Error, Result};

/// Separators of values.
const SEPARATORS: [char; 3] = [',', ';', '\t'];

/// The values of a row.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::lists) struct Record(Vec<String>);

impl Record {
    /// Returns a value.
    pub fn get(&self, at: usize) -> Option<&str> {
        self.0.get(at).map(String::as_str)
    }

    /// Returns the number of values.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns all values.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Reads one line. An open quote ends with the line.
    pub fn of_line(line: &str) -> Self {
        Self::parse(line, separator_of(line)).0
    }

    /// Reads one row from the start of a text. Returns also the number of bytes up to the next row,
    /// and whether all quotes are closed and followed by a separator.
    fn parse(text: &str, separator: char) -> (Self, usize, Result<(), &'static str>) {
        let is_blank = |c: char| c.is_whitespace() && c != separator && c != '\n';
        let (mut values, mut at, mut fault) = (Vec::new(), 0, Ok(()));
        loop {
            at += text[at..].len() - text[at..].trim_start_matches(is_blank).len();
            let mut value = String::new();
            if text[at..].starts_with('"') {
                at += 1;
                loop {
                    let Some(end) = text[at..].find('"') else {
                        value.push_str(&text[at..]);
                        at = text.len();
                        fault = Err("a quote is not closed; write quotes around a value, and quotes in it twice");
                        break;
                    };
                    value.push_str(&text[at..at + end]);
                    at += end + 1;
                    if !text[at..].starts_with('"') {
                        break;
                    }
                    value.push('"');
                    at += 1;
                }
                let rest = text[at..].find([separator, '\n']).unwrap_or(text.len() - at);
                if !text[at..at + rest].trim().is_empty() {
                    fault = Err("text follows a quote; write quotes around the whole value, and quotes in it twice");
                }
                at += rest;
            } else {
                let end = text[at..].find([separator, '\n']).unwrap_or(text.len() - at);
                value.push_str(text[at..at + end].trim_end());
                at += end;
            }
            values.push(value);
            match text[at..].chars().next() {
                Some('\n') => return (Self(values), at + 1, fault),
                Some(separator) => at += separator.len_utf8(),
                None => return (Self(values), at, fault),
            }
        }
    }
}

/// The rows of a list. Values in quotes may contain separators and line ends, and are kept as they
/// are. Whitespace around other values is removed.
pub(in crate::lists) struct Rows {
    path: PathBuf,
    text: String,
    separator: char,
    /// Start of the next row, in bytes.
    at: usize,
    line: usize,
}

impl Rows {
    /// Reads a list. Its first line decides the separator: the one that makes the most values.
    pub fn open(path: &Path) -> Result<Self> {
        let text = read_text(path)?;
        let separator = separator_of(first_line(&text));
        Ok(Self::of_text(path, text, separator))
    }

    /// Reads a list of pairs. Its first line decides the separator: a semicolon if it has one.
    pub fn open_pairs(path: &Path) -> Result<Self> {
        let text = read_text(path)?;
        let separator = [';', '\t'].into_iter().find(|separator| first_line(&text).contains(*separator));
        Ok(Self::of_text(path, text, separator.unwrap_or(',')))
    }

    fn of_text(path: &Path, text: String, separator: char) -> Self {
        let text = if text.contains('\r') { text.replace("\r\n", "\n").replace('\r', "\n") } else { text };
        Self { path: path.to_owned(), text, separator, at: 0, line: 1 }
    }

    /// Returns the next row that is not blank, with the number of its first line.
    pub fn next(&mut self) -> Result<Option<(usize, Record)>> {
        while self.at < self.text.len() {
            let line = self.line;
            let rest = &self.text[self.at..];
            let (record, bytes, fault) = Record::parse(rest, self.separator);
            fault.map_err(|what| Error::List { path: self.path.clone(), line, what: what.into() })?;
            self.line += rest[..bytes].matches('\n').count();
            self.at += bytes;
            if record.iter().any(|value| !value.is_empty()) {
                return Ok(Some((line, record)));
            }
        }
        Ok(None)
    }
}

/// Returns the first line that is not blank.
pub(in crate::lists) fn first_line(text: &str) -> &str {
    split_lines(text).map(str::trim).find(|line| !line.is_empty()).unwrap_or_default()
}

/// Returns the separator that makes the most values of a line, or the first of several.
fn separator_of(line: &str) -> char {
    let count = |separator: &char| Record::parse(line, *separator).0.len();
    SEPARATORS.into_iter().rev().max_by_key(count).unwrap_or(',')
}

/// The names of the columns, from the first row.
pub(in crate::lists) struct Header {
    names: Vec<String>,
    record: Record,
}

impl Header {
    /// Takes the first row as names of the columns. The error is a message.
    pub fn of_record(record: &Record) -> Result<Self, String> {
        let names: Vec<String> = record.iter().map(str::to_owned).collect();
        let mut known = HashSet::new();
        for name in names.iter().filter(|name| !name.is_empty()) {
            if !known.insert(name.to_ascii_lowercase()) {
                return Err(format!("the column `{name}` is named twice; rename or remove one"));
            }
        }
        Ok(Self { names, record: record.clone() })
    }

    /// Returns whether a later row repeats the names, as in files that were joined.
    pub fn is_repeated_by(&self, record: &Record) -> bool {
        record.iter().eq(self.record.iter())
    }

    /// Returns the place of a column. Case is ignored.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|known| known.eq_ignore_ascii_case(name))
    }

    /// Returns all columns with a name.
    pub fn columns(&self) -> impl Iterator<Item = (usize, &str)> {
        self.names.iter().enumerate().map(|(at, name)| (at, name.as_str())).filter(|(_, name)| !name.is_empty())
    }

    /// Returns the first value of a row in no column, or in a column without a name.
    pub fn stray<'a>(&self, record: &'a Record) -> Option<&'a str> {
        let is_stray =
            |(at, value): &(usize, &str)| !value.is_empty() && self.names.get(*at).is_none_or(String::is_empty);
        record.iter().enumerate().find(is_stray).map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::super::text::tests::folder;
    use super::*;

    fn read(text: &str) -> Result<Vec<(usize, Record)>> {
        let dir = folder(&[("l.csv", text)]);
        let mut rows = Rows::open(&dir.path().join("l.csv"))?;
        let mut all = Vec::new();
        while let Some(row) = rows.next()? {
            all.push(row);
        }
        Ok(all)
    }

    fn record(values: &[&str]) -> Record {
        Record(values.iter().map(|&value| value.into()).collect())
    }

    #[test]
    fn separators_quotes_and_line_ends_are_recognised() {
        let expected =
            [(1, record(&["a, b", "x", "1"])), (4, record(&["c\nd", "y \"z\"", ""])), (6, record(&[" e ", "f\"g"]))];
        for text in [
            "\u{feff}\"a, b\" ,x,1\n,\n\n\"c\nd\", \"y \"\"z\"\"\",\n\" e \", f\"g ",
            " a, b;x;1\r\n;\r\n\r\n\"c\r\nd\";\"y \"\"z\"\"\";\r\n\" e \"; f\"g",
            "a, b\tx\t1\r\t\r\r\"c\rd\" \t\"y \"\"z\"\"\" \t\r\" e \"\tf\"g\r",
        ] {
            assert_eq!(read(text).unwrap(), expected, "{text:?}");
        }
        assert_eq!(Record::of_line("a;b,c;d"), record(&["a", "b,c", "d"]));
        assert_eq!(Record::of_line("\"a;b\",c"), record(&["a;b", "c"]));
        assert_eq!(Record::of_line("é, 한국어,"), record(&["é", "한국어", ""]));
        assert_eq!(Record::of_line(""), record(&[""]));
    }

    #[test]
    fn quotes_that_are_open_or_followed_by_text_are_errors() {
        let error = |text: &str| read(text).unwrap_err().to_string();
        assert!(
            error("a,b\n\n\"c,d\ne,f\n")
                .ends_with("l.csv: line 3: a quote is not closed; write quotes around a value, and quotes in it twice")
        );
        assert!(error("a,b\n\"c\" d,e\n").ends_with(
            "l.csv: line 2: text follows a quote; write quotes around the whole value, and quotes in it twice"
        ));
    }

    #[test]
    fn columns_have_names_once() {
        let header = |names: &[&str]| Header::of_record(&record(names));
        let known = header(&["Path", "label", ""]).unwrap();
        assert_eq!((known.column("path"), known.column("LABEL"), known.column("x")), (Some(0), Some(1), None));
        assert_eq!(known.stray(&record(&["a", "b", "", ""])), None);
        assert_eq!(known.stray(&record(&["a", "b", "c"])), Some("c"));
        assert_eq!(known.stray(&record(&["a", "b", "", "d"])), Some("d"));
        assert!(
            known.is_repeated_by(&record(&["Path", "label", ""])) && !known.is_repeated_by(&record(&["a", "b", ""]))
        );
        assert_eq!(header(&["a", "", "", "A"]).err().unwrap(), "the column `A` is named twice; rename or remove one");
    }
}
