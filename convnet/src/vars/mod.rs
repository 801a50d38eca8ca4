//! Named variables: random initial values from a seed, and loading of tensors.

mod init;

use crate::weights::Problem;
use candle_core::{DType, Device, Result, Shape, Tensor, Var};
use candle_nn::var_builder::SimpleBackend;
use candle_nn::{Init, VarBuilder, VarMap};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::PoisonError;

/// Returns a `VarBuilder` whose new f32 variables are determined by `seed`, and are added to
/// `varmap`.
///
/// Each value depends only on the seed, the name of the variable and the index, so networks do not
/// depend on the order of their layers. `VarBuilder::from_varmap` uses candle's random numbers
/// instead, which cannot be seeded on the CPU.
///
/// ```
/// # use candle_convnet::{Linear, seeded};
/// # use candle_core::Device;
/// # use candle_nn::VarMap;
/// # fn main() -> candle_core::Result<()> {
/// let layer = |seed| Linear::new(8, 3, seeded(&VarMap::new(), seed, &Device::Cpu).pp("fc"));
/// let weights = |seed| layer(seed)?.parameters().0.to_vec2::<f32>();
/// assert_eq!(weights(42)?, weights(42)?);
/// assert_ne!(weights(42)?, weights(43)?);
/// # Ok(())
/// # }
/// ```
pub fn seeded(varmap: &VarMap, seed: u64, device: &Device) -> VarBuilder<'static> {
    let source = Seeded { varmap: varmap.clone(), seed };
    VarBuilder::from_backend(Box::new(source), DType::F32, device.clone())
}

/// Creates variables from a seed.
pub(crate) struct Seeded {
    pub varmap: VarMap,
    pub seed: u64,
}

impl SimpleBackend for Seeded {
    fn get(&self, shape: Shape, name: &str, init: Init, _: DType, device: &Device) -> Result<Tensor> {
        let mut vars = self.varmap.data().lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(var) = vars.get(name) {
            if var.shape() != &shape {
                candle_core::bail!("{name} is {:?} in one layer and {shape:?} in another", var.shape());
            }
            return Ok(var.as_tensor().clone());
        }
        let var = init::variable(&shape, name, init, self.seed, device)?;
        let tensor = var.as_tensor().clone();
        vars.insert(name.to_owned(), var);
        Ok(tensor)
    }

    fn get_unchecked(&self, name: &str, _: DType, _: &Device) -> Result<Tensor> {
        candle_core::bail!("{name}: request the parameters of a network with their shapes")
    }

    fn contains_tensor(&self, name: &str) -> bool {
        self.varmap.data().lock().unwrap_or_else(PoisonError::into_inner).contains_key(name)
    }
}

/// Returns all variables, sorted by name.
pub(crate) fn sorted(varmap: &VarMap) -> BTreeMap<String, Var> {
    let vars = varmap.data().lock().unwrap_or_else(PoisonError::into_inner);
    vars.iter().map(|(name, var)| (name.clone(), var.clone())).collect()
}

/// Returns whether an optimiser updates the variable `name`. It does not update the running
/// statistics of a batch norm.
pub(crate) fn is_parameter(name: &str) -> bool {
    !matches!(name.rsplit('.').next(), Some("running_mean" | "running_var"))
}

/// The result of [`load_matching`].
///
/// As text, it names the tensors that do not match.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct LoadReport {
    /// Names of the variables that were set, sorted.
    pub loaded: Vec<String>,
    /// Variables without a tensor, tensors without a variable, and pairs with different shapes,
    /// sorted by name.
    pub problems: Vec<Problem>,
}

impl std::fmt::Display for LoadReport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "loaded {} tensors", self.loaded.len())?;
        for (at, problem) in self.problems.iter().enumerate() {
            write!(f, "{}{problem}", if at == 0 { "; not loaded: " } else { ", " })?;
        }
        Ok(())
    }
}

/// Sets the variables of `varmap` that have a tensor of the same name and shape in `tensors`, and
/// reports the others, like PyTorch's `load_state_dict` with `strict=False`.
///
/// A tensor of another shape is reported, too; PyTorch raises an error then. `num_batches_tracked`
/// is ignored.
///
/// ```
/// # use candle_convnet::{Linear, load_matching, seeded};
/// # use candle_core::{DType, Device, Tensor};
/// # use candle_nn::VarMap;
/// # fn main() -> candle_core::Result<()> {
/// let varmap = VarMap::new();
/// Linear::new(8, 3, seeded(&varmap, 42, &Device::Cpu).pp("fc"))?;
/// let zeros = Tensor::zeros(3, DType::F32, &Device::Cpu)?;
/// let report = load_matching(&varmap, &[("fc.bias".to_owned(), zeros)].into())?;
/// assert_eq!(report.to_string(), "loaded 1 tensors; not loaded: fc.weight [3, 8] is missing");
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// Returns an error if a tensor cannot be converted to f32 or copied to the device.
#[expect(clippy::implicit_hasher, reason = "`read_weights` returns a map with the default hasher")]
pub fn load_matching(varmap: &VarMap, tensors: &HashMap<String, Tensor>) -> Result<LoadReport> {
    let vars = sorted(varmap);
    let problems = differences(&vars, tensors);
    let differing: BTreeSet<&str> = problems.iter().map(Problem::name).collect();
    let mut loaded = Vec::new();
    for (name, var) in vars.iter().filter(|(name, _)| !differing.contains(name.as_str())) {
        set(var, &tensors[name])?;
        loaded.push(name.clone());
    }
    Ok(LoadReport { loaded, problems })
}

/// Returns the differences in names and shapes, sorted by name.
pub(crate) fn differences(vars: &BTreeMap<String, Var>, tensors: &HashMap<String, Tensor>) -> Vec<Problem> {
    let of_var = |(name, var): (&String, &Var)| match tensors.get(name) {
        None => Some(Problem::Missing { name: name.clone(), expected: var.dims().to_vec() }),
        Some(tensor) if tensor.shape() != var.shape() => Some(Problem::shape(name, var.shape(), tensor.shape())),
        Some(_) => None,
    };
    let unknown = |name: &&String| !name.ends_with("num_batches_tracked") && !vars.contains_key(*name);
    let unknown = tensors.keys().filter(unknown).map(|name| Problem::Unknown { name: name.clone() });
    let mut problems: Vec<Problem> = vars.iter().filter_map(of_var).chain(unknown).collect();
    problems.sort_by(|a, b| a.name().cmp(b.name()));
    problems
}

/// Sets a variable to the values of a tensor of the same shape.
pub(crate) fn set(var: &Var, tensor: &Tensor) -> Result<()> {
    // `Var::set` refuses a tensor that shares the storage of the variable, so it gets a copy.
    var.set(&tensor.to_device(var.device())?.to_dtype(DType::F32)?.copy()?)
}
