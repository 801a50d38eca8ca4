//! Which cards there are, and whether this program can compute on them.
#![expect(unsafe_code, reason = "asking the driver")]

use candle_core::cuda::WrapErr;
use candle_core::cuda::cudarc::driver::{DriverError, result, sys};
use candle_core::{Error, Result};
use std::fmt;

/// A card that the driver shows.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Card {
    /// Such as `NVIDIA H100 80GB HBM3`.
    pub name: String,
    /// What it can do.
    pub capability: Capability,
}

/// NVIDIA's compute capability, major and minor: 9.0 is Hopper's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Capability(pub u32, pub u32);

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

/// The least: older cards have no bf16.
const LEAST: Capability = Capability(8, 0);

/// All cards, in the driver's order. The error says what to do.
pub fn cards() -> Result<Vec<Card>> {
    match result::init() {
        // A driver without a card, or CUDA_VISIBLE_DEVICES hides them all.
        Err(DriverError(sys::CUresult::CUDA_ERROR_NO_DEVICE)) => return Ok(Vec::new()),
        Err(error) => {
            return Err(Error::Msg(format!("NVIDIA's driver does not answer ({error}); mend or update it")));
        }
        Ok(()) => {}
    }
    check_driver(driver_version()?)?;
    (0..result::device::get_count().w()?).map(card).collect()
}

fn card(ordinal: i32) -> Result<Card> {
    use sys::CUdevice_attribute::{
        CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR as MAJOR, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR as MINOR,
    };
    let device = result::device::get(ordinal).w()?;
    // SAFETY: the device is one that the driver gave.
    let attribute = |attribute| unsafe { result::device::get_attribute(device, attribute) }.w();
    let capability = Capability(attribute(MAJOR)? as u32, attribute(MINOR)? as u32);
    Ok(Card { name: result::device::get_name(device).w()?, capability })
}

/// Whether kernels that were compiled to this PTX run on a card; if not, why.
pub(super) fn check(card: &Card, ptx: &[&str]) -> Result<()> {
    let Card { name, capability } = card;
    // Not `bail!`: no backtrace says more than the sentence does.
    if *capability < LEAST {
        let text = format!("{name} has compute capability {capability}, and {LEAST} is the least that will do");
        return Err(Error::Msg(text));
    }
    let mut targets = ptx.iter().filter_map(|ptx| Target::of(ptx));
    let Some(target) = targets.find(|target| !target.runs_on(*capability)) else { return Ok(()) };
    let Capability(major, minor) = capability;
    Err(Error::Msg(format!(
        "{name} has compute capability {capability}, and this program was built for {target}; build it with CUDA_COMPUTE_CAP={major}{minor}"
    )))
}

/// The version of CUDA whose compiler made this program's kernels, and the driver's, as NVIDIA counts: 13000 is 13.0.
const BUILT_WITH: &str = env!("CANDLE_CONVNET_CUDA");

fn driver_version() -> Result<u32> {
    let mut version = 0;
    // SAFETY: it only writes the number.
    unsafe { sys::cuDriverGetVersion(&raw mut version) }.result().w()?;
    Ok(version as u32)
}

/// A driver takes kernels of its own version of CUDA and of earlier ones.
fn check_driver(version: u32) -> Result<()> {
    let built: u32 = BUILT_WITH.parse().unwrap_or_default();
    if version >= built {
        return Ok(());
    }
    let [driver, built] = [version, built].map(|version| format!("CUDA {}.{}", version / 1000, version % 1000 / 10));
    Err(Error::Msg(format!(
        "NVIDIA's driver is made for {driver}, and this program was built with {built}; update the driver, or build with {driver}"
    )))
}

/// What PTX was compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Target {
    capability: Capability,
    reach: Reach,
}

/// Which cards run it, beyond those of its capability.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    /// All later ones.
    Later,
    /// Later ones of the same major number: `sm_120f`.
    Family,
    /// No others: `sm_90a`.
    Alone,
}

impl Target {
    /// Of the line `.target sm_90a`.
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

    fn runs_on(self, card: Capability) -> bool {
        match self.reach {
            Reach::Later => card >= self.capability,
            Reach::Family => card.0 == self.capability.0 && card >= self.capability,
            Reach::Alone => card == self.capability,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reach = match self.reach {
            Reach::Later => "and later",
            Reach::Family => "and its family",
            Reach::Alone => "alone",
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
    fn a_card_that_will_not_do_is_named_with_the_cure() {
        let card = |major, minor| Card { name: "NVIDIA A10".into(), capability: Capability(major, minor) };
        let ptx = ".target sm_90a\n";
        assert!(check(&card(9, 0), &[ptx, ".target sm_80\n"]).is_ok());
        let error = |card| check(&card, &[ptx]).unwrap_err().to_string();
        assert_eq!(
            error(card(8, 6)),
            "NVIDIA A10 has compute capability 8.6, and this program was built for 9.0 alone; build it with CUDA_COMPUTE_CAP=86"
        );
        assert_eq!(error(card(7, 5)), "NVIDIA A10 has compute capability 7.5, and 8.0 is the least that will do");
    }
}
