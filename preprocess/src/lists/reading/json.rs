//! JSON texts whose values are kept as they are written.

use std::collections::HashSet;
use std::fmt;
use std::path::Path;

use clipshard::Attributes;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::text::line_at;
use crate::error::{Error, Result};

/// The members of a JSON object in their order, with the texts of their values.
pub(in crate::lists) struct Members<'a>(pub Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Vec<(String, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let (mut members, mut keys) = (Vec::new(), HashSet::new());
                while let Some((key, value)) = map.next_entry::<String, &'de RawValue>()? {
                    if !keys.insert(key.clone()) {
                        return Err(A::Error::custom(format!("the key `{key}` occurs twice; remove one")));
                    }
                    members.push((key, value));
                }
                Ok(members)
            }
        }
        deserializer.deserialize_map(Object).map(Members)
    }
}

impl<'a> Members<'a> {
    /// Parses one JSON object. The error is a message.
    pub fn parse(text: &'a str) -> Result<Self, String> {
        serde_json::from_str(text).map_err(|e| message(&e))
    }

    /// Returns the text of a value.
    pub fn get(&self, key: &str) -> Option<&'a RawValue> {
        self.0.iter().find(|(known, _)| known == key).map(|(_, value)| *value)
    }

    /// Returns a text or a number as text, or `None` for `null` and for a missing key. The error is
    /// a message.
    pub fn text(&self, key: &str) -> Result<Option<String>, String> {
        let Some(raw) = self.get(key) else { return Ok(None) };
        text_of(raw).map_err(|found| format!("`{key}` is {found}; write a text or a number"))
    }
}

/// Returns a text or a number as text, or `None` for `null`. The error is the value.
pub(in crate::lists) fn text_of(raw: &RawValue) -> Result<Option<String>, String> {
    match serde_json::from_str(raw.get()) {
        Ok(Value::Null) => Ok(None),
        Ok(Value::String(text)) => Ok(Some(text)),
        Ok(Value::Number(_)) => Ok(Some(raw.get().to_owned())),
        _ => Err(raw.get().chars().take(40).collect()),
    }
}

/// Where a JSON array has an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::lists) struct At {
    /// Its first line.
    pub line: usize,
    /// Its number in the array, from 1.
    pub number: usize,
}

/// Reads an array of JSON objects, and calls `each` with each object and its place. `key` is the key
/// of an object's name, for messages. An error of `each` is a message.
pub(in crate::lists) fn for_each_object(
    path: &Path,
    text: &str,
    key: &str,
    mut each: impl FnMut(At, &Members<'_>) -> Result<(), String>,
) -> Result<()> {
    let fault = |line, what| Error::List { path: path.into(), line, what };
    let items: Vec<&RawValue> = serde_json::from_str(text)
        .map_err(|e| fault(e.line(), format!("expected a JSON array of objects: {}", message(&e))))?;
    let (mut line, mut done) = (1, 0);
    for (number, item) in (1..).zip(items) {
        // The item is a part of the text.
        let at = (item.get().as_ptr() as usize).saturating_sub(text.as_ptr() as usize);
        line += line_at(text.get(done..).unwrap_or_default(), at.saturating_sub(done)) - 1;
        done = at;
        let members = Members::parse(item.get()).map_err(|what| fault(line, format!("entry {number}: {what}")))?;
        each(At { line, number }, &members).map_err(|what| {
            let name = members.text(key).ok().flatten().filter(|name| !name.is_empty());
            let name = name.map_or_else(String::new, |name| format!(" ({key} {name})"));
            fault(line, format!("entry {number}{name}: {what}"))
        })?;
    }
    Ok(())
}

/// Returns the message of a JSON error without its position.
fn message(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let end = text.rfind(" at line ").unwrap_or(text.len());
    text[..end].to_owned()
}

/// Builds attributes from the texts of values.
#[derive(Default)]
pub(in crate::lists) struct AttributeText(String);

impl AttributeText {
    /// Adds a value that is JSON.
    pub fn add_json(&mut self, key: &str, json: &str) {
        self.0.push(if self.0.is_empty() { '{' } else { ',' });
        self.0.push_str(&Value::from(key).to_string());
        self.0.push(':');
        self.0.push_str(json);
    }

    /// Adds a value.
    pub fn add(&mut self, key: &str, value: &impl Serialize) {
        if let Ok(json) = serde_json::to_string(value) {
            self.add_json(key, &json);
        }
    }

    /// Adds a text from a cell of a list: a JSON number if it is one, or else a text. Nothing is
    /// added for an empty cell.
    pub fn add_cell(&mut self, key: &str, cell: &str) {
        if cell.is_empty() {
            return;
        }
        let is_number =
            serde_json::from_str::<serde_json::Number>(cell).is_ok() && cell.parse::<f64>().is_ok_and(f64::is_finite);
        if is_number { self.add_json(key, cell) } else { self.add(key, &cell) }
    }

    /// Returns whether both have the same attributes, in any order.
    pub fn is_same(&self, other: &Self) -> bool {
        let texts = [&self.0, &other.0].map(|text| format!("{text}}}"));
        let members = |text: &str| {
            let mut members: Vec<(String, String)> =
                Members::parse(text).ok()?.0.into_iter().map(|(key, raw)| (key, raw.get().to_owned())).collect();
            members.sort_unstable();
            Some(members)
        };
        self.0 == other.0 || members(&texts[0]).is_some_and(|these| members(&texts[1]) == Some(these))
    }

    /// Returns the attributes. The error is a message.
    pub fn finish(mut self) -> Result<Attributes, String> {
        if self.0.is_empty() {
            return Ok(Attributes::new());
        }
        self.0.push('}');
        Attributes::from_json(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_keep_their_order_and_texts() {
        let members = Members::parse(r#" {"z":1.50, "a" : [1,  2], "s":"\u00e9"} "#).unwrap();
        let seen: Vec<_> = members.0.iter().map(|(key, raw)| (key.as_str(), raw.get())).collect();
        assert_eq!(seen, [("z", "1.50"), ("a", "[1,  2]"), ("s", r#""\u00e9""#)]);
        assert_eq!(members.text("z"), Ok(Some("1.50".into())));
        assert_eq!(members.text("s"), Ok(Some("é".into())));
        assert_eq!(members.text("a"), Err("`a` is [1,  2]; write a text or a number".into()));
        assert_eq!(members.text("none"), Ok(None));
        assert_eq!(Members::parse(r#"{"a":1,"a":2}"#).err().unwrap(), "the key `a` occurs twice; remove one");
        assert!(Members::parse("[1]").err().unwrap().contains("expected a JSON object"));
    }

    #[test]
    fn cells_become_numbers_only_if_nothing_is_lost() {
        let mut text = AttributeText::default();
        for (key, cell) in [
            ("a", "25"),
            ("b", "29.970"),
            ("c", "-1e5"),
            ("d", "007"),
            ("e", "1e999"),
            ("f", "nan"),
            ("g", ""),
            ("h", "a \"b\""),
            ("i", "12345678901234567890123"),
        ] {
            text.add_cell(key, cell);
        }
        assert_eq!(
            text.finish().unwrap().as_json(),
            r#"{"a":25,"b":29.970,"c":-1e5,"d":"007","e":"1e999","f":"nan","h":"a \"b\"","i":12345678901234567890123}"#
        );
        assert!(AttributeText::default().finish().unwrap().is_empty());
    }

    #[test]
    fn attributes_are_compared_without_their_order() {
        let text = |members: &[(&str, &str)]| {
            let mut text = AttributeText::default();
            for (key, json) in members {
                text.add_json(key, json);
            }
            text
        };
        let ab = text(&[("a", "[1]"), ("b", "2.0")]);
        assert!(ab.is_same(&text(&[("b", "2.0"), ("a", "[1]")])) && text(&[]).is_same(&text(&[])));
        for other in [&[("a", "[1]")][..], &[("a", "[1]"), ("b", "2")], &[]] {
            assert!(!ab.is_same(&text(other)) && !text(other).is_same(&ab), "{other:?}");
        }
    }

    #[test]
    fn faults_in_arrays_have_lines() {
        let path = Path::new("l.json");
        let text = "[\n {\"id\":1},\r\n {\"id\":2,\n  \"id\":3}\n]";
        let error = for_each_object(path, text, "id", |_, _| Ok(())).unwrap_err().to_string();
        assert_eq!(error, "l.json: line 3: entry 2: the key `id` occurs twice; remove one");
        let error = for_each_object(path, "[\n{}\n", "id", |_, _| Ok(())).unwrap_err().to_string();
        assert_eq!(error, "l.json: line 3: expected a JSON array of objects: EOF while parsing a list");
        let mut seen = Vec::new();
        for_each_object(path, "[{},\n\n{}\r\n,{}]", "id", |at, _| {
            seen.push((at.line, at.number));
            Ok(())
        })
        .unwrap();
        assert_eq!(seen, [(1, 1), (3, 2), (4, 3)]);
        let error = for_each_object(path, "[{\"id\":\"x\"},{\"id\":7}]", "id", |at, _| match at.number {
            1 => Ok(()),
            _ => Err("bad".into()),
        });
        assert_eq!(error.unwrap_err().to_string(), "l.json: line 1: entry 2 (id 7): bad");
    }

    #[test]
    fn all_of_many_keys_are_read_and_a_repeated_one_is_named() {
        let mut keys: Vec<String> = (0..20_000).map(|key| format!("\"{key}\":0")).collect();
        assert_eq!(Members::parse(&format!("{{{}}}", keys.join(","))).unwrap().0.len(), 20_000);
        keys.push("\"19999\":1".into());
        let error = Members::parse(&format!("{{{}}}", keys.join(","))).err().unwrap();
        assert!(error.contains("19999"), "{error}");
    }
}
