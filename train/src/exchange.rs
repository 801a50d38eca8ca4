//! `ucftrain export` and `ucftrain import`: networks for PyTorch and from it.

use crate::checkpoint::{self, Network};
use crate::console::{Console, quoted};
use crate::settings::Recipe;
use crate::stream::Stream;
use crate::trained::NetworkArgs;
use crate::usage::Usage;
use crate::view::{Consensus, FlowRange, Sampling, TestCrop, View};
use anyhow::{Context, Result, anyhow, bail};
use candle_convnet::{Depth, Model, Origin, ResNetConfig, check_values, find_weights, torchvision_names};
use candle_core::{DType, Device, Tensor};
use clipshard::Dataset;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

/// Type of exported weights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Dtype {
    /// As they were trained.
    #[default]
    F32,
    /// Half as large.
    F16,
    /// Half as large, with f32's range.
    Bf16,
}

/// Order of the first convolution's channels for optical flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum FlowOrder {
    /// x1 y1 x2 y2 .. x10 y10.
    Natural,
    /// x2 y2 .. x10 y10 x1 y1, as the reference code stacks flow.
    Rotated,
}

/// What is typed after `export`.
#[derive(Debug, clap::Args)]
pub struct ExportArgs {
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would show it as help")]
    pub network: NetworkArgs,
    /// File to write
    #[arg(long, value_name = "FILE.safetensors")]
    pub out: PathBuf,
    /// Type of the weights
    #[arg(long, value_enum, default_value_t)]
    pub dtype: Dtype,
    /// Order of the flow channels that the network is to take
    #[arg(long, value_enum, default_value = "natural")]
    pub flow_order: FlowOrder,
    /// Replace the file if it is there
    #[arg(long)]
    pub overwrite: bool,
}

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
    #[arg(long, value_enum)]
    pub sampling: Option<Sampling>,
    /// Samples of a test clip
    #[arg(long, value_name = "N")]
    pub test_samples: Option<usize>,
    /// Part of a frame that a test sample shows
    #[arg(long, value_enum)]
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

/// Writes a network under torchvision's names.
pub fn export(args: &ExportArgs) -> Result<()> {
    refuse_existing(&args.out, args.overwrite)?;
    let path = args.network.file()?;
    let (network, tensors) = checkpoint::load_network(&path)?;
    let dtype = match args.dtype {
        Dtype::F32 => DType::F32,
        Dtype::F16 => DType::F16,
        Dtype::Bf16 => DType::BF16,
    };
    let mut tensors: Vec<(String, Tensor)> = tensors.into_iter().collect();
    tensors.sort_by(|a, b| a.0.cmp(&b.0));
    for (name, tensor) in &mut tensors {
        if name == "conv1.weight" && args.flow_order == FlowOrder::Rotated {
            if network.stream == Stream::Spatial {
                bail!(Usage("--flow-order rotated: this network takes RGB".into()));
            }
            *tensor = rotated(tensor)?;
        }
        *tensor = tensor.to_dtype(dtype)?;
    }
    let exported: HashMap<String, Tensor> = tensors.iter().cloned().collect();
    check_values(&path, &exported).context("--dtype cannot hold the weights; take bf16 or f32")?;
    checkpoint::save_in_order(&args.out, &network, args.flow_order, &tensors)?;
    let Network { arch, classes, stream, .. } = &network;
    let console = Console { json: false };
    console.say(&format!(
        "{}: {arch} for {} ({} classes). In PyTorch:\n",
        args.out.display(),
        stream.records(),
        classes.len()
    ));
    console.say(&format!("    net = torchvision.models.{arch}(num_classes={})", classes.len()));
    if *stream == Stream::Temporal {
        let channels = stream.channels();
        console.say(&format!("    net.conv1 = torch.nn.Conv2d({channels}, 64, 7, stride=2, padding=3, bias=False)"));
    }
    console.say(&format!("    net.load_state_dict(safetensors.torch.load_file({:?}))", args.out.display().to_string()));
    Ok(())
}

/// Takes a network of PyTorch's over.
pub fn import(args: &ImportArgs) -> Result<()> {
    refuse_existing(&args.out, args.overwrite)?;
    let data = Dataset::open(&args.data)?;
    let classes = &data.manifest().classes;
    let imported = match checkpoint::metadata_of(&args.weights) {
        Some(_) => import_own(args, classes)?,
        None => import_foreign(args, classes)?,
    };
    let Imported { network, tensors, notes } = imported;
    checkpoint::save_network(&args.out, &network, &tensors)?;
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
    let (network, tensors) = checkpoint::load_network(&args.weights)?;
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
        name(&view.sampling),
        view.test_samples,
        name(&view.test_crop),
        view.segments,
        name(&view.consensus),
    )
}

fn refuse_existing(path: &Path, overwrite: bool) -> Result<()> {
    if path.exists() && !overwrite {
        bail!(Usage(format!("{} exists; --overwrite replaces it", path.display())));
    }
    Ok(())
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

/// `[out, 20, ..]` for flow in its natural order -> for x2 y2 .. x10 y10 x1 y1.
fn rotated(conv1: &Tensor) -> candle_core::Result<Tensor> {
    let channels = conv1.dim(1)?;
    Tensor::cat(&[conv1.narrow(1, 2, channels - 2)?, conv1.narrow(1, 0, 2)?], 1)
}

/// The way back from [`rotated`].
pub(crate) fn natural_order(conv1: &Tensor) -> candle_core::Result<Tensor> {
    let channels = conv1.dim(1)?;
    Tensor::cat(&[conv1.narrow(1, channels - 2, 2)?, conv1.narrow(1, 0, channels - 2)?], 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rotated_channels_turn_back() {
        let conv1 = Tensor::arange(0_f32, 20., &Device::Cpu).unwrap().reshape((1, 20, 1, 1)).unwrap();
        let values = |tensor: &Tensor| tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let rotated = rotated(&conv1).unwrap();
        let mut expected: Vec<f32> = (2..20).map(|i| i as f32).collect();
        expected.extend([0., 1.]);
        assert_eq!(values(&rotated), expected);
        assert_eq!(values(&natural_order(&rotated).unwrap()), values(&conv1));
    }

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
