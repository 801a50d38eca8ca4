//! Attributes of datasets and clips: reads them from a file, and shows them.

use std::collections::BTreeMap;
use std::path::Path;

use clipshard::{Attributes, read_regular};
use serde_json::value::RawValue;

use crate::error::{Error, Result};

/// Largest accepted file in bytes. Each shard stores the attributes.
const MAX_BYTES: u64 = 1 << 20;

/// Reads the attributes of a dataset from a file with one JSON object, such as
/// `{"licence": "CC BY 4.0", "url": "https://example.org"}`.
///
/// White space between values is removed. Numbers and texts keep their spelling.
///
/// # Errors
/// Returns [`Error::Input`] if the file is not one JSON object or has more than 1 MiB, and another
/// error if it cannot be read.
///
/// # Examples
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let file = dir.path().join("about.json");
/// std::fs::write(&file, "{\n  \"licence\": \"CC BY 4.0\"\n}\n")?;
/// assert_eq!(ucfpack::attributes::read_attributes(&file)?.as_json(), r#"{"licence":"CC BY 4.0"}"#);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn read_attributes(file: &Path) -> Result<Attributes> {
    let shown = file.display();
    let bytes = read_regular(file, MAX_BYTES).map_err(Error::io(file, "cannot read the attributes"))?;
    let text = std::str::from_utf8(&bytes)
        .map_err(|_| Error::input(format!("{shown}: attributes must be UTF-8 text; save the file as UTF-8")))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let attributes = Attributes::from_json(text).map_err(|fault| {
        Error::input(format!("{shown}: {fault}; write one object, such as {{\"licence\": \"CC BY 4.0\"}}"))
    })?;
    Attributes::from_json(&compact(attributes.as_json())).map_err(|fault| Error::input(format!("{shown}: {fault}")))
}

/// Returns the keys and the values of attributes for people, in the order of the keys. Texts have
/// no quotes, and numbers keep their spelling.
///
/// # Examples
///
/// ```
/// use clipshard::Attributes;
///
/// let attributes = Attributes::from_json(r#"{"fps": 29.970, "caption": "a jump"}"#)?;
/// let shown = ucfpack::attributes::show_attributes(&attributes);
/// assert_eq!(shown, [("caption".into(), "a jump".into()), ("fps".into(), "29.970".into())]);
/// # Ok::<(), String>(())
/// ```
pub fn show_attributes(attributes: &Attributes) -> Vec<(String, String)> {
    let entries: BTreeMap<String, Box<RawValue>> = serde_json::from_str(attributes.as_json()).unwrap_or_default();
    let text = |raw: &RawValue| serde_json::from_str(raw.get()).unwrap_or_else(|_| compact(raw.get()));
    entries.into_iter().map(|(key, raw)| (key, text(&raw))).collect()
}

/// Removes white space from JSON text, except for that in strings.
fn compact(json: &str) -> String {
    let (mut in_string, mut is_escaped) = (false, false);
    json.chars()
        .filter(|&c| {
            let is_quote = c == '"' && !is_escaped;
            is_escaped = in_string && c == '\\' && !is_escaped;
            in_string ^= is_quote;
            in_string || !matches!(c, ' ' | '\t' | '\n' | '\r')
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<String, String> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("about.json");
        std::fs::write(&file, bytes).unwrap();
        let read = read_attributes(&file).map(|attributes| attributes.as_json().to_owned());
        read.map_err(|error| error.to_string().replace(&format!("{}", file.display()), "FILE"))
    }

    #[test]
    fn spaces_go_and_spellings_stay() {
        let text = "\u{feff}\r\n{ \"a b\" : \"x \\\" y\\\\\" ,\n\t\"n\" : [ 1.50 , 12345678901234567890123, -0 ] }\n";
        assert_eq!(read(text.as_bytes()).unwrap(), r#"{"a b":"x \" y\\","n":[1.50,12345678901234567890123,-0]}"#);
        assert_eq!(read(b" { } ").unwrap(), "{}");
    }

    #[test]
    fn other_files_are_refused_with_the_cure() {
        let cure = r#"; write one object, such as {"licence": "CC BY 4.0"}"#;
        assert_eq!(read(b"[1]").unwrap_err(), format!("FILE: attributes must be a JSON object{cure}"));
        for bytes in [&b""[..], b"{", b"{} {}", b"{'a': 1}", b"licence: CC0", b"{\"a\": NaN}"] {
            let fault = read(bytes).unwrap_err();
            assert!(fault.starts_with("FILE: attributes are not JSON: ") && fault.ends_with(cure), "{fault}");
        }
        assert!(read(b"{\"a\": \"\xff\"}").unwrap_err().starts_with("FILE: attributes must be UTF-8 text"));
        assert!(read(&vec![b' '; (1 << 20) + 1]).unwrap_err().contains("cannot read the attributes"));
        let missing = read_attributes(Path::new("/no/about.json")).unwrap_err().to_string();
        assert!(missing.starts_with("/no/about.json: cannot read the attributes"), "{missing}");
    }
}
