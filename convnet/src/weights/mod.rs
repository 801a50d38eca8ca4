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

/// The largest file that is read. A checkpoint of a ResNet-152 with its optimiser takes 0.7 GB.
const MAX_FILE_BYTES: u64 = 4 << 30;

/// Reads all floating-point tensors of a safetensors file or a `.pth`, by name, as f32 on the CPU.
///
/// f16, bf16 and f64 are converted. Integers (`num_batches_tracked`) and truth values are passed over. Parts of names that
/// wrappers add (`module.` of `DataParallel`, `_orig_mod.` of `torch.compile`) are cut out. In a `.pth` the weights may
/// be the file itself, lie under a key such as `state_dict` or `model`, or be those of a whole module; files of any version of
/// PyTorch are read, and nothing in them is run. The format is told from the file's first bytes, not from its name.
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
/// A file that cannot be read, is damaged, or holds something else than weights, and two tensors of one name.
pub fn read_weights(path: impl AsRef<Path>) -> Result<HashMap<String, Tensor>, WeightsError> {
    find_weights(path).map(|(weights, _)| weights)
}

/// Reads weights as [`read_weights`] does, and returns also the key in the file under which they are, such as `state_dict`; empty
/// for the file itself.
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

/// Checks that each number can be computed with: no NaN, no infinity, and no negative variance (`running_var`).
///
/// # Errors
/// Names the first tensor that has such a number; `path` is for the message.
///
/// ```
/// # use candle_convnet::{WeightsError, check_values};
/// # use candle_core::{Device, Tensor};
/// # fn main() -> candle_core::Result<()> {
/// let tensors = [("fc.bias".to_owned(), Tensor::new(&[0f32, f32::NAN], &Device::Cpu)?)].into();
/// assert!(matches!(check_values("weights.pth", &tensors), Err(WeightsError::Value { name, .. }) if name == "fc.bias"));
/// # Ok(())
/// # }
/// ```
#[expect(clippy::implicit_hasher, reason = "maps of tensors are as `read_weights` returns them")]
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
