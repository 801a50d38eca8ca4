//! `ucftrain import`: networks from PyTorch.

use super::export::refuse_existing;
use crate::base::choice::choice;
use crate::base::console::{Console, quoted};
use crate::base::usage::Usage;
use crate::cli::io::Io;
use crate::formats::flow_order::{FlowOrder, natural_order};
use crate::formats::network::Network;
use crate::formats::{network_file, safetensors_file};
use crate::settings::Recipe;
use crate::stream::Stream;
use crate::view::{Consensus, FlowRange, View};
use anyhow::{Context, Result, anyhow, bail};
use candle_convnet::{Depth, Model, Origin, ResNetConfig, check_values, find_weights, torchvision_names};
use candle_core::{Device, Tensor};
use clip_loader::{Sampling, TestCrop};
use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

/// What is typed after `import`.
#[derive(Debug, clap::Args)]
pub struct ImportArgs {
    /// A .pth, .pth.tar or .safetensors with a whole ResNet, last layer included
    #[arg(value_name = "FILE")]
    pub weights: PathBuf,
    /// The stream that it reads [default: what the file says, if `ucftrain export` wrote it]
    #[arg(long)]
    pub stream: Option<Stream>,
    /// Packed data set whose classes it knows, in this order
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// File to write, for eval and predict --checkpoint
    #[arg(long, value_name = "FILE.safetensors")]
    pub out: PathBuf,
    /// Split that it was trained on [default: what the file says, else 1]
    #[arg(long, value_name = "N")]
    pub split: Option<String>,
    /// Side of its input in pixels [default: what the file says, else 224]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(32..=1024))]
    pub input_size: Option<u16>,
    /// Order of the flow channels that it takes [default: what the file says, else rotated if it has the reference code's
    /// names, else natural]
    #[arg(long, value_enum)]
    pub flow_order: Option<FlowOrder>,
    /// How it sees clips.
    #[command(flatten)]
    pub view: ViewArgs,
    /// Replace the file if it is there
    #[arg(long)]
    pub overwrite: bool,
}

/// How a network sees clips, where its file does not say so.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct ViewArgs {
    /// Recipe that the options below have their defaults from [default: seed; tsn for names of TSN and mmaction2]
    #[arg(long, value_enum)]
    pub recipe: Option<Recipe>,
    /// Rule by which frames are chosen
    #[arg(long, value_parser = choice::<Sampling>())]
    pub sampling: Option<Sampling>,
    /// Samples of a test clip
    #[arg(long, value_name = "N")]
    pub test_samples: Option<usize>,
    /// Part of a frame that a test sample shows
    #[arg(long, value_parser = choice::<TestCrop>())]
    pub test_crop: Option<TestCrop>,
    /// Range of the values of optical flow [for names of TSN: centered]
    #[arg(long, value_enum)]
    pub flow_range: Option<FlowRange>,
    /// Views of a clip in a training step
    #[arg(long, value_name = "N")]
    pub segments: Option<usize>,
    /// How the logits of a clip's views become one
    #[arg(long, value_enum)]
    pub consensus: Option<Consensus>,
}

impl ViewArgs {
    /// The typed values over a recipe's.
    fn over(&self, recipe: Recipe, stream: Stream) -> View {
        let base = match self.recipe.unwrap_or(recipe) {
            Recipe::Seed => View::seed(stream),
            Recipe::Tsn => View::tsn(),
        };
        self.over_view(base)
    }

    /// The typed values over a file's.
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

/// Takes a network of PyTorch's over.
pub fn run(args: &ImportArgs) -> Result<()> {
    refuse_existing(&args.out, args.overwrite)?;
    let data = Io::default().open(&args.data)?;
    let classes = &data.manifest().classes;
    let imported = match safetensors_file::metadata_of(&args.weights) {
        Some(_) => import_own(args, classes)?,
        None => import_foreign(args, classes)?,
    };
    let Imported { network, tensors, notes } = imported;
    network_file::save(&args.out, &network, &tensors)?;
    let console = Console { json: false };
    console.say(&format!("{}: {} of {}", args.out.display(), network.arch, args.weights.display()));
    for note in notes {
        console.say(&note);
    }
    let (out, data) = (quoted(&args.out), quoted(&args.data));
    console.say(&format!("how good it is: ucftrain eval --checkpoint {out} --data {data}"));
    Ok(())
}

/// A network that was taken over, and what its user should know.
struct Imported {
    network: Network,
    /// Its weights, with flow channels in their natural order.
    tensors: Vec<(String, Tensor)>,
    notes: Vec<String>,
}

/// A file that says what its network is: `ucftrain export` wrote it, or it is of a run.
fn import_own(args: &ImportArgs, classes: &[String]) -> Result<Imported> {
    let shown = args.weights.display();
    let (network, tensors) = network_file::load(&args.weights)?;
    if let Some(stream) = args.stream.filter(|&stream| stream != network.stream) {
        bail!(Usage(format!("--stream {stream}: {shown} is of the {} stream", network.stream)));
    }
    if args.flow_order.is_some() || args.view.recipe.is_some() {
        bail!(Usage(format!("{shown} says how its network sees clips: leave out --flow-order and --recipe")));
    }
    if network.classes != classes {
        let (own, others) = (network.classes.len(), classes.len());
        bail!("{shown}: the network knows {own} classes, {} has {others}, or others", args.data.display());
    }
    let view = args.view.over_view(network.view());
    let network = Network {
        input_size: args.input_size.map_or(network.input_size, Into::into),
        split: args.split.clone().unwrap_or(network.split),
        view: Some(checked(view, network.stream)?),
        ..network
    };
    let tensors = checked_tensors(&network, &tensors, &args.weights)?;
    let notes = vec![format!("from the file, where no option says otherwise: {}", options(&network))];
    Ok(Imported { network, tensors, notes })
}

/// A file of another program, which says nothing but names and numbers.
fn import_foreign(args: &ImportArgs, classes: &[String]) -> Result<Imported> {
    let shown = args.weights.display();
    let Some(stream) = args.stream else {
        bail!(Usage(format!("{shown} does not say which stream it reads: give --stream spatial or --stream temporal")));
    };
    let (tensors, key) = find_weights(&args.weights)?;
    let (tensors, origin) = torchvision_names(&args.weights, tensors)?;
    check_values(&args.weights, &tensors)?;
    let depth = depth_of(&tensors).ok_or_else(|| {
        let mut names: Vec<&String> = tensors.keys().collect();
        names.sort_unstable();
        let few: Vec<String> = names.iter().take(3).map(|name| name.escape_debug().to_string()).collect();
        let few = few.join(", ");
        anyhow!("{shown}: not a ResNet-18, 34, 50, 101 or 152 with torchvision's names; its tensors are {few}, ...")
    })?;
    let knows = tensors.get("fc.weight").and_then(|fc| fc.dims().first().copied());
    if knows != Some(classes.len()) {
        let knows = knows.map_or("has no last layer".to_owned(), |n| format!("knows {n} classes"));
        bail!("{shown}: the network {knows}, {} has {}", args.data.display(), classes.len());
    }
    let order = args.flow_order.unwrap_or(match origin {
        Origin::Reference => FlowOrder::Rotated,
        _ => FlowOrder::Natural,
    });
    let view = match origin {
        // The original code subtracts 128 from flow and divides by about 0.226 of the range.
        Origin::Tsn if args.view.flow_range.is_none() => {
            View { flow_range: FlowRange::Centered, ..args.view.over(Recipe::Tsn, stream) }
        }
        Origin::Tsn | Origin::Mmaction2 => args.view.over(Recipe::Tsn, stream),
        _ => args.view.over(Recipe::Seed, stream),
    };
    let network = Network {
        stream,
        arch: depth.to_string(),
        classes: classes.to_vec(),
        input_size: args.input_size.map_or(224, Into::into),
        split: args.split.clone().unwrap_or_else(|| "1".to_owned()),
        view: Some(checked(view, stream)?),
    };
    let is_turned = stream == Stream::Temporal && order == FlowOrder::Rotated;
    let mut tensors = checked_tensors(&network, &tensors, &args.weights)?;
    if is_turned {
        for (_, conv1) in tensors.iter_mut().filter(|(name, _)| name == "conv1.weight") {
            *conv1 = natural_order(conv1)?;
        }
    }
    let mut notes = Vec::new();
    if !key.is_empty() {
        notes.push(format!("its weights are under {key}"));
    }
    let names = match origin {
        Origin::Reference => "the reference code's",
        Origin::Tsn => "TSN's",
        Origin::Mmaction2 => "mmaction2's",
        _ => "torchvision's",
    };
    let turned = if is_turned { ", its flow channels turned into their natural order" } else { "" };
    notes.push(format!("it has {names} names{turned}"));
    notes.push(format!("assumed, where no option says otherwise: {}", options(&network)));
    Ok(Imported { network, tensors, notes })
}

fn checked(view: View, stream: Stream) -> Result<View> {
    view.check(stream).map_err(|fault| Usage(format!("--{fault}")))?;
    Ok(view)
}

/// The tensors of a network, sorted by name, if they are exactly those that it has.
fn checked_tensors(network: &Network, tensors: &HashMap<String, Tensor>, path: &Path) -> Result<Vec<(String, Tensor)>> {
    let depth = network.arch.parse().map_err(|e| anyhow!("{}: {e}", path.display()))?;
    let config = ResNetConfig::new(depth, network.stream.channels(), network.classes.len());
    let model = Model::random(&config, 0, &Device::Cpu)?;
    model.load_tensors(tensors).with_context(|| path.display().to_string())?;
    Ok(model.tensors())
}

/// How a network sees clips, as options of `import`.
fn options(network: &Network) -> String {
    fn name(value: &impl clap::ValueEnum) -> String {
        value.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }
    let view = network.view();
    let range = match network.stream {
        Stream::Spatial => String::new(),
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

/// The depth whose blocks a network's names are of.
fn depth_of(tensors: &HashMap<String, Tensor>) -> Option<Depth> {
    let blocks = [1, 2, 3, 4].map(|layer| {
        let block = |name: &String| name.strip_prefix(&format!("layer{layer}."))?.split('.').next().map(str::to_owned);
        tensors.keys().filter_map(block).collect::<BTreeSet<_>>().len()
    });
    let bottleneck = tensors.contains_key("layer1.0.conv3.weight");
    Depth::ALL.into_iter().find(|depth| depth.blocks() == blocks && depth.bottleneck() == bottleneck)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depths_are_told_by_their_blocks() {
        for depth in Depth::ALL {
            let config = ResNetConfig::new(Depth::R18, 3, 2);
            let config = ResNetConfig::new(depth, config.in_channels, config.classes);
            let tensors = Model::random(&config, 0, &Device::Cpu).unwrap().tensors().into_iter().collect();
            assert_eq!(depth_of(&tensors), Some(depth));
        }
        assert_eq!(depth_of(&HashMap::new()), None);
    }
}
