//! Tests with files that PyTorch wrote (`scripts/make_weight_goldens.py`).

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use inert_pickle::{NamedTensor, PickleError, Tensors, read_tensors};
use std::path::Path;

fn golden(name: &str) -> Vec<u8> {
    std::fs::read(Path::new("tests/goldens").join(name)).expect(name)
}

/// Asserts which tensors a file contains, and under which keys.
#[track_caller]
fn assert_holds(name: &str, tensors: &[NamedTensor], path: &str) {
    let found = read(name);
    assert_eq!((found.tensors.as_slice(), found.path.as_str()), (tensors, path), "{name}");
}

fn read(name: &str) -> Tensors {
    read_tensors(&golden(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn tensor(name: &str, shape: &[usize], values: impl IntoIterator<Item = f32>) -> NamedTensor {
    NamedTensor::new(name, shape.to_vec(), values.into_iter().collect())
}

/// Returns the floating-point tensors of `tiny()` in the script.
fn tiny() -> Vec<NamedTensor> {
    let ramp = || (0..24).map(|value| value as f32);
    vec![
        tensor("conv1.weight", &[3, 2, 2, 2], ramp()),
        tensor("turned", &[6, 4], (0..24).map(|i| (i % 4 * 6 + i / 4) as f32)),
        tensor("middle", &[3], [10.0, 11.0, 12.0]),
        tensor("spread", &[2, 3], [2.5; 6]),
        tensor("bn1.weight", &[3], [0.5, -2.0, 65504.0]),
        tensor("bn1.bias", &[3], [1.0, -3.0, f32::from_bits(0x714a_0000)]),
        tensor("bn1.running_mean", &[3], [0.5, -0.0, 3.0]),
        tensor("bn1.running_var", &[3], [1.0, 2.0, 3.0]),
        tensor("scalar", &[], [0.25]),
        tensor("empty", &[0, 3], []),
    ]
}

#[test]
fn checkpoints_of_both_formats_are_read_in_each_protocol() {
    for format in ["zip", "legacy"] {
        for protocol in 2..=5 {
            let name = format!("{format}-protocol{protocol}.pth");
            let found = read(&name);
            assert_eq!((found.path.as_str(), found.tensors), ("state_dict", tiny()), "{name}");
        }
    }
    let found = read("deflated.pth");
    assert_eq!(found.tensors, tiny());
}

#[test]
fn a_pickled_module_gives_its_state_dictionary() {
    let tensors = |prefix: &str| {
        let name = |name: &str| format!("{prefix}{name}");
        vec![
            tensor(&name("kept"), &[2], [4.0, 5.0]),
            tensor(&name("conv1.weight"), &[3, 2, 2, 2], (0..24).map(|value| value as f32)),
            tensor(&name("bn1.weight"), &[3], [1.0; 3]),
            tensor(&name("bn1.bias"), &[3], [0.0; 3]),
            tensor(&name("bn1.running_mean"), &[3], [0.0; 3]),
            tensor(&name("bn1.running_var"), &[3], [1.0; 3]),
            tensor(&name("layer1.0.weight"), &[2, 2], [1.0, 2.0, 3.0, 4.0]),
            tensor(&name("layer1.0.bias"), &[2], [5.0, 6.0]),
        ]
    };
    for protocol in [2, 4, 5] {
        let name = format!("module-zip-protocol{protocol}.pth");
        assert_holds(&name, &tensors(""), "");
    }
    for protocol in [2, 4] {
        let name = format!("module-legacy-protocol{protocol}.pth");
        assert_holds(&name, &tensors("module."), "");
    }
    assert_holds("module-below.pth", &tensors(""), "model");
}

#[test]
fn weights_are_found_under_each_usual_key_and_under_any_other() {
    let weight = || vec![tensor("weight", &[2], [1.0, 2.0])];
    for key in ["model", "model_state", "model_state_dict", "net", "network", "module", "my_weights"] {
        assert_holds(&format!("key-{key}.pth"), &weight(), key);
    }
    assert_holds("keys-below.pth", &weight(), "run.model.state_dict");
    for name in ["defaultdict.pth", "subclass.pth", "no-checksums.pth"] {
        assert_holds(name, &weight(), "");
    }
    assert_eq!(read("big-endian.pth").tensors, weight());
    assert_eq!(read("arrays.pth").tensors, [tensor("weight", &[2, 1], [1.0, 2.0])]);
}

#[test]
fn a_torchscript_archive_has_its_own_error() {
    let error = read_tensors(&golden("script.pt")).unwrap_err();
    assert_eq!(error, PickleError::Script);
    assert!(error.to_string().contains("torch.jit.load(path).state_dict()") && !error.is_damage(), "{error}");
}

#[test]
fn the_error_of_a_file_without_tensors_describes_its_content() {
    let error = read_tensors(b"\x80\x02}(X\x05\x00\x00\x00epochK\x03X\x03\x00\x00\x00lr\x1bK\x01u.").unwrap_err();
    assert!(error.to_string().starts_with("the file is a dictionary with epoch, lr\\u{1b};"), "{error}");
    assert!(!error.is_damage());
    let error = read_tensors(b"<html>").unwrap_err();
    assert_eq!(error, PickleError::Format);
}

#[test]
fn a_negated_view_is_refused_and_not_read_with_the_wrong_sign() {
    let error = read_tensors(&golden("negated.pth")).unwrap_err().to_string();
    assert!(error.contains("a negated or conjugated view; save it after resolve_neg()"), "{error}");
}
