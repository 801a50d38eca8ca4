//! The description of a network in the metadata of its file. It is checked like command-line
//! options, because a file may come from anywhere.

use super::flow_order::FlowOrder;
use crate::stream::Stream;
use crate::view::{INPUT_SIZES, View};
use candle_convnet::{Arch, ClassifierConfig, ParseArchError};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::HashSet;

/// A network without its weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Network {
    /// Stream that the network reads.
    pub stream: Stream,
    /// Architecture, by torchvision's name, such as `resnet18`.
    pub arch: String,
    /// Class names; a label is an index of this list.
    pub classes: Vec<String>,
    /// Height and width of the input in pixels.
    pub input_size: usize,
    /// Split that the network was trained on.
    pub split: String,
    /// How the network sees clips; none in files of old versions, which had no choice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub view: Option<View>,
}

impl Network {
    /// Returns how the network sees clips; the default is the view of the recipe `seed`.
    pub fn view(&self) -> View {
        self.view.unwrap_or(View::seed(self.stream))
    }

    /// Returns the architecture with the channels and classes of this network.
    ///
    /// # Errors
    /// The architecture is unknown.
    pub fn config(&self) -> Result<ClassifierConfig, ParseArchError> {
        Ok(ClassifierConfig::new(self.arch.parse()?, self.view().channels(self.stream), self.classes.len()))
    }
}

/// The description of a network in a file.
#[derive(Debug)]
pub struct Described {
    /// The network.
    pub network: Network,
    /// Order of the first convolution's channels in the file.
    pub order: FlowOrder,
    /// Whether the file is a checkpoint, which has more than the network.
    pub is_checkpoint: bool,
}

/// The reason why the metadata of a file does not describe a network. Its text begins with the
/// field.
#[derive(Debug, thiserror::Error)]
pub enum NetworkFault {
    /// The metadata is not JSON.
    #[error("the metadata is not JSON: {0}")]
    NotJson(serde_json::Error),
    /// The metadata is not an object.
    #[error("the metadata is not a JSON object")]
    MetadataNotObject,
    /// A field is not an object.
    #[error("field {0} of the metadata is not an object")]
    NotObject(&'static str),
    /// A field is missing.
    #[error("field {0} of the metadata is missing")]
    Missing(&'static str),
    /// A field has a value of another type, or an unknown name.
    #[error("field {field} of the metadata is invalid: {reason}")]
    Value {
        /// The field.
        field: &'static str,
        /// Why its value cannot be read.
        reason: serde_json::Error,
    },
    /// The architecture is unknown.
    #[error("field arch of the metadata is invalid: {0}")]
    Arch(ParseArchError),
    /// The side of the input is out of range.
    #[error("input_size {0} is not between {least} and {most}", least = INPUT_SIZES.start(), most = INPUT_SIZES.end())]
    InputSize(usize),
    /// The list of classes is empty.
    #[error("the list of classes is empty")]
    NoClasses,
    /// The name of a class is empty or has control characters.
    #[error("class name {0:?} is empty or has control characters")]
    ClassName(String),
    /// Two classes have the same name.
    #[error("class {0} is listed twice")]
    ClassTwice(String),
    /// The name of the split is empty or has control characters.
    #[error("split name {0:?} is empty or has control characters")]
    SplitName(String),
    /// A network of this stream cannot have this view.
    #[error("{0}")]
    View(String),
}

/// Reads the metadata of a network or of a checkpoint.
///
/// # Errors
/// A field is missing or invalid. The error names the first one.
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
            stack: optional(view, "stack")?,
            temporal_shift: optional(view, "temporal-shift")?.unwrap_or_default(),
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

fn optional<T: DeserializeOwned>(fields: &Map<String, Value>, field: &'static str) -> Result<Option<T>, NetworkFault> {
    let Some(value) = fields.get(field) else { return Ok(None) };
    Option::deserialize(value).map_err(|reason| NetworkFault::Value { field, reason })
}

fn check(network: &Network) -> Result<(), NetworkFault> {
    let Network { arch, classes, input_size, split, .. } = network;
    arch.parse::<Arch>().map_err(NetworkFault::Arch)?;
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
    network.view().check(network.stream, network.input_size).map_err(NetworkFault::View)
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
            assert_eq!(fault("input_size", &size), format!("input_size {size} is not between 32 and 1024"));
        }
        assert!(
            fault("input_size", &json!(-1))
                .contains("input_size of the metadata is invalid: invalid value: integer `-1`")
        );
        assert!(fault("input_size", &json!(1e300)).contains("is invalid: invalid type: floating point"));
        assert_eq!(fault("test-samples", &json!(0)), "test-samples 0 is not between 1 and 1000");
        assert_eq!(fault("test-samples", &json!(1001)), "test-samples 1001 is not between 1 and 1000");
        assert!(fault("test-samples", &json!(1_u64 << 63)).contains("is not between 1 and 1000"));
        let shift = "test-samples 25 is not a multiple of segments 3, which a temporal shift needs";
        assert_eq!(fault("temporal-shift", &json!(true)), shift);
        assert_eq!(fault("segments", &json!(17)), "segments 17 is not between 1 and 16");
        let large = json!(View { temporal_shift: true, test_samples: 999, stack: Some(64), ..View::tsn() });
        let needs = "test-samples 999 and a temporal shift need 6.4 GB of pixels per clip, which is more than 1 GB";
        assert_eq!(fault("view", &large), format!("{needs}; use fewer samples"));
        assert!(fault("segments", &json!("3")).contains("segments of the metadata is invalid: invalid type: string"));
        assert!(fault("crop", &json!("random")).starts_with("crop random is for the spatial stream only"));
        assert!(
            fault("sampling", &json!("often"))
                .contains("sampling of the metadata is invalid: unknown variant `often`, expected")
        );
        assert!(fault("arch", &json!("vgg")).contains("arch of the metadata is invalid: unknown network \"vgg\""));
        assert!(fault("stream", &json!("audio")).contains("stream of the metadata is invalid: unknown variant"));
        assert_eq!(fault("classes", &json!([])), "the list of classes is empty");
        assert_eq!(fault("classes", &json!(["a", "a"])), "class a is listed twice");
        assert_eq!(
            fault("classes", &json!(["\u{1b}[2J"])),
            "class name \"\\u{1b}[2J\" is empty or has control characters"
        );
        assert_eq!(fault("split", &json!("")), "split name \"\" is empty or has control characters");
        assert_eq!(fault("view", &json!(3)), "field view of the metadata is not an object");
        assert_eq!(escape(&fault("arch", &json!("\u{1b}[2J"))).find('\u{1b}'), None);
        assert_eq!(describe("{}").unwrap_err().to_string(), "field stream of the metadata is missing");
        assert!(describe("[").unwrap_err().to_string().contains("not JSON"));
    }
}
