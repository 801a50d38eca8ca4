//! `ucftrain export`: writes networks for PyTorch.

use super::network::NetworkArgs;
use crate::base::console::Console;
use crate::base::heading::OUTPUT;
use crate::base::usage::Usage;
use crate::formats::flow_order::{FlowOrder, rotated};
use crate::formats::network::Network;
use crate::formats::network_file;
use crate::stream::Stream;
use crate::view::View;
use anyhow::{Context, Result, bail};
use candle_convnet::{Arch, check_values};
use candle_core::{DType, Tensor};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Number format of exported weights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum WeightType {
    /// 32 bits, as in training
    #[default]
    F32,
    /// 16 bits
    F16,
    /// 16 bits, with the range of f32
    Bf16,
}

/// Arguments of `ucftrain export`.
#[derive(Debug, clap::Args)]
pub struct ExportArgs {
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would show it as help")]
    pub network: NetworkArgs,
    /// File to write
    #[arg(long, value_name = "FILE.safetensors", help_heading = OUTPUT)]
    pub out: PathBuf,
    /// Number format of the weights
    #[arg(long, value_enum, default_value_t, help_heading = OUTPUT)]
    pub dtype: WeightType,
    /// Order of the input channels of a temporal network
    #[arg(long, value_enum, default_value = "natural", help_heading = OUTPUT)]
    pub flow_order: FlowOrder,
    /// Replace an existing file
    #[arg(long, help_heading = OUTPUT)]
    pub overwrite: bool,
}

pub(super) const EXAMPLES: &str = "Examples:
  ucftrain export --run runs/spatial --out spatial.safetensors
  ucftrain export --run runs/temporal --out temporal.safetensors --dtype f16 --flow-order rotated";

/// How to add the temporal shift in PyTorch, which the weights do not contain.
const SHIFT: &str = "
The network shifts channels between the SEGMENTS frames of a clip, which the class of torchvision does not do.
Without the shift, its results are wrong. To add it:

    def shift(layer, inputs):
        x = inputs[0].unflatten(0, (-1, SEGMENTS))
        y, c = x.clone(), x.shape[2] // 8
        y[:, :, :2 * c] = 0
        y[:, :-1, :c], y[:, 1:, c:2 * c] = x[:, 1:, :c], x[:, :-1, c:2 * c]
        return y.flatten(0, 1)
    for block in net.modules():
        if hasattr(block, \"downsample\"):
            block.conv1.register_forward_pre_hook(shift)

The input is then clips, [clips * SEGMENTS, channels, height, width]. Average the logits over the frames of a clip.";

/// Writes a network with the tensor names of torchvision.
pub fn run(args: &ExportArgs) -> Result<()> {
    refuse_existing(&args.out, args.overwrite)?;
    let path = args.network.file()?;
    let (network, tensors) = network_file::load(&path)?;
    let dtype = match args.dtype {
        WeightType::F32 => DType::F32,
        WeightType::F16 => DType::F16,
        WeightType::Bf16 => DType::BF16,
    };
    let arch: Arch = network.arch.parse()?;
    let mut tensors: Vec<(String, Tensor)> = tensors.into_iter().collect();
    tensors.sort_by(|a, b| a.0.cmp(&b.0));
    for (name, tensor) in &mut tensors {
        if name == arch.first_weights() && args.flow_order == FlowOrder::Rotated {
            if network.stream != Stream::Temporal {
                let stream = network.stream;
                bail!(Usage(format!(
                    "--flow-order rotated needs a temporal network, but this one is {stream}; remove the option"
                )));
            }
            *tensor = rotated(tensor)?;
        }
        *tensor = tensor.to_dtype(dtype)?;
    }
    let exported: HashMap<String, Tensor> = tensors.iter().cloned().collect();
    check_values(&path, &exported).context("the weights are too large for --dtype f16; use bf16 or f32")?;
    network_file::save_in_order(&args.out, &network, args.flow_order, &tensors)?;
    let Network { classes, stream, .. } = &network;
    let console = Console::new(false);
    console.say(&format!(
        "wrote {}: {arch} for {}, {} classes. To load it in PyTorch:\n",
        args.out.display(),
        stream.records(),
        classes.len()
    ));
    console.say(&format!("    net = torchvision.models.{arch}(num_classes={})", classes.len()));
    if *stream != Stream::Spatial {
        let channels = network.view().channels(*stream);
        let first = match arch {
            Arch::MobileNetV3Small => {
                format!("features[0][0] = torch.nn.Conv2d({channels}, 16, 3, stride=2, padding=1, bias=False)")
            }
            _ => format!("conv1 = torch.nn.Conv2d({channels}, 64, 7, stride=2, padding=3, bias=False)"),
        };
        console.say(&format!("    net.{first}"));
    }
    console.say(&format!("    net.load_state_dict(safetensors.torch.load_file({:?}))", args.out.display().to_string()));
    if *stream == Stream::Difference {
        console.say(
            "\nThe input has the differences of successive frames, oldest first. Each frame is normalised as for \
             ImageNet, and subtracted from the next one.",
        );
    }
    let View { temporal_shift, segments, .. } = network.view();
    if temporal_shift {
        console.say(&SHIFT.replace("SEGMENTS", &segments.to_string()));
    }
    Ok(())
}

/// Refuses to write to an existing file, unless `overwrite` is set.
pub(super) fn refuse_existing(path: &Path, overwrite: bool) -> Result<()> {
    if path.exists() && !overwrite {
        bail!(Usage(format!("{}: the file exists; add --overwrite to replace it", path.display())));
    }
    Ok(())
}
