//! Option values whose types come from other crates.

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clip_loader::{Crop, Sampling, TestCrop};

/// A value that an option can have. `clap::ValueEnum` cannot be derived for types of other crates.
pub trait Choice: Copy + Send + Sync + 'static {
    /// All values with their help texts.
    const ALL: &'static [(Self, &'static str)];

    /// Returns the name on the command line.
    fn name(self) -> &'static str;
}

impl Choice for Sampling {
    const ALL: &'static [(Self, &'static str)] = &[
        (Self::Seed, "As in the reference run: random views from overlapping thirds; test samples at equal distances"),
        (
            Self::Segments,
            "As in Temporal Segment Networks: a random view from each of --segments equal parts; test samples from \
             the middle of equal parts",
        ),
    ];

    fn name(self) -> &'static str {
        self.name()
    }
}

impl Choice for Crop {
    const ALL: &'static [(Self, &'static str)] = &[
        (Self::Whole, "The whole frame, squashed to a square"),
        (Self::Random, "A random square of --input-size stored pixels"),
        (Self::Corners, "One of 13 positions, mostly along the edges, with a random scale and aspect ratio, resized"),
        (Self::RandomResized, "A random rectangle of 8 to 100 % of the area, resized (RandomResizedCrop)"),
        (Self::Center, "The centre square, with 7/8 of the shorter side"),
    ];

    fn name(self) -> &'static str {
        self.name()
    }
}

impl Choice for TestCrop {
    const ALL: &'static [(Self, &'static str)] = &[
        (Self::Whole, "The whole frame, squashed to a square"),
        (Self::Center, "The centre square, with 7/8 of the shorter side"),
        (Self::Three, "Three such squares: left, centre and right"),
        (Self::Ten, "Five such squares, in the corners and the centre, and their mirror images"),
    ];

    fn name(self) -> &'static str {
        self.name()
    }
}

/// Returns a parser of values by name, for clap's `value_parser`.
pub fn choice<T: Choice>() -> impl TypedValueParser<Value = T> {
    let values = T::ALL.iter().map(|(value, help)| PossibleValue::new(value.name()).help(*help));
    PossibleValuesParser::new(values).try_map(|name| {
        let found = T::ALL.iter().find(|(value, _)| value.name() == name);
        found.map(|(value, _)| *value).ok_or("unknown value")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_of_the_loader_is_an_option_value() {
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
