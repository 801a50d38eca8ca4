//! The settings that decide a run's result. The checkpoint stores them, so that a resumed run
//! cannot use others, even if `config.toml` was edited.

use super::values::Settings;
use super::weights;
use crate::compute::device::Precision;
use crate::schedule::Schedule;
use anyhow::Result;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Settings that may differ when a run resumes: where the data is, how fast the run is, and which
/// files it keeps.
const FREE: [&str; 6] = ["data", "device", "threads", "checkpoint-minutes", "keep-epochs", "skip-damaged"];

const PRECISION: &str = "precision";

/// Values by the name of their option. A missing setting was not given.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Deciding(BTreeMap<String, Value>);

/// A setting that differs between two sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Name of the option, without dashes.
    pub option: String,
    /// Current value.
    pub now: String,
    /// Value that the run used.
    pub used: String,
}

impl Settings {
    /// Returns whether the number of epochs decides the result of each epoch. With the plateau
    /// schedule, the learning rate does not depend on it.
    pub fn epochs_decide(&self) -> bool {
        self.schedule != Schedule::Plateau || self.swa > 0
    }

    /// Returns the settings that decide the result.
    pub fn deciding(&self) -> Result<Deciding> {
        let mut all: BTreeMap<String, Value> = serde_json::from_value(serde_json::to_value(self)?)?;
        all.retain(|name, value| !FREE.contains(&name.as_str()) && !value.is_null());
        if !self.epochs_decide() {
            all.remove("epochs");
        }
        all.insert("weights".into(), weights::stored(&self.weights).into());
        Ok(Deciding(all))
    }
}

impl Deciding {
    /// Sets the precision of the computation, which is the device's default if no option gives one.
    pub fn set_precision(&mut self, precision: Precision) {
        self.0.insert(PRECISION.into(), serde_json::to_value(precision).unwrap_or_default());
    }

    /// Returns the precision by its name on the command line; `None` if the device decides it and was
    /// not opened yet.
    pub fn precision(&self) -> Option<&str> {
        self.0.get(PRECISION)?.as_str().filter(|&name| name != "auto")
    }

    /// Lists all settings that differ from those that a run used, sorted by name.
    pub fn differences(&self, used: &Self) -> Vec<Difference> {
        let names: BTreeSet<&String> = self.0.keys().chain(used.0.keys()).collect();
        // The device decides a precision that is not given, or auto, and it is opened later.
        let is_open = |name: &str| name == PRECISION && (self.precision().is_none() || used.precision().is_none());
        let differing = names.into_iter().filter(|&name| self.0.get(name) != used.0.get(name) && !is_open(name));
        let difference = |name: &String| Difference {
            option: name.clone(),
            now: shown(self.0.get(name)),
            used: shown(used.0.get(name)),
        };
        differing.map(difference).collect()
    }
}

/// Formats a value as it is written on the command line.
pub fn shown(value: Option<&Value>) -> String {
    match value {
        None => "none".into(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(values)) => values.iter().map(|value| shown(Some(value))).collect::<Vec<_>>().join(","),
        Some(value) => match value.as_f64().filter(|_| value.is_f64()) {
            Some(number) => number.to_string(),
            None => value.to_string(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Given;
    use crate::stream::Stream;

    #[test]
    fn options_of_later_versions_are_not_stored_at_their_defaults() {
        // Runs of earlier versions lack them, and must resume.
        let given = Given { data: Some("d".into()), weights: Some("none".into()), ..Given::default() };
        for stream in Stream::ALL {
            let settings = given.clone().complete(stream, false).unwrap();
            let stored = settings.to_toml().unwrap() + &format!("{:?}", settings.deciding().unwrap());
            for option in [
                "best-by",
                "val-share",
                "mixup",
                "cutmix",
                "trivial-augment",
                "frame-dropout",
                "stochastic-depth",
                "temporal-shift",
                "swa",
                "stack",
                "repeat",
                "accumulate",
                "sync-bn",
            ] {
                let is_stored =
                    [format!("\n{option} = "), format!("{option:?}")].iter().any(|key| stored.contains(key));
                assert!(!is_stored, "{stream}: {option} in {stored}");
            }
        }
    }

    #[test]
    fn what_decides_the_result_is_compared_and_named() {
        let given = Given { data: Some("d".into()), weights: Some("w.pth".into()), ..Given::default() };
        let used = given.clone().complete(Stream::Spatial, false).unwrap().deciding().unwrap();
        let now = |given: Given| {
            let now = given.complete(Stream::Spatial, false).unwrap().deciding().unwrap();
            now.differences(&used).into_iter().map(|d| (d.option, d.now, d.used)).collect::<Vec<_>>()
        };
        let free = Given {
            data: Some("elsewhere".into()),
            epochs: Some(7),
            threads: Some(1),
            device: Some("cpu".into()),
            checkpoint_minutes: Some(0.5),
            keep_epochs: Some(2),
            skip_damaged: Some(true),
            ..given.clone()
        };
        assert_eq!(now(free), []);
        let absolute = std::path::absolute("w.pth").unwrap().to_str().unwrap().to_owned();
        assert_eq!(now(Given { weights: Some(absolute.clone()), ..given.clone() }), []);
        let other = Given {
            lr: Some(0.1),
            seed: Some(u64::MAX),
            val_groups: Some(vec!["g01".into(), "g02".into()]),
            flip: Some(false),
            weights: Some("none".into()),
            ..given.clone()
        };
        let expected = [
            ("flip", "false", "true"),
            ("lr", "0.1", "0.0005"),
            ("seed", "18446744073709551615", "0"),
            ("val-groups", "g01,g02", "none"),
            ("weights", "none", absolute.as_str()),
        ];
        assert_eq!(now(other), expected.map(|(a, b, c)| (a.to_owned(), b.to_owned(), c.to_owned())));
        // The form in a checkpoint.
        let text = serde_json::to_string(&used).unwrap();
        assert_eq!(serde_json::from_str::<Deciding>(&text).unwrap(), used);
    }

    #[test]
    fn a_precision_that_the_device_decides_is_open_until_then() {
        let deciding = |precision| {
            let given = Given { data: Some("d".into()), weights: Some("none".into()), precision, ..Given::default() };
            given.complete(Stream::Spatial, false).unwrap().deciding().unwrap()
        };
        let mut used = deciding(None);
        used.set_precision(Precision::Bf16);
        for open in [None, Some(Precision::Auto)] {
            assert_eq!(deciding(open).precision(), None);
            assert_eq!(deciding(open).differences(&used), []);
        }
        let differences = deciding(Some(Precision::F32)).differences(&used);
        assert_eq!(differences, [Difference { option: PRECISION.into(), now: "f32".into(), used: "bf16".into() }]);
    }

    #[test]
    fn the_number_of_epochs_decides_where_the_rate_falls_towards_the_end() {
        let cosine = |epochs| Given {
            data: Some("d".into()),
            weights: Some("none".into()),
            schedule: Some(Schedule::Cosine),
            epochs: Some(epochs),
            ..Given::default()
        };
        let deciding = |epochs| cosine(epochs).complete(Stream::Temporal, false).unwrap().deciding().unwrap();
        let differences = deciding(9).differences(&deciding(8));
        assert_eq!(differences, [Difference { option: "epochs".into(), now: "9".into(), used: "8".into() }]);
        let averaged =
            |epochs| Given { schedule: Some(Schedule::Plateau), swa: Some(3), precise_bn: Some(9), ..cosine(epochs) };
        let deciding = |epochs| averaged(epochs).complete(Stream::Temporal, false).unwrap().deciding().unwrap();
        assert_eq!(deciding(9).differences(&deciding(8)), differences);
    }
}
