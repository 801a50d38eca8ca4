//! Conversion of tensor names of other programs to torchvision's names.

use super::error::{Problem, WeightsError};
use candle_core::Tensor;
use std::collections::{BTreeSet, HashMap};
use std::path::Path;

/// Name parts that wrappers of PyTorch add to the modules that they wrap.
const WRAPPERS: [&str; 4] = ["module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"];
/// Names of the last layer in different programs.
const HEADS: [&str; 8] =
    ["fc", "new_fc", "fc_custom", "cls_head.fc_cls", "head.fc", "head", "classifier", "last_linear"];

/// The program whose names the weights have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// torchvision or timm, with or without a prefix.
    Torchvision,
    /// jeffreyyihuang/two-stream-action-recognition: `conv1_custom`, `fc_custom`.
    Reference,
    /// yjxiong/tsn-pytorch: `base_model.conv1`, `new_fc`.
    Tsn,
    /// mmaction2: `backbone.conv1.conv`, `cls_head.fc_cls`.
    Mmaction2,
}

/// Returns a name without the parts that wrappers add.
pub(super) fn without_wrappers(name: &str) -> String {
    let parts: Vec<&str> = name.split('.').filter(|part| !WRAPPERS.contains(part)).collect();
    parts.join(".")
}

/// Converts the names of a ResNet's tensors to torchvision's names.
///
/// The names can be those of another program, or have a prefix such as `model.`, `backbone.` or
/// `encoder.`. A prefix is removed if the first layers of exactly one ResNet have it. The last
/// layer can have another prefix: `cls_head.fc_cls` of mmaction2 becomes `fc`. If the network with
/// the prefix is complete, tensors without the prefix, such as those of a loss, are omitted.
///
/// `path` is only used in the error message.
///
/// # Errors
/// Returns an error if two tensors would get the same name.
///
/// ```
/// # use candle_convnet::{Origin, torchvision_names};
/// # use candle_core::{DType, Device, Tensor};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let names = ["conv1.conv.weight", "conv1.bn.weight", "layer1.0.conv1.conv.weight"];
/// let zero = Tensor::zeros(1, DType::F32, &Device::Cpu)?;
/// let tensors = names.map(|name| (format!("backbone.{name}"), zero.clone())).into();
/// let (tensors, origin) = torchvision_names("weights.pth", tensors)?;
/// assert!(origin == Origin::Mmaction2 && tensors.contains_key("bn1.weight"));
/// # Ok(())
/// # }
/// ```
#[expect(clippy::implicit_hasher, reason = "`read_weights` returns a map with the default hasher")]
pub fn torchvision_names(
    path: impl AsRef<Path>,
    tensors: HashMap<String, Tensor>,
) -> Result<(HashMap<String, Tensor>, Origin), WeightsError> {
    let prefixes: BTreeSet<String> = tensors.keys().filter_map(|name| prefix_of(name, &tensors)).collect();
    let prefix = match prefixes.first() {
        // Several prefixes mean several networks. If one of the prefixes is empty, that network is
        // the one to load.
        Some(prefix) if prefixes.len() == 1 || prefix.is_empty() => prefix.clone(),
        _ => return Ok((tensors, Origin::Torchvision)),
    };
    let root = prefix[..prefix.len().saturating_sub(1)].rfind('.').map_or("", |point| &prefix[..=point]);
    let origin = origin(&prefix, root, &tensors);
    let mut named = HashMap::with_capacity(tensors.len());
    let (mut problems, mut others) = (Vec::new(), Vec::new());
    for (name, tensor) in tensors {
        let new = match name.strip_prefix(&prefix) {
            Some(rest) => Some(head(rest).unwrap_or_else(|| layer(rest))),
            None => name.strip_prefix(root).and_then(head),
        };
        let Some(new) = new else {
            others.push((name, tensor));
            continue;
        };
        if named.insert(new.clone(), tensor).is_some() {
            problems.push(Problem::Twice { name: new });
        }
    }
    WeightsError::check(path.as_ref(), problems)?;
    // If the network is complete, the other tensors are those of a loss or a metric. If it has no
    // last layer, one of the others may be that layer under an unknown name, so they are kept for
    // the error message.
    if prefix.is_empty() || !named.contains_key("fc.weight") {
        named.extend(others);
    }
    Ok((named, origin))
}

/// Returns the prefix of the first convolution's name, if the first layers of a ResNet have this
/// prefix.
fn prefix_of(name: &str, tensors: &HashMap<String, Tensor>) -> Option<String> {
    let prefix = ["conv1.weight", "conv1_custom.weight", "conv1.conv.weight"]
        .into_iter()
        .find_map(|conv1| name.strip_suffix(conv1).filter(|prefix| prefix.is_empty() || prefix.ends_with('.')))?;
    let has = |names: [&str; 2]| names.iter().any(|name| tensors.contains_key(&format!("{prefix}{name}")));
    let is_resnet =
        has(["bn1.weight", "conv1.bn.weight"]) && has(["layer1.0.conv1.weight", "layer1.0.conv1.conv.weight"]);
    is_resnet.then(|| prefix.to_owned())
}

fn origin(prefix: &str, root: &str, tensors: &HashMap<String, Tensor>) -> Origin {
    let has = |name: String| tensors.contains_key(&name);
    if has(format!("{prefix}conv1_custom.weight")) {
        Origin::Reference
    } else if has(format!("{prefix}conv1.conv.weight")) || has(format!("{root}cls_head.fc_cls.weight")) {
        Origin::Mmaction2
    } else if prefix.ends_with("base_model.") || has(format!("{root}new_fc.weight")) {
        Origin::Tsn
    } else {
        Origin::Torchvision
    }
}

/// Returns the name in `fc`, if `name` is one of the names of the last layer.
fn head(name: &str) -> Option<String> {
    let (layer, parameter) = name.rsplit_once('.')?;
    (HEADS.contains(&layer) && matches!(parameter, "weight" | "bias")).then(|| format!("fc.{parameter}"))
}

/// Returns torchvision's name for a layer of the reference code, or of mmaction2, whose
/// convolutions contain their batch norms.
fn layer(name: &str) -> String {
    if let Some(rest) = name.strip_prefix("conv1_custom.") {
        return format!("conv1.{rest}");
    }
    let Some((module, parameter)) = name.rsplit_once('.') else { return name.to_owned() };
    let (outer, kind) = module.rsplit_once('.').unwrap_or(("", module));
    let (block, conv) = outer.rsplit_once('.').map_or(("", outer), |(block, conv)| (block, conv));
    let point = if block.is_empty() { "" } else { "." };
    match (conv, kind) {
        ("conv1" | "conv2" | "conv3", "conv") => format!("{outer}.{parameter}"),
        ("conv1" | "conv2" | "conv3", "bn") => format!("{block}{point}bn{}.{parameter}", &conv[4..]),
        ("downsample", "conv") => format!("{outer}.0.{parameter}"),
        ("downsample", "bn") => format!("{outer}.1.{parameter}"),
        _ => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Device};

    fn renamed(names: &[&str]) -> (Vec<String>, Origin) {
        let zero = Tensor::zeros(1, DType::F32, &Device::Cpu).unwrap();
        let tensors = names.iter().map(|&name| (name.to_owned(), zero.clone())).collect();
        let (tensors, origin) = torchvision_names(Path::new("file"), tensors).unwrap();
        let mut names: Vec<String> = tensors.into_keys().collect();
        names.sort_unstable();
        (names, origin)
    }

    #[test]
    fn names_of_mmaction2_become_torchvisions() {
        let found = renamed(&[
            "backbone.conv1.conv.weight",
            "backbone.conv1.bn.running_var",
            "backbone.conv1.bn.weight",
            "backbone.layer1.0.conv1.conv.weight",
            "backbone.layer1.0.conv3.bn.bias",
            "backbone.layer2.0.downsample.conv.weight",
            "backbone.layer2.0.downsample.bn.weight",
            "cls_head.fc_cls.weight",
            "cls_head.fc_cls.bias",
        ]);
        let expected = [
            "bn1.running_var",
            "bn1.weight",
            "conv1.weight",
            "fc.bias",
            "fc.weight",
            "layer1.0.bn3.bias",
            "layer1.0.conv1.weight",
            "layer2.0.downsample.0.weight",
            "layer2.0.downsample.1.weight",
        ];
        assert_eq!(found, (expected.map(str::to_owned).to_vec(), Origin::Mmaction2));
    }

    #[test]
    fn prefixes_are_removed_and_their_programs_recognised() {
        let with = |prefix: &str, head: &str| {
            let names = ["conv1.weight", "bn1.weight", "layer1.0.conv1.weight"].map(|name| format!("{prefix}{name}"));
            let mut names = names.to_vec();
            names.push(format!("{head}.weight"));
            renamed(&names.iter().map(String::as_str).collect::<Vec<_>>())
        };
        let plain = ["bn1.weight", "conv1.weight", "fc.weight", "layer1.0.conv1.weight"].map(str::to_owned).to_vec();
        assert_eq!(with("", "fc"), (plain.clone(), Origin::Torchvision));
        assert_eq!(with("model.", "model.fc"), (plain.clone(), Origin::Torchvision));
        assert_eq!(with("a.b.encoder.", "a.b.head.fc"), (plain.clone(), Origin::Torchvision));
        assert_eq!(with("base_model.", "new_fc"), (plain, Origin::Tsn));
        // Tensors without the prefix keep their names if the network has no last layer.
        let other = ["bn1.weight", "conv1.weight", "fc2.weight", "layer1.0.conv1.weight"].map(str::to_owned).to_vec();
        assert_eq!(with("net.", "fc2"), (other, Origin::Torchvision));
    }

    #[test]
    fn tensors_outside_the_network_are_omitted() {
        let network = ["model.conv1.weight", "model.bn1.weight", "model.layer1.0.conv1.weight", "model.fc.weight"];
        let (names, _) = renamed(&[&network[..], &["criterion.weight", "metric.total"]].concat());
        assert_eq!(names, ["bn1.weight", "conv1.weight", "fc.weight", "layer1.0.conv1.weight"]);
    }

    #[test]
    fn several_networks_in_one_file_keep_their_names() {
        let parts = ["conv1.weight", "bn1.weight", "layer1.0.conv1.weight"];
        let names: Vec<String> =
            ["encoder_k.", "encoder_q."].iter().flat_map(|p| parts.map(|name| format!("{p}{name}"))).collect();
        let mut sorted = names.clone();
        sorted.sort_unstable();
        assert_eq!(renamed(&names.iter().map(String::as_str).collect::<Vec<_>>()).0, sorted);
    }

    #[test]
    fn two_tensors_with_the_same_new_name_are_an_error() {
        let zero = Tensor::zeros(1, DType::F32, &Device::Cpu).unwrap();
        let names = ["conv1.weight", "bn1.weight", "layer1.0.conv1.weight", "fc.weight", "new_fc.weight"];
        let tensors = names.iter().map(|&name| (name.to_owned(), zero.clone())).collect();
        let error = torchvision_names(Path::new("w.pth"), tensors).unwrap_err().to_string();
        assert!(error.starts_with("w.pth: a tensor does not match the network: fc.weight occurs twice"), "{error}");
    }

    #[test]
    fn wrapper_names_are_removed_everywhere() {
        assert_eq!(without_wrappers("module._orig_mod.layer1.module.0.conv1.weight"), "layer1.0.conv1.weight");
        assert_eq!(without_wrappers("modules.conv1.weight"), "modules.conv1.weight");
    }
}
