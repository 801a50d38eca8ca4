//! What a file says of its network, checked as typed options are: a file may come from anywhere.

use crate::cli::exchange::FlowOrder;
use crate::run::checkpoint::Network;
use crate::view::{INPUT_SIZES, View};
use candle_convnet::Depth;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::collections::HashSet;

/// A network and the order in which the file has its flow channels.
pub(crate) struct Described {
    /// What it is.
    pub(crate) network: Network,
    /// Order of the first convolution's channels in the file.
    pub(crate) order: FlowOrder,
    /// Whether the file is a whole checkpoint.
    pub(crate) is_checkpoint: bool,
}

/// Reads the metadata of a network or of a checkpoint. The error names the field.
pub(crate) fn describe(json: &str) -> Result<Described, String> {
    let value: Value = serde_json::from_str(json).map_err(|e| format!("its metadata is not JSON: {e}"))?;
    let Value::Object(all) = &value else { return Err("its metadata is not an object".to_owned()) };
    let (fields, is_checkpoint) = match all.get("network") {
        Some(Value::Object(network)) => (network, true),
        Some(_) => return Err("network: not an object".to_owned()),
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
        Some(_) => return Err("view: not an object".to_owned()),
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

fn field<T: DeserializeOwned>(fields: &Map<String, Value>, name: &str) -> Result<T, String> {
    let value = fields.get(name).ok_or_else(|| format!("{name}: missing"))?;
    T::deserialize(value).map_err(|e| format!("{name}: {e}"))
}

fn check(network: &Network) -> Result<(), String> {
    let Network { arch, classes, input_size, split, .. } = network;
    arch.parse::<Depth>().map_err(|e| format!("arch: {e}"))?;
    if !INPUT_SIZES.contains(input_size) {
        let (least, most) = INPUT_SIZES.into_inner();
        return Err(format!("input_size: {input_size} is not between {least} and {most}"));
    }
    if classes.is_empty() {
        return Err("classes: there are none".to_owned());
    }
    let mut seen = HashSet::with_capacity(classes.len());
    for name in classes {
        if name.is_empty() || name.chars().any(char::is_control) {
            return Err(format!("classes: {name:?} is not the name of a class"));
        }
        if !seen.insert(name) {
            return Err(format!("classes: {name} is there twice"));
        }
    }
    if split.is_empty() || split.chars().any(char::is_control) {
        return Err(format!("split: {split:?} is not the name of a split"));
    }
    network.view().check(network.stream)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::Stream;
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
        let fault = describe(&network.to_string()).err().unwrap_or_else(|| panic!("{name} {value} passes"));
        let of_checkpoint = json!({ "network": network, "cursor": null });
        assert_eq!(describe(&of_checkpoint.to_string()).err(), Some(fault.clone()));
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
        assert_eq!(describe("{}").err().unwrap(), "stream: missing");
        assert!(describe("[").err().unwrap().contains("not JSON"));
    }
}
