//! The attributes of a packed clip: those of the lists, completed by those of its video.

use clipshard::Attributes;
use serde_json::{Map, Value};

use crate::quantity::counted;
use crate::video::{DURATION, FPS, FPS_FRACTION, HEIGHT, MEASURED, VARIABLE_FPS, WIDTH};

/// Largest relative difference between frame rates that mean the same, such as 29.97 and 30000/1001.
const SAME_FPS: f64 = 1e-3;

/// The attributes of a clip.
#[derive(Debug, PartialEq)]
pub(crate) struct Described {
    pub attributes: Attributes,
    /// The first value of the lists that the video contradicts.
    pub contradiction: Option<String>,
}

/// Adds the measured attributes of a video that the lists lack. A value of the lists counts more
/// than the video, except for null.
pub(crate) fn describe(listed: &Attributes, measured: &Attributes) -> Described {
    let mut described = Described { attributes: listed.clone(), contradiction: None };
    if measured.is_empty() {
        return described;
    }
    let (of_lists, of_video) = (given(listed), measured.to_map());
    for (key, value) in MEASURED.iter().filter_map(|&key| Some((key, of_video.get(key)?))) {
        match of_lists.get(key) {
            Some(wanted) if contradicts(key, wanted, &of_video) => {
                let text = || format!("{key} is {wanted} in the lists, but {value} in the video");
                described.contradiction.get_or_insert_with(text);
            }
            Some(_) => {}
            // These two describe the frame rate of the video, not that of the lists.
            None if [FPS_FRACTION, VARIABLE_FPS].contains(&key) && of_lists.contains_key(FPS) => {}
            None => described.attributes.set(key, value.clone()),
        }
    }
    described
}

/// Removes the attributes that [`describe`] can add, so that those of the lists remain.
pub(crate) fn without_measured(mut stored: Attributes, listed: &Attributes) -> Attributes {
    let of_lists = given(listed);
    for key in MEASURED.iter().filter(|&&key| !of_lists.contains_key(key)) {
        stored.remove(key);
    }
    stored
}

/// Returns the attributes among these that [`describe`] can add.
pub(crate) fn only_measured(attributes: &Attributes) -> Attributes {
    let mut measured = attributes.to_map();
    measured.retain(|key, _| MEASURED.contains(&key.as_str()));
    measured.into()
}

/// Returns the attributes of the lists that have a value.
fn given(listed: &Attributes) -> Map<String, Value> {
    let mut given = listed.to_map();
    given.retain(|_, value| !value.is_null());
    given
}

/// Returns whether a value of the lists differs from that of the video.
fn contradicts(key: &str, wanted: &Value, of_video: &Map<String, Value>) -> bool {
    let measured = |key: &str| of_video.get(key).and_then(number);
    let allowed = match key {
        FPS => measured(FPS).map(|fps| fps * SAME_FPS),
        // Lists count from the first frame to the last one, or round to it.
        DURATION => measured(FPS).map(|fps| 1.5 / fps),
        WIDTH | HEIGHT => Some(0.0),
        _ => return of_video.get(key) != Some(wanted),
    };
    match (number(wanted), measured(key), allowed) {
        (Some(wanted), Some(measured), Some(allowed)) => (wanted - measured).abs() > allowed,
        _ => true,
    }
}

/// Returns a number, also from a text such as `25` or `30000/1001`.
fn number(value: &Value) -> Option<f64> {
    let text = match value {
        Value::Number(number) => return number.as_f64(),
        Value::String(text) => text.trim(),
        _ => return None,
    };
    let parse = |text: &str| text.parse::<f64>().ok().filter(|number| number.is_finite());
    match text.split_once('/') {
        Some((numerator, denominator)) => Some(parse(numerator)? / parse(denominator).filter(|&d| d != 0.0)?),
        None => parse(text),
    }
}

/// Counts the clips whose lists and videos contradict each other.
#[derive(Debug, Default)]
pub(crate) struct Contradictions {
    clips: u64,
    first: Option<String>,
}

impl Contradictions {
    /// Adds a clip, if it has a contradiction.
    pub fn add(&mut self, id: &str, contradiction: Option<String>) {
        if let Some(what) = contradiction {
            self.clips += 1;
            self.first.get_or_insert_with(|| format!("{id}: {what}"));
        }
    }

    /// Returns a note about all of them.
    pub fn note(self) -> Option<String> {
        let clips = counted(self.clips, "clip differs", "clips differ");
        let first = self.first?;
        let such = if self.clips == 1 { "" } else { "such as " };
        Some(format!("{clips} from the lists, whose attributes are kept: {such}{first}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VIDEO: &str =
        r#"{"fps":29.97003,"fps_fraction":"30000/1001","duration_seconds":5.472133,"width":320,"height":240}"#;

    fn described(listed: &str) -> (String, Option<String>) {
        let of = |text: &str| Attributes::from_json(text).unwrap();
        let Described { attributes, contradiction } = describe(&of(listed), &of(VIDEO));
        let rest = without_measured(attributes.clone(), &of(listed));
        assert_eq!(rest, of(listed), "{listed}");
        (attributes.as_json().to_owned(), contradiction)
    }

    #[test]
    fn a_video_completes_the_lists() {
        assert_eq!(described("{}"), (VIDEO.to_owned(), None));
        let (text, contradiction) = described(r#"{"id":12345678901234567890123,"score":1.50}"#);
        let expected = format!(r#"{{"id":12345678901234567890123,"score":1.50,{}"#, &VIDEO[1..]);
        assert_eq!((text, contradiction), (expected, None));
        let none = Attributes::new();
        let kept = Attributes::from_json(r#"{ "a": 1.0 }"#).unwrap();
        assert_eq!(describe(&kept, &none).attributes.as_json(), r#"{ "a": 1.0 }"#);
    }

    #[test]
    fn the_lists_win_and_differences_are_told() {
        let rest = r#""duration_seconds":5.472133,"width":320,"height":240}"#;
        for fps in ["29.97", "\"30000/1001\"", "29.970", "\" 29.97 \""] {
            assert_eq!(described(&format!(r#"{{"fps":{fps}}}"#)), (format!(r#"{{"fps":{fps},{rest}"#), None));
        }
        for (fps, shown) in [("25", "25"), ("\"ten\"", "\"ten\""), ("\"1/0\"", "\"1/0\""), ("[25]", "[25]")] {
            let told = format!("fps is {shown} in the lists, but 29.97003 in the video");
            assert_eq!(described(&format!(r#"{{"fps":{fps}}}"#)), (format!(r#"{{"fps":{fps},{rest}"#), Some(told)));
        }
        assert_eq!(described(r#"{"duration_seconds":5.44}"#).1, None);
        assert!(described(r#"{"duration_seconds":6}"#).1.unwrap().starts_with("duration_seconds is 6 in the lists"));
        assert!(described(r#"{"width":321,"height":1}"#).1.unwrap().starts_with("width is 321 in the lists"));
        assert!(described(r#"{"fps_fraction":"30/1"}"#).1.unwrap().starts_with("fps_fraction is \"30/1\" in"));
    }

    #[test]
    fn one_note_is_about_all_contradictions() {
        let mut all = Contradictions::default();
        all.add("a", None);
        assert_eq!(Contradictions::default().note(), None);
        all.add("b", Some("fps is 1".into()));
        all.add("c", Some("fps is 2".into()));
        let note = "2 clips differ from the lists, whose attributes are kept: such as b: fps is 1";
        assert_eq!(all.note().as_deref(), Some(note));
    }
}
