//! Tests of trained networks: predictions, scores, and conversion to PyTorch and back.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use candle_core::{Device, Tensor};
use npyz::NpyFile;
use std::collections::HashMap;
use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use tempfile::TempDir;
use ucftrain::testing::Scores;
use whole_program_tests::{args, run};

/// Returns a folder with a packed dataset `packed` of 3 classes, and one run per stream: `sp` and
/// `te`.
fn runs() -> &'static Path {
    static RUNS: OnceLock<TempDir> = OnceLock::new();
    let temp = RUNS.get_or_init(|| {
        let temp = tempfile::tempdir().unwrap();
        run("ucfpack", &args(temp.path(), "synth --out {}/tree --classes 3 --clips 6 --size 44x36 --seed 5")).ok();
        let build = "build --tree {}/tree --lists {}/tree/lists --out {}/packed --flow-size 32";
        run("ucfpack", &args(temp.path(), build)).ok();
        for (stream, name) in [("spatial", "sp"), ("temporal", "te")] {
            let settings = "--weights none --input-size 32 --batch-size 4 --epochs 1 --lr 0.01 --threads 2";
            run("ucftrain", &args(temp.path(), &format!("{stream} --data {{}}/packed --run {{}}/{name} {settings}")))
                .ok();
        }
        temp
    });
    temp.path()
}

fn ucftrain(line: &str) -> whole_program_tests::Done {
    run("ucftrain", &args(runs(), line))
}

fn softmax(logits: impl Iterator<Item = f64>) -> Vec<f64> {
    let powers: Vec<f64> = logits.map(f64::exp).collect();
    let sum: f64 = powers.iter().sum();
    powers.iter().map(|power| power / sum).collect()
}

/// Returns the probability of each class in the `top5` of a prediction.
fn probabilities(top5: &serde_json::Value) -> HashMap<String, f64> {
    let told = top5.as_array().unwrap().iter();
    told.map(|of| (of["class"].as_str().unwrap().to_owned(), of["probability"].as_f64().unwrap())).collect()
}

#[test]
fn a_prediction_is_what_the_scores_say() {
    let classes = clipshard::Dataset::open(runs().join("packed")).unwrap().manifest().classes.clone();
    let scores = ["sp", "te"].map(|name| Scores::load(&runs().join(name)).unwrap());
    let clip = &scores[0].names[1];
    let said = ucftrain(&format!("predict --run {{}}/sp --run {{}}/te --data {{}}/packed --clip {clip} --json")).json();
    assert_eq!(said["clip"], clip.as_str());
    let mut mean = vec![0.0; classes.len()];
    for (scores, said) in scores.iter().zip(said["networks"].as_array().unwrap()) {
        let at = scores.names.iter().position(|name| name == clip).unwrap();
        let logits: Vec<f64> = scores.row(at).iter().map(|&sum| f64::from(sum) / 19.0).collect();
        mean.iter_mut().zip(&logits).for_each(|(mean, logit)| *mean += logit / 2.0);
        let found = probabilities(&said["top5"]);
        for (class, expected) in classes.iter().zip(softmax(logits.into_iter())) {
            assert!((found[class] - expected).abs() < 1e-5, "{class}: {found:?}, {expected}");
        }
        assert_eq!(said["samples"].as_array().unwrap().len(), 19);
    }
    let found = probabilities(&said["top5"]);
    for (class, expected) in classes.iter().zip(softmax(mean.into_iter())) {
        assert!((found[class] - expected).abs() < 1e-5, "{class}: {found:?}, {expected}");
    }
    let mut order: Vec<(f64, &str)> = found.iter().map(|(class, &p)| (p, class.as_str())).collect();
    order.sort_by(|a, b| b.0.total_cmp(&a.0));
    assert_eq!(said["top5"][0]["class"], order[0].1, "the most likely class comes first");
    let text = ucftrain(&format!("predict --run {{}}/sp --data {{}}/packed --clip V_{}.avi", &clip[2..])).ok();
    let winner = text.lines().last().unwrap().strip_prefix("prediction: ").unwrap();
    assert!(winner.ends_with(" %") && text.lines().count() < 12, "{text}");
    let temp = tempfile::tempdir().unwrap();
    let sheet = temp.path().join("sheet.png").display().to_string();
    let line =
        format!("predict --run {{}}/sp --run {{}}/te --data {{}}/packed --clip {clip} --samples --sheet {sheet}");
    let text = ucftrain(&line).ok();
    let text = text.strip_prefix(&format!("contact sheet: {sheet}\n")).unwrap();
    assert!(text.contains("sp, each RGB frame: ") && text.contains("te, each stack of 10 flow frames: "), "{text}");
    let last = text.lines().last().unwrap();
    assert!(last.contains(order[0].1) && last.ends_with(" % (average of 2 networks)"), "{text}");
    assert!(text.lines().count() > 2 * 19, "{text}");
    let frames = clipshard::Dataset::open(runs().join("packed")).unwrap().manifest().clips.clone();
    let frames = frames.iter().find(|other| other.id == *clip).unwrap().frames["rgb"];
    assert!(text.lines().next().unwrap().ends_with(&format!(", {frames} frames")), "{text}");
}

#[test]
fn a_test_on_clips_of_the_training_says_so() {
    let data = clipshard::Dataset::open(runs().join("packed")).unwrap();
    let clips = &data.manifest().clips;
    let tested = clips.iter().filter(|clip| clip.subsets[1] == clipshard::Subset::Test);
    let trained = tested.clone().filter(|clip| clip.subsets[0] == clipshard::Subset::Train).count();
    let tested = tested.count();
    assert!(trained > 0);
    let done = ucftrain("eval --run {}/sp --data {}/packed --split 2");
    let note = format!(
        "note: {trained} of the {tested} test clips of split 2 are training clips of split 1, on which this network \
         was trained; the accuracy is too high\n"
    );
    assert!(done.stderr.contains(&note), "{}", done.stderr);
    done.ok();
    let said = |more: &str| ucftrain(&format!("eval --run {{}}/sp --data {{}}/packed --json {more}")).json();
    assert_eq!(
        (said("--split 2")["trained_clips"].as_u64(), said("")["trained_clips"].as_u64()),
        (Some(trained as u64), Some(0))
    );
    let done = ucftrain("eval --run {}/sp --data {}/packed");
    assert!(!done.stderr.contains("note: "), "{}", done.stderr);
}

#[test]
fn a_prediction_of_a_damaged_clip_names_the_record_and_no_option_that_predict_lacks() {
    let temp = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(runs().join("packed")).unwrap() {
        let path = entry.unwrap().path();
        let mut bytes = fs::read(&path).unwrap();
        if path.to_string_lossy().contains("rgb-") {
            // Damages most records, but not the index and the header.
            let end = bytes.len() * 9 / 10;
            for at in (200..end).step_by(101) {
                bytes[at] ^= 4;
            }
        }
        fs::write(temp.path().join(path.file_name().unwrap()), bytes).unwrap();
    }
    let clip = Scores::load(&runs().join("sp")).unwrap().names[1].clone();
    let line = format!("predict --run {{}}/sp --data {} --clip {clip}", temp.path().display());
    let error = ucftrain(&line).error(1);
    assert!(error.contains("rgb-00000.clipshard: record ") && error.contains("checksum"), "{error}");
    assert!(!error.contains("--skip-damaged"), "{error}");
}

#[test]
fn the_sheet_of_a_prediction_is_green_below_frames_that_are_right_and_red_below_the_others() {
    let temp = tempfile::tempdir().unwrap();
    let sheet = temp.path().join("sheet.png");
    let (mut right, mut wrong) = (0, 0);
    for clip in &Scores::load(&runs().join("sp")).unwrap().names {
        let line = format!("predict --run {{}}/sp --run {{}}/te --data {{}}/packed --clip {clip} --json --sheet");
        let said = ucftrain(&format!("{line} {}", sheet.display())).json();
        let samples = said["networks"].as_array().unwrap().iter().flat_map(|of| of["samples"].as_array().unwrap());
        let is_right: Vec<bool> = samples.map(|of| of["class"] == said["label"]).collect();
        let picture = image::open(&sheet).unwrap().to_rgb8();
        let has = |colour: [u8; 3]| picture.pixels().any(|pixel| pixel.0 == colour);
        assert_eq!(has([0, 110, 50]), is_right.contains(&true), "{clip}");
        assert_eq!(has([180, 20, 30]), is_right.contains(&false), "{clip}");
        right += is_right.iter().filter(|&&is_right| is_right).count();
        wrong += is_right.iter().filter(|&&is_right| !is_right).count();
    }
    assert!(right > 0 && wrong > 0, "both colours are met");
}

fn array<T: npyz::Deserialize>(npy: NpyFile<impl Read>) -> (Vec<u64>, Vec<T>) {
    (npy.shape().to_vec(), npy.into_vec().unwrap())
}

#[test]
fn a_network_with_a_temporal_shift_has_it_in_every_command() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().display();
    let train = |name: &str, more: &str| {
        let settings = "--weights none --input-size 32 --batch-size 4 --epochs 1 --lr 0.01 --threads 2";
        let views = "--sampling segments --segments 3 --test-samples 6";
        ucftrain(&format!("spatial --data {{}}/packed --run {dir}/{name} {settings} {views} {more}")).ok();
        Scores::load(&temp.path().join(name)).unwrap()
    };
    let (plain, shifted) = (train("plain", ""), train("shifted", "--temporal-shift"));
    let is_near = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-3);
    assert!(plain.names == shifted.names && !is_near(&plain.logits, &shifted.logits));

    let text = ucftrain(&format!("export --run {dir}/shifted --out {dir}/net.safetensors")).ok();
    assert!(text.contains("between the 3 frames of a clip") && text.contains("unflatten(0, (-1, 3))"), "{text}");
    assert!(!ucftrain(&format!("export --run {dir}/plain --out {dir}/plain.safetensors")).ok().contains("unflatten"));
    for network in ["--run {}/shifted", "--checkpoint {}/net.safetensors"] {
        let network = network.replace("{}", &dir.to_string());
        // Seven samples are no whole clips, so the batch gets larger.
        let more = format!("--scores {dir}/s.npz --sample-scores {dir}/samples.npz --batch-size 7");
        ucftrain(&format!("eval {network} --data {{}}/packed {more}")).ok();
        let found = Scores::load(&temp.path().join("s.npz")).unwrap();
        assert!(found.names == shifted.names && is_near(&found.logits, &shifted.logits), "{network}");
    }
    let mut archive = npyz::npz::NpzArchive::open(temp.path().join("samples.npz")).unwrap();
    let (shape, logits) = array::<f32>(archive.by_name("logits").unwrap().unwrap());
    let (clips, classes) = (shifted.names.len(), shifted.classes);
    assert_eq!(shape, [clips as u64, 6, classes as u64]);
    for (of_clip, sums) in logits.chunks_exact(6 * classes).zip(shifted.logits.chunks_exact(classes)) {
        let sum = |class: usize| of_clip.iter().skip(class).step_by(classes).sum::<f32>();
        assert!(is_near(&(0..classes).map(sum).collect::<Vec<_>>(), sums));
    }
    let clip = &shifted.names[1];
    let predicted = ucftrain(&format!("predict --run {dir}/shifted --data {{}}/packed --clip {clip} --json")).json();
    let found = probabilities(&predicted["top5"]);
    let expected = softmax(shifted.row(1).iter().map(|&sum| f64::from(sum) / 6.0));
    let names = clipshard::Dataset::open(runs().join("packed")).unwrap().manifest().classes.clone();
    for (class, expected) in names.iter().zip(expected) {
        assert!((found[class] - expected).abs() < 1e-4, "{class}: {found:?}, {expected}");
    }
}

#[test]
fn scores_of_samples_add_up_to_those_of_clips() {
    let temp = tempfile::tempdir().unwrap();
    let (sums, file) = (temp.path().join("sums.npz"), temp.path().join("samples.npz"));
    let files = format!("--scores {} --sample-scores {}", sums.display(), file.display());
    ucftrain(&format!("eval --run {{}}/te --data {{}}/packed {files}")).ok();
    let scores = Scores::load(&sums).unwrap();
    assert_eq!(scores.subset.as_deref(), Some("test"));
    let mut archive = npyz::npz::NpzArchive::open(&file).unwrap();
    let subset: Vec<String> = archive.by_name("subset").unwrap().unwrap().into_vec().unwrap();
    assert_eq!(subset, ["test"]);
    let (shape, logits) = array::<f32>(archive.by_name("logits").unwrap().unwrap());
    let (clips, classes) = (scores.names.len(), scores.classes);
    assert_eq!(shape, [clips as u64, 19, classes as u64]);
    for clip in 0..clips {
        for class in 0..classes {
            let sum: f32 = (0..19).map(|sample| logits[(clip * 19 + sample) * classes + class]).sum();
            assert!((sum - scores.row(clip)[class]).abs() < 1e-4);
        }
    }
    let (shape, frames) = array::<u32>(archive.by_name("frames").unwrap().unwrap());
    assert_eq!(shape, [clips as u64, 19]);
    // The rule of the reference code: every interval-th frame from the first on.
    let data = clipshard::Dataset::open(runs().join("packed")).unwrap();
    let flow = data.manifest().clips.iter().find(|clip| clip.id == scores.names[0]).unwrap().frames["flow"];
    let interval = (flow.saturating_sub(9) / 19).max(1);
    let expected: Vec<u32> = (0..19).map(|i| (i * interval).min(flow - 10)).collect();
    assert_eq!(frames[..19], expected);
}

/// Makes a video from a clip's frames in the tree.
fn film(clip: &str, video: &Path) {
    let frames = runs().join("tree/jpegs_256").join(clip).join("frame%06d.jpg");
    let mut command = Command::new("ffmpeg");
    command.args(["-loglevel", "error", "-y", "-framerate", "25", "-i"]).arg(frames);
    assert!(command.args(["-c:v", "mpeg4", "-q:v", "2"]).arg(video).status().unwrap().success());
}

#[test]
#[cfg_attr(not(has_ffmpeg), ignore = "needs ffmpeg")]
fn a_video_is_seen_as_the_clip_that_is_packed_from_it() {
    let temp = tempfile::tempdir().unwrap();
    let data = clipshard::Dataset::open(runs().join("packed")).unwrap();
    let clip = &data.manifest().clips[1];
    let video = temp.path().join(format!("videos/{}.avi", clip.id));
    fs::create_dir(temp.path().join("videos")).unwrap();
    film(&clip.id, &video);
    let lists = runs().join("tree/lists");
    let build = format!(
        "build --videos {{}}/videos --lists {} --keep-going --flow-method dis --flow-size 32 --out {{}}/films",
        lists.display()
    );
    run("ucfpack", &args(temp.path(), &build)).ok();
    let films = temp.path().join("films");
    let networks = "predict --run {}/sp --run {}/te --json";
    let packed = ucftrain(&format!("{networks} --data {} --clip {}", films.display(), clip.id)).json();
    let seen = ucftrain(&format!("{networks} {} --flow-method dis", video.display())).json();
    assert_eq!(packed["label"], data.manifest().classes[clip.label.unwrap() as usize].as_str());
    assert!(seen["label"].is_null());
    for what in ["clip", "top5", "networks"] {
        assert_eq!(packed[what], seen[what], "{what}");
    }
    for name in ["text.avi", "notes.md"] {
        let text = temp.path().join(name);
        fs::write(&text, "no video").unwrap();
        let error = ucftrain(&format!("predict --run {{}}/sp {}", text.display())).error(1);
        let file = text.display().to_string();
        assert!(error.contains(&file) && error.contains("not a readable video"), "{error}");
        assert!(!error.contains("ucftrain-video-"), "errors name the video, not the temporary folder: {error}");
    }
    let short = temp.path().join("short.avi");
    let frames = ["-loglevel", "error", "-f", "lavfi", "-i", "testsrc=size=64x48:rate=25", "-frames:v", "3"];
    assert!(Command::new("ffmpeg").args(frames).arg(&short).status().unwrap().success());
    let error = ucftrain(&format!("predict --run {{}}/sp {}", short.display())).error(1);
    assert!(error.ends_with("short.avi: too short: it has 3 frames, but needs at least 11\n"), "{error}");
    assert!(!error.contains("ucftrain-video-"), "{error}");
    let error = ucftrain("predict --run {}/sp {}/none.avi").error(1);
    assert!(error.contains("none.avi: no such video file"), "{error}");
}

#[test]
fn networks_of_the_last_epochs_are_kept_on_request() {
    let temp = tempfile::tempdir().unwrap();
    let settings = "--weights none --input-size 32 --batch-size 8 --threads 2 --keep-epochs 2";
    let line = format!("spatial --data {}/packed --run {{}}/r {settings}", runs().display());
    run("ucftrain", &args(temp.path(), &format!("{line} --epochs 3"))).ok();
    let kept = || {
        let entries = fs::read_dir(temp.path().join("r")).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut kept: Vec<String> = names.filter(|name| name.starts_with("epoch-")).collect();
        kept.sort();
        kept
    };
    assert_eq!(kept(), ["epoch-0001.safetensors", "epoch-0002.safetensors"]);
    let last = temp.path().join("r/epoch-0002.safetensors");
    let said = ucftrain(&format!("eval --checkpoint {} --data {{}}/packed --json", last.display())).json();
    let rows = fs::read_to_string(temp.path().join("r/test.csv")).unwrap();
    let top1: f64 = rows.lines().last().unwrap().split(',').nth(3).unwrap().parse().unwrap();
    assert!((said["top1"].as_f64().unwrap() - top1).abs() < 1e-3, "{said} {rows}");
    let events = fs::metadata(temp.path().join("r/events.out.tfevents.ucftrain")).unwrap().len();
    run("ucftrain", &args(temp.path(), &format!("{line} --epochs 1 --overwrite"))).ok();
    assert_eq!(kept(), ["epoch-0000.safetensors"], "those of the run before are gone");
    assert!(fs::metadata(temp.path().join("r/events.out.tfevents.ucftrain")).unwrap().len() < events);
}

fn tensors(path: &Path) -> HashMap<String, Tensor> {
    candle_core::safetensors::load(path, &Device::Cpu).unwrap()
}

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_dtype(candle_core::DType::F32).unwrap().to_vec1().unwrap()
}

#[test]
fn a_network_goes_out_and_comes_back_as_the_reference_code_would_save_it() {
    let temp = tempfile::tempdir().unwrap();
    let (out, theirs, back) = (temp.path().join("out"), temp.path().join("theirs"), temp.path().join("back"));
    let text = ucftrain(&format!("export --run {{}}/te --out {} --flow-order rotated", out.display())).ok();
    assert!(text.contains("resnet18(num_classes=3)") && text.contains("Conv2d(20, 64"), "{text}");
    let own = tensors(&runs().join("te/best.safetensors"));
    let exported = tensors(&out);
    assert_eq!(own.len(), exported.len());
    // Channel 0 of the rotated network is channel 2 of the other one: x of the second frame.
    let channel = |conv1: &Tensor, i| values(&conv1.narrow(1, i, 1).unwrap());
    assert_eq!(channel(&exported["conv1.weight"], 0), channel(&own["conv1.weight"], 2));
    assert_eq!(channel(&exported["conv1.weight"], 19), channel(&own["conv1.weight"], 1));
    let reference_name = |name: &String| {
        let name = name.replace("conv1.", "conv1_custom.");
        let name = if name.starts_with("layer") { name.replace("conv1_custom.", "conv1.") } else { name };
        format!("module.{}", name.replace("fc.", "fc_custom."))
    };
    let renamed: HashMap<String, Tensor> = exported.iter().map(|(n, t)| (reference_name(n), t.clone())).collect();
    assert!(renamed.contains_key("module.conv1_custom.weight") && renamed.contains_key("module.fc_custom.bias"));
    candle_core::safetensors::save(&renamed, &theirs).unwrap();
    let import = format!("import {} --stream temporal --data {{}}/packed --input-size 32 --out", theirs.display());
    let text = ucftrain(&format!("{import} {}", back.display())).ok();
    assert!(text.contains("resnet18") && text.contains("natural order"), "{text}");
    let imported = tensors(&back);
    assert_eq!(own.len(), imported.len());
    for (name, tensor) in &own {
        assert_eq!(values(tensor), values(&imported[name]), "{name}");
    }
    let said = |from: &str| ucftrain(&format!("eval {from} --data {{}}/packed --json")).json().to_string();
    assert_eq!(said("--run {}/te"), said(&format!("--checkpoint {}", back.display())));

    let error = ucftrain(&format!("{import} {}", back.display())).error(2);
    assert!(error.contains("--overwrite"), "{error}");
    let spatial = import.replace("temporal", "spatial");
    let error = ucftrain(&format!("{spatial} {}", temp.path().join("x").display())).error(1);
    assert!(error.contains("conv1.weight has shape [64, 20, 7, 7]"), "{error}");
    assert!(error.contains("these are weights of a temporal network with 20 input channels"), "{error}");
    candle_core::safetensors::save(&tensors(&runs().join("sp/best.safetensors")), &theirs).unwrap();
    let error = ucftrain(&format!("{import} {}", temp.path().join("x").display())).error(1);
    assert!(error.contains("these are weights of a spatial network with 3 input channels"), "{error}");
}

#[test]
fn half_precision_networks_are_half_as_large_and_still_networks() {
    let temp = tempfile::tempdir().unwrap();
    let out = temp.path().join("half.safetensors");
    ucftrain(&format!("export --run {{}}/sp --out {} --dtype f16", out.display())).ok();
    let bytes = |path: &Path| fs::metadata(path).unwrap().len();
    assert!(bytes(&out) < bytes(&runs().join("sp/best.safetensors")) * 51 / 100);
    let own = tensors(&runs().join("sp/best.safetensors"));
    for (name, tensor) in tensors(&out) {
        for (half, whole) in values(&tensor).into_iter().zip(values(&own[&name])) {
            assert!((half - whole).abs() <= whole.abs() / 1024.0 + 1e-7, "{name}: {half} {whole}");
        }
    }
    ucftrain(&format!("eval --checkpoint {} --data {{}}/packed", out.display())).ok();
}

#[test]
fn what_cannot_be_predicted_exported_or_imported_says_why() {
    let error = ucftrain("predict --run {}/sp --data {}/packed --clip nobody").error(2);
    assert!(error.contains("no clip nobody") && error.contains("such as"), "{error}");
    let error = ucftrain("predict --data {}/packed --clip nobody").error(2);
    assert!(error.contains("--run"), "{error}");
    let error = ucftrain("export --run {}/tree --out {}/x.safetensors").error(1);
    assert!(error.contains("no best.safetensors"), "{error}");
    let error = ucftrain("import {}/packed/manifest.json --stream spatial --data {}/packed --out {}/x").error(1);
    assert!(error.contains("neither a safetensors file nor a .pth"), "{error}");
    assert!(!runs().join("x.safetensors").exists() && !runs().join("x").exists());
}

#[test]
fn an_exported_network_comes_back_with_its_view_and_its_figures() {
    let temp = tempfile::tempdir().unwrap();
    let file = |name: &str| temp.path().join(name).display().to_string();
    // This view differs from recipe `seed` in every setting that testing depends on.
    let settings = "--recipe tsn --flow-range centered --test-samples 3 --precise-bn 0 --weights none --input-size 32";
    let line =
        format!("temporal --data {{}}/packed --run {} {settings} --batch-size 4 --epochs 1 --threads 2", file("run"));
    ucftrain(&line).ok();
    let said = |from: &str| ucftrain(&format!("eval {from} --data {{}}/packed --json")).json().to_string();
    let expected = said(&format!("--run {}", file("run")));
    for order in ["natural", "rotated"] {
        let (out, back) = (file(&format!("{order}-out")), file(&format!("{order}-back")));
        ucftrain(&format!("export --run {} --out {out} --flow-order {order}", file("run"))).ok();
        assert_eq!(said(&format!("--checkpoint {out}")), expected, "{order}: evaluated as it was exported");
        let text = ucftrain(&format!("import {out} --data {{}}/packed --out {back}")).ok();
        let view =
            "--input-size 32 --split 1 --sampling segments --test-samples 3 --test-crop center --flow-range centered";
        assert!(text.contains(&format!("settings from the file and the options: {view}")), "{text}");
        assert_eq!(said(&format!("--checkpoint {back}")), expected, "{order}");
    }
    let own = tensors(&temp.path().join("run/best.safetensors"));
    for (name, tensor) in tensors(&temp.path().join("rotated-back")) {
        assert_eq!(values(&tensor), values(&own[&name]), "{name}");
    }
    let import = format!("import {} --data {{}}/packed --out {}", file("natural-out"), file("x"));
    let error = ucftrain(&format!("{import} --stream spatial")).error(2);
    assert!(
        error.contains("--stream spatial is wrong") && error.contains("a network of the temporal stream"),
        "{error}"
    );
    let error = ucftrain(&format!("{import} --test-samples 2000")).error(2);
    assert!(error.contains("--test-samples 2000 is not between 1 and 1000"), "{error}");
    let text = ucftrain(&format!("{import} --test-samples 5 --test-crop ten")).ok();
    assert!(text.contains("--test-samples 5 --test-crop ten"), "{text}");
}

#[test]
fn a_foreign_network_is_imported_with_the_view_that_is_given_and_the_rest_is_told() {
    let temp = tempfile::tempdir().unwrap();
    let file = |name: &str| temp.path().join(name).display().to_string();
    let own = tensors(&runs().join("te/best.safetensors"));
    let save = |name: &str, prefix: &str, head: &str| {
        let name_of = |name: &String| match name.strip_prefix("fc.") {
            Some(rest) => format!("{head}{rest}"),
            None => format!("{prefix}{name}"),
        };
        let renamed: HashMap<String, Tensor> = own.iter().map(|(name, t)| (name_of(name), t.clone())).collect();
        candle_core::safetensors::save(&renamed, temp.path().join(name)).unwrap();
    };
    save("plain", "", "fc.");
    save("tsn", "module.base_model.", "module.new_fc.");
    save("mm", "backbone.", "cls_head.fc_cls.");
    let import = |name: &str, more: &str| {
        let out = file(&format!("{name}-out"));
        let line = format!("import {} --data {{}}/packed --input-size 32 --overwrite --out {out} {more}", file(name));
        (ucftrain(&line), out)
    };
    let assumed = |name: &str, more: &str| {
        let text = import(name, more).0.ok();
        let line = text.lines().find_map(|line| line.strip_prefix("assumed settings, change them with options: "));
        line.unwrap_or_else(|| panic!("{text}")).to_owned()
    };
    let seed = "--input-size 32 --split 1 --sampling seed --test-samples 19 --test-crop whole --flow-range unit \
                --segments 1 --consensus sum";
    assert_eq!(assumed("plain", "--stream temporal"), seed);
    let tsn = "--input-size 32 --split 1 --sampling segments --test-samples 25 --test-crop center \
               --flow-range centered --segments 3 --consensus mean";
    assert_eq!(assumed("tsn", "--stream temporal"), tsn);
    assert_eq!(assumed("mm", "--stream temporal"), tsn.replace("centered", "unit"));
    let given =
        "--sampling segments --test-samples 4 --test-crop three --flow-range centered --segments 2 --consensus mean";
    assert_eq!(
        assumed("plain", &format!("--stream temporal {given} --split 3")),
        format!("--input-size 32 --split 3 {given}")
    );
    let error = import("plain", "").0.error(2);
    assert!(error.contains("add --stream spatial, temporal or difference"), "{error}");
    let (done, out) = import("plain", "--stream temporal");
    done.ok();
    let said = |from: &str| ucftrain(&format!("eval {from} --data {{}}/packed --json")).json().to_string();
    assert_eq!(said(&format!("--checkpoint {out}")), said("--run {}/te"));
}

#[test]
fn the_first_convolution_of_a_foreign_network_tells_the_images_of_a_view() {
    let temp = tempfile::tempdir().unwrap();
    let file = |name: &str| temp.path().join(name).display().to_string();
    let own = tensors(&runs().join("te/best.safetensors"));
    let import = |channels: usize, stream: &str| {
        let mut narrow = own.clone();
        narrow.insert("conv1.weight".into(), own["conv1.weight"].narrow(1, 0, channels).unwrap().contiguous().unwrap());
        candle_core::safetensors::save(&narrow, file("theirs")).unwrap();
        let line = "--data {}/packed --input-size 32 --overwrite --test-samples 2 --stream";
        ucftrain(&format!("import {} --out {} {line} {stream}", file("theirs"), file("ours")))
    };
    for (channels, stream, images) in [(10, "temporal", 5), (6, "difference", 2)] {
        let text = import(channels, stream).ok();
        let told = format!("a view has {images} images, because the first convolution has {channels} channels");
        assert!(text.contains(&told), "{text}");
        let tested = ucftrain(&format!("eval --checkpoint {} --data {{}}/packed --json", file("ours"))).json();
        assert!(tested["loss"].as_f64().unwrap().is_finite());
    }
    // 15 channels are usual in another stream, and 9 do not fit flow.
    let error = import(15, "temporal").error(1);
    assert!(error.contains("these are weights of a difference network with 15 input channels"), "{error}");
    let error = import(9, "temporal").error(1);
    assert!(error.contains("conv1.weight has shape [64, 9, 7, 7]"), "{error}");
}

#[test]
fn a_training_starts_from_a_network_of_this_program_in_whichever_file_it_is() {
    let temp = tempfile::tempdir().unwrap();
    let file = |name: &str| temp.path().join(name).display().to_string();
    ucftrain(&format!("export --run {{}}/te --out {} --flow-order rotated", file("rotated.safetensors"))).ok();
    let from = |weights: &str, run: &str| {
        let settings = "--input-size 32 --batch-size 8 --epochs 1 --lr 0.001 --threads 2 --test-samples 2";
        ucftrain(&format!("temporal --data {{}}/packed --run {} --weights {weights} {settings}", file(run))).ok();
        fs::read(temp.path().join(run).join("scores.npz")).unwrap()
    };
    let expected = from("{}/te/best.safetensors", "best");
    assert!(from(&file("rotated.safetensors"), "rotated") == expected, "flow channels are turned back");
    assert!(from("{}/te/checkpoint.safetensors", "checkpoint") == expected, "a checkpoint's network is its start");
    let line = "spatial --data {}/packed --weights {}/te/best.safetensors --input-size 32";
    for more in ["--dry-run".to_owned(), format!("--run {}", file("spatial"))] {
        let error = ucftrain(&format!("{line} {more}")).error(1);
        assert!(error.contains("these are weights of a temporal network with 20 input channels"), "{error}");
    }
    assert!(!temp.path().join("spatial").exists());
    ucftrain("temporal --data {}/packed --weights {}/sp/best.safetensors --input-size 32 --dry-run").ok();
}

/// Writes the network of `te` with changed metadata or tensors.
fn altered(path: &Path, change: impl FnOnce(&mut serde_json::Value, &mut HashMap<String, Tensor>)) {
    let bytes = fs::read(runs().join("te/best.safetensors")).unwrap();
    let (_, header) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
    let mut metadata = serde_json::from_str(&header.metadata().as_ref().unwrap()["ucftrain"]).unwrap();
    let mut all = tensors(&runs().join("te/best.safetensors"));
    change(&mut metadata, &mut all);
    let metadata = HashMap::from([("ucftrain".to_owned(), metadata.to_string())]);
    fs::write(path, safetensors::serialize(&all, Some(metadata)).unwrap()).unwrap();
}

#[test]
fn what_a_file_says_of_its_network_is_checked_as_options_are() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("net.safetensors");
    let refused = |part: &str| {
        let clip = Scores::load(&runs().join("te")).unwrap().names[0].clone();
        let net = path.display();
        for line in [
            format!("eval --checkpoint {net} --data {{}}/packed"),
            format!("predict --checkpoint {net} --data {{}}/packed --clip {clip}"),
            format!("export --checkpoint {net} --out {net}-out"),
            format!("import {net} --data {{}}/packed --out {net}-out"),
        ] {
            let error = ucftrain(&line).error(1);
            assert!(error.contains(&format!("net.safetensors: {part}")), "{line}: {error}");
        }
    };
    for size in [0, 1 << 40, 1_u64 << 63] {
        altered(&path, |network, _| network["input_size"] = size.into());
        refused(&format!("input_size {size} is not between 32 and 1024"));
    }
    altered(&path, |network, _| network["view"]["test-samples"] = (1_u64 << 62).into());
    refused("test-samples 4611686018427387904 is not between 1 and 1000");
    altered(&path, |network, _| network["view"]["segments"] = 1000.into());
    refused("segments 1000 is not between 1 and 1");
    altered(&path, |network, _| network["arch"] = "vgg16".into());
    refused("field arch of the metadata is invalid: unknown network \"vgg16\"");
    altered(&path, |network, _| network["classes"] = vec!["a"; 2].into());
    refused("class a is listed twice");
    altered(&path, |network, _| network["classes"] = (0..100_000).map(|i| i.to_string()).collect::<Vec<_>>().into());
    refused("the metadata has 100000 classes, but the last layer has 3");
    altered(&path, |_, tensors| {
        let bias = Tensor::new(&[0.0, f32::NAN, 0.0], &Device::Cpu).unwrap();
        tensors.insert("fc.bias".to_owned(), bias);
    });
    refused("tensor fc.bias contains NaN");
    altered(&path, |_, tensors| {
        tensors.insert("mask".to_owned(), Tensor::new(1_u8, &Device::Cpu).unwrap());
    });
    ucftrain(&format!("eval --checkpoint {} --data {{}}/packed", path.display())).ok();
    // Values that overflow in the network.
    altered(&path, |_, tensors| {
        let fc = Tensor::full(f32::MAX, (3, 512), &Device::Cpu).unwrap();
        tensors.insert("fc.weight".to_owned(), fc);
    });
    let clip = Scores::load(&runs().join("te")).unwrap().names[0].clone();
    let error = ucftrain(&format!("eval --checkpoint {} --data {{}}/packed", path.display())).error(1);
    assert!(error.contains("the test loss is NaN: the training diverged or the file is damaged"), "{error}");
    let error = ucftrain(&format!("predict --checkpoint {} --data {{}}/packed --clip {clip}", path.display())).error(1);
    assert!(error.contains("a score of clip"), "{error}");
}

#[cfg(unix)]
#[test]
fn networks_weights_and_scores_are_read_from_regular_files_only() {
    let temp = tempfile::tempdir().unwrap();
    let pipe = temp.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    for line in [
        "eval --checkpoint PIPE --data {}/packed",
        "export --checkpoint PIPE --out PIPE-out",
        "import PIPE --stream spatial --data {}/packed --out PIPE-out",
        "fuse PIPE {}/te",
        "spatial --data {}/packed --run PIPE-run --weights PIPE --epochs 1 --input-size 32",
    ] {
        let line = line.replace("PIPE", &pipe.display().to_string());
        let error = ucftrain(&line).error(1);
        assert!(error.contains("it is a named pipe, not a regular file"), "{line}: {error}");
    }
}
