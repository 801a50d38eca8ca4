//! Tests of TrivialAugment and frame dropout in training samples.

#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

mod synthetic;

use clip_loader::{Crop, Samples, SplitClip, TestOptions, TestSamples, TrainOptions, TrainSamples, View, Worker};
use clipshard::{Dataset, Subset};
use std::sync::Arc;

fn dataset() -> (tempfile::TempDir, Arc<Dataset>) {
    let folder = synthetic::synthetic_dataset();
    let data = Arc::new(Dataset::open(folder.path()).unwrap());
    (folder, data)
}

fn training(data: &Arc<Dataset>, views: &[View], options: TrainOptions) -> clip_loader::Result<TrainSamples> {
    let clips = SplitClip::of_subset(data, "1", &Subset::Train, &views[0].stream).unwrap();
    TrainSamples::of_views(data, clips, views, options)
}

/// Returns the parts of a sample.
fn parts(samples: &TrainSamples, i: usize, worker: &mut Worker) -> Vec<Vec<u8>> {
    let mut parts: Vec<Vec<u8>> = samples.part_bytes().iter().map(|&bytes| vec![0; bytes]).collect();
    let mut out: Vec<&mut [u8]> = parts.iter_mut().map(Vec::as_mut_slice).collect();
    samples.fill(i, worker, None, &mut out).unwrap();
    parts
}

fn rgb(frames: usize) -> View {
    View::stack("rgb", frames).side(20).crop(Crop::RandomResized).flip(true)
}

fn flow() -> View {
    View::stack("flow", 5).side(12).crop(Crop::Random).flip(true)
}

#[test]
fn trivial_augment_and_frame_dropout_change_no_other_choice() {
    let (_folder, data) = dataset();
    let options = || TrainOptions::new().seed(4).segments(3).repeat(20);
    let plain = training(&data, &[rgb(1).jitter(0.3), flow()], options()).unwrap();
    let changed = [rgb(1).jitter(0.3).trivial_augment(true), flow().frame_dropout(0.4), rgb(1).jitter(0.3), flow()];
    let changed = training(&data, &changed, options()).unwrap();
    let (mut worker, mut differ) = (Worker::default(), [0; 2]);
    for i in 0..plain.len() {
        let parts_of = |worker: &mut Worker| (parts(&plain, i, worker), parts(&changed, i, worker));
        let (expected, found) = parts_of(&mut worker);
        assert_eq!(found[2..], expected, "sample {i}");
        for (part, differ) in differ.iter_mut().enumerate() {
            let segments = |of: &[u8]| of.chunks(of.len() / 3).map(<[u8]>::to_vec).collect::<Vec<_>>();
            let pairs = segments(&found[part]).into_iter().zip(segments(&expected[part]));
            *differ += pairs.filter(|(found, expected)| found != expected).count();
        }
        // Samples do not depend on the memory of a worker.
        assert_eq!(parts_of(&mut Worker::default()), (expected, found));
    }
    // Of 300 segments, some draw the operation that changes nothing, or the magnitude 0: 12 %. Frame
    // dropout keeps all five frames in 8 %.
    assert!((234..288).contains(&differ[0]) && (246..294).contains(&differ[1]), "{differ:?}");
}

#[test]
fn all_images_of_a_view_change_in_the_same_way() {
    let (_folder, data) = dataset();
    let views = [rgb(3).stride(2), rgb(1), rgb(1).offset(2), rgb(1).offset(4)].map(|view| view.trivial_augment(true));
    let samples = training(&data, &views, TrainOptions::new().seed(1).repeat(10)).unwrap();
    for i in 0..samples.len() {
        let parts = parts(&samples, i, &mut Worker::default());
        assert_eq!(parts[0], parts[1..].concat(), "sample {i}");
    }
}

#[test]
fn dropped_frames_have_no_motion_and_the_others_stay() {
    let (_folder, data) = dataset();
    for (share, expected) in [(0.4, 800..1110), (1.0, 1920..1921)] {
        let views = [flow().frame_dropout(share), flow()];
        let samples = training(&data, &views, TrainOptions::new().seed(2).segments(4).repeat(24)).unwrap();
        let mut all = 0;
        for i in 0..samples.len() {
            let parts = parts(&samples, i, &mut Worker::default());
            // Both planes of five frames.
            let frames = |part: usize| parts[part].chunks_exact(2 * 12 * 12);
            let dropped: Vec<bool> = frames(0)
                .zip(frames(1))
                .map(|(found, plain)| {
                    let is_still = found.iter().all(|v| *v == 128);
                    assert!(is_still || found == plain, "sample {i}");
                    is_still
                })
                .collect();
            for stack in dropped.chunks_exact(5) {
                assert!(stack.contains(&false));
                all += stack.iter().filter(|dropped| **dropped).count();
            }
        }
        // Of 2400 frames in 480 stacks.
        assert!(expected.contains(&all), "{share}: {all}");
    }
}

#[test]
fn states_tell_samples_with_and_without_the_changes_apart() {
    let (_folder, data) = dataset();
    let views = [flow(), flow().frame_dropout(0.1), flow().frame_dropout(0.2)];
    let mut found: Vec<u64> = views
        .iter()
        .map(|view| training(&data, std::slice::from_ref(view), TrainOptions::new()).unwrap().fingerprint())
        .collect();
    for view in [rgb(1), rgb(1).trivial_augment(true)] {
        found.push(training(&data, &[view], TrainOptions::new()).unwrap().fingerprint());
    }
    let distinct: std::collections::BTreeSet<_> = found.iter().collect();
    assert_eq!(distinct.len(), 5, "{found:x?}");
}

#[test]
fn changes_that_a_view_cannot_have_are_refused_by_name() {
    let (_folder, data) = dataset();
    let refused = |view: View| training(&data, &[view], TrainOptions::new()).unwrap_err().to_string();
    let of_flow = refused(flow().trivial_augment(true));
    assert_eq!(of_flow, "trivial_augment true is not allowed for a stream that is not RGB");
    let of_rgb = refused(rgb(5).frame_dropout(0.1));
    assert_eq!(of_rgb, "frame_dropout 0.1 is not allowed for a stream that is not optical flow");
    let of_one = refused(View::frame("flow").side(12).frame_dropout(0.1));
    assert_eq!(of_one, "frame_dropout 0.1 is not allowed for a view of one frame");
    for (share, text) in [(1.5, "1.5"), (-0.1, "-0.1"), (f64::NAN, "NaN")] {
        assert_eq!(refused(flow().frame_dropout(share)), format!("frame_dropout {text} is not between 0 and 1"));
    }
    let clips = SplitClip::of_subset(&data, "1", &Subset::Test, "rgb").unwrap();
    let test = |view: View| TestSamples::new(&data, clips.clone(), &view, TestOptions::new()).unwrap_err().to_string();
    let augmented = test(View::frame("rgb").trivial_augment(true));
    assert_eq!(augmented, "trivial_augment of a view is not allowed in a test");
    let dropout = test(View::stack("flow", 5).frame_dropout(0.1));
    assert_eq!(dropout, "frame_dropout of a view is not allowed in a test");
}
