//! Reading weights that PyTorch, torchvision or timm wrote.

mod error;
mod names;

use candle_core::safetensors::Load;
use candle_core::{DType, Device, Tensor};
pub use error::{Problem, WeightsError};
use inert_pickle::{NamedTensor, PickleError, Tensors, read_tensors};
pub use names::{Origin, torchvision_names};
use safetensors::{Dtype, SafeTensorError, SafeTensors};
use std::collections::HashMap;
use std::path::Path;

/// Largest file that is read. For comparison: a checkpoint of a ResNet-152 with optimiser state has
/// 0.7 GB.
const MAX_FILE_BYTES: u64 = 4 << 30;

/// Reads all floating-point tensors of a safetensors or `.pth` file, by name, as f32 on the CPU.
///
/// The first bytes of the file determine its format, not its name. f16, bf16 and f64 become f32.
/// Integers (such as `num_batches_tracked`) and booleans are skipped. Name parts that wrappers add
/// are removed: `module.` of `DataParallel`, `_orig_mod.` of `torch.compile`.
///
/// In a `.pth` file, the weights can be the whole file, the value of a key such as `state_dict` or
/// `model`, or part of a saved module. Files of all versions of PyTorch are supported. Code in the
/// file is never run.
///
/// ```
/// # use candle_convnet::read_weights;
/// # use candle_core::{DType, Device, Tensor};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// let path = folder.path().join("weights.safetensors");
/// Tensor::zeros((2, 3), DType::F16, &Device::Cpu)?.save_safetensors("fc.weight", &path)?;
/// let weights = read_weights(&path)?;
/// assert_eq!((weights["fc.weight"].dims(), weights["fc.weight"].dtype()), (&[2, 3][..], DType::F32));
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// Returns an error if the file cannot be read, is damaged or contains something else than weights,
/// or if two tensors get the same name.
pub fn read_weights(path: impl AsRef<Path>) -> Result<HashMap<String, Tensor>, WeightsError> {
    find_weights(path).map(|(weights, _)| weights)
}

/// Reads weights like [`read_weights`], and also returns their key in the file, such as
/// `state_dict`.
///
/// The key is empty if the weights are the whole file.
///
/// # Errors
/// Returns the errors of [`read_weights`].
pub fn find_weights(path: impl AsRef<Path>) -> Result<(HashMap<String, Tensor>, String), WeightsError> {
    let path = path.as_ref();
    let io = |source| WeightsError::Io { path: path.to_owned(), source };
    let bytes = clipshard::read_regular(path, MAX_FILE_BYTES).map_err(io)?;
    let (tensors, key) = match bytes.as_slice() {
        [_, _, _, _, _, _, _, _, b'{', ..] => (of_safetensors(path, &bytes)?, String::new()),
        _ => of_pth(path, &bytes)?,
    };
    drop(bytes);
    let mut weights = HashMap::with_capacity(tensors.len());
    let mut problems = Vec::new();
    for (name, tensor) in tensors {
        let name = names::without_wrappers(&name);
        if weights.insert(name.clone(), tensor.to_dtype(DType::F32)?.contiguous()?).is_some() {
            problems.push(Problem::Twice { name });
        }
    }
    WeightsError::check(path, problems)?;
    Ok((weights, key))
}

fn of_safetensors(path: &Path, bytes: &[u8]) -> Result<Vec<(String, Tensor)>, WeightsError> {
    let file = SafeTensors::deserialize(bytes).map_err(|error| {
        use SafeTensorError::{HeaderTooLarge, HeaderTooSmall, InvalidHeaderLength, MetadataIncompleteBuffer};
        let path = path.to_owned();
        match error {
            HeaderTooLarge | HeaderTooSmall | InvalidHeaderLength | MetadataIncompleteBuffer => {
                WeightsError::Damaged { path, fault: error.to_string() }
            }
            error => WeightsError::Header { path, fault: error.to_string().escape_debug().to_string() },
        }
    })?;
    let mut tensors = Vec::new();
    for (name, view) in file.iter() {
        if matches!(view.dtype(), Dtype::F16 | Dtype::BF16 | Dtype::F32 | Dtype::F64) {
            tensors.push((name.to_owned(), view.load(&Device::Cpu)?));
        }
    }
    Ok(tensors)
}

fn of_pth(path: &Path, bytes: &[u8]) -> Result<(Vec<(String, Tensor)>, String), WeightsError> {
    let Tensors { tensors, path: key, .. } = read_tensors(bytes).map_err(|error| {
        let path = path.to_owned();
        match error {
            PickleError::Format => WeightsError::Format { path },
            error if error.is_damage() => WeightsError::Damaged { path, fault: error.to_string() },
            reason => WeightsError::Pickle { path, reason },
        }
    })?;
    let tensor = |NamedTensor { name, shape, values, .. }| Ok((name, Tensor::from_vec(values, shape, &Device::Cpu)?));
    Ok((tensors.into_iter().map(tensor).collect::<candle_core::Result<_>>()?, key))
}

/// Checks that tensors have no NaN, no infinity, and no negative variance (`running_var`).
///
/// `path` is only used in the error message.
///
/// # Errors
/// Returns an error that names the first tensor, by name, with such a value.
///
/// ```
/// # use candle_convnet::{WeightsError, check_values};
/// # use candle_core::{Device, Tensor};
/// # fn main() -> candle_core::Result<()> {
/// let tensors = [("fc.bias".to_owned(), Tensor::new(&[0f32, f32::NAN], &Device::Cpu)?)].into();
/// let checked = check_values("weights.pth", &tensors); assert!(matches!(checked,
/// Err(WeightsError::Value { name, .. }) if name == "fc.bias"));
/// # Ok(())
/// # }
/// ```
#[expect(clippy::implicit_hasher, reason = "`read_weights` returns a map with the default hasher")]
pub fn check_values(path: impl AsRef<Path>, tensors: &HashMap<String, Tensor>) -> Result<(), WeightsError> {
    let mut names: Vec<&String> = tensors.keys().collect();
    names.sort_unstable();
    for name in names {
        let tensor = &tensors[name];
        if !tensor.dtype().is_float() {
            continue;
        }
        let values: Vec<f32> = tensor.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?;
        let is_variance = name.ends_with("running_var");
        if let Some(&value) = values.iter().find(|&&value| !value.is_finite() || is_variance && value < 0.0) {
            return Err(WeightsError::Value { path: path.as_ref().to_owned(), name: name.clone(), value });
        }
    }
    Ok(())
}
