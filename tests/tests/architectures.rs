//! Tests of `MobileNetV3` in the trainer, from training to PyTorch and back, and of bf16 on the CPU.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use candle_core::Device;
use std::path::Path;
use tempfile::TempDir;
use whole_program_tests::{Done, args, run};

/// Returns a folder with a packed dataset `packed` of 2 classes.
fn dataset() -> TempDir {
    let temp = tempfile::tempdir().unwrap();
    run("ucfpack", &args(temp.path(), "synth --out {}/tree --classes 2 --clips 6 --size 44x36 --seed 5")).ok();
    let build = "build --tree {}/tree --lists {}/tree/lists --out {}/packed --flow-size 32";
    run("ucfpack", &args(temp.path(), build)).ok();
    temp
}

fn ucftrain(dir: &Path, line: &str) -> Done {
    run("ucftrain", &args(dir, line))
}

const SETTINGS: &str = "--arch mobilenet_v3_small --weights none --input-size 32 --batch-size 4 --lr 0.01 --threads 2";

#[test]
fn mobilenet_trains_resumes_evaluates_and_goes_to_pytorch_and_back() {
    let temp = dataset();
    let dir = temp.path();
    let told = |line: &str| ucftrain(dir, line).ok();
    let more = "--dropout 0.2 --precise-bn 20 --label-smoothing 0.1";
    let train = |run: &str, epochs: usize, more: &str| {
        told(&format!("temporal --data {{}}/packed --run {{}}/{run} --epochs {epochs} {more}"));
        std::fs::read(dir.join(run).join("best.safetensors")).unwrap()
    };
    let whole = train("whole", 2, &format!("{SETTINGS} {more}"));
    train("parts", 1, &format!("{SETTINGS} {more}"));
    // An epoch more continues the run, and repeating it gives the same bytes.
    let resumed = train("parts", 2, "--resume");
    assert_eq!(whole, train("again", 2, &format!("{SETTINGS} {more}")));
    assert_eq!(resumed.len(), whole.len());

    let tested = |from: &str| ucftrain(dir, &format!("eval {from} --data {{}}/packed --json")).json().to_string();
    let expected = tested("--run {}/whole");
    let text = told("export --run {}/whole --out {}/net.safetensors --flow-order rotated");
    for line in [
        "net = torchvision.models.mobilenet_v3_small(num_classes=2)",
        "net.features[0][0] = torch.nn.Conv2d(20, 16, 3, stride=2, padding=1, bias=False)",
    ] {
        assert!(text.contains(line), "{text}");
    }
    assert_eq!(tested("--checkpoint {}/net.safetensors"), expected);
    told("import {}/net.safetensors --data {}/packed --out {}/back.safetensors");
    assert_eq!(tested("--checkpoint {}/back.safetensors"), expected);

    // As a file of PyTorch, without a description: the names tell the network.
    let tensors = candle_core::safetensors::load(dir.join("back.safetensors"), &Device::Cpu).unwrap();
    candle_core::safetensors::save(&tensors, dir.join("foreign.safetensors")).unwrap();
    let text = told(
        "import {}/foreign.safetensors --data {}/packed --stream temporal --input-size 32 --out {}/own.safetensors",
    );
    assert!(text.contains("mobilenet_v3_small from"), "{text}");
    assert_eq!(tested("--checkpoint {}/own.safetensors"), expected);
    // And as weights to start from.
    let settings = SETTINGS.replace("--weights none", "--weights {}/foreign.safetensors");
    told(&format!("temporal --data {{}}/packed --run {{}}/tuned --epochs 1 {settings}"));
}

#[test]
fn options_that_mobilenet_does_not_support_are_refused() {
    let temp = dataset();
    let line = format!("spatial --data {{}}/packed --dry-run {SETTINGS}");
    for (options, option) in [
        ("--stochastic-depth 0.1", "--stochastic-depth"),
        ("--temporal-shift --sampling segments --segments 3 --test-samples 6", "--temporal-shift"),
    ] {
        let error = ucftrain(temp.path(), &format!("{line} {options}")).error(2);
        let expected =
            format!("{option} works with a ResNet only, but --arch is mobilenet_v3_small; remove one of them");
        assert!(error.contains(&expected), "{error}");
    }
    let error = ucftrain(temp.path(), "spatial --data {}/packed --dry-run --arch resnet20").error(2);
    assert!(error.contains("unknown network \"resnet20\"; expected resnet18, resnet34"), "{error}");
}

#[test]
fn a_training_in_bf16_on_the_cpu_repeats_its_bits_and_resembles_f32() {
    let temp = dataset();
    let dir = temp.path();
    // With batch norms over so few values, a random network amplifies the rounding of bf16.
    let settings = "--weights none --input-size 32 --batch-size 8 --lr 1e-4 --threads 2 --device cpu --epochs 2";
    let train = |run: &str, precision: &str| {
        ucftrain(dir, &format!("spatial --data {{}}/packed --run {{}}/{run} {settings} --precision {precision}")).ok();
        let log = std::fs::read_to_string(dir.join(run).join("train.csv")).unwrap();
        let column = log.lines().next().unwrap().split(',').position(|name| name == "Loss").unwrap();
        let losses = log.lines().skip(1).map(|line| line.split(',').nth(column).unwrap().parse().unwrap());
        (std::fs::read(dir.join(run).join("best.safetensors")).unwrap(), losses.collect::<Vec<f64>>())
    };
    let (half, again, single) = (train("half", "bf16"), train("again", "bf16"), train("single", "f32"));
    assert!(half == again, "two runs differ");
    assert!(half.0 != single.0);
    for (half, single) in half.1.iter().zip(&single.1) {
        assert!((half - single).abs() < 0.2 * single, "{half} and {single}");
    }
    // A checkpoint keeps its precision.
    let error = ucftrain(dir, "spatial --run {}/half --resume --epochs 3 --precision f32").error(2);
    assert!(error.contains("cannot resume: --precision is f32, but the run used bf16"), "{error}");
    ucftrain(dir, "spatial --run {}/half --resume --epochs 3").ok();
}
