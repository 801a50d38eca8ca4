//! Reads any text as attributes, and changes them.
//!
//! The text must be kept to the letter. Setting and removing a key must not change the others.
#![no_main]

use clipshard::Attributes;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

fuzz_target!(|text: &str| {
    let Ok(attributes) = Attributes::from_json(text) else {
        // Everything that is an object of few levels is accepted.
        let parsed: Result<BTreeMap<String, Value>, _> = serde_json::from_str(text);
        assert!(parsed.is_err() || text.bytes().filter(|b| matches!(b, b'{' | b'[')).count() > 64);
        return;
    };
    if !attributes.is_empty() {
        assert_eq!(attributes.as_json(), text.trim_matches([' ', '\t', '\r', '\n']));
    }
    // Keys that are not Unicode, such as "\ud800", are kept, but this target has no name for them.
    let has_names = serde_json::from_str::<BTreeMap<String, Box<RawValue>>>(attributes.as_json()).is_ok();
    if !has_names {
        return;
    }
    let texts = |attributes: &Attributes| -> BTreeMap<String, Box<RawValue>> {
        serde_json::from_str(attributes.as_json()).expect("attributes are an object")
    };
    let as_text = |texts: &BTreeMap<String, Box<RawValue>>| -> Vec<(String, String)> {
        texts.iter().map(|(key, value)| (key.clone(), value.get().to_owned())).collect()
    };
    let before = texts(&attributes);
    assert_eq!(attributes, Attributes::from_json(attributes.as_json()).expect("it was read before"));
    for key in before.keys().map(String::as_str).chain(["fps"]) {
        let mut changed = attributes.clone();
        changed.set(key, 29.5);
        assert_eq!(changed.get(key), Some(Value::from(29.5)));
        let mut after = texts(&changed);
        let mut expected = before.clone();
        after.remove(key);
        expected.remove(key);
        assert_eq!(as_text(&after), as_text(&expected));
        assert!(changed.remove(key) && !changed.remove(key));
        assert_eq!(as_text(&texts(&changed)), as_text(&expected));
        assert_eq!(changed.is_empty(), expected.is_empty());
        if !expected.is_empty() || before.len() != 1 {
            assert_eq!(changed == attributes, !before.contains_key(key), "{key:?} counts");
        }
    }
});
