//! Values that several commands accept, and their parsers.
//!
//! The comments on variants are help texts, which have no markup.
#![allow(clippy::doc_markdown)]

use clap::ValueEnum;
use clap::builder::PossibleValue;
use ucfpack::pack::Part;
use ucfpack::quantity::parse_bytes;
use ucfpack::video::FlowMethod;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DatasetArg {
    /// Recognise the format, and print which one it is
    Auto,
    /// Folder with classInd.txt, trainlist0N.txt and testlist0N.txt
    Ucf101,
    /// Folder with CLASS_test_splitN.txt
    Hmdb51,
    /// Folder with CLASS_test_splitN.txt
    Jhmdb,
    /// CSV files with label, youtube_id, time_start, time_end and split
    Kinetics,
    /// CSV files id;label for train, validation and test
    SomethingV1,
    /// JSON files for train, validation and test, and labels.json
    SomethingV2,
    /// CSV files id;label for train, validation and test
    Jester,
    /// trainingSet.csv, validationSet.csv and moments_categories.txt
    Moments,
    /// JSON files for train and test, and Diving48_vocab.json
    Diving48,
    /// Text files with lines "path frames label" or "path label", also of TSN
    #[value(alias = "tsn")]
    Mmaction2,
    /// CSV file or JSON lines, or without --lists one folder per class
    Custom,
}

/// The device that computes flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FlowDevice {
    Cpu,
    Gpu(usize),
}

/// A method to compute flow, or `None` for RGB only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlowChoice(pub Option<FlowMethod>);

impl ValueEnum for FlowChoice {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self(Some(FlowMethod::TvL1)), Self(Some(FlowMethod::Dis)), Self(None)]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let help = match self.0 {
            Some(FlowMethod::TvL1) => "TV-L1 (Zach, Pock, Bischof 2007) with OpenCV's defaults",
            Some(FlowMethod::Dis) => "Dense inverse search (Kroeger et al. 2016), about ten times faster than TV-L1",
            _ => "No flow, only RGB frames",
        };
        Some(PossibleValue::new(self.0.map_or("none", FlowMethod::name)).help(help))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FlowSize {
    Native,
    Square(u16),
}

pub fn parse_shard_size(text: &str) -> Result<u64, String> {
    match parse_bytes(text)? {
        0 => Err("a shard needs at least one byte, e.g. 1GiB".into()),
        bytes => Ok(bytes),
    }
}

pub fn parse_part(text: &str) -> Result<Part, String> {
    let numbers = text.split_once('/').and_then(|(number, of)| Some((number.parse().ok()?, of.parse().ok()?)));
    match numbers {
        Some((number, of)) if (1..=of).contains(&number) => Ok(Part { number, of }),
        _ => Err("expected I/N with I from 1 to N, e.g. 3/8".into()),
    }
}

pub fn parse_device(text: &str) -> Result<FlowDevice, String> {
    match text.strip_prefix("cuda:").and_then(|number| number.parse().ok()) {
        Some(number) => Ok(FlowDevice::Gpu(number)),
        None if text == "cpu" => Ok(FlowDevice::Cpu),
        None if text == "cuda" => Ok(FlowDevice::Gpu(0)),
        None => Err("expected cpu or cuda:N, e.g. cuda:0".into()),
    }
}

pub fn parse_flow_size(text: &str) -> Result<FlowSize, String> {
    match text.parse() {
        Ok(side @ 1..) => Ok(FlowSize::Square(side)),
        _ if text == "native" => Ok(FlowSize::Native),
        _ => Err("expected the side of a square in pixels, e.g. 224, or native".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_numbered_from_one() {
        assert_eq!(parse_part("3/8"), Ok(Part { number: 3, of: 8 }));
        for wrong in ["0/8", "9/8", "3", "3/", "a/b", "-1/2", "1/0"] {
            assert!(parse_part(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn flow_sizes_are_native_or_a_side() {
        assert_eq!(parse_flow_size("native"), Ok(FlowSize::Native));
        assert_eq!(parse_flow_size("112"), Ok(FlowSize::Square(112)));
        assert!(parse_flow_size("0").is_err() && parse_flow_size("224x224").is_err());
    }
}
