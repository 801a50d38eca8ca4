//! Reads any bytes as a scores file (npz, npy, pickle or csv). Also reads npy arrays in the bytes
//! as an npz file with correct checksums.
//!
//! Reading must return scores that keep all rules, or an error.
#![no_main]

use clipshard_fuzz::{Place, zip};
use libfuzzer_sys::fuzz_target;
use std::collections::HashSet;
use std::sync::LazyLock;
use ucftrain::testing::Scores;

static PLACE: LazyLock<Place> = LazyLock::new(Place::new);

/// The first bytes of an npy file.
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
