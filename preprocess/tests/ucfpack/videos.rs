//! Tests of videos, packed and extracted. ffmpeg makes them from synthetic frames; without it these
//! tests are ignored.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use clip_flow::{Dis, DisParams, Flow, TvL1, TvL1Params, quantise};
use clipshard::{Dataset, Decoder};
use serde_json::Value;
use tempfile::TempDir;

use crate::pack::files;

const WIDTH: usize = 64;
const HEIGHT: usize = 48;
const FRAMES: usize = 15;
/// Class, clip, and motion to the right and down in pixels per frame.
const CLIPS: [(&str, &str, f32, f32); 4] = [
    ("Archery", "v_Archery_g08_c01", 1.5, 0.0),
    ("Archery", "v_Archery_g01_c01", -1.0, 0.5),
    ("Rowing", "v_Rowing_g08_c01", 0.0, 1.0),
    ("Rowing", "v_Rowing_g01_c01", 0.5, -1.0),
];

/// Returns the RGB frames of a moving pattern, one after another.
fn moving(frames: usize, dx: f32, dy: f32) -> Vec<u8> {
    let mut bytes = Vec::new();
    for frame in 0..frames {
        for i in 0..WIDTH * HEIGHT {
            let (x, y) = ((i % WIDTH) as f32 - dx * frame as f32, (i / WIDTH) as f32 - dy * frame as f32);
            let wave = 45.0 * (0.35 * x + 0.1 * y).sin() + 40.0 * (0.3 * y - 0.12 * x).cos();
            bytes.extend([wave + 128.0, wave + 110.0, 140.0 - wave].map(|v| v as u8));
        }
    }
    bytes
}

/// Encodes frames like `XviD`, with B-frames. The extension selects the container.
fn write_video(path: &Path, frames: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut command = Command::new("ffmpeg");
    command.args(["-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s"]).arg(format!("{WIDTH}x{HEIGHT}"));
    command
        .args(["-r", "25", "-i", "pipe:0", "-c:v", "mpeg4", "-vtag", "xvid", "-bf", "2", "-q:v", "2", "-y"])
        .arg(path);
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(frames).unwrap();
    assert!(child.wait().unwrap().success());
}

/// Two classes of two clips with lists like UCF101's, in `videos/` and `lists/`.
struct Videos {
    dir: TempDir,
}

impl Videos {
    fn new() -> Self {
        let videos = Self { dir: tempfile::tempdir().unwrap() };
        for (class, clip, dx, dy) in CLIPS {
            write_video(&videos.file(class, clip), &moving(FRAMES, dx, dy));
        }
        let lists = videos.path("lists");
        fs::create_dir(&lists).unwrap();
        fs::write(lists.join("classInd.txt"), "1 Archery\n2 Rowing\n").unwrap();
        fs::write(lists.join("trainlist01.txt"), "Archery/v_Archery_g08_c01.avi 1\nRowing/v_Rowing_g08_c01.avi 2\n")
            .unwrap();
        fs::write(lists.join("testlist01.txt"), "Archery/v_Archery_g01_c01.avi\nRowing/v_Rowing_g01_c01.avi\n")
            .unwrap();
        videos
    }

    fn path(&self, relative: &str) -> PathBuf {
        self.dir.path().join(relative)
    }

    fn file(&self, class: &str, clip: &str) -> PathBuf {
        self.path(&format!("videos/{class}/{clip}.avi"))
    }

    fn command(&self, command: &str, out: &Path, more: &[&str]) -> Command {
        let mut program = Command::new(env!("CARGO_BIN_EXE_ucfpack"));
        program.arg(command).arg("--videos").arg(self.path("videos")).arg("--lists").arg(self.path("lists"));
        program.arg("--out").arg(out).args(more);
        program
    }

    fn build(&self, out: &Path, more: &[&str]) -> Output {
        let usual = ["--rgb-short-side", "40", "--flow-size", "28"];
        self.command("build", out, &usual).args(more).output().unwrap()
    }
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

pub fn ended(output: &Output, status: i32, words: &[&str]) {
    let text = text(output);
    assert_eq!(output.status.code(), Some(status), "{text}");
    for words in words {
        assert!(text.contains(words), "expected {words:?} in: {text}");
    }
}

/// Returns the pixels of all records of a clip, frame by frame and plane by plane.
fn records(data: &Dataset, stream: &str, clip: &str) -> Vec<Vec<u8>> {
    let index = data.manifest().clips.iter().position(|c| c.id == clip).unwrap();
    let clip = data.clip(stream, index).unwrap();
    let mut decoder = Decoder::new().unwrap();
    let mut all = Vec::new();
    for frame in 0..clip.frame_count() {
        for plane in 0..clip.planes() {
            let mut pixels = vec![0; clip.shape(frame, plane).unwrap().bytes()];
            clip.decode(frame, plane, &mut decoder, &mut pixels).unwrap();
            all.push(pixels);
        }
    }
    all
}

/// Converts to grey by ITU-R BT.601 in 15-bit fixed point, like OpenCV's cvtColor.
fn grey(rgb: &[u8]) -> Vec<u8> {
    let luma = |p: &[u8]| 9798 * u32::from(p[0]) + 19235 * u32::from(p[1]) + 3735 * u32::from(p[2]);
    rgb.chunks_exact(3).map(|pixel| ((luma(pixel) + 16384) / 32768) as u8).collect()
}

#[test]
#[cfg_attr(not(has_ffmpeg), ignore = "needs ffmpeg")]
fn flow_is_that_between_the_stored_frames() {
    let videos = Videos::new();
    let out = videos.path("out");
    let raw = ["--rgb-codec", "raw", "--flow-codec", "raw", "--flow-size", "native", "--rgb-short-side", "48"];
    ended(
        &videos.command("build", &out, &raw).output().unwrap(),
        0,
        &["packed 4 clips, 172 images (60 rgb, 112 flow)"],
    );
    let data = Dataset::open(&out).unwrap();
    let mut solver = TvL1::new(WIDTH, HEIGHT, TvL1Params::default()).unwrap();
    for (_, clip, dx, dy) in CLIPS {
        let (rgb, stored) = (records(&data, "rgb", clip), records(&data, "flow", clip));
        assert_eq!((rgb.len(), stored.len()), (FRAMES, 2 * (FRAMES - 1)));
        // The frames equal the input, except for the loss of MPEG-4.
        let sources = moving(FRAMES, dx, dy);
        let apart = rgb.concat().iter().zip(&sources).map(|(a, b)| f64::from(a.abs_diff(*b))).sum::<f64>();
        assert!(apart / (sources.len() as f64) < 6.0, "{clip}: {}", apart / sources.len() as f64);
        let (mut flow, mut bytes) = (Flow::default(), Vec::new());
        for (pair, planes) in rgb.windows(2).zip(stored.chunks_exact(2)) {
            solver.compute(&grey(&pair[0]), &grey(&pair[1]), &mut flow).unwrap();
            for (component, plane) in [&flow.x, &flow.y].into_iter().zip(planes) {
                quantise(component, &mut bytes);
                assert!(bytes == *plane, "{clip}: another flow");
            }
        }
        // x comes first, then y. One pixel is 6.375 levels.
        for (plane, motion) in [(0, dx), (1, dy)] {
            let values = stored.iter().skip(plane).step_by(2).flatten();
            let mean = values.map(|&v| f64::from(v)).sum::<f64>() / (stored.len() / 2 * WIDTH * HEIGHT) as f64;
            let expected = 127.5 + 6.375 * f64::from(motion);
            assert!((mean - expected).abs() < 1.2, "{clip}, plane {plane}: {mean} levels, moved {expected}");
        }
    }
}

#[test]
#[cfg_attr(not(has_ffmpeg), ignore = "needs ffmpeg")]
fn dis_is_another_method_and_another_build() {
    let videos = Videos::new();
    let out = videos.path("out");
    let raw = ["--rgb-codec", "raw", "--flow-codec", "raw", "--flow-size", "native", "--rgb-short-side", "48"];
    let dis = [&raw[..], &["--flow-method", "dis"]].concat();
    ended(&videos.command("build", &out, &dis).output().unwrap(), 0, &["packed 4 clips, 172 images"]);
    let data = Dataset::open(&out).unwrap();
    assert_eq!(data.manifest().build["flow"]["method"], "dis");
    let (rgb, stored) = (records(&data, "rgb", CLIPS[0].1), records(&data, "flow", CLIPS[0].1));
    let (mut flow, mut bytes) = (Flow::default(), Vec::new());
    let mut solver = Dis::new(WIDTH, HEIGHT, DisParams::MEDIUM).unwrap();
    solver.compute(&grey(&rgb[3]), &grey(&rgb[4]), &mut flow).unwrap();
    quantise(&flow.x, &mut bytes);
    assert!(bytes == stored[6]);
    ended(&videos.command("build", &out, &[&raw[..], &["--resume"]].concat()).output().unwrap(), 2, &["--overwrite"]);
}

#[test]
#[cfg_attr(not(has_ffmpeg), ignore = "needs ffmpeg")]
fn stored_jpegs_show_the_frames() {
    let videos = Videos::new();
    let (jpeg, raw) = (videos.path("jpeg"), videos.path("raw"));
    let rgb = ["--flow-method", "none", "--rgb-short-side", "48"];
    ended(&videos.command("build", &jpeg, &rgb).output().unwrap(), 0, &["60 rgb"]);
    let exact = [&rgb[..], &["--rgb-codec", "raw"]].concat();
    ended(&videos.command("build", &raw, &exact).output().unwrap(), 0, &["60 rgb"]);
    let (jpeg, raw) = (Dataset::open(&jpeg).unwrap(), Dataset::open(&raw).unwrap());
    for (_, clip, ..) in CLIPS {
        let (ours, exact) = (records(&jpeg, "rgb", clip).concat(), records(&raw, "rgb", clip).concat());
        let apart = ours.iter().zip(&exact).map(|(a, b)| f64::from(a.abs_diff(*b))).sum::<f64>() / exact.len() as f64;
        // The quality is 90.
        assert!(apart < 3.0, "{clip}: {apart} levels");
        // Another decoder gives the same pixels.
        let index = jpeg.manifest().clips.iter().position(|c| c.id == clip).unwrap();
        let file = jpeg.clip("rgb", index).unwrap().record(0, 0).unwrap().bytes.to_vec();
        let other = image::load_from_memory(&file).unwrap().to_rgb8().into_raw();
        let first = &ours[..other.len()];
        let most = first.iter().zip(&other).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
        assert!(most <= 8, "{clip}: {most} levels");
    }
}

#[test]
#[cfg_attr(not(has_ffmpeg), ignore = "needs ffmpeg")]
fn jobs_and_parts_do_not_change_a_byte() {
    let videos = Videos::new();
    let small = ["--shard-size", "20000"];
    let (one, three) = (videos.path("one"), videos.path("three"));
    ended(&videos.build(&one, &[&small[..], &["--jobs", "1"]].concat()), 0, &["packed 4 clips"]);
    ended(&videos.build(&three, &[&small[..], &["--jobs", "3"]].concat()), 0, &["packed 4 clips"]);
    assert!(files(&one).len() > 3, "several shards");
    assert!(files(&one) == files(&three));
    let manifest: Value = serde_json::from_slice(&files(&one)[Path::new("manifest.json")]).unwrap_or_default();
    let manifest = manifest.to_string();
    for words in ["ffmpeg ", "clip-flow 0.", "tvl1", "short side 40", "jpeg-encoder 0."] {
        assert!(manifest.contains(words), "{words} in {manifest}");
    }
    let parts = [videos.path("part1"), videos.path("part2")];
    for (part, number) in parts.iter().zip(["1/2", "2/2"]) {
        ended(&videos.build(part, &[&small[..], &["--part", number]].concat()), 0, &["packed"]);
    }
    let merged = videos.path("merged");
    let merge =
        Command::new(env!("CARGO_BIN_EXE_ucfpack")).arg("merge").arg("--out").arg(&merged).args(&parts).output();
    ended(&merge.unwrap(), 0, &["merged 4 clips"]);
    assert!(files(&one) == files(&merged));
    let verified = Command::new(env!("CARGO_BIN_EXE_ucfpack")).arg("verify").arg(&merged).output().unwrap();
    ended(&verified, 0, &["no damage"]);
    // Other options make other bytes, so this is another build.
    ended(&videos.build(&one, &["--resume", "--rgb-quality", "80"]), 2, &["exists, but was packed differently"]);
}

#[test]
#[cfg_attr(not(has_ffmpeg), ignore = "needs ffmpeg")]
fn a_video_that_is_not_whole_is_named_with_the_cure_and_left_out_on_demand() {
    let videos = Videos::new();
    let out = videos.path("out");
    let [archery, _, rowing, short] = CLIPS.map(|(class, clip, ..)| videos.file(class, clip));
    let whole = fs::read(&archery).unwrap();
    let spoilt = |bytes: &[u8], words: &[&str]| {
        fs::write(&archery, bytes).unwrap();
        ended(&videos.build(&out, &[]), 1, &[&["1 of 4 clips in ", "v_Archery_g08_c01.avi: "], words].concat());
        assert!(!out.exists() && !videos.path(".out.partial").exists());
    };
    spoilt(&whole[..whole.len() / 2], &["it is truncated", "get the file again"]);
    spoilt(b"not a video at all\n", &["it is not a readable video (Invalid data found", "get the file again"]);
    spoilt(b"", &["the file is empty"]);
    // The file is cut, and its header is adjusted. The list of frames still shows the cut.
    let images = whole.windows(4).position(|w| w == b"movi").unwrap();
    let mut cut = whole[..usize::midpoint(images, whole.len())].to_vec();
    let size = (cut.len() as u32 - 8).to_le_bytes();
    cut[4..8].copy_from_slice(&size);
    spoilt(&cut, &["it is truncated", "get the file again"]);
    // The length of the list is adjusted too, and the last frame is cut. Only decoding shows that.
    let list = (cut.len() - images) as u32;
    cut[images - 4..images].copy_from_slice(&list.to_le_bytes());
    spoilt(&cut, &["get the file again"]);
    // The file is missing.
    fs::remove_file(&archery).unwrap();
    ended(&videos.build(&out, &[]), 1, &["v_Archery_g08_c01: no video with this name in"]);
    fs::write(&archery, b"not a video at all\n").unwrap();
    // A clip that is too short is not damaged, as in trees.
    write_video(&short, &moving(3, 0.0, 0.0));
    let built = videos.build(&out, &["--keep-going", "--json"]);
    ended(&built, 0, &[]);
    let report: Value = serde_json::from_slice(&built.stdout).unwrap();
    assert_eq!(report["clips"], 2);
    assert_eq!(report["skipped"][0]["clip"], "v_Archery_g08_c01");
    assert_eq!(report["skipped"][1]["clip"], "v_Rowing_g01_c01");
    assert!(
        report["skipped"][1]["reason"].as_str().unwrap().ends_with("too short: it has 3 frames, but needs at least 11")
    );
    assert!(rowing.exists());
}

#[test]
#[cfg_attr(not(has_ffmpeg), ignore = "needs ffmpeg")]
fn classes_without_videos_are_named_with_the_cure() {
    let videos = Videos::new();
    fs::remove_dir_all(videos.path("videos/Rowing")).unwrap();
    let out = videos.path("out");
    let words =
        ["2 of 4 clips in ", "Only 1 of 2 classes has clips; to pack only these, use --classes Archery\nFix them, "];
    ended(&videos.build(&out, &[]), 1, &words);
    let note = "note: 1 of 2 classes has no clips; to remove them from the class list, use --classes Archery\n";
    ended(&videos.build(&out, &["--keep-going"]), 0, &[note, "skipped 2 clips:"]);
    let built = videos.build(&out, &["--classes", "Archery", "--overwrite"]);
    ended(&built, 0, &["packed 2 clips"]);
    assert!(!text(&built).contains("classes"), "{}", text(&built));
    ended(&videos.command("extract", &videos.path("tree"), &[]).output().unwrap(), 1, &words);
}

#[test]
#[cfg_attr(not(has_ffmpeg), ignore = "needs ffmpeg")]
fn damage_inside_is_a_note_or_with_check_decode_a_fault() {
    let videos = Videos::new();
    let file = videos.file(CLIPS[2].0, CLIPS[2].1);
    let mut bytes = fs::read(&file).unwrap();
    let frames = bytes.windows(4).position(|w| w == b"movi").unwrap();
    // Overwrites part of the first frame, behind its header.
    for byte in &mut bytes[frames + 120..frames + 400] {
        *byte = 0x5a;
    }
    fs::write(&file, bytes).unwrap();
    ended(&videos.build(&videos.path("noted"), &[]), 0, &["note: v_Rowing_g08_c01: ffmpeg found damage and continued"]);
    let out = videos.path("strict");
    ended(&videos.build(&out, &["--check", "decode"]), 1, &["v_Rowing_g08_c01.avi: ffmpeg found damage: "]);
    assert!(!out.exists());
}

#[test]
#[cfg_attr(not(has_ffmpeg), ignore = "needs ffmpeg")]
fn counts_that_differ_from_the_published_ones_are_told() {
    let videos = Videos::new();
    // In the built-in table, these clips do not have 14 flow frames.
    let built = videos.build(&videos.path("out"), &["--flow-method", "none"]);
    ended(&built, 0, &["note: v_Archery_g08_c01: decoded 15 frames, but the published frames are"]);
    ended(&built, 0, &["packed 4 clips, 60 images (60 rgb)"]);
}

#[test]
#[cfg_attr(not(has_ffmpeg), ignore = "needs ffmpeg")]
fn containers_that_do_not_count_are_counted() {
    let videos = Videos::new();
    let (class, clip, dx, dy) = CLIPS[0];
    fs::remove_file(videos.file(class, clip)).unwrap();
    write_video(&videos.path("videos/deep/down/v_Archery_g08_c01.MKV"), &moving(FRAMES, dx, dy));
    ended(&videos.build(&videos.path("out"), &[]), 0, &["packed 4 clips, 172 images"]);
    // Of two files with the same name, neither is guessed.
    write_video(&videos.path("videos/other/v_Archery_g08_c01.avi"), &moving(FRAMES, dx, dy));
    ended(&videos.build(&videos.path("two"), &[]), 1, &["belong to the same clip; keep one"]);
}

#[test]
fn without_ffmpeg_one_sentence_says_how_to_get_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut program = Command::new(env!("CARGO_BIN_EXE_ucfpack"));
    program.args(["build", "--videos", "v", "--lists", "l", "--out", "o"]).current_dir(&dir).env("PATH", dir.path());
    ended(&program.output().unwrap(), 1, &["error: ffmpeg is not on the PATH", "apt install ffmpeg"]);
    assert_eq!(fs::read_dir(&dir).unwrap().count(), 0);
}

#[test]
fn options_that_make_no_sense_together_are_refused() {
    let of_videos = |more: &[&str]| {
        let mut program = Command::new(env!("CARGO_BIN_EXE_ucfpack"));
        program.args(["build", "--videos", "v", "--lists", "l", "--out", "o"]).args(more);
        program.output().unwrap()
    };
    ended(&of_videos(&["--flow-codec", "jpeg"]), 2, &["use --flow-codec zstd, lz4 or raw"]);
    ended(&of_videos(&["--rgb-quality", "80", "--rgb-codec", "zstd"]), 2, &["--rgb-quality needs --rgb-codec jpeg"]);
    ended(&of_videos(&["--tree", "t"]), 2, &["cannot be used with"]);
    ended(&of_videos(&["--rgb-quality", "0"]), 2, &["--rgb-quality"]);
    ended(&of_videos(&["--device", "gpu"]), 2, &["--device", "expected cpu or cuda:N"]);
    let on_gpu = ["--device", "cuda:0"];
    ended(&of_videos(&[&on_gpu[..], &["--flow-method", "dis"]].concat()), 2, &["--flow-method tvl1"]);
    if !cfg!(feature = "cuda") {
        ended(&of_videos(&on_gpu), 2, &["--device cuda:0", "built without CUDA", "--features cuda"]);
    }
    let mut tree = Command::new(env!("CARGO_BIN_EXE_ucfpack"));
    tree.args(["build", "--tree", "t", "--lists", "l", "--out", "o", "--flow-method", "tvl1"]);
    ended(&tree.output().unwrap(), 2, &["--videos"]);
}

#[cfg(unix)]
fn interrupt(child: &std::process::Child) {
    let status = Command::new("kill").arg("-INT").arg(child.id().to_string()).status();
    assert!(status.unwrap().success());
}

/// Waits until `look` returns true or the child has ended.
#[cfg(unix)]
fn wait_for(child: &mut std::process::Child, look: impl Fn() -> bool) {
    let started = Instant::now();
    while !look() && child.try_wait().unwrap().is_none() {
        assert!(started.elapsed() < Duration::from_secs(60), "nothing happened");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[cfg(unix)]
#[test]
#[cfg_attr(not(has_ffmpeg), ignore = "needs ffmpeg")]
fn interrupted_a_build_resumes_to_the_same_bytes() {
    let videos = Videos::new();
    // The clips are longer, so that there is time to interrupt the build.
    for (class, clip, dx, dy) in CLIPS {
        write_video(&videos.file(class, clip), &moving(120, dx, dy));
    }
    let more = ["--shard-size", "10000", "--jobs", "1"];
    let (reference, out) = (videos.path("reference"), videos.path("out"));
    ended(&videos.build(&reference, &more), 0, &["packed 4 clips"]);
    let mut child = videos
        .command("build", &out, &[&["--rgb-short-side", "40", "--flow-size", "28"][..], &more[..]].concat())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let set = videos.path(".out.partial/set");
    let finished = || {
        let names = fs::read_dir(&set).into_iter().flatten().flatten().map(|entry| entry.file_name());
        names.filter(|name| name.to_string_lossy().ends_with(".clipshard")).count()
    };
    wait_for(&mut child, || finished() > 0);
    interrupt(&child);
    let output = child.wait_with_output().unwrap();
    ended(&output, 130, &["interrupted", "with --resume to continue"]);
    assert!(!out.exists());
    assert!((1..8).contains(&finished()), "{} shards were finished", finished());
    ended(&videos.build(&out, &[&more[..], &["--resume"]].concat()), 0, &["already finished", "packed 4 clips"]);
    assert!(files(&out) == files(&reference));
}

#[test]
#[cfg_attr(not(has_ffmpeg), ignore = "needs ffmpeg")]
fn an_extracted_tree_can_be_packed() {
    let videos = Videos::new();
    let tree = videos.path("tree");
    let run =
        |more: &[&str]| videos.command("extract", &tree, &["--rgb-short-side", "40"]).args(more).output().unwrap();
    ended(&run(&[]), 0, &["extracted 4 clips, 172 images"]);
    ended(&run(&[]), 2, &["is not empty", "--resume"]);
    assert_eq!(crate::command::names(&tree), [".extract.json", "jpegs_256", "lists", "tvl1_flow"]);
    // As after an interruption, one clip has flow but no frames.
    fs::remove_dir_all(tree.join("jpegs_256/v_Archery_g01_c01")).unwrap();
    fs::remove_file(tree.join("tvl1_flow/u/v_Archery_g01_c01/frame000003.jpg")).unwrap();
    ended(&run(&["--resume"]), 0, &["extracted 1 clip, 43 images", "3 clips complete before"]);
    let out = videos.path("out");
    let mut pack = Command::new(env!("CARGO_BIN_EXE_ucfpack"));
    pack.arg("build").arg("--tree").arg(&tree).arg("--lists").arg(videos.path("lists")).arg("--out").arg(&out);
    ended(&pack.args(["--check", "decode"]).output().unwrap(), 0, &["packed 4 clips, 172 images (60 rgb, 112 flow)"]);
    let data = Dataset::open(&out).unwrap();
    let clip = records(&data, "rgb", CLIPS[0].1);
    // A video of 64x48 has 53x40 pixels at a shorter side of 40.
    assert_eq!((clip.len(), clip[0].len()), (FRAMES, 53 * 40 * 3));
}

#[test]
#[cfg_attr(not(has_ffmpeg), ignore = "needs ffmpeg")]
fn a_dry_run_tells_the_time_and_writes_nothing() {
    let videos = Videos::new();
    let out = videos.path("out");
    let planned = videos.build(&out, &["--dry-run", "--json"]);
    ended(&planned, 0, &[]);
    let plan: Value = serde_json::from_slice(&planned.stdout).unwrap();
    assert_eq!((&plan["records"]["rgb"], &plan["records"]["flow"]), (&Value::from(60), &Value::from(112)));
    assert!(plan["estimate"]["seconds"].as_f64().unwrap() > 0.0);
    assert_eq!(plan["estimate"]["damaged_clips"], 0);
    assert!(!out.exists());
}
