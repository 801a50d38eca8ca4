//! A prediction as a picture: the frames that the networks saw, each with its predicted class.

use super::answer::{Answer, greatest, percent, samples};
use anyhow::{Context, Result};
use clipshard::Dataset;
use std::collections::BTreeMap;
use std::path::Path;
use ucfpack::sheet::{Caption, shorten, write_captioned};

/// Number of letters of a class name that fit below a frame.
const LETTERS: usize = 14;

/// Draws the first frame of each sample of a clip with the predictions, and writes the picture as a
/// PNG. `label` is the actual class, if it is known.
pub(super) fn write_sheet(
    (data, number, label): (&Dataset, usize, Option<&str>),
    (classes, answers, fused): (&[String], &[Answer], &[f32]),
    path: &Path,
) -> Result<()> {
    let clip = data.manifest().clips.get(number).context("the dataset does not have this clip")?;
    let best = greatest(fused, 3).into_iter().map(|class| format!("{} {} %", classes[class], percent(fused[class])));
    let best = best.collect::<Vec<_>>().join(", ");
    let actual = label.map_or(String::new(), |label| format!("Actual: {label}. "));
    let heading =
        format!("{actual}Predicted: {best}. Below each frame: the prediction of the sample that starts there");
    let (frames, captions) = captions(classes, label.and(clip.label).map(|label| label as usize), answers);
    Ok(write_captioned(data, number, (&frames, &captions), (&clip.id, &heading), path)?)
}

/// Returns the frames (from 0) of all samples and the caption lines of each, marked right or wrong
/// if the label is known.
fn captions(classes: &[String], label: Option<usize>, answers: &[Answer]) -> (Vec<usize>, Vec<Vec<Caption>>) {
    let mut below: BTreeMap<usize, Vec<Caption>> = BTreeMap::new();
    for answer in answers {
        for (class, probabilities, frame) in samples(answer) {
            let first = || vec![Caption { text: format!("frame {frame}"), is_right: None }];
            let name = shorten(&classes[class], LETTERS);
            let text = format!("{} {name} {:.0}%", answer.stream.records(), 100.0 * probabilities[class]);
            let caption = Caption { text, is_right: label.map(|label| label == class) };
            below.entry(frame as usize - 1).or_insert_with(first).push(caption);
        }
    }
    below.into_iter().unzip()
}
