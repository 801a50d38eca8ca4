//! Weights from files.

use crate::networks::known;
use crate::values::{error, flat, golden_path, scaled};
use candle_convnet::{Depth, Model, Problem, ResNetConfig, WeightsError, read_weights};
use candle_core::{DType, Device, Tensor};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

const CONFIG: ResNetConfig = ResNetConfig { depth: Depth::R18, in_channels: 3, classes: 10 };

/// A file with the known weights of a ResNet-18 in `dtype`, changed by `change`.
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
fn f32_f16_and_bf16_files_give_the_weights_and_a_fresh_last_layer() {
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
    let model = load(&ResNetConfig { in_channels: 20, ..CONFIG }, &path).unwrap();
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
fn missing_misshapen_and_unknown_tensors_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = file(dir.path(), DType::F32, |tensors| {
        tensors.remove("layer3.1.bn2.bias");
        tensors.insert("bn1.weight".to_owned(), scaled("x", 65, 1., 0.));
        tensors.insert("layer5.conv.weight".to_owned(), scaled("x", 3, 1., 0.));
    });
    let error = load(&CONFIG, &path).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("weights.safetensors: 3 tensors do not fit"), "{text}");
    assert!(text.contains("bn1.weight has shape [65], expected [64]"), "{text}");
    assert!(text.contains("layer3.1.bn2.bias [256] is missing"), "{text}");
    assert!(text.contains("layer5.conv.weight has no place"), "{text}");
    let WeightsError::Mismatch { problems, .. } = error else { panic!("{text}") };
    assert_eq!(
        problems.iter().map(Problem::name).collect::<Vec<_>>(),
        ["bn1.weight", "layer3.1.bn2.bias", "layer5.conv.weight"]
    );
    let text = load(&ResNetConfig { depth: Depth::R34, ..CONFIG }, &path).unwrap_err().to_string();
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
    assert!(other.load_tensors(&more).unwrap_err().to_string().contains("layer1.9.conv1.weight has no place"));
    assert_eq!(flat(&tensor(&other, "conv1.weight")), before);
    other.load_tensors(&all).unwrap();
    for ((name, found), (_, expected)) in other.tensors().iter().zip(model.tensors()) {
        assert_eq!(flat(found), flat(&expected), "{name}");
    }
    // A network's own tensors can be given back to it.
    other.load_tensors(&other.tensors().into_iter().collect()).unwrap();
}

#[test]
fn a_zip_pth_gives_its_nested_weights_without_the_prefix() {
    let weights = read_weights(&golden_path("tiny.pth")).unwrap();
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
fn files_that_hold_no_weights_say_so() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file.pth");
    let says = |content: &[u8], part: &str| {
        std::fs::write(&path, content).unwrap();
        let text = read_weights(&path).unwrap_err().to_string();
        assert!(text.contains(part) && text.contains("file.pth"), "{text}");
    };
    says(&[0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9], "format from before 1.6");
    says(b"<html>not found", "neither a safetensors file nor");
    says(b"", "neither a safetensors file nor");
    // A header that claims 2^60 bytes; a zip cut short.
    says(b"\0\0\0\0\0\0\0\x10{}", "cut short");
    let whole = std::fs::read(golden_path("tiny.pth")).unwrap();
    says(&whole[..whole.len() / 2], "cut short");
    // The system's words come once, as the cause.
    let error = anyhow::Error::from(read_weights(&dir.path().join("absent")).unwrap_err());
    assert!(
        format!("{error:#}").ends_with("absent: cannot read it: No such file or directory (os error 2)"),
        "{error:#}"
    );
}
