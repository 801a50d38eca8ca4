//! A synthetic file that `--weights imagenet` accepts.

/// Name of torchvision's file with the weights of a ResNet-18.
pub const RESNET18: &str = "resnet18-f37072fd.pth";

/// The last bytes of the file. They were searched so that its SHA-256 starts like the one in
/// [`RESNET18`].
const LAST: u64 = 0x010f_00e7_f433;

/// Returns a safetensors file with the tensors of torchvision's ResNet-18. All values are 0, except for
/// the last two of the bias of `fc`. Its SHA-256 starts with the digits in [`RESNET18`].
pub fn resnet18() -> Vec<u8> {
    let mut end = 0;
    let entry = |(name, shape): (String, Vec<usize>)| {
        let start = end;
        end += 4 * shape.iter().product::<usize>();
        format!(r#""{name}":{{"dtype":"F32","shape":{shape:?},"data_offsets":[{start},{end}]}}"#)
    };
    let entries: Vec<String> = tensors().into_iter().map(entry).collect();
    let header = format!("{{{}}}", entries.join(","));
    let length = header.len().next_multiple_of(64);
    let mut bytes = (length as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(format!("{header:length$}").as_bytes());
    bytes.resize(bytes.len() + end - 8, 0);
    bytes.extend_from_slice(&LAST.to_le_bytes());
    bytes
}

/// Returns the names and shapes of the tensors of a ResNet-18 with 1000 classes.
fn tensors() -> Vec<(String, Vec<usize>)> {
    let mut tensors = Vec::new();
    let mut convolution = |conv: String, norm: String, shape: [usize; 4]| {
        tensors.push((format!("{conv}.weight"), shape.to_vec()));
        for part in ["weight", "bias", "running_mean", "running_var"] {
            tensors.push((format!("{norm}.{part}"), vec![shape[0]]));
        }
    };
    convolution("conv1".into(), "bn1".into(), [64, 3, 7, 7]);
    let mut channels = 64;
    for layer in 1..=4 {
        let width = 32 << layer;
        for block in 0..2 {
            let name = format!("layer{layer}.{block}");
            convolution(format!("{name}.conv1"), format!("{name}.bn1"), [width, channels, 3, 3]);
            convolution(format!("{name}.conv2"), format!("{name}.bn2"), [width, width, 3, 3]);
            if channels != width {
                convolution(format!("{name}.downsample.0"), format!("{name}.downsample.1"), [width, channels, 1, 1]);
            }
            channels = width;
        }
    }
    tensors.push(("fc.weight".into(), vec![1000, 512]));
    tensors.push(("fc.bias".into(), vec![1000]));
    tensors
}
