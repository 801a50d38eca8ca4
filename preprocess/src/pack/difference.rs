//! Describes how two builds differ, for messages.

use std::collections::BTreeMap;

use clipshard::Attributes;
use serde_json::Value;

use crate::error::{Problem, Setting};

/// Number of characters of an attribute that a message shows.
const SHOWN: usize = 60;

/// Returns a description of the first difference between the `build` entries of two manifests, or
/// `None` if they are equal. `was` is the earlier build.
pub(crate) fn build_difference(was: &BTreeMap<String, Value>, is: &BTreeMap<String, Value>) -> Option<Problem> {
    let keys = was.keys().chain(is.keys().filter(|key| !was.contains_key(*key)));
    keys.into_iter().find_map(|key| value_difference(key, was.get(key), is.get(key)))
}

/// Describes the difference between two values. Of two objects, it names the first member that
/// differs.
fn value_difference(path: &str, was: Option<&Value>, is: Option<&Value>) -> Option<Problem> {
    if was == is {
        return None;
    }
    if let (Some(Value::Object(was)), Some(Value::Object(is))) = (was, is) {
        // The chosen setting comes first, because other members follow from it.
        let first = ["codec", "method", "size", "level", "quality"].map(str::to_owned);
        let keys = first.iter().chain(was.keys()).chain(is.keys());
        return keys.into_iter().find_map(|key| value_difference(&format!("{path}.{key}"), was.get(key), is.get(key)));
    }
    let shown = |value: Option<&Value>| match value {
        None => "none".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Object(map)) => {
            let name = ["method", "codec"].into_iter().find_map(|key| map.get(key)?.as_str());
            name.unwrap_or("there").to_owned()
        }
        Some(other) => other.to_string(),
    };
    let of_videos = [was, is].into_iter().flatten().any(|value| value.get("method").is_some());
    let name = if path == "flow" && of_videos { Setting::FlowMethod.into() } else { name_of(path) };
    Some(differs(name, &shown(is), &shown(was)))
}

/// Returns the setting that decides a value of a manifest's `build`, or the name of the value.
fn name_of(path: &str) -> Problem {
    let setting = match path {
        "shard_bytes" => Setting::ShardSize,
        "check" => Setting::Check,
        "layout" => Setting::Layout,
        "rgb.codec" => Setting::RgbCodec,
        "flow.codec" => Setting::FlowCodec,
        "rgb.size" | "rgb.frames" | "flow.frames" => Setting::ShortSide,
        "flow.size" => Setting::FlowSize,
        "rgb.level" | "flow.level" => Setting::Level,
        "rgb.quality" => Setting::RgbQuality,
        "flow.method" => Setting::FlowMethod,
        "flow.flow" => return Problem::from(Setting::Device).then(" or the version of the flow"),
        "packer" => return "the version of ucfpack".into(),
        "video_decoder" => return "the version of ffmpeg".into(),
        "rgb.encoder" => return "the encoder of RGB".into(),
        "flow.encoder" => return "the encoder of flow".into(),
        other => return other.into(),
    };
    setting.into()
}

/// Describes the first attribute that differs, or returns `None` if the attributes are equal. `was`
/// are the earlier ones.
pub(crate) fn attributes_difference(was: &Attributes, is: &Attributes) -> Option<String> {
    if was == is {
        return None;
    }
    let (was, is) = (was.to_map(), is.to_map());
    let key = was.keys().chain(is.keys()).find(|&key| was.get(key) != is.get(key))?;
    let shown =
        |value: Option<&Value>| value.map_or_else(|| "absent".to_owned(), |value| shortened(&value.to_string()));
    Some(format!("attribute {key} is {}, but was {}", shown(is.get(key)), shown(was.get(key))))
}

/// Cuts a long text.
fn shortened(text: &str) -> String {
    if text.chars().count() <= SHOWN {
        return text.to_owned();
    }
    format!("{}...", text.chars().take(SHOWN).collect::<String>())
}

/// Returns a message that something `is` one thing, but `was` another: "`level` is 3, but was 9".
pub(crate) fn differs(name: impl Into<Problem>, is: &str, was: &str) -> Problem {
    name.into().then(format!(" is {is}, but was {was}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_attribute_that_differs_is_shown() {
        let of = |text: &str| Attributes::from_json(text).unwrap();
        let differs = |was: &str, is: &str| attributes_difference(&of(was), &of(is));
        assert_eq!(differs(r#"{"a":1,"b":2}"#, r#"{"b":2, "a":1}"#), None);
        assert_eq!(differs(r#"{"a":1}"#, r#"{"a":"x"}"#).unwrap(), "attribute a is \"x\", but was 1");
        assert_eq!(differs("{}", r#"{"b":[1,2]}"#).unwrap(), "attribute b is [1,2], but was absent");
        let long = format!(r#"{{"c":"{}"}}"#, "é".repeat(100));
        let expected = format!("attribute c is absent, but was \"{}...", "é".repeat(59));
        assert_eq!(differs(&long, "{}").unwrap(), expected);
    }

    type Change = fn(&mut BTreeMap<String, Value>);

    #[test]
    fn differences_name_the_setting() {
        use serde_json::json;
        let build = |value: Value| -> BTreeMap<String, Value> { serde_json::from_value(value).unwrap() };
        let flow = json!({"codec": "zstd", "level": 9, "size": "224x224", "method": "tvl1", "encoder": "zstd 1"});
        let was = build(json!({"check": "header", "packer": "ucfpack 0.1.0", "shard_bytes": 100, "flow": flow}));
        let differs = |change: Change| {
            let mut is = was.clone();
            change(&mut is);
            build_difference(&was, &is)
        };
        let expected: [(Change, &str); 8] = [
            (|b| *b.get_mut("check").unwrap() = json!("decode"), "`check` is decode, but was header"),
            (|b| *b.get_mut("shard_bytes").unwrap() = json!(7), "`shard_bytes` is 7, but was 100"),
            (|b| b.get_mut("flow").unwrap()["level"] = json!(3), "`level` is 3, but was 9"),
            (|b| b.get_mut("flow").unwrap()["size"] = json!("112x112"), "`flow.geometry` is 112x112, but was 224x224"),
            (|b| b.get_mut("flow").unwrap()["method"] = json!("dis"), "`video.flow` is dis, but was tvl1"),
            (|b| drop(b.remove("flow")), "`video.flow` is none, but was tvl1"),
            // The message names the codec, not the settings that follow from it.
            (
                |b| *b.get_mut("flow").unwrap() = json!({"codec": "raw", "method": "tvl1"}),
                "`flow.codec` is raw, but was zstd",
            ),
            (
                |b| *b.get_mut("packer").unwrap() = json!("ucfpack 0.2.0"),
                "the version of ucfpack is ucfpack 0.2.0, but was ucfpack 0.1.0",
            ),
        ];
        for (change, words) in expected {
            assert_eq!(differs(change).map(|problem| problem.to_string()).as_deref(), Some(words));
        }
        assert_eq!(differs(|_| ()), None);
    }
}
