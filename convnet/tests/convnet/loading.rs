//! Weights from files.

use crate::networks::known;
use crate::values::{error, flat, golden_path, scaled};
use candle_convnet::{Depth, Model, Problem, ResNetConfig, WeightsError, find_weights, read_weights};
use candle_core::{DType, Device, Tensor};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

const CONFIG: ResNetConfig = ResNetConfig::new(Depth::R18, 3, 10);

/// Writes a file with the known weights of a ResNet-18 as `dtype`, after `change`.
fn file(dir: &Path, dtype: DType, change: impl Fn(&mut HashMap<String, Tensor>)) -> PathBuf {
    let path = dir.join("weights.safetensors");
    let mut tensors: HashMap<String, Tensor> =
        known(Depth::R18, 3).tensors().into_iter().map(|(name, t)| (name, t.to_dtype(dtype).unwrap())).collect();
    change(&mut tensors);
    candle_core::safetensors::save(&tensors, &path).unwrap();
    path
}

fn load(config: &ResNetConfig, path: &Path) -> Result<Model, WeightsError> {
    Model::from_pretrained(config, path, 5, &Device::Cpu)
}

fn tensor(model: &Model, name: &str) -> Tensor {
    model.tensors().into_iter().find(|(n, _)| n == name).unwrap().1
}

#[test]
fn f32_f16_and_bf16_files_give_the_weights_and_a_new_last_layer() {
    let dir = tempfile::tempdir().unwrap();
    let reference = known(Depth::R18, 3);
    for (dtype, tolerance) in [(DType::F32, 0.), (DType::F16, 5e-4), (DType::BF16, 4e-3)] {
        let model = load(&CONFIG, &file(dir.path(), dtype, |_| {})).unwrap();
        for ((name, found), (_, expected)) in model.tensors().iter().zip(reference.tensors()) {
            assert_eq!(found.dtype(), DType::F32);
            let error = error(&flat(found), &flat(&expected));
            assert_eq!(error <= tolerance, !name.starts_with("fc."), "{name} from {dtype:?}: {error}");
        }
        let seeded = Model::random(&CONFIG, 5, &Device::Cpu).unwrap();
        assert_eq!(flat(&tensor(&model, "fc.weight")), flat(&tensor(&seeded, "fc.weight")));
    }
}

#[test]
fn the_file_needs_no_last_layer_and_may_count_batches() {
    let dir = tempfile::tempdir().unwrap();
    let path = file(dir.path(), DType::F32, |tensors| {
        tensors.retain(|name, _| !name.starts_with("fc."));
        tensors.insert("bn1.num_batches_tracked".to_owned(), Tensor::new(7i64, &Device::Cpu).unwrap());
    });
    load(&CONFIG, &path).unwrap();
}

#[test]
fn twenty_channels_get_the_mean_over_rgb() {
    let dir = tempfile::tempdir().unwrap();
    let path = file(dir.path(), DType::F32, |_| {});
    let model = load(&ResNetConfig::new(Depth::R18, 20, 10), &path).unwrap();
    let conv1 = tensor(&model, "conv1.weight");
    assert_eq!(conv1.dims(), [64, 20, 7, 7]);
    let rgb = tensor(&known(Depth::R18, 3), "conv1.weight");
    let mean = ((rgb.narrow(1, 0, 1).unwrap() + rgb.narrow(1, 1, 1).unwrap()).unwrap() + rgb.narrow(1, 2, 1).unwrap())
        .unwrap();
    let mean = flat(&(mean / 3.).unwrap());
    for channel in 0..20 {
        assert!(error(&flat(&conv1.narrow(1, channel, 1).unwrap()), &mean) < 1e-6);
    }
}

#[test]
fn the_error_names_missing_misshapen_and_unknown_tensors() {
    let dir = tempfile::tempdir().unwrap();
    let path = file(dir.path(), DType::F32, |tensors| {
        tensors.remove("layer3.1.bn2.bias");
        tensors.insert("bn1.weight".to_owned(), scaled("x", 65, 1., 0.));
        tensors.insert("layer5.conv.weight".to_owned(), scaled("x", 3, 1., 0.));
    });
    let error = load(&CONFIG, &path).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("weights.safetensors: 3 tensors do not match the network"), "{text}");
    assert!(text.contains("bn1.weight has shape [65], but needs [64]"), "{text}");
    assert!(text.contains("layer3.1.bn2.bias [256] is missing"), "{text}");
    assert!(text.contains("layer5.conv.weight is not part of the network"), "{text}");
    let WeightsError::Mismatch { problems, .. } = error else { panic!("{text}") };
    assert_eq!(
        problems.iter().map(Problem::name).collect::<Vec<_>>(),
        ["bn1.weight", "layer3.1.bn2.bias", "layer5.conv.weight"]
    );
    let text = load(&ResNetConfig::new(Depth::R34, 3, 10), &path).unwrap_err().to_string();
    assert!(text.contains("; and ") && text.contains(" more"), "{text}");
}

#[test]
fn loading_tensors_is_exact_or_changes_nothing() {
    let model = known(Depth::R18, 3);
    let all: HashMap<String, Tensor> = model.tensors().into_iter().map(|(name, t)| (name, t.copy().unwrap())).collect();
    let other = Model::random(&CONFIG, 9, &Device::Cpu).unwrap();
    let before = flat(&tensor(&other, "conv1.weight"));
    let mut fewer = all.clone();
    fewer.remove("fc.bias");
    fewer.insert("bn1.bias".to_owned(), scaled("x", (8, 8), 1., 0.));
    let text = other.load_tensors(&fewer).unwrap_err().to_string();
    assert!(text.contains("fc.bias [10] is missing") && text.contains("bn1.bias has shape [8, 8]"), "{text}");
    let mut more = all.clone();
    more.insert("layer1.9.conv1.weight".to_owned(), scaled("x", 3, 1., 0.));
    assert!(
        other.load_tensors(&more).unwrap_err().to_string().contains("layer1.9.conv1.weight is not part of the network")
    );
    assert_eq!(flat(&tensor(&other, "conv1.weight")), before);
    other.load_tensors(&all).unwrap();
    for ((name, found), (_, expected)) in other.tensors().iter().zip(model.tensors()) {
        assert_eq!(flat(found), flat(&expected), "{name}");
    }
    // The tensors of a network can be loaded into the same network.
    other.load_tensors(&other.tensors().into_iter().collect()).unwrap();
}

#[test]
fn a_zip_pth_gives_its_nested_weights_without_the_prefix() {
    let weights = read_weights(golden_path("tiny.pth")).unwrap();
    let mut names: Vec<&str> = weights.keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["brain", "half", "single"]);
    for (name, dims, tolerance) in [("half", vec![2, 3], 5e-4), ("brain", vec![4], 4e-3), ("single", vec![2, 2, 1], 0.)]
    {
        assert_eq!(weights[name].dims(), dims);
        let expected = scaled(&format!("tiny/{name}"), dims, 1., 0.);
        assert!(error(&flat(&weights[name]), &flat(&expected)) <= tolerance, "{name}");
    }
}

#[test]
fn files_without_weights_give_a_clear_error() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file.pth");
    let says = |content: &[u8], part: &str| {
        std::fs::write(&path, content).unwrap();
        let text = read_weights(&path).unwrap_err().to_string();
        assert!(text.contains(part) && text.contains("file.pth"), "{text}");
    };
    // Only the magic number of files from before PyTorch 1.6.
    says(
        &[0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, b'.'],
        "damaged or incomplete",
    );
    says(b"<html>not found", "neither a safetensors file nor");
    says(b"", "neither a safetensors file nor");
    // A header with a length of 2^60 bytes, and a truncated zip file.
    says(b"\0\0\0\0\0\0\0\x10{}", "damaged or incomplete");
    let whole = std::fs::read(golden_path("tiny.pth")).unwrap();
    says(&whole[..whole.len() / 2], "damaged or incomplete");
    // The error of the system appears once, as the cause.
    let error = anyhow::Error::from(read_weights(dir.path().join("absent")).unwrap_err());
    assert!(
        format!("{error:#}").ends_with("absent: cannot read the file: No such file or directory (os error 2)"),
        "{error:#}"
    );
}

/// Writes a file whose names have a prefix and another last layer.
fn prefixed(dir: &Path, prefix: &str, head: &str) -> PathBuf {
    file(dir, DType::F32, |tensors| {
        *tensors = std::mem::take(tensors)
            .into_iter()
            .map(|(name, tensor)| match name.strip_prefix("fc.") {
                Some(rest) => (format!("{head}{rest}"), tensor),
                None => (format!("{prefix}{name}"), tensor),
            })
            .collect();
    })
}

#[test]
fn prefixes_and_names_of_other_programs_give_the_same_weights() {
    let dir = tempfile::tempdir().unwrap();
    let reference = flat(&tensor(&known(Depth::R18, 3), "layer2.0.downsample.1.running_var"));
    let prefixes = [
        ("module.", "module.fc."),
        ("_orig_mod.", "_orig_mod.fc."),
        ("model.", "model.fc."),
        ("module._orig_mod.model.", "module._orig_mod.model.fc."),
        ("base_model.", "new_fc."),
        ("module.base_model.", "module.new_fc."),
        ("backbone.", "cls_head.fc_cls."),
        ("net.", "head."),
        ("encoder.", "fc."),
        ("some.thing.", "some.fc."),
    ];
    for (prefix, head) in prefixes {
        let model =
            load(&CONFIG, &prefixed(dir.path(), prefix, head)).unwrap_or_else(|error| panic!("{prefix}: {error}"));
        assert_eq!(flat(&tensor(&model, "layer2.0.downsample.1.running_var")), reference, "{prefix}");
    }
    // In mmaction2, batch norms are parts of their convolutions.
    let mm = |name: &str| {
        let name = name.replace("downsample.0.", "downsample.conv.").replace("downsample.1.", "downsample.bn.");
        let parts: Vec<String> = name
            .split('.')
            .map(|part| match part.strip_prefix("bn") {
                Some(n) if !n.is_empty() => format!("conv{n}.bn"),
                _ if part.starts_with("conv") && part != "conv" => format!("{part}.conv"),
                _ => part.to_owned(),
            })
            .collect();
        format!("backbone.{}", parts.join("."))
    };
    assert_eq!(mm("layer1.0.bn2.running_var"), "backbone.layer1.0.conv2.bn.running_var");
    assert_eq!(mm("conv1.weight"), "backbone.conv1.conv.weight");
    let path = file(dir.path(), DType::F32, |tensors| {
        *tensors = std::mem::take(tensors).into_iter().map(|(name, tensor)| (mm(&name), tensor)).collect();
        for parameter in ["weight", "bias"] {
            let fc = tensors.remove(&format!("backbone.fc.{parameter}")).unwrap();
            tensors.insert(format!("cls_head.fc_cls.{parameter}"), fc);
        }
    });
    let model = load(&CONFIG, &path).unwrap();
    assert_eq!(flat(&tensor(&model, "layer2.0.downsample.1.running_var")), reference);
}

#[test]
fn the_error_names_unknown_and_repeated_prefixes() {
    let dir = tempfile::tempdir().unwrap();
    let path = file(dir.path(), DType::F32, |tensors| {
        let all = std::mem::take(tensors);
        for prefix in ["encoder_q.", "encoder_k."] {
            tensors.extend(all.iter().map(|(name, tensor)| (format!("{prefix}{name}"), tensor.clone())));
        }
    });
    let text = load(&CONFIG, &path).unwrap_err().to_string();
    assert!(text.contains("Unknown names begin with encoder_k., encoder_q."), "{text}");
    let path = file(dir.path(), DType::F32, |tensors| {
        tensors.insert("module.bn1.bias".to_owned(), scaled("x", 64, 1., 0.));
    });
    let text = load(&CONFIG, &path).unwrap_err().to_string();
    assert!(text.contains("bn1.bias occurs twice, under different names"), "{text}");
}

#[test]
fn the_error_names_a_tensor_with_nan_infinity_or_negative_variance() {
    let dir = tempfile::tempdir().unwrap();
    let fault = |name: &str, value: f32| {
        let path = file(dir.path(), DType::F32, |tensors| {
            let shape = tensors[name].shape().clone();
            let mut values: Vec<f32> = tensors[name].flatten_all().unwrap().to_vec1().unwrap();
            *values.last_mut().unwrap() = value;
            tensors.insert(name.to_owned(), Tensor::from_vec(values, shape, &Device::Cpu).unwrap());
        });
        load(&CONFIG, &path).map_or_else(|error| error.to_string(), |_| String::new())
    };
    for (name, value) in [
        ("layer1.0.conv1.weight", f32::NAN),
        ("conv1.weight", f32::INFINITY),
        ("bn1.bias", f32::NEG_INFINITY),
        ("bn1.running_var", -1.0),
    ] {
        let text = fault(name, value);
        assert!(text.contains(&format!("weights.safetensors: tensor {name} contains {value};")), "{text}");
    }
    assert_eq!(fault("bn1.running_mean", -1.0), "");
    assert_eq!(fault("fc.bias", f32::NAN), "", "the last layer does not come from the file");
}

/// Returns the bytes of a safetensors file.
fn safetensors(header: &str, data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), data].concat()
}

#[test]
fn booleans_and_integers_in_safetensors_are_skipped() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("w.safetensors");
    let header = r#"{"mask":{"dtype":"BOOL","shape":[2],"data_offsets":[0,2]},
        "steps":{"dtype":"I64","shape":[],"data_offsets":[2,10]},
        "w":{"dtype":"F32","shape":[1],"data_offsets":[10,14]}}"#;
    let mut data = vec![0; 10];
    data.extend(1.5_f32.to_le_bytes());
    let whole = safetensors(header, &data);
    std::fs::write(&path, &whole).unwrap();
    let weights = read_weights(&path).unwrap();
    assert_eq!(weights.len(), 1);
    assert_eq!(flat(&weights["w"]), [1.5]);
    std::fs::write(&path, &whole[..whole.len() - 1]).unwrap();
    let text = read_weights(&path).unwrap_err().to_string();
    assert!(text.contains("the file is damaged or incomplete"), "{text}");
    // If a shape overflows or does not fit its bytes, the header is wrong, and downloading again
    // would not help.
    for shape in ["[4294967296,4294967296]", "[2]"] {
        let header = format!(r#"{{"w":{{"dtype":"F32","shape":{shape},"data_offsets":[0,4]}}}}"#);
        std::fs::write(&path, safetensors(&header, &[0; 4])).unwrap();
        let text = read_weights(&path).unwrap_err().to_string();
        assert!(text.contains("the safetensors header is invalid"), "{text}");
    }
}

#[test]
fn the_key_of_nested_weights_is_returned() {
    assert_eq!(find_weights(golden_path("tiny.pth")).unwrap().1, "state_dict");
}

#[cfg(unix)]
#[test]
fn pipes_and_devices_are_not_read() {
    for (path, kind) in [("/dev/zero", "a device"), ("/tmp", "a folder")] {
        let error = anyhow::Error::from(read_weights(Path::new(path)).unwrap_err());
        assert!(format!("{error:#}").contains(&format!("it is {kind}, not a regular file")), "{error:#}");
    }
}
