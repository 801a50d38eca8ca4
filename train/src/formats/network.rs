//! What a network is, as its file says it. That is checked as typed options are: a file may come from anywhere.

use super::flow_order::FlowOrder;
use crate::stream::Stream;
use crate::view::{INPUT_SIZES, View};
use candle_convnet::{Depth, ParseDepthError};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::HashSet;

/// What a network is, beside its weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Network {
    /// The stream it reads.
    pub stream: Stream,
    /// resnet18 to resnet152.
    pub arch: String,
    /// Class names; a label is a place in this list.
    pub classes: Vec<String>,
    /// Side of its input in pixels.
    pub input_size: usize,
    /// The split that it was trained on.
    pub split: String,
    /// How it sees clips; none in files from before there was a choice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub view: Option<View>,
}

impl Network {
    /// How it sees clips.
    pub fn view(&self) -> View {
        self.view.unwrap_or(View::seed(self.stream))
    }
}

/// A network and the order in which the file has its flow channels.
#[derive(Debug)]
pub struct Described {
    /// What it is.
    pub network: Network,
    /// Order of the first convolution's channels in the file.
    pub order: FlowOrder,
    /// Whether the file is a whole checkpoint.
    pub is_checkpoint: bool,
}

/// Why the metadata of a file describes no network. The text begins with the field.
#[derive(Debug, thiserror::Error)]
pub enum NetworkFault {
    /// The metadata is not JSON.
    #[error("its metadata is not JSON: {0}")]
    NotJson(serde_json::Error),
    /// The metadata is not an object.
    #[error("its metadata is not an object")]
    MetadataNotObject,
    /// A field is not an object.
    #[error("{0}: not an object")]
    NotObject(&'static str),
    /// A field is missing.
    #[error("{0}: missing")]
    Missing(&'static str),
    /// A field has a value of another type, or an unknown name.
    #[error("{field}: {reason}")]
    Value {
        /// The field.
        field: &'static str,
        /// Why its value cannot be read.
        reason: serde_json::Error,
    },
    /// No such network.
    #[error("arch: {0}")]
    Arch(ParseDepthError),
    /// The side of the input is out of range.
    #[error("input_size: {0} is not between {least} and {most}", least = INPUT_SIZES.start(), most = INPUT_SIZES.end())]
    InputSize(usize),
    /// There is no class.
    #[error("classes: there are none")]
    NoClasses,
    /// The name of a class is empty or has control characters.
    #[error("classes: {0:?} is not the name of a class")]
    ClassName(String),
    /// Two classes have one name.
    #[error("classes: {0} is there twice")]
    ClassTwice(String),
    /// The name of the split is empty or has control characters.
    #[error("split: {0:?} is not the name of a split")]
    SplitName(String),
    /// A network of this stream cannot see clips like this.
    #[error("{0}")]
    View(String),
}

/// Reads the metadata of a network or of a checkpoint.
///
/// # Errors
/// The first field that is missing or wrong.
pub fn describe(json: &str) -> Result<Described, NetworkFault> {
    let value: Value = serde_json::from_str(json).map_err(NetworkFault::NotJson)?;
    let Value::Object(all) = &value else { return Err(NetworkFault::MetadataNotObject) };
    let (fields, is_checkpoint) = match all.get("network") {
        Some(Value::Object(network)) => (network, true),
        Some(_) => return Err(NetworkFault::NotObject("network")),
        None => (all, false),
    };
    let stream = field(fields, "stream")?;
    let view = match fields.get("view") {
        None | Some(Value::Null) => None,
        Some(Value::Object(view)) => Some(View {
            sampling: field(view, "sampling")?,
            segments: field(view, "segments")?,
            consensus: field(view, "consensus")?,
            crop: field(view, "crop")?,
            flip: field(view, "flip")?,
            test_samples: field(view, "test-samples")?,
            test_crop: field(view, "test-crop")?,
            flow_range: field(view, "flow-range")?,
        }),
        Some(_) => return Err(NetworkFault::NotObject("view")),
    };
    let network = Network {
        stream,
        arch: field(fields, "arch")?,
        classes: field(fields, "classes")?,
        input_size: field(fields, "input_size")?,
        split: field(fields, "split")?,
        view,
    };
    check(&network)?;
    let order = if fields.contains_key("flow_order") { field(fields, "flow_order")? } else { FlowOrder::Natural };
    Ok(Described { network, order, is_checkpoint })
}

fn field<T: DeserializeOwned>(fields: &Map<String, Value>, field: &'static str) -> Result<T, NetworkFault> {
    let value = fields.get(field).ok_or(NetworkFault::Missing(field))?;
    T::deserialize(value).map_err(|reason| NetworkFault::Value { field, reason })
}

fn check(network: &Network) -> Result<(), NetworkFault> {
    let Network { arch, classes, input_size, split, .. } = network;
    arch.parse::<Depth>().map_err(NetworkFault::Arch)?;
    if !INPUT_SIZES.contains(input_size) {
        return Err(NetworkFault::InputSize(*input_size));
    }
    if classes.is_empty() {
        return Err(NetworkFault::NoClasses);
    }
    let mut seen = HashSet::with_capacity(classes.len());
    for name in classes {
        if name.is_empty() || name.chars().any(char::is_control) {
            return Err(NetworkFault::ClassName(name.clone()));
        }
        if !seen.insert(name) {
            return Err(NetworkFault::ClassTwice(name.clone()));
        }
    }
    if split.is_empty() || split.chars().any(char::is_control) {
        return Err(NetworkFault::SplitName(split.clone()));
    }
    network.view().check(network.stream).map_err(NetworkFault::View)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use ucfpack::console::escape;

    fn network() -> Value {
        json!({
            "stream": "temporal", "arch": "resnet18", "classes": ["a", "b"], "input_size": 224, "split": "1",
            "view": View::tsn(),
        })
    }

    fn fault(name: &str, value: &Value) -> String {
        let mut network = network();
        let fields = if network[name].is_null() { &mut network["view"] } else { &mut network };
        fields[name] = value.clone();
        let fault = describe(&network.to_string()).err().unwrap_or_else(|| panic!("{name} {value} passes")).to_string();
        let of_checkpoint = json!({ "network": network, "cursor": null });
        assert_eq!(describe(&of_checkpoint.to_string()).unwrap_err().to_string(), fault);
        fault
    }

    #[test]
    fn networks_and_checkpoints_are_described() {
        let found = describe(&network().to_string()).unwrap();
        assert_eq!((found.network.stream, found.network.view), (Stream::Temporal, Some(View::tsn())));
        assert!(found.order == FlowOrder::Natural && !found.is_checkpoint);
        let mut rotated = network();
        rotated["flow_order"] = json!("rotated");
        rotated["view"] = Value::Null;
        let found = describe(&json!({ "network": rotated }).to_string()).unwrap();
        assert!(found.order == FlowOrder::Rotated && found.is_checkpoint && found.network.view.is_none());
    }

    #[test]
    fn each_field_has_the_limits_of_its_option() {
        for size in [json!(0), json!(31), json!(1025), json!(1_u64 << 40), json!(1_u64 << 63)] {
            assert_eq!(fault("input_size", &size), format!("input_size: {size} is not between 32 and 1024"));
        }
        assert!(fault("input_size", &json!(-1)).starts_with("input_size: invalid value: integer `-1`"));
        assert!(fault("input_size", &json!(1e300)).starts_with("input_size: invalid type: floating point"));
        assert_eq!(fault("test-samples", &json!(0)), "test-samples 0 is not between 1 and 1000");
        assert_eq!(fault("test-samples", &json!(1001)), "test-samples 1001 is not between 1 and 1000");
        assert!(fault("test-samples", &json!(1_u64 << 63)).contains("is not between 1 and 1000"));
        assert_eq!(fault("segments", &json!(17)), "segments 17 is not between 1 and 16");
        assert!(fault("segments", &json!("3")).starts_with("segments: invalid type: string"));
        assert!(fault("crop", &json!("random")).starts_with("crop random is for RGB"));
        assert!(fault("sampling", &json!("often")).starts_with("sampling: unknown variant `often`, expected"));
        assert!(fault("arch", &json!("vgg")).starts_with("arch: unknown network \"vgg\""));
        assert!(fault("stream", &json!("audio")).starts_with("stream: unknown variant"));
        assert_eq!(fault("classes", &json!([])), "classes: there are none");
        assert_eq!(fault("classes", &json!(["a", "a"])), "classes: a is there twice");
        assert_eq!(fault("classes", &json!(["\u{1b}[2J"])), "classes: \"\\u{1b}[2J\" is not the name of a class");
        assert_eq!(fault("split", &json!("")), "split: \"\" is not the name of a split");
        assert_eq!(fault("view", &json!(3)), "view: not an object");
        assert_eq!(escape(&fault("arch", &json!("\u{1b}[2J"))).find('\u{1b}'), None);
        assert_eq!(describe("{}").unwrap_err().to_string(), "stream: missing");
        assert!(describe("[").unwrap_err().to_string().contains("not JSON"));
    }
}
