//! Reads any bytes as a score file (npz, npy, pickle or csv), and the arrays in them as an npz file whose checksums fit: scores
//! that keep every rule, or an error.
#![no_main]

use clipshard_fuzz::{Place, zip};
use libfuzzer_sys::fuzz_target;
use std::collections::HashSet;
use std::sync::LazyLock;
use ucftrain::testing::Scores;

static PLACE: LazyLock<Place> = LazyLock::new(Place::new);

/// What an npy file begins with.
const NPY: &[u8] = b"\x93NUMPY";

fn check(bytes: &[u8]) {
    let path = PLACE.put("scores", bytes);
    let names = ["a", "b", "c"].map(str::to_owned);
    let Ok(scores) = Scores::load_with_names(&path, Some(&names)) else { return };
    let clips = scores.names.len();
    assert!(clips > 0 && scores.classes > 0);
    assert_eq!(scores.names.iter().collect::<HashSet<_>>().len(), clips);
    assert_eq!(scores.logits.len(), clips * scores.classes);
    assert!(scores.logits.iter().all(|logit| logit.is_finite()));
    if let Some(labels) = &scores.labels {
        assert!(labels.len() == clips && labels.iter().all(|&label| (label as usize) < scores.classes));
    }
    if let Some(samples) = &scores.samples {
        assert!(samples.len() == clips && !samples.contains(&0));
    }
}

fuzz_target!(|bytes: &[u8]| {
    check(bytes);
    let starts: Vec<usize> = (0..bytes.len()).filter(|&at| bytes[at..].starts_with(NPY)).collect();
    let ends = starts.iter().skip(1).copied().chain([bytes.len()]);
    let arrays = starts.iter().zip(ends).map(|(&start, end)| &bytes[start..end]);
    let names = ["names.npy", "logits.npy", "labels.npy", "samples.npy"];
    let files: Vec<(&str, &[u8])> = names.into_iter().zip(arrays).collect();
    if !files.is_empty() {
        check(&zip(&files));
    }
});
