//! Lists the GPUs, and checks whether this program can run on them.
#![expect(unsafe_code, reason = "calls of the driver")]

use candle_core::cuda::WrapErr;
use candle_core::cuda::cudarc::driver::{DriverError, result, sys};
use candle_core::{Error, Result};
use std::fmt;

/// A GPU that the driver lists.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GpuInfo {
    /// The name, such as `NVIDIA H100 80GB HBM3`.
    pub name: String,
    /// The compute capability.
    pub capability: Capability,
}

/// NVIDIA's compute capability, major and minor number. Hopper GPUs have 9.0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Capability(pub u32, pub u32);

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

/// The lowest supported capability. GPUs below it have no bf16.
const LEAST: Capability = Capability(8, 0);

/// Lists all GPUs in the order of the driver. The list is empty if there is no GPU, or if
/// `CUDA_VISIBLE_DEVICES` hides them.
///
/// # Errors
/// Returns an error if the driver does not work, or if it is too old for the CUDA version of this
/// program. The message contains the cure.
pub fn gpus() -> Result<Vec<GpuInfo>> {
    match result::init() {
        // There is a driver but no GPU, or CUDA_VISIBLE_DEVICES hides all of them.
        Err(DriverError(sys::CUresult::CUDA_ERROR_NO_DEVICE)) => return Ok(Vec::new()),
        Err(error) => {
            return Err(Error::Msg(format!("NVIDIA's driver does not start ({error}); repair or update it")));
        }
        Ok(()) => {}
    }
    check_driver(driver_version()?)?;
    (0..result::device::get_count().w()?).map(gpu).collect()
}

fn gpu(ordinal: i32) -> Result<GpuInfo> {
    use sys::CUdevice_attribute::{
        CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR as MAJOR, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR as MINOR,
    };
    let device = result::device::get(ordinal).w()?;
    // SAFETY: the device comes from the driver.
    let attribute = |attribute| unsafe { result::device::get_attribute(device, attribute) }.w();
    let capability = Capability(attribute(MAJOR)? as u32, attribute(MINOR)? as u32);
    Ok(GpuInfo { name: result::device::get_name(device).w()?, capability })
}

/// Checks that kernels compiled to this PTX run on a GPU. The error explains why not.
pub(super) fn check(gpu: &GpuInfo, ptx: &[&str]) -> Result<()> {
    let GpuInfo { name, capability } = gpu;
    // `bail!` would add a backtrace, which is of no use here.
    if *capability < LEAST {
        let text =
            format!("{name} has compute capability {capability}, but {LEAST} or later is needed; use a newer GPU");
        return Err(Error::Msg(text));
    }
    let mut targets = ptx.iter().filter_map(|ptx| Target::of(ptx));
    let Some(target) = targets.find(|target| !target.runs_on(*capability)) else { return Ok(()) };
    let Capability(major, minor) = capability;
    Err(Error::Msg(format!(
        "{name} has compute capability {capability}, but this program was built for {target}; \
         build it with CUDA_COMPUTE_CAP={major}{minor}"
    )))
}

/// The CUDA version whose compiler built the kernels, in NVIDIA's notation: 13000 is 13.0.
const BUILT_WITH: &str = env!("CANDLE_CONVNET_CUDA");

fn driver_version() -> Result<u32> {
    let mut version = 0;
    // SAFETY: the function only writes the number.
    unsafe { sys::cuDriverGetVersion(&raw mut version) }.result().w()?;
    Ok(version as u32)
}

/// Checks that the driver supports the CUDA version of the kernels. A driver supports its own
/// version and earlier ones.
fn check_driver(version: u32) -> Result<()> {
    let built: u32 = BUILT_WITH.parse().unwrap_or_default();
    if version >= built {
        return Ok(());
    }
    let [driver, built] = [version, built].map(|version| format!("CUDA {}.{}", version / 1000, version % 1000 / 10));
    Err(Error::Msg(format!(
        "NVIDIA's driver supports {driver}, but this program was built with {built}; \
         update the driver, or build with {driver}"
    )))
}

/// The GPUs that PTX was compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Target {
    capability: Capability,
    reach: Reach,
}

/// Other GPUs that run the PTX, in addition to those of its capability.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    /// All later GPUs.
    Later,
    /// Later GPUs with the same major number: `sm_120f`.
    Family,
    /// No other GPUs: `sm_90a`.
    Alone,
}

impl Target {
    /// Parses the line `.target sm_90a` of the PTX.
    fn of(ptx: &str) -> Option<Self> {
        let line = ptx.lines().find_map(|line| line.strip_prefix(".target sm_"))?;
        let digits = line.chars().take_while(char::is_ascii_digit).count();
        let number: u32 = line[..digits].parse().ok()?;
        let reach = match line[digits..].chars().next() {
            Some('a') => Reach::Alone,
            Some('f') => Reach::Family,
            _ => Reach::Later,
        };
        Some(Self { capability: Capability(number / 10, number % 10), reach })
    }

    fn runs_on(self, gpu: Capability) -> bool {
        match self.reach {
            Reach::Later => gpu >= self.capability,
            Reach::Family => gpu.0 == self.capability.0 && gpu >= self.capability,
            Reach::Alone => gpu == self.capability,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reach = match self.reach {
            Reach::Later => "and later",
            Reach::Family => "and its family",
            Reach::Alone => "only",
        };
        write!(f, "{} {reach}", self.capability)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ptx_says_what_it_runs_on() {
        let ptx = |target: &str| format!("//\n.version 9.0\n.target {target}\n.address_size 64\n");
        let runs_on = |target: &str| {
            let target = Target::of(&ptx(target)).unwrap();
            [(8, 0), (8, 6), (9, 0), (10, 0), (12, 0), (12, 1)]
                .map(|(major, minor)| target.runs_on(Capability(major, minor)))
        };
        assert_eq!(runs_on("sm_80"), [true; 6]);
        assert_eq!(runs_on("sm_86, debug"), [false, true, true, true, true, true]);
        assert_eq!(runs_on("sm_90a"), [false, false, true, false, false, false]);
        assert_eq!(runs_on("sm_120f"), [false, false, false, false, true, true]);
        assert_eq!(Target::of("no ptx"), None);
    }

    #[test]
    fn the_error_of_an_unsupported_gpu_names_it_and_the_cure() {
        let gpu = |major, minor| GpuInfo { name: "NVIDIA A10".into(), capability: Capability(major, minor) };
        let ptx = ".target sm_90a\n";
        assert!(check(&gpu(9, 0), &[ptx, ".target sm_80\n"]).is_ok());
        let error = |gpu| check(&gpu, &[ptx]).unwrap_err().to_string();
        assert_eq!(
            error(gpu(8, 6)),
            "NVIDIA A10 has compute capability 8.6, but this program was built for 9.0 only; \
             build it with CUDA_COMPUTE_CAP=86"
        );
        assert_eq!(
            error(gpu(7, 5)),
            "NVIDIA A10 has compute capability 7.5, but 8.0 or later is needed; use a newer GPU"
        );
    }
}
