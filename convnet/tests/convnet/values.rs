//! Numbers that `scripts/make_goldens.py` can reproduce, and measures of errors.

use candle_convnet::Model;
use candle_core::{Device, Shape, Tensor, Var};
use std::collections::HashMap;
use std::path::PathBuf;

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Returns numbers in [-1, 1) that depend on a name: `SplitMix64` of the FNV-1a hash of the name,
/// and the index.
pub fn values(name: &str, count: usize) -> impl Iterator<Item = f64> + use<> {
    let key = name
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |key, byte| (key ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    (1..=count as u64).map(move |i| {
        let bits = mix(i.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(key)) >> 11;
        bits as f64 / (1u64 << 52) as f64 - 1.
    })
}

pub fn scaled(name: &str, shape: impl Into<Shape>, scale: f64, offset: f64) -> Tensor {
    let shape = shape.into();
    let data: Vec<f32> = values(name, shape.elem_count()).map(|v| (v * scale + offset) as f32).collect();
    Tensor::from_vec(data, shape, &Device::Cpu).unwrap()
}

pub fn tensor(name: &str, shape: impl Into<Shape>) -> Tensor {
    scaled(name, shape, 1., 0.)
}

/// Sets all variables to the values of `known` in `make_goldens.py`. Names begin with `prefix` there.
pub fn known<N>(model: &Model<N>, prefix: &str) {
    let tensors: HashMap<String, Tensor> = model.tensors().into_iter().collect();
    let value = |(name, tensor): (&String, &Tensor)| {
        let dims = tensor.dims();
        let (layer, kind) = name.rsplit_once('.').unwrap();
        let (scale, offset) = match kind {
            _ if dims.len() > 1 => ((6. / dims[1..].iter().product::<usize>() as f64).sqrt(), 0.),
            "weight" => (0.05, 0.3),
            "running_var" => (0.5, 1.),
            _ => (0.1, 0.),
        };
        let mut value = scaled(&format!("{prefix}{name}"), dims, scale, offset);
        if kind == "bias" && tensors.contains_key(&format!("{layer}.running_mean")) {
            let up = name.contains("conv2.1") || name.contains("downsample");
            let offset = |c: usize| if up || !c.is_multiple_of(3) { 1.6f32 } else { -1.6 };
            let offsets: Vec<f32> = (0..dims[0]).map(offset).collect();
            value = (value + Tensor::from_vec(offsets, dims, &Device::Cpu).unwrap()).unwrap();
        }
        (name.clone(), value)
    };
    model.load_tensors(&tensors.iter().map(value).collect()).unwrap();
}

pub fn var(tensor: &Tensor) -> Var {
    Var::from_tensor(tensor).unwrap()
}

pub fn flat(x: &Tensor) -> Vec<f64> {
    x.to_dtype(candle_core::DType::F64).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

/// Returns the largest difference divided by the largest reference, or NaN if any value is NaN.
pub fn error(found: &[f64], reference: &[f64]) -> f64 {
    assert_eq!(found.len(), reference.len());
    let difference = found.iter().zip(reference).map(|(a, b)| (a - b).abs());
    let largest = |numbers: &mut dyn Iterator<Item = f64>| {
        numbers.fold(0f64, |max, x| if x.is_nan() || max.is_nan() { f64::NAN } else { max.max(x) })
    };
    let (difference, size) = (largest(&mut { difference }), largest(&mut reference.iter().map(|x| x.abs())));
    if difference == 0. { 0. } else { difference / size }
}

#[track_caller]
pub fn assert_close(what: &str, found: &[f64], reference: &[f64], tolerance: f64) {
    let error = error(found, reference);
    assert!(error <= tolerance, "{what}: error {error:.2e}, allowed {tolerance:.0e}");
}

pub struct Goldens(HashMap<String, Tensor>);

impl Goldens {
    pub fn read(file: &str) -> Self {
        Self(candle_core::safetensors::load(golden_path(file), &Device::Cpu).unwrap())
    }

    pub fn get(&self, name: &str) -> Vec<f64> {
        flat(self.0.get(name).unwrap_or_else(|| panic!("there is no golden {name}; run scripts/make_goldens.py")))
    }

    pub fn names(&self, prefix: &str) -> Vec<String> {
        let mut names: Vec<String> = self.0.keys().filter_map(|n| n.strip_prefix(prefix)).map(str::to_owned).collect();
        names.sort();
        names
    }

    #[track_caller]
    pub fn check(&self, name: &str, found: &Tensor, tolerance: f64) {
        assert_close(name, &flat(found), &self.get(name), tolerance);
    }

    /// Compares a tensor with a digest: max|x|, four projections on known vectors, and evenly
    /// spaced elements.
    ///
    /// Returns the largest error relative to the largest element of the reference. Errors of
    /// projections are divided by the square root of their number of elements.
    pub fn digest_error(&self, golden: &str, name: &str, found: &Tensor) -> f64 {
        let reference = self.get(golden);
        let found = flat(found);
        let largest = found.iter().fold(0f64, |max, x| max.max(x.abs()));
        let mut error = (largest - reference[0]).abs() / reference[0];
        for (k, projection) in reference[1..5].iter().enumerate() {
            let direction = values(&format!("projection/{k}/{name}"), found.len());
            let ours: f64 = found.iter().zip(direction).map(|(x, v)| x * v).sum();
            error = nan_max(error, (ours - projection).abs() / (found.len() as f64).sqrt() / reference[0]);
        }
        let stride = found.len().div_ceil(48).max(1);
        let samples: Vec<f64> = found.iter().copied().step_by(stride).collect();
        assert_eq!(samples.len(), reference.len() - 5, "{golden}");
        for (ours, sample) in samples.iter().zip(&reference[5..]) {
            error = nan_max(error, (ours - sample).abs() / reference[0]);
        }
        error
    }

    /// Returns the root mean square of the differences from the elements of a digest, divided by
    /// that of the elements.
    ///
    /// A few elements with large differences hardly change it.
    pub fn digest_rms_error(&self, golden: &str, found: &Tensor) -> f64 {
        let reference = &self.get(golden)[5..];
        let found = flat(found);
        let samples = found.iter().copied().step_by(found.len().div_ceil(48).max(1));
        let squares = samples.zip(reference).map(|(ours, sample)| (ours - sample).powi(2)).sum::<f64>();
        (squares / reference.iter().map(|sample| sample.powi(2)).sum::<f64>()).sqrt()
    }
}

fn nan_max(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::NAN } else { a.max(b) }
}

pub fn golden_path(file: &str) -> PathBuf {
    // The variable is read at run time, so that a test program that was built elsewhere finds the
    // files.
    let folder = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    PathBuf::from(folder).join("tests/goldens").join(file)
}
