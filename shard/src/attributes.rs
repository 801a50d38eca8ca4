//! Attributes: a JSON object with anything that is worth keeping with a clip or a dataset.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
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
        let text = text.trim();
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

    /// Returns the text of the object, which is `{}` if there are no keys.
    pub fn as_json(&self) -> &str {
        self.0.as_ref().map_or("{}", |raw| raw.get())
    }

    /// Returns whether there are no keys.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Returns the value of a key. It parses the text, so use [`Attributes::to_map`] for many keys.
    pub fn get(&self, key: &str) -> Option<Value> {
        self.to_map().remove(key)
    }

    /// Parses the object. If a key occurs twice, its last value counts.
    pub fn to_map(&self) -> Map<String, Value> {
        // `from_raw` has checked the syntax and the depth.
        serde_json::from_str(self.as_json()).unwrap_or_default()
    }

    /// Sets a key. The texts of the other values stay as they are.
    pub fn set(&mut self, key: &str, value: impl Into<Value>) {
        let value: Value = value.into();
        let entry = format!("{}:{value}", Value::from(key));
        let mut text = String::from("{");
        for (name, raw) in self.entries().into_iter().filter(|(name, _)| name != key) {
            text.push_str(&format!("{}:{},", Value::from(name), raw.get()));
        }
        text.push_str(&entry);
        text.push('}');
        // The text is valid, because it consists of valid values.
        self.0 = RawValue::from_string(text).ok();
    }

    /// Removes a key. Returns whether it was there.
    pub fn remove(&mut self, key: &str) -> bool {
        let entries = self.entries();
        let kept: Vec<String> = entries
            .iter()
            .filter(|(name, _)| name != key)
            .map(|(name, raw)| format!("{}:{}", Value::from(name.as_str()), raw.get()))
            .collect();
        let is_found = kept.len() < entries.len();
        if is_found {
            let text = format!("{{{}}}", kept.join(","));
            self.0 = if kept.is_empty() { None } else { RawValue::from_string(text).ok() };
        }
        is_found
    }

    /// Returns the keys with the texts of their values, in the order of the text.
    fn entries(&self) -> Vec<(String, Box<RawValue>)> {
        struct Entries(Vec<(String, Box<RawValue>)>);
        impl<'de> Deserialize<'de> for Entries {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Visitor;
                impl<'de> serde::de::Visitor<'de> for Visitor {
                    type Value = Entries;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str("a JSON object")
                    }
                    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
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
        serde_json::from_str::<Entries>(self.as_json()).map_or_else(|_| Vec::new(), |entries| entries.0)
    }
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
        self.as_json() == other.as_json() || self.to_map() == other.to_map()
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
        for text in ["", "[]", "1", "{", "{}}", "{\"a\":}", "nul"] {
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
