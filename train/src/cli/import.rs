//! `ucftrain import`: reads networks from PyTorch.

use super::export::refuse_existing;
use crate::base::choice::choice;
use crate::base::console::{Console, quoted};
use crate::base::heading::{INPUT, MODEL, OUTPUT};
use crate::base::usage::Usage;
use crate::cli::io::Io;
use crate::formats::flow_order::{FlowOrder, natural_order};
use crate::formats::network::Network;
use crate::formats::{network_file, safetensors_file, weights};
use crate::run::loaded_network::different_classes;
use crate::settings::Recipe;
use crate::stream::Stream;
use crate::view::{Consensus, FlowRange, View};
use anyhow::{Context, Result, anyhow, bail};
use candle_convnet::{Arch, Depth, Model, Origin, check_values, find_weights, torchvision_names};
use candle_core::{Device, Tensor};
use clip_loader::{Sampling, TestCrop};
use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

/// Arguments of `ucftrain import`.
#[derive(Debug, clap::Args)]
pub struct ImportArgs {
    /// Weights file: a .pth, .pth.tar or .safetensors with a whole ResNet
    ///
    /// The file must contain the last layer.
    #[arg(value_name = "FILE")]
    pub weights: PathBuf,
    /// Packed dataset with the classes of the network, in the same order
    #[arg(long, value_name = "DIR", help_heading = INPUT)]
    pub data: PathBuf,
    /// Stream that the network reads [default: from the file]
    ///
    /// Required unless ucftrain wrote the file.
    #[arg(long, help_heading = MODEL)]
    pub stream: Option<Stream>,
    /// Split that the network was trained on [default: from the file, or 1]
    #[arg(long, value_name = "N", help_heading = MODEL)]
    pub split: Option<String>,
    /// Width and height of the network's input in pixels [default: from the file, or 224]
    ///
    /// From 32 to 1024.
    #[arg(
        long, value_name = "PIXELS", value_parser = clap::value_parser!(u16).range(32..=1024), help_heading = MODEL
    )]
    pub input_size: Option<u16>,
    /// Order of the input channels of a temporal network [default: from the file]
    ///
    /// If the file does not state the order, the default is `rotated` if the
    /// tensors have the names of the reference code, and `natural` otherwise.
    #[arg(long, value_enum, help_heading = MODEL)]
    pub flow_order: Option<FlowOrder>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would show it as help")]
    pub view: ViewArgs,
    /// File to write
    ///
    /// `ucftrain eval` and `ucftrain predict` read it with --checkpoint.
    #[arg(long, value_name = "FILE.safetensors", help_heading = OUTPUT)]
    pub out: PathBuf,
    /// Replace an existing file
    #[arg(long, help_heading = OUTPUT)]
    pub overwrite: bool,
}

pub(super) const EXAMPLES: &str = "Examples:
  ucftrain import spatial.safetensors --data ucf101.shards --out imported.safetensors
  ucftrain import model.pth --stream spatial --data ucf101.shards --out model.safetensors";

/// How a network sees clips, if its file does not state it.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct ViewArgs {
    /// Set of defaults for the options below [default: from the tensor names]
    ///
    /// The default is tsn if the tensors have the names of TSN or mmaction2, and seed otherwise.
    /// Files that ucftrain wrote have their own defaults.
    #[arg(long, value_enum, help_heading = MODEL)]
    pub recipe: Option<Recipe>,
    /// Rule that selects the frames of a sample [default: seed; tsn: segments]
    #[arg(long, value_parser = choice::<Sampling>(), help_heading = MODEL)]
    pub sampling: Option<Sampling>,
    /// Samples per test clip [default: 19; tsn: 25]
    #[arg(long, value_name = "N", help_heading = MODEL)]
    pub test_samples: Option<usize>,
    /// Part of a frame that a test sample shows [default: whole; tsn: center]
    #[arg(long, value_parser = choice::<TestCrop>(), help_heading = MODEL)]
    pub test_crop: Option<TestCrop>,
    /// Value range of optical flow [default: unit; tensor names of TSN: centered]
    #[arg(long, value_enum, help_heading = MODEL)]
    pub flow_range: Option<FlowRange>,
    /// Views per clip in a training step [default: 3 spatial, 1 temporal; tsn: 3; strong: 1]
    #[arg(long, value_name = "N", help_heading = MODEL)]
    pub segments: Option<usize>,
    /// How to combine the logits of a clip's views [default: sum; tsn: mean]
    #[arg(long, value_enum, help_heading = MODEL)]
    pub consensus: Option<Consensus>,
}

impl ViewArgs {
    /// Returns the view of a recipe with the given values.
    fn over(&self, recipe: Recipe, stream: Stream) -> View {
        let base = match self.recipe.unwrap_or(recipe) {
            Recipe::Seed => View::seed(stream),
            Recipe::Tsn => View::tsn(),
            Recipe::Strong => View::strong(),
        };
        self.over_view(base)
    }

    /// Returns a view with the given values.
    fn over_view(&self, base: View) -> View {
        View {
            sampling: self.sampling.unwrap_or(base.sampling),
            test_samples: self.test_samples.unwrap_or(base.test_samples),
            test_crop: self.test_crop.unwrap_or(base.test_crop),
            flow_range: self.flow_range.unwrap_or(base.flow_range),
            segments: self.segments.unwrap_or(base.segments),
            consensus: self.consensus.unwrap_or(base.consensus),
            ..base
        }
    }
}

/// Runs the command.
pub fn run(args: &ImportArgs) -> Result<()> {
    refuse_existing(&args.out, args.overwrite)?;
    let data = Io::default().open(&args.data, &[])?;
    let classes = &data.manifest().classes;
    std::fs::metadata(&args.weights).with_context(|| format!("{}: cannot read it", args.weights.display()))?;
    let imported = match safetensors_file::metadata_of(&args.weights) {
        Some(_) => import_own(args, classes)?,
        None => import_foreign(args, classes)?,
    };
    let Imported { network, tensors, notes } = imported;
    network_file::save(&args.out, &network, &tensors)?;
    let console = Console::new(false);
    console.say(&format!("wrote {}: {} from {}", args.out.display(), network.arch, args.weights.display()));
    for note in notes {
        console.say(&note);
    }
    let (out, data) = (quoted(&args.out), quoted(&args.data));
    console.say(&format!("To test it: ucftrain eval --checkpoint {out} --data {data}"));
    Ok(())
}

/// An imported network, and notes for the user.
struct Imported {
    network: Network,
    /// Weights, with flow channels in their natural order.
    tensors: Vec<(String, Tensor)>,
    notes: Vec<String>,
}

/// Imports a file that describes its network: an export, or a file of a run.
fn import_own(args: &ImportArgs, classes: &[String]) -> Result<Imported> {
    let shown = args.weights.display();
    let (network, tensors) = network_file::load(&args.weights)?;
    if let Some(stream) = args.stream.filter(|&stream| stream != network.stream) {
        bail!(Usage(format!(
            "--stream {stream} is wrong, because {shown} is a network of the {} stream; remove it",
            network.stream
        )));
    }
    if args.flow_order.is_some() || args.view.recipe.is_some() {
        bail!(Usage(format!("{shown} already describes its views; remove --flow-order and --recipe")));
    }
    if network.classes != classes {
        bail!(different_classes(&args.weights, &network.classes, &args.data, classes));
    }
    let view = args.view.over_view(network.view());
    let network = Network {
        input_size: args.input_size.map_or(network.input_size, Into::into),
        split: args.split.clone().unwrap_or(network.split),
        view: Some(checked(view, network.stream, network.input_size)?),
        ..network
    };
    let tensors = checked_tensors(&network, &tensors, &args.weights)?;
    let notes = vec![format!("settings from the file and the options: {}", options(&network))];
    Ok(Imported { network, tensors, notes })
}

/// Imports a file of another program, which contains only names and tensors.
fn import_foreign(args: &ImportArgs, classes: &[String]) -> Result<Imported> {
    let shown = args.weights.display();
    let Some(stream) = args.stream else {
        bail!(Usage(format!("{shown} does not name its stream; add --stream spatial, temporal or difference")));
    };
    let (tensors, key) = find_weights(&args.weights)?;
    let (tensors, origin) = torchvision_names(&args.weights, tensors)?;
    check_values(&args.weights, &tensors)?;
    let arch = arch_of(&tensors).ok_or_else(|| {
        let mut names: Vec<&String> = tensors.keys().collect();
        names.sort_unstable();
        let few: Vec<String> = names.iter().take(3).map(|name| name.escape_debug().to_string()).collect();
        let few = few.join(", ");
        anyhow!(
            "{shown}: the tensors are not those of a ResNet-18, 34, 50, 101 or 152, or of MobileNetV3-small (found: \
             {few}, ...); use a file with the tensor names of torchvision, TSN, mmaction2 or the reference code"
        )
    })?;
    let last = format!("{}.weight", arch.last_layer());
    let knows = tensors.get(&last).and_then(|weight| weight.dims().first().copied());
    if knows != Some(classes.len()) {
        let (data, n) = (args.data.display(), classes.len());
        match knows {
            Some(knows) => bail!("{shown}: the network has {knows} classes, but {data} has {n}; use its own dataset"),
            None => bail!("{shown}: the network has no last layer ({last}); use a file with the whole network"),
        }
    }
    let order = args.flow_order.unwrap_or(match origin {
        Origin::Reference => FlowOrder::Rotated,
        _ => FlowOrder::Natural,
    });
    let view = match origin {
        // The original code subtracts 128 from flow and divides by about 0.226 of the value range.
        Origin::Tsn if args.view.flow_range.is_none() => {
            View { flow_range: FlowRange::Centered, ..args.view.over(Recipe::Tsn, stream) }
        }
        Origin::Tsn | Origin::Mmaction2 => args.view.over(Recipe::Tsn, stream),
        _ => args.view.over(Recipe::Seed, stream),
    };
    let view = View { stack: stack_of(&tensors, arch, stream), ..view };
    let side = args.input_size.map_or(224, Into::into);
    let network = Network {
        stream,
        arch: arch.to_string(),
        classes: classes.to_vec(),
        input_size: side,
        split: args.split.clone().unwrap_or_else(|| "1".to_owned()),
        view: Some(checked(view, stream, side)?),
    };
    let is_turned = stream == Stream::Temporal && order == FlowOrder::Rotated;
    let mut tensors = checked_tensors(&network, &tensors, &args.weights)?;
    if is_turned {
        for (_, first) in tensors.iter_mut().filter(|(name, _)| name == arch.first_weights()) {
            *first = natural_order(first)?;
        }
    }
    let mut notes = Vec::new();
    if !key.is_empty() {
        notes.push(format!("the weights are in the entry {key}"));
    }
    let names = match origin {
        Origin::Reference => "reference code",
        Origin::Tsn => "TSN",
        Origin::Mmaction2 => "mmaction2",
        _ => "torchvision",
    };
    notes.push(format!("the tensors have {names} names"));
    if is_turned {
        notes.push("the flow channels were changed from the rotated to the natural order".to_owned());
    }
    if let Some(stack) = network.view().stack {
        let channels = network.view().channels(stream);
        notes.push(format!("a view has {stack} images, because the first convolution has {channels} channels"));
    }
    notes.push(format!("assumed settings, change them with options: {}", options(&network)));
    Ok(Imported { network, tensors, notes })
}

/// Returns the number of images in a view of a network whose first convolution has an unusual number
/// of channels. Returns none for the usual number of a stream, which also shows a wrong --stream.
fn stack_of(tensors: &HashMap<String, Tensor>, arch: Arch, stream: Stream) -> Option<usize> {
    let channels = *tensors.get(arch.first_weights())?.dims().get(1)?;
    let is_usual = Stream::ALL.into_iter().any(|stream| stream.channels(stream.stack()) == channels);
    let stack = channels / stream.channels(1);
    (stream != Stream::Spatial && !is_usual && stream.channels(stack) == channels).then_some(stack)
}

fn checked(view: View, stream: Stream, side: usize) -> Result<View> {
    view.check(stream, side).map_err(|fault| Usage(format!("--{fault}")))?;
    Ok(view)
}

/// Checks that the tensors are exactly those of the network, and sorts them by name.
fn checked_tensors(network: &Network, tensors: &HashMap<String, Tensor>, path: &Path) -> Result<Vec<(String, Tensor)>> {
    let config = network.config().map_err(|e| anyhow!("{}: {e}", path.display()))?;
    let model = Model::random(&config, 0, &Device::Cpu)?;
    let loaded = model.load_tensors(tensors).map_err(|error| weights::explained(error, network.stream, network.view()));
    loaded.with_context(|| path.display().to_string())?;
    Ok(model.tensors())
}

/// Formats the description of a network as options of `import`.
fn options(network: &Network) -> String {
    fn name(value: &impl clap::ValueEnum) -> String {
        value.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }
    let view = network.view();
    let range = match network.stream {
        Stream::Spatial | Stream::Difference => String::new(),
        Stream::Temporal => format!(" --flow-range {}", name(&view.flow_range)),
    };
    format!(
        "--input-size {} --split {} --sampling {} --test-samples {} --test-crop {}{range} --segments {} --consensus {}",
        network.input_size,
        network.split,
        view.sampling,
        view.test_samples,
        view.test_crop,
        view.segments,
        name(&view.consensus),
    )
}

/// Finds the architecture of a network from the names of its blocks.
fn arch_of(tensors: &HashMap<String, Tensor>) -> Option<Arch> {
    // MobileNetV3-small has a first layer, 11 blocks and a last convolution.
    let small = Arch::MobileNetV3Small;
    if tensors.contains_key(small.first_weights())
        && tensors.contains_key("features.12.0.weight")
        && !tensors.keys().any(|name| name.starts_with("features.13."))
    {
        return Some(small);
    }
    let blocks = [1, 2, 3, 4].map(|layer| {
        let block = |name: &String| name.strip_prefix(&format!("layer{layer}."))?.split('.').next().map(str::to_owned);
        tensors.keys().filter_map(block).collect::<BTreeSet<_>>().len()
    });
    let bottleneck = tensors.contains_key("layer1.0.conv3.weight");
    let depth = Depth::ALL.into_iter().find(|depth| depth.blocks() == blocks && depth.bottleneck() == bottleneck);
    depth.map(Arch::ResNet)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_convnet::ClassifierConfig;

    #[test]
    fn architectures_are_recognised_by_their_blocks() {
        for arch in Arch::ALL {
            let tensors = Model::random(&ClassifierConfig::new(arch, 3, 2), 0, &Device::Cpu).unwrap().tensors();
            assert_eq!(arch_of(&tensors.into_iter().collect()), Some(arch));
        }
        assert_eq!(arch_of(&HashMap::new()), None);
    }
}
