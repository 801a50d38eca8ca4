//! Attributes: a JSON object with anything that is worth keeping with a clip or a dataset.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

/// Deepest nesting of attributes: `{"a":[1]}` has depth 2.
pub(crate) const MAX_DEPTH: usize = 64;

/// A JSON object that describes a clip or a dataset, such as `{"fps":25,"caption":"a man jumps"}`.
///
/// The text of the object is kept as it is. Numbers and the order of keys therefore survive when a
/// program copies attributes, even if it does not know the keys. The format suggests names for some
/// keys, see [`mod@crate::format`].
///
/// # Example
///
/// ```
/// use clipshard::Attributes;
///
/// let mut attributes = Attributes::new();
/// attributes.set("fps", 25);
/// attributes.set("caption", "a man jumps");
/// assert_eq!(attributes.as_json(), r#"{"fps":25,"caption":"a man jumps"}"#);
/// assert_eq!(attributes.get("fps").unwrap(), 25);
/// assert_eq!(attributes, Attributes::from_json(r#"{"caption": "a man jumps", "fps": 25}"#).unwrap());
/// ```
#[derive(Clone, Default)]
pub struct Attributes(Option<Box<RawValue>>);

impl Attributes {
    /// Creates attributes without keys.
    pub fn new() -> Self {
        Self::default()
    }

    /// Creates attributes from the text of a JSON object. Keeps the text, without spaces around it.
    ///
    /// # Errors
    ///
    /// Returns a fault in words if the text is not one JSON object, or nests deeper than 64 levels.
    pub fn from_json(text: &str) -> Result<Self, String> {
        // JSON knows no other spaces.
        let text = text.trim_matches([' ', '\t', '\n', '\r']);
        let raw = RawValue::from_string(text.to_owned()).map_err(|e| format!("attributes are not JSON: {e}"))?;
        Self::from_raw(raw)
    }

    fn from_raw(raw: Box<RawValue>) -> Result<Self, String> {
        if !raw.get().starts_with('{') {
            return Err("attributes must be a JSON object".into());
        }
        if depth(raw.get()) > MAX_DEPTH {
            return Err(format!("attributes nest deeper than {MAX_DEPTH} levels"));
        }
        let has_keys = raw.get().bytes().skip(1).any(|b| b == b'"');
        Ok(Self(has_keys.then_some(raw)))
    }

    /// Checks that the object can be read again: it nests no deeper than 64 levels.
    pub(crate) fn check(&self) -> Result<(), String> {
        if depth(self.as_json()) > MAX_DEPTH {
            return Err(format!("attributes nest deeper than {MAX_DEPTH} levels"));
        }
        Ok(())
    }

    /// Returns the text of the object, which is `{}` if there are no keys.
    pub fn as_json(&self) -> &str {
        self.0.as_ref().map_or("{}", |raw| raw.get())
    }

    /// Returns whether there are no keys.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Returns the value of a key. It parses the text, so use [`Attributes::to_map`] for many keys.
    ///
    /// Returns `None` also if no [`Value`] can hold what the text says, such as the number `1e999`.
    pub fn get(&self, key: &str) -> Option<Value> {
        let (_, text) = self.entries().into_iter().rfind(|(name, _)| is_key(name, key))?;
        serde_json::from_str(text.get()).ok()
    }

    /// Parses the object. If a key occurs twice, its last value counts. Skips what no [`Value`] can
    /// hold, such as the number `1e999`.
    pub fn to_map(&self) -> Map<String, Value> {
        let parse = |(name, text): (&RawValue, &RawValue)| {
            Some((serde_json::from_str(name.get()).ok()?, serde_json::from_str(text.get()).ok()?))
        };
        self.entries().into_iter().filter_map(parse).collect()
    }

    /// Sets a key. The texts of the other keys and values stay as they are.
    pub fn set(&mut self, key: &str, value: impl Into<Value>) {
        let value: Value = value.into();
        let others = self.entries().into_iter().filter(|(name, _)| !is_key(name, key));
        let mut texts: Vec<String> = others.map(|(name, text)| format!("{name}:{text}")).collect();
        texts.push(format!("{}:{value}", Value::from(key)));
        self.0 = object(&texts);
    }

    /// Removes a key. Returns whether it was there.
    pub fn remove(&mut self, key: &str) -> bool {
        let entries = self.entries();
        let others = entries.iter().filter(|(name, _)| !is_key(name, key));
        let texts: Vec<String> = others.map(|(name, text)| format!("{name}:{text}")).collect();
        let is_found = texts.len() < entries.len();
        if is_found {
            self.0 = object(&texts);
        }
        is_found
    }

    /// Returns the texts of the keys and of their values, in the order of the object.
    fn entries(&self) -> Vec<(&RawValue, &RawValue)> {
        struct Entries<'a>(Vec<(&'a RawValue, &'a RawValue)>);
        impl<'de: 'a, 'a> Deserialize<'de> for Entries<'a> {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Visitor;
                impl<'de> serde::de::Visitor<'de> for Visitor {
                    type Value = Entries<'de>;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str("a JSON object")
                    }
                    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                        let mut entries = Vec::new();
                        while let Some(entry) = map.next_entry()? {
                            entries.push(entry);
                        }
                        Ok(Entries(entries))
                    }
                }
                deserializer.deserialize_map(Visitor)
            }
        }
        // `from_raw` has checked that this is an object.
        serde_json::from_str::<Entries>(self.as_json()).map_or_else(|_| Vec::new(), |entries| entries.0)
    }

    /// Returns the values by key, to compare them. A text that no [`Value`] can hold stands for itself.
    fn values(&self) -> BTreeMap<String, Result<Value, &str>> {
        let entries = self.entries().into_iter();
        entries
            .map(|(name, text)| {
                let name = serde_json::from_str(name.get()).unwrap_or_else(|_| name.get().to_owned());
                (name, serde_json::from_str(text.get()).map_err(|_| text.get()))
            })
            .collect()
    }
}

/// Returns whether the text of a key stands for this key.
fn is_key(name: &RawValue, key: &str) -> bool {
    serde_json::from_str::<Cow<'_, str>>(name.get()).is_ok_and(|name| name == key)
}

/// Joins the texts of keys and values. Returns `None` if there are none.
fn object(texts: &[String]) -> Option<Box<RawValue>> {
    // The text is valid, because it consists of valid texts.
    (!texts.is_empty()).then(|| RawValue::from_string(format!("{{{}}}", texts.join(","))).ok()).flatten()
}

/// Returns how deeply a valid JSON text nests.
fn depth(text: &str) -> usize {
    let (mut now, mut most, mut in_string, mut is_escaped) = (0_usize, 0, false, false);
    for byte in text.bytes() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if in_string => is_escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                now += 1;
                most = most.max(now);
            }
            b'}' | b']' if !in_string => now = now.saturating_sub(1),
            _ => {}
        }
    }
    most
}

impl From<Map<String, Value>> for Attributes {
    /// Writes the object as text, without spaces.
    fn from(map: Map<String, Value>) -> Self {
        if map.is_empty() {
            return Self(None);
        }
        Self(RawValue::from_string(Value::Object(map).to_string()).ok())
    }
}

impl PartialEq for Attributes {
    /// Compares the values. Spaces and the order of keys do not count.
    fn eq(&self, other: &Self) -> bool {
        self.as_json() == other.as_json() || self.values() == other.values()
    }
}

impl Eq for Attributes {}

impl fmt::Debug for Attributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_json())
    }
}

impl fmt::Display for Attributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_json())
    }
}

impl Serialize for Attributes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Some(raw) => raw.serialize(serializer),
            None => Map::<String, Value>::new().serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Attributes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        Self::from_raw(raw).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_order_survive_a_change_of_another_key() {
        let mut attributes =
            Attributes::from_json(r#" {"z":1.50, "id":12345678901234567890123, "a":"\u00e9"} "#).unwrap();
        attributes.set("a", Value::from(vec![1, 2]));
        assert_eq!(attributes.as_json(), r#"{"z":1.50,"id":12345678901234567890123,"a":[1,2]}"#);
        assert!(attributes.remove("z") && !attributes.remove("z"));
        assert_eq!(attributes.as_json(), r#"{"id":12345678901234567890123,"a":[1,2]}"#);
        assert!(attributes.remove("id") && attributes.remove("a") && attributes.is_empty());
        assert_eq!(attributes.as_json(), "{}");
    }

    #[test]
    fn only_objects_of_limited_depth_are_attributes() {
        for text in ["", "[]", "1", "{", "{}}", "{\"a\":}", "nul", "\u{b}{}", "{}\u{a0}"] {
            assert!(Attributes::from_json(text).is_err(), "{text}");
            assert!(serde_json::from_str::<Attributes>(text).is_err(), "{text}");
        }
        let nested = |n: usize| format!("{{\"a\":{}{}}}", "[".repeat(n), "]".repeat(n));
        assert_eq!(Attributes::from_json(&nested(63)).unwrap().to_map().len(), 1);
        assert!(Attributes::from_json(&nested(64)).unwrap_err().contains("deeper than 64"));
        assert!(serde_json::from_str::<Attributes>(&nested(100_000)).is_err());
        let quoted = format!("{{\"a\":\"\\\"{}\"}}", "[".repeat(200));
        assert_eq!(Attributes::from_json(&quoted).unwrap().get("a").unwrap().as_str().unwrap().len(), 201);
    }

    #[test]
    fn what_no_value_can_hold_is_kept_and_counts() {
        let text = r#"{"a":1e999,"\ud800":1,"\u00e9":2}"#;
        let mut attributes = Attributes::from_json(text).unwrap();
        assert_eq!((attributes.get("a"), attributes.get("\u{e9}")), (None, Some(2.into())));
        assert_eq!(attributes.to_map().len(), 1);
        assert_ne!(attributes, Attributes::from_json(&text.replace("999", "998")).unwrap());
        assert_eq!(attributes, Attributes::from_json(&text.replace(',', " , ")).unwrap());
        attributes.set("b", 3);
        assert_eq!(attributes.as_json(), r#"{"a":1e999,"\ud800":1,"\u00e9":2,"b":3}"#);
        assert!(attributes.remove("\u{e9}") && attributes.remove("a"));
        assert_eq!(attributes.as_json(), r#"{"\ud800":1,"b":3}"#);
    }

    #[test]
    fn attributes_without_keys_are_empty() {
        for text in ["{}", "{ \n }"] {
            assert!(Attributes::from_json(text).unwrap().is_empty());
            assert_eq!(serde_json::from_str::<Attributes>(text).unwrap(), Attributes::new());
        }
        assert_eq!(serde_json::to_string(&Attributes::new()).unwrap(), "{}");
        let long = Attributes::from(Map::from_iter([("k".to_owned(), Value::from("v"))]));
        assert_eq!(serde_json::to_string(&long).unwrap(), "{\"k\":\"v\"}");
    }
}
