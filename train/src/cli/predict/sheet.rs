//! A prediction as a picture: the frames that networks saw, and below each what they took it for.

use super::answer::{Answer, greatest, percent, samples};
use anyhow::{Context, Result};
use clipshard::Dataset;
use std::collections::BTreeMap;
use std::path::Path;
use ucfpack::sheet::{Caption, write_captioned};

/// Letters of a class's name that fit below a frame.
const LETTERS: usize = 14;

/// Draws the frames of all samples of a clip, whose `label` may be known, and writes them as a PNG.
pub(super) fn write_sheet(
    (data, number, label): (&Dataset, usize, Option<&str>),
    (classes, answers, fused): (&[String], &[Answer], &[f32]),
    path: &Path,
) -> Result<()> {
    let clip = data.manifest().clips.get(number).context("the data set has no such clip")?;
    let told = greatest(fused, 3).into_iter().map(|class| format!("{} {} %", classes[class], percent(fused[class])));
    let told = told.collect::<Vec<_>>().join(", ");
    let of_label = label.map_or(String::new(), |label| format!("{label}; "));
    let heading =
        format!("{of_label}taken for {told}; below each frame: what the sample that begins there is taken for");
    let (frames, captions) = captions(classes, label.map(|_| clip.label as usize), answers);
    Ok(write_captioned(data, number, (&frames, &captions), (&clip.id, &heading), path)?)
}

/// The frames (from 0) of all networks' samples, and the lines below each: right or wrong, if the label is known.
fn captions(classes: &[String], label: Option<usize>, answers: &[Answer]) -> (Vec<usize>, Vec<Vec<Caption>>) {
    let mut below: BTreeMap<usize, Vec<Caption>> = BTreeMap::new();
    for answer in answers {
        for (class, probabilities, frame) in samples(answer) {
            let first = || vec![Caption { text: format!("frame {frame}"), is_right: None }];
            let name: String = classes[class].chars().take(LETTERS).collect();
            let text = format!("{} {name} {:.0}%", answer.stream.records(), 100.0 * probabilities[class]);
            let caption = Caption { text, is_right: label.map(|label| label == class) };
            below.entry(frame as usize - 1).or_insert_with(first).push(caption);
        }
    }
    below.into_iter().unzip()
}
