//! `ucftrain export` and `ucftrain import`: networks for PyTorch and from it.

use crate::checkpoint::{self, Network};
use crate::console::{Console, quoted};
use crate::settings::Given;
use crate::stream::Stream;
use crate::trained::NetworkArgs;
use crate::usage::Usage;
use crate::weights;
use anyhow::{Context, Result, anyhow, bail};
use candle_convnet::{Depth, Model, ResNetConfig};
use candle_core::{DType, Device, Tensor};
use clipshard::Dataset;
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
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
    /// The stream that it reads
    #[arg(long)]
    pub stream: Stream,
    /// Packed data set whose classes it knows, in this order
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// File to write, for eval and predict --checkpoint
    #[arg(long, value_name = "FILE.safetensors")]
    pub out: PathBuf,
    /// Split that it was trained on
    #[arg(long, value_name = "N", default_value = "1")]
    pub split: String,
    /// Side of its input in pixels
    #[arg(long, value_name = "N", default_value_t = 224, value_parser = clap::value_parser!(u16).range(32..=1024))]
    pub input_size: u16,
    /// Order of the flow channels that it takes [default: rotated if it has the reference code's names, else natural]
    #[arg(long, value_enum)]
    pub flow_order: Option<FlowOrder>,
    /// Replace the file if it is there
    #[arg(long)]
    pub overwrite: bool,
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
    checkpoint::save_network(&args.out, &network, &tensors)?;
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
    let shown = args.weights.display();
    let data = Dataset::open(&args.data)?;
    let classes = data.manifest().classes.clone();
    let (tensors, is_reference) = natural_names(weights::read(&args.weights)?);
    let depth = depth_of(&tensors)
        .ok_or_else(|| anyhow!("{shown}: not a ResNet-18, 34, 50, 101 or 152 with torchvision's names"))?;
    let knows = tensors.get("fc.weight").and_then(|fc| fc.dims().first().copied());
    if knows != Some(classes.len()) {
        let knows = knows.map_or("has no last layer".to_owned(), |n| format!("knows {n} classes"));
        bail!("{shown}: the network {knows}, {} has {}", args.data.display(), classes.len());
    }
    let config = ResNetConfig { depth, in_channels: args.stream.channels(), classes: classes.len() };
    let model = Model::random(&config, 0, &Device::Cpu)?;
    model.load_tensors(&tensors).with_context(|| shown.to_string())?;
    let order = args.flow_order.unwrap_or(if is_reference { FlowOrder::Rotated } else { FlowOrder::Natural });
    let mut tensors = model.tensors();
    let is_turned = args.stream == Stream::Temporal && order == FlowOrder::Rotated;
    if is_turned {
        for (_, conv1) in tensors.iter_mut().filter(|(name, _)| name == "conv1.weight") {
            *conv1 = turned_back(conv1)?;
        }
    }
    // A view that the network saw clips by is not in the file: the seed recipe's is taken.
    let settings = Given { arch: Some(depth.to_string()), data: Some(args.data.clone()), ..Given::default() };
    let view = settings.complete(args.stream, true)?.view;
    let network = Network {
        stream: args.stream,
        arch: depth.to_string(),
        classes,
        input_size: args.input_size.into(),
        split: args.split.clone(),
        view: Some(view),
    };
    checkpoint::save_network(&args.out, &network, &tensors)?;
    let order = if is_turned { ", its flow channels turned into their natural order" } else { "" };
    let console = Console { json: false };
    console.say(&format!("{}: {depth} of {shown}{order}", args.out.display()));
    let (out, data) = (quoted(&args.out), quoted(&args.data));
    console.say(&format!("how good it is: ucftrain eval --checkpoint {out} --data {data}"));
    Ok(())
}

fn refuse_existing(path: &Path, overwrite: bool) -> Result<()> {
    if path.exists() && !overwrite {
        bail!(Usage(format!("{} exists; --overwrite replaces it", path.display())));
    }
    Ok(())
}

/// torchvision's names for those of the reference code (jeffreyyihuang/two-stream-action-recognition), and whether these were there.
fn natural_names(tensors: HashMap<String, Tensor>) -> (HashMap<String, Tensor>, bool) {
    let is_reference = tensors.contains_key("conv1_custom.weight");
    let name = |name: String| match name.split_once("_custom.") {
        Some((layer @ ("conv1" | "fc"), rest)) => format!("{layer}.{rest}"),
        _ => name,
    };
    (tensors.into_iter().map(|(old, tensor)| (name(old), tensor)).collect(), is_reference)
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
fn turned_back(conv1: &Tensor) -> candle_core::Result<Tensor> {
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
        assert_eq!(values(&turned_back(&rotated).unwrap()), values(&conv1));
    }

    #[test]
    fn depths_are_told_by_their_blocks() {
        for depth in Depth::ALL {
            let config = ResNetConfig { depth: Depth::R18, in_channels: 3, classes: 2 };
            let config = ResNetConfig { depth, ..config };
            let tensors = Model::random(&config, 0, &Device::Cpu).unwrap().tensors().into_iter().collect();
            assert_eq!(depth_of(&tensors), Some(depth));
        }
        assert_eq!(depth_of(&HashMap::new()), None);
    }
}
