//! Values of other crates that are chosen by name on the command line.

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clip_loader::{Crop, Sampling, TestCrop};

/// A value that an option can have. `clap::ValueEnum` cannot be derived for types of other crates.
pub trait Choice: Copy + Send + Sync + 'static {
    /// All values, each with its help.
    const ALL: &'static [(Self, &'static str)];

    /// Returns the name that is typed.
    fn name(self) -> &'static str;
}

impl Choice for Sampling {
    const ALL: &'static [(Self, &'static str)] = &[
        (
            Self::Seed,
            "The documented run's: thirds of a clip that overlap, test samples at a whole distance from the clip's start",
        ),
        (
            Self::Segments,
            "Temporal Segment Networks': one view at random from each of as many equal parts of the clip as there are views; test samples in the middle of equal parts",
        ),
    ];

    fn name(self) -> &'static str {
        self.name()
    }
}

impl Choice for Crop {
    const ALL: &'static [(Self, &'static str)] = &[
        (Self::Whole, "All of it, squashed to a square"),
        (Self::Random, "A random square of the input's size in stored pixels"),
        (
            Self::Corners,
            "One of thirteen places, mostly along the edges, in one of several scales and aspect ratios, resized",
        ),
    ];

    fn name(self) -> &'static str {
        self.name()
    }
}

impl Choice for TestCrop {
    const ALL: &'static [(Self, &'static str)] = &[
        (Self::Whole, "All of it, squashed to a square"),
        (Self::Center, "The square in the middle, of 7/8 of the shorter side"),
        (Self::Three, "Squares of that size at the left, in the middle and at the right"),
        (Self::Ten, "Squares of that size in the corners and in the middle, and all of them mirrored"),
    ];

    fn name(self) -> &'static str {
        self.name()
    }
}

/// Reads a value by its name, for clap's `value_parser`.
pub fn choice<T: Choice>() -> impl TypedValueParser<Value = T> {
    let values = T::ALL.iter().map(|(value, help)| PossibleValue::new(value.name()).help(*help));
    PossibleValuesParser::new(values).try_map(|name| {
        let found = T::ALL.iter().find(|(value, _)| value.name() == name);
        found.map(|(value, _)| *value).ok_or("it is none of the values")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_of_the_loader_can_be_typed() {
        assert_eq!(
            Sampling::ALL.map(Choice::name),
            <Sampling as Choice>::ALL.iter().map(|v| v.0.name()).collect::<Vec<_>>()[..]
        );
        assert_eq!(
            Crop::ALL.map(Choice::name),
            <Crop as Choice>::ALL.iter().map(|v| v.0.name()).collect::<Vec<_>>()[..]
        );
        assert_eq!(
            TestCrop::ALL.map(Choice::name),
            <TestCrop as Choice>::ALL.iter().map(|v| v.0.name()).collect::<Vec<_>>()[..]
        );
        let command = clap::Command::new("x").arg(clap::Arg::new("crop").long("crop").value_parser(choice::<Crop>()));
        let parsed = |text| command.clone().try_get_matches_from(["x", "--crop", text]);
        assert_eq!(parsed("corners").unwrap().get_one::<Crop>("crop"), Some(&Crop::Corners));
        assert!(parsed("middle").unwrap_err().to_string().contains("whole, random, corners"));
    }
}
