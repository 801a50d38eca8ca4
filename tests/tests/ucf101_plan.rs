//! Tests the plan of a run on a dataset with the names, splits and frame counts of UCF101.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use serde_json::Value;
use std::path::Path;
use whole_program_tests::{args, run};

fn plan(dir: &Path, stream: &str, split: u32) -> Value {
    // The frames are too small for random crops.
    run("ucftrain", &args(dir, &format!("{stream} --data {{}} --split {split} --crop whole --dry-run --json"))).json()
}

#[test]
fn clips_samples_and_steps_on_ucf101_equal_the_reference_codes() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("ucf101");
    run("ucfpack", &args(&dir, "synth --like ucf101 --out {} --size 8x8")).ok();

    for (stream, train_steps, test_steps) in [("temporal", 299, 2247), ("spatial", 382, 2876)] {
        let plan = plan(&dir, stream, 1);
        let number = |key: &str| plan[key].as_u64().unwrap();
        assert_eq!((number("train_clips"), number("test_clips"), number("test_samples")), (9537, 3783, 71_877));
        assert_eq!((number("train_steps"), number("test_steps"), number("epochs")), (train_steps, test_steps, 500));
        assert_eq!(plan["omitted"].as_array().map(Vec::len), Some(0));
    }
    for (split, train, test) in [(2, 9586, 3734), (3, 9624, 3696)] {
        let plan = plan(&dir, "temporal", split);
        assert_eq!((plan["train_clips"].as_u64(), plan["test_clips"].as_u64()), (Some(train), Some(test)));
    }

    let text = run("ucftrain", &args(&dir, "temporal --data {} --dry-run")).ok();
    let plan = "training: 9537 clips, 299 steps of 32 clips per epoch, 500 epochs\n\
                testing: 3783 clips, 71877 samples of 20 x 224 x 224, 2247 steps of 32 samples\n";
    assert_eq!(text, plan);
    let error = run("ucftrain", &args(&dir, "temporal --data {} --split 4 --dry-run")).error(2);
    assert!(error.contains("no split 4; it has 1, 2, 3"), "{error}");
    let error = run("ucftrain", &args(&dir, "spatial --data {} --dry-run")).error(2);
    assert!(error.contains("frames of 8x8 are too small to crop 224x224"), "{error}");
}
