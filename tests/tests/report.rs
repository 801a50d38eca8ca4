//! Tests of `ucftrain report`: pages of one run and of two runs, missing files, hostile names, and
//! a browser.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use clip_loader::Work;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use tempfile::TempDir;
use ucftrain::testing::{EpochResult, Evaluated, Network, Scored, Scores, Seconds, Stream, save_network};
use whole_program_tests::{args, run};

/// Returns a folder with a packed dataset of 4 classes and a short run of each stream. All tests
/// share them and none changes them.
fn shared() -> &'static Path {
    static DATA: OnceLock<TempDir> = OnceLock::new();
    let temp = DATA.get_or_init(|| {
        let temp = tempfile::tempdir().unwrap();
        let program = |name: &str, line: &str| run(name, &args(temp.path(), line)).ok();
        program("ucfpack", "synth --out {}/tree --classes 4 --clips 6 --size 44x36 --seed 5");
        program("ucfpack", "build --tree {}/tree --lists {}/tree/lists --out {}/packed --flow-size 32");
        for stream in ["spatial", "temporal"] {
            let common = "--weights none --input-size 32 --batch-size 4 --epochs 2 --lr 0.01 --seed 3 --threads 2";
            program("ucftrain", &format!("{stream} --data {{}}/packed --run {{}}/{stream} {common}"));
        }
        temp
    });
    temp.path()
}

/// Returns a copy of a shared run, which a test may change.
fn copy_of(stream: &str, to: &Path) -> PathBuf {
    let to = to.join(stream);
    fs::create_dir(&to).unwrap();
    for entry in fs::read_dir(shared().join(stream)).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
    to
}

/// Writes the report of these runs. Returns its page without the chart library.
fn report(runs: &[&Path], out: &Path) -> String {
    let mut arguments: Vec<String> = vec!["report".into()];
    arguments.extend(runs.iter().map(|run| run.display().to_string()));
    arguments.extend(["--out".into(), out.display().to_string()]);
    let printed = run("ucftrain", &arguments).ok();
    assert!(printed.contains(&out.display().to_string()) && printed.contains(" MB"), "{printed}");
    body(out)
}

/// Returns the content of a page, which precedes the chart library.
fn body(page: &Path) -> String {
    let page = fs::read_to_string(page).unwrap();
    assert!(page.starts_with("<!DOCTYPE html>") && page.len() < 8_000_000, "{} bytes", page.len());
    let has_charts = page.contains("class=\"chart\"");
    assert_eq!(page.matches("plotly.js v").count(), usize::from(has_charts), "a page with charts has the library once");
    page[..page.find("</footer>").unwrap()].to_owned()
}

#[test]
fn a_training_leaves_a_page_of_its_run() {
    let (temp, run_dir) = (tempfile::tempdir().unwrap(), shared().join("spatial"));
    let page = body(&run_dir.join("report.html"));
    let log = fs::read_to_string(run_dir.join("log.jsonl")).unwrap();
    let event = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap();
    let epochs: Vec<_> = log.lines().map(event).filter(|event| event["event"] == "epoch").collect();
    assert_eq!(epochs.len(), 2);
    for epoch in &epochs {
        for (part, name) in [("test", "loss"), ("train", "loss"), ("test", "top1"), ("train", "top1")] {
            let figure = epoch["result"][part][name].to_string();
            assert!(page.contains(&figure), "{part} {name} {figure}");
        }
    }
    for words in [
        "<h1>spatial</h1>",
        "spatial · resnet18 · recipe seed · split 1",
        "<p class=\"lead\">The network of epoch ",
        "% of the 8 test clips correctly.",
        "<dt>Accuracy (top-1)</dt>",
        "<dt>Mean class accuracy</dt>",
        "<h3>Loss</h3>",
        "<h3>Learning rate</h3>",
        "train: waiting",
        "% computing",
        "<h3>Accuracy of each class</h3>",
        "<h3>Most confused pairs</h3>",
        "<h3>Confusion matrix</h3>",
        "Worst videos",
        "started with ucftrain",
        "input-size = 32",
    ] {
        assert!(page.contains(words), "{words}");
    }
    assert!(page.contains("<img src=\"data:image/jpeg;base64,"), "pictures of the worst videos");
    assert!(!page.contains("Missing:") && !page.contains("Pictures are missing:") && !page.contains("Fusion"));
    // The page loads nothing from elsewhere.
    assert!(!page.contains("src=\"http") && !page.contains("href=") && page.contains("default-src 'none'"));
    // The same files give the same page again, in the default place.
    let again = copy_of("spatial", temp.path());
    run("ucftrain", &args(temp.path(), "report {}/spatial")).ok();
    let normal = |page: String, dir: &Path| page.replace(&dir.display().to_string(), "DIR");
    assert_eq!(normal(body(&again.join("report.html")), &again), normal(page, &run_dir));
}

#[test]
fn two_runs_are_compared_and_fused() {
    let temp = tempfile::tempdir().unwrap();
    let (spatial, temporal) = (shared().join("spatial"), shared().join("temporal"));
    let page = report(&[&spatial, &temporal], &temp.path().join("both.html"));
    for words in [
        "<h1>2 runs</h1>",
        "<td>spatial</td>",
        "<td>temporal</td>",
        "Epochs count from 0.",
        "spatial test",
        "temporal train",
        "<p class=\"lead\">The average of these 2 runs predicts the class of ",
        "Confusion matrix of temporal",
        "Worst videos of spatial",
        "tuned on the test clips: not a result",
        "<h2>Groups of runs with the same settings</h2>",
        "(one run)",
    ] {
        assert!(page.contains(words), "{words}");
    }
    let fused = run("ucftrain", &args(shared(), "fuse {}/spatial {}/temporal --json")).json();
    for result in fused["results"].as_array().unwrap() {
        let ratio = result["ratio"].as_str().unwrap_or("–");
        let cells = |class: &str| {
            let (top1, top5) = (result["top1"].as_f64().unwrap(), result["top5"].as_f64().unwrap());
            format!("<td>{ratio}</td><td class=\"{class}\">{top1:.2}</td><td class=\"number\">{top5:.2}</td>")
        };
        assert!(page.contains(&cells("number")) || page.contains(&cells("number best")), "{ratio}");
    }
    // The report of several runs goes into the current folder.
    let program = whole_program_tests::program("ucftrain");
    let status =
        Command::new(program).arg("report").args([&spatial, &temporal]).current_dir(temp.path()).output().unwrap();
    assert!(status.status.success());
    assert_eq!(body(&temp.path().join("report.html")), page);
}

/// Writes the accuracy of each epoch into the log of a run, and another seed into its settings.
fn change(dir: &Path, seed: u64, top1: [f64; 2]) {
    let config = fs::read_to_string(dir.join("config.toml")).unwrap();
    fs::write(dir.join("config.toml"), config.replace("\nseed = 3\n", &format!("\nseed = {seed}\n"))).unwrap();
    let mut log = Vec::new();
    for line in fs::read_to_string(dir.join("log.jsonl")).unwrap().lines() {
        let mut event: serde_json::Value = serde_json::from_str(line).unwrap();
        if let Some(epoch) = event["result"]["epoch"].as_u64() {
            event["result"]["test"]["top1"] = top1[epoch as usize].into();
        }
        log.push(format!("{event}\n"));
    }
    fs::write(dir.join("log.jsonl"), log.concat()).unwrap();
}

#[test]
fn many_runs_are_compared_in_groups_on_a_small_page_without_scripts() {
    let temp = tempfile::tempdir().unwrap();
    let mut runs = Vec::new();
    for (seed, spatial, temporal) in [(7, 40.0, 60.0), (8, 44.0, 61.0), (9, 42.0, 65.0)] {
        for (stream, top1) in [("spatial", spatial), ("temporal", temporal)] {
            let folder = temp.path().join(format!("seed{seed}"));
            fs::create_dir_all(&folder).unwrap();
            let run = copy_of(stream, &folder);
            change(&run, seed, [top1, top1 - 10.0]);
            runs.push(run);
        }
    }
    let out = temp.path().join("many.html");
    let mut arguments: Vec<String> = vec!["report".into(), "--json".into(), "--out".into(), out.display().to_string()];
    arguments.extend(runs.iter().map(|run| run.display().to_string()));
    let figures = run("ucftrain", &arguments).json();
    let page = fs::read_to_string(&out).unwrap();
    assert!(page.len() < 100_000 && !page.contains("<script"), "{} bytes", page.len());
    // 40, 44 and 42: mean 42, deviation 2. 60, 61 and 65: mean 62, deviation sqrt((4 + 1 + 9) / 2).
    for words in ["<h1>6 runs</h1>", "42.00 ± 2.00", "62.00 ± 2.65", "32.00 ± 2.00", "spatial + temporal", "Minutes"]
    {
        assert!(page.contains(words), "{words}: {page}");
    }
    for run in &runs {
        assert!(page.contains(&format!("<details><summary>{}", run.display())), "{}", run.display());
    }
    let groups = figures["groups"].as_array().unwrap();
    let of = |row: &serde_json::Value| row["stream"].as_str().unwrap().to_owned();
    assert_eq!(groups.iter().map(of).collect::<Vec<_>>(), ["spatial", "temporal", "spatial + temporal"]);
    assert_eq!((&groups[0]["group"], &groups[0]["subset"]), (&"seed".into(), &"test".into()));
    assert_eq!((&groups[0]["best"]["mean"]["value"], &groups[0]["best"]["deviation"]), (&42.0.into(), &2.0.into()));
    assert_eq!(groups[0]["last"]["mean"]["value"], 32.0);
    // All pairs have the same scores, which are fused as by ucftrain fuse.
    let fused = run("ucftrain", &args(shared(), "fuse {}/spatial {}/temporal --json")).json();
    let average = fused["results"].as_array().unwrap().iter().find(|row| row["strategy"] == "average").unwrap();
    assert_eq!(
        groups[2]["best"]["splits"][0]["values"],
        serde_json::json!([average["top1"], average["top1"], average["top1"]])
    );
    assert_eq!(groups[2]["runs"], 3);
    assert_eq!(figures["runs"].as_array().unwrap().len(), 6);
    assert_eq!((&figures["runs"][1]["test_top1"], &figures["runs"][1]["seed"]), (&60.0.into(), &"7".into()));
    // The contradiction with the scores is named, folded because there are six.
    assert!(page.contains("<summary>Problems with the files of 6 runs</summary>"), "{page}");
}

#[test]
fn runs_of_other_clips_are_shown_without_fusion() {
    let temp = tempfile::tempdir().unwrap();
    let other = copy_of("temporal", temp.path());
    let mut scores = Scores::load(&other).unwrap();
    scores.names[0] = "v_Another_g01_c01".into();
    scores.write_npz(&other.join("scores.npz")).unwrap();
    let page = report(&[&shared().join("spatial"), &other], &temp.path().join("x.html"));
    assert!(page.contains("No two of these runs have scores of the same clips"));
    // Two of these three runs can be fused.
    let page = report(&[&other, &shared().join("spatial"), &shared().join("temporal")], &temp.path().join("y.html"));
    assert!(
        page.contains("tuned on the test clips") && page.contains("Not fused, for lack of scores of the same clips"),
        "{page}"
    );
}

#[test]
fn what_is_missing_is_named_and_the_rest_shown() {
    let files = [
        "config.toml",
        "log.jsonl",
        "train.csv",
        "test.csv",
        "scores.npz",
        "best.safetensors",
        "checkpoint.safetensors",
    ];
    for missing in files {
        let temp = tempfile::tempdir().unwrap();
        let dir = copy_of("temporal", temp.path());
        fs::remove_file(dir.join(missing)).unwrap();
        let page = report(&[&dir], &temp.path().join("x.html"));
        assert!(page.contains(&format!("Missing: {missing}.")), "{missing}");
        assert_eq!(page.contains("Confusion matrix"), missing != "scores.npz", "{missing}");
        assert_eq!(page.contains("<img"), missing != "scores.npz" && missing != "config.toml", "{missing}");
        assert_eq!(page.contains("Unknown: log.jsonl, the only file with times"), missing == "log.jsonl", "{missing}");
        assert!(page.contains("test top-1"), "{missing}");
    }
    // Only one of the files exists.
    for only in files {
        let temp = tempfile::tempdir().unwrap();
        let dir = copy_of("temporal", temp.path());
        for other in files.iter().filter(|other| **other != only) {
            fs::remove_file(dir.join(other)).unwrap();
        }
        let page = report(&[&dir], &temp.path().join("x.html"));
        assert!(page.contains("Missing: ") && !page.contains(&format!("{only},")), "{only}");
    }
}

#[test]
fn half_written_files_are_named_and_the_rest_shown() {
    let temp = tempfile::tempdir().unwrap();
    let dir = copy_of("spatial", temp.path());
    for file in ["log.jsonl", "scores.npz", "best.safetensors", "checkpoint.safetensors", "train.csv"] {
        let bytes = fs::read(dir.join(file)).unwrap();
        let length = if file.ends_with(".safetensors") { 300 } else { bytes.len() - 20 };
        fs::write(dir.join(file), &bytes[..length]).unwrap();
    }
    fs::write(dir.join("config.toml"), "stream = \"spatial\"\nlr = ").unwrap();
    let page = report(&[&dir], &temp.path().join("x.html"));
    for words in [
        "log.jsonl: cannot read 1 of its lines.",
        "train.csv: cannot read 1 of its lines.",
        "scores.npz: ",
        "best.safetensors: ",
        "checkpoint.safetensors: ",
        "config.toml: ",
        "Where the time went",
    ] {
        assert!(page.contains(words), "{words}");
    }
    // The first epoch comes from the log, the test of the second one from test.csv.
    assert!(page.contains("\"x\":[0,1]"), "{page}");
    fs::write(dir.join("log.jsonl"), "").unwrap();
    fs::write(dir.join("train.csv"), "").unwrap();
    fs::write(dir.join("test.csv"), "").unwrap();
    assert!(report(&[&dir], &temp.path().join("x.html")).contains("No epoch is complete yet."));
}

#[test]
fn a_run_that_was_stopped_early_has_a_page_too() {
    let temp = tempfile::tempdir().unwrap();
    let line =
        "spatial --run {}/stopped --weights none --input-size 32 --batch-size 4 --epochs 2 --limit-steps 1 --data";
    let mut line = args(temp.path(), line);
    line.push(shared().join("packed").display().to_string());
    run("ucftrain", &line).ok();
    let page = body(&temp.path().join("stopped/report.html"));
    assert!(
        page.contains("Its checkpoint is in epoch 0, after step 1 of that epoch")
            && page.contains("No epoch is complete yet.")
    );
}

#[test]
fn without_its_dataset_a_page_lacks_only_the_pictures() {
    let temp = tempfile::tempdir().unwrap();
    let dir = copy_of("spatial", temp.path());
    let config = fs::read_to_string(dir.join("config.toml")).unwrap();
    let packed = shared().join("packed");
    fs::write(dir.join("config.toml"), config.replace(&packed.display().to_string(), "gone")).unwrap();
    let page = report(&[&dir], &temp.path().join("x.html"));
    assert!(
        page.contains("Pictures are missing: the dataset gone does not exist")
            && !page.contains("<img")
            && page.contains("<figure class=\"clip\">")
    );
    // The dataset may be given as an option, or be next to the run.
    let out = temp.path().join("named.html");
    let mut line = args(temp.path(), "report {}/spatial --out {}/named.html --data");
    line.push(packed.display().to_string());
    run("ucftrain", &line).ok();
    assert!(body(&out).contains("<img"));
    fs::create_dir(temp.path().join("gone")).unwrap();
    for entry in fs::read_dir(&packed).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), temp.path().join("gone").join(entry.file_name())).unwrap();
    }
    assert!(report(&[&dir], &temp.path().join("x.html")).contains("<img"));
    run("ucfpack", &args(temp.path(), "synth --out {}/tree --classes 2 --clips 6 --size 44x36 --seed 6")).ok();
    let build = "build --tree {}/tree --lists {}/tree/lists --out {}/other --flow-size 32";
    run("ucfpack", &args(temp.path(), build)).ok();
    run("ucftrain", &args(temp.path(), "report {}/spatial --out {}/named.html --data {}/other")).ok();
    assert!(body(&out).contains("is not the dataset that the run read") && !body(&out).contains("<img"));
}

#[test]
fn flow_alone_is_shown_as_colours() {
    let temp = tempfile::tempdir().unwrap();
    let (flow, tree) = (shared().join("tree/tvl1_flow"), shared().join("tree/lists"));
    let build = format!("build --flow {} --lists {} --out {{}}/packed --flow-size 32", flow.display(), tree.display());
    run("ucfpack", &args(temp.path(), &build)).ok();
    let common = "--weights none --input-size 32 --batch-size 4 --epochs 1 --limit-steps 9 --threads 2";
    run("ucftrain", &args(temp.path(), &format!("temporal --data {{}}/packed --run {{}}/run {common}"))).ok();
    let page = body(&temp.path().join("run/report.html"));
    assert!(page.contains("<img src=\"data:image/jpeg;base64,"), "{page}");
}

#[test]
fn a_folder_without_a_run_is_one_clear_error() {
    let temp = tempfile::tempdir().unwrap();
    fs::create_dir(temp.path().join("thesis")).unwrap();
    fs::write(temp.path().join("thesis/thesis.tex"), "x").unwrap();
    let error = run("ucftrain", &args(temp.path(), "report {}/thesis")).error(1);
    assert!(error.contains("not a run folder") && error.lines().count() == 1, "{error}");
    let error = run("ucftrain", &args(temp.path(), "report {}/nowhere")).error(1);
    assert!(error.contains("the folder does not exist") && error.lines().count() == 1, "{error}");
    run("ucftrain", &["report"]).error(2);
    let spatial = shared().join("spatial").display().to_string();
    let out = temp.path().join("no/such/folder.html").display().to_string();
    let error = run("ucftrain", &["report", &spatial, "--out", &out]).error(1);
    assert!(error.contains(&out), "{error}");
}

const HOSTILE: &str =
    "\"'><img src=x onerror=\"document.title='owned'\"></script><script>document.title='owned'</script>${1}%{x}";

/// Creates a run in which all names are hostile.
fn hostile_run(dir: &Path) -> PathBuf {
    let dir = dir.join("<img src=x onerror=alert(1)>");
    fs::create_dir(&dir).unwrap();
    let config =
        format!("stream = \"spatial\"\narch = '''{HOSTILE}'''\nsplit = '''{HOSTILE}'''\ndata = '''{HOSTILE}'''\n");
    fs::write(dir.join("config.toml"), config).unwrap();
    let scored = Scored { loss: 1.0, top1: 25.0, top5: 100.0 };
    let result = EpochResult {
        epoch: 0,
        lr: 0.1,
        train: scored,
        eval: Evaluated::Test(scored),
        train_seconds: Seconds::default(),
        test_seconds: Seconds::default(),
        train_decode_seconds: Work::default(),
        test_decode_seconds: Work::default(),
    };
    let start = serde_json::json!({ "event": "start", "device": HOSTILE, "version": HOSTILE, "precision": HOSTILE });
    let epoch = serde_json::json!({ "event": "epoch", "result": result });
    fs::write(dir.join("log.jsonl"), format!("{start}\n{epoch}\n")).unwrap();
    let network = Network {
        stream: Stream::Spatial,
        arch: HOSTILE.into(),
        classes: (0..4).map(|class| format!("{HOSTILE}{class}")).collect(),
        input_size: 32,
        split: HOSTILE.into(),
        view: None,
    };
    save_network(&dir.join("best.safetensors"), &network, &[]).unwrap();
    let scores = Scores {
        names: (0..4).map(|clip| format!("{HOSTILE}{clip}")).collect(),
        classes: 4,
        logits: [1.0, 0.0, 0.0, 0.0].repeat(4),
        labels: Some(vec![0, 1, 2, 3]),
        samples: Some(vec![1; 4]),
        subset: Some(HOSTILE.into()),
    };
    scores.write_npz(&dir.join("scores.npz")).unwrap();
    dir
}

#[test]
fn no_name_becomes_markup_or_script() {
    let temp = tempfile::tempdir().unwrap();
    let hostile = hostile_run(temp.path());
    let one = report(&[&hostile], &temp.path().join("one.html"));
    let two = report(&[&hostile, &shared().join("spatial")], &temp.path().join("two.html"));
    for page in [one, two] {
        assert!(page.contains("&lt;img src=x"), "the names are shown");
        assert!(!page.contains("<img src=x") && !page.contains("<script>document"), "{page}");
        assert_eq!(page.matches("<script").count(), page.matches("</script>").count());
        assert_eq!(page.matches("<script").count(), page.matches("<script type=\"application/json\">").count());
    }
}

/// Returns the path of a browser on this machine. `build.rs` looks for the same names.
fn browser() -> Option<PathBuf> {
    let folders: Vec<PathBuf> = std::env::split_paths(&std::env::var_os("PATH")?).collect();
    let names = ["chromium", "chromium-browser", "google-chrome"];
    names.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name))).find(|path| path.is_file())
}

#[test]
#[cfg_attr(not(has_browser), ignore = "needs chromium, chromium-browser or google-chrome")]
fn a_browser_draws_every_chart_without_complaints() {
    let browser = browser().expect("chromium, chromium-browser or google-chrome is on PATH");
    let temp = tempfile::tempdir().unwrap();
    let hostile = hostile_run(temp.path());
    let (spatial, temporal) = (shared().join("spatial"), shared().join("temporal"));
    for (name, runs) in
        [("one", vec![&spatial]), ("two", vec![&spatial, &temporal]), ("hostile", vec![&hostile, &spatial])]
    {
        let page = temp.path().join(format!("{name}.html"));
        let runs: Vec<&Path> = runs.into_iter().map(PathBuf::as_path).collect();
        let charts = report(&runs, &page).matches("class=\"chart\"").count();
        let profile = format!("--user-data-dir={}", temp.path().join("profile").display());
        let output = Command::new(&browser)
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--dump-dom", "--enable-logging=stderr"])
            .args(["--virtual-time-budget=10000", "--window-size=1366,768", &profile])
            .arg(format!("file://{}", page.display()))
            .output()
            .unwrap();
        let (dom, log) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let complaints: BTreeSet<&str> = log.lines().filter(|line| line.contains("CONSOLE")).collect();
        assert!(complaints.is_empty(), "{name}: {complaints:#?}");
        assert_eq!(dom.matches("data-drawn=\"true\"").count(), charts, "{name}: every chart is drawn");
        assert!(dom.matches("class=\"main-svg\"").count() >= charts && charts >= 6, "{name}: {charts}");
        assert!(!dom.contains("<title>owned") && !dom.contains("<img src=\"x\""), "{name}");
    }
}
