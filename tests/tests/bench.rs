//! Tests that `ucftrain bench` measures the stated work. Its speed is not tested.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use whole_program_tests::{args, run};

#[test]
fn loader_and_step_tell_what_they_measured_and_of_what() {
    let temp = tempfile::tempdir().unwrap();
    let bench = |line: &str| run("ucftrain", &args(temp.path(), &format!("bench {line}")));
    run("ucfpack", &args(temp.path(), "synth --out {}/tree --classes 2 --clips 6 --size 44x36 --seed 5")).ok();
    let build = "build --tree {}/tree --lists {}/tree/lists --out {}/packed --flow-size 32";
    run("ucfpack", &args(temp.path(), build)).ok();
    let bytes =
        |stream: &str| std::fs::metadata(temp.path().join(format!("packed/{stream}-00000.clipshard"))).unwrap().len();

    for (stream, sample_bytes) in [("rgb", 3 * 32 * 32), ("flow", 20 * 32 * 32)] {
        let line = format!("--data {{}}/packed --stream {stream} --input-size 32 --batch-size 3 --threads 2");
        let found = bench(&format!("loader {line} --seconds 0.2 --json")).json();
        assert_eq!(found["sample_bytes"], sample_bytes);
        assert_eq!(found["bytes_on_disk"], bytes(stream));
        let (samples, seconds) = (found["samples"].as_f64().unwrap(), found["seconds"].as_f64().unwrap());
        assert!(samples > 0. && samples % 3. == 0. && seconds >= 0.2, "{found}");
        assert!((found["samples_per_second"].as_f64().unwrap() - samples / seconds).abs() < 1e-6, "{found}");

        let found = bench(&format!("step {line} --device cpu --seconds 0 --json")).json();
        assert_eq!((&found["steps"], &found["batch_size"], &found["threads"]), (&5.into(), &3.into(), &2.into()));
        assert_eq!(found["channels"], sample_bytes / (32 * 32));
        let [step, forward, backward, update, evaluation] =
            ["step_ms", "forward_ms", "backward_ms", "update_ms", "eval_ms"].map(|name| found[name].as_f64().unwrap());
        assert!(forward > 0. && backward > 0. && update > 0. && evaluation > 0. && step > forward, "{found}");
        assert!((found["images_per_second"].as_f64().unwrap() - 3e3 / step).abs() < 1e-6, "{found}");
    }

    let synthetic = bench("step --device cpu --input-size 32 --batch-size 2 --seconds 0").ok();
    assert!(synthetic.contains("batch 2 x 3 x 32 x 32") && synthetic.contains("training step"), "{synthetic}");
    assert!(bench("step --data {}/packed --input-size 32 --device cpu").error(2).contains("--batch-size"));
    assert!(bench("loader --data {}/tree --stream rgb").error(1).contains("manifest.json"));
}
