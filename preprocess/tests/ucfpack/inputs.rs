//! Tests of realistic inputs: containers with wrong frame counts, cut files, unrelated files in
//! folders, and machines that run out of something. ffmpeg makes the videos; without it these tests
//! are ignored.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use clipshard::{Dataset, Decoder, Subset};
use tempfile::TempDir;

use crate::videos::ended;

/// A folder in which videos are made and packed.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, relative: &str) -> PathBuf {
        self.0.path().join(relative)
    }

    /// Runs ffmpeg in the folder. No argument may contain spaces.
    fn ffmpeg(&self, line: &str) {
        let output = Command::new("ffmpeg")
            .args(["-v", "error", "-y"])
            .args(line.split_whitespace())
            .current_dir(self.0.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Makes a video of `seconds` at 25 frames per second, also in nested folders.
    fn video(&self, file: &str, seconds: &str, options: &str) -> PathBuf {
        fs::create_dir_all(self.path(file).parent().unwrap()).unwrap();
        self.ffmpeg(&format!("-f lavfi -i testsrc2=s=64x48:r=25:d={seconds} {options} {file}"));
        self.path(file)
    }

    fn pack_command(&self, videos: &str, more: &[&str]) -> Command {
        let mut program = Command::new(env!("CARGO_BIN_EXE_ucfpack"));
        program.args(["build", "--dataset", "custom", "--flow-method", "none", "--videos"]);
        program.arg(self.path(videos)).arg("--out").arg(self.path(&format!("out-{videos}"))).args(more);
        program
    }

    /// Packs the RGB frames of a folder of videos in which each folder is a class.
    fn pack(&self, videos: &str, more: &[&str]) -> Output {
        self.pack_command(videos, more).output().unwrap()
    }

    fn packed(&self, videos: &str) -> Dataset {
        Dataset::open(self.path(&format!("out-{videos}"))).unwrap()
    }
}

fn ids(data: &Dataset) -> Vec<&str> {
    data.manifest().clips.iter().map(|clip| clip.id.as_str()).collect()
}

#[test]
#[cfg_attr(not(has_ffmpeg), ignore = "needs ffmpeg")]
fn counts_that_containers_exaggerate_are_notes() {
    let folder = Folder::new();
    // An edit list hides the frames before the cut.
    folder.video("s.mp4", "4", "-c:v libx264 -g 50");
    fs::create_dir_all(folder.path("cut/A")).unwrap();
    folder.ffmpeg("-ss 1 -i s.mp4 -c copy cut/A/a.mp4");
    ended(
        &folder.pack("cut", &[]),
        0,
        &["note: a: decoded 75 frames, but its header says 100", "packed 1 clip, 75 images"],
    );
    // In AVI files, dropped frames are empty chunks.
    folder.video("drop/A/a.avi", "4", "-vf select='lt(n,20)+gt(n,60)' -fps_mode passthrough -c:v mpeg4");
    ended(&folder.pack("drop", &[]), 0, &["decoded 59 frames, but its header says 100", "packed 1 clip, 59 images"]);
    // Writers that cannot seek leave a senseless count.
    let pipe = Command::new("sh")
        .args([
            "-c",
            "mkdir -p pipe/A && ffmpeg -v error -f lavfi -i testsrc2=s=64x48:r=25:d=1 -f avi - > pipe/A/a.avi",
        ])
        .current_dir(folder.path("."))
        .status();
    assert!(pipe.unwrap().success());
    ended(&folder.pack("pipe", &[]), 0, &["packed 1 clip, 25 images"]);
    // The first fragment counts only its own 5 frames, which alone would be too short.
    folder.video("fragment/A/a.mp4", "4", "-c:v libx264 -g 5 -movflags frag_keyframe");
    ended(&folder.pack("fragment", &[]), 0, &["packed 1 clip, 100 images"]);
    // A clip that an edit list makes too short is not damaged.
    folder.video("cut/A/b.mp4", "1.2", "-c:v libx264 -g 50");
    folder.ffmpeg("-ss 0.9 -i cut/A/b.mp4 -c copy cut/A/c.mp4");
    ended(&folder.pack("cut", &["--overwrite"]), 0, &["packed 2 clips", "skipped 1 clip:", "c.mp4: too short: "]);
}

#[test]
#[cfg_attr(not(has_ffmpeg), ignore = "needs ffmpeg")]
fn cut_videos_of_every_container_are_damage() {
    let folder = Folder::new();
    let x264 = "-c:v libx264 -g 12";
    let kinds = [
        ("avi", "-c:v mpeg4"),
        ("mp4", x264),
        ("mov", "-c:v libx264 -movflags faststart"),
        ("m4v", "-c:v libx264 -movflags frag_keyframe+empty_moov -g 12"),
        ("mkv", x264),
        ("webm", "-c:v libvpx -b:v 200k"),
        ("ts", x264),
        ("mpg", "-c:v mpeg2video"),
        ("flv", "-c:v flv"),
        ("wmv", "-c:v wmv2"),
        ("ogv", "-c:v libtheora"),
    ];
    for (ending, options) in kinds {
        let file = folder.video(&format!("{ending}/A/a.{ending}"), "2", options);
        // Theora omits frames that repeat the previous one.
        let images = if ending == "ogv" { "packed 1 clip, " } else { "packed 1 clip, 50 images" };
        ended(&folder.pack(ending, &[]), 0, &[images]);
        let whole = fs::read(&file).unwrap();
        for percent in [35, 60, 97] {
            fs::write(&file, &whole[..whole.len() * percent / 100]).unwrap();
            let packed = folder.pack(ending, &["--overwrite"]);
            ended(&packed, 1, &["1 of 1 clips in ", &format!("a.{ending}: "), "get the file again"]);
        }
        // A download that reserved its space but did not finish.
        let mut zeros = whole.clone();
        zeros[whole.len() * 6 / 10..].fill(0);
        fs::write(&file, &zeros).unwrap();
        ended(&folder.pack(ending, &["--overwrite"]), 1, &[&format!("a.{ending}: "), "get the file again"]);
        // The earlier dataset stays unchanged.
        assert_eq!(ids(&folder.packed(ending)), ["a"]);
    }
    // Live recordings do not state their lengths. Cut ones end within a part.
    for (ending, options) in [("mkv", "-c:v libx264 -f matroska"), ("avi", "-c:v mpeg4 -f avi")] {
        let place = format!("live-{ending}/A");
        fs::create_dir_all(folder.path(&place)).unwrap();
        let line = format!("ffmpeg -v error -f lavfi -i testsrc2=s=64x48:r=25:d=2 {options} - > {place}/a.{ending}");
        assert!(Command::new("sh").args(["-c", &line]).current_dir(folder.path(".")).status().unwrap().success());
        let videos = format!("live-{ending}");
        ended(&folder.pack(&videos, &[]), 0, &["packed 1 clip, 50 images"]);
        let file = folder.path(&format!("{place}/a.{ending}"));
        let whole = fs::read(&file).unwrap();
        fs::write(&file, &whole[..whole.len() * 6 / 10]).unwrap();
        ended(&folder.pack(&videos, &["--overwrite"]), 1, &["it is truncated"]);
    }
}

#[test]
#[cfg_attr(not(has_ffmpeg), ignore = "needs ffmpeg")]
fn damage_inside_a_container_is_found() {
    let folder = Folder::new();
    let x264 = "-c:v libx264 -g 10";
    let kinds = [
        ("avi", "-c:v mpeg4"),
        ("mp4", x264),
        ("m4v", "-c:v libx264 -g 10 -movflags frag_keyframe+empty_moov"),
        ("mkv", x264),
        ("webm", "-c:v libvpx -b:v 200k"),
        ("ts", x264),
        ("m2ts", x264),
        ("mpg", "-c:v mpeg2video"),
        ("flv", "-c:v flv"),
        ("wmv", "-c:v wmv2"),
        ("ogv", "-c:v libtheora"),
    ];
    let mut random = 1_u32;
    let mut noise = |bytes: usize| -> Vec<u8> {
        let mut next = || {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (random >> 24) as u8
        };
        (0..bytes).map(|_| next()).collect()
    };
    for (ending, options) in kinds {
        let file = folder.video(&format!("{ending}/A/a.{ending}"), "2", options);
        let whole = fs::read(&file).unwrap();
        let (fifth, most) = (whole.len() / 5, whole.len() * 6 / 10);
        let zeros = [&whole[..2 * fifth], &vec![0; fifth], &whole[3 * fifth..]].concat();
        // The length is right, but the rest is noise.
        let padded = [&whole[..most], &noise(whole.len() - most)].concat();
        for (what, bytes) in [("zeros", zeros), ("noise", padded)] {
            fs::write(&file, &bytes).unwrap();
            let packed = folder.pack(ending, &[]);
            assert_eq!(packed.status.code(), Some(1), "{ending}, {what}");
            ended(&packed, 1, &[&format!("a.{ending}: "), "get the file again"]);
        }
    }
}

#[test]
#[cfg_attr(not(has_ffmpeg), ignore = "needs ffmpeg")]
fn frames_of_two_sizes_are_no_clip() {
    let folder = Folder::new();
    folder.video("small.ts", "1", "-c:v libx264");
    folder.video("tall.ts", "1", "-vf scale=48:64 -c:v libx264");
    fs::create_dir_all(folder.path("v/A")).unwrap();
    let both = [fs::read(folder.path("small.ts")).unwrap(), fs::read(folder.path("tall.ts")).unwrap()].concat();
    fs::write(folder.path("v/A/a.ts"), both).unwrap();
    ended(
        &folder.pack("v", &[]),
        1,
        &["a.ts: the size or pixel format of its frames changes", "split it into clips there"],
    );
}

#[test]
#[cfg_attr(not(has_ffmpeg), ignore = "needs ffmpeg")]
fn copies_that_start_between_key_frames_and_joined_files_are_whole() {
    let folder = Folder::new();
    folder.video("open.mp4", "4", "-c:v libx264 -x264-params open-gop=1:keyint=20:bframes=3");
    fs::create_dir_all(folder.path("v/A")).unwrap();
    for name in ["a.mp4", "b.mkv"] {
        folder.ffmpeg(&format!("-ss 1 -i open.mp4 -c copy v/A/{name}"));
    }
    // A broadcast whose recording starts within a group of pictures.
    let stream = fs::read(folder.video("c.ts", "4", "-c:v libx264 -g 25")).unwrap();
    fs::write(folder.path("v/A/c.ts"), &stream[188 * 40..]).unwrap();
    let packed = folder.pack("v", &[]);
    ended(&packed, 0, &["packed 3 clips", "note: a: it starts between two key frames", "note: c: it starts between"]);
    // Timestamps that start again are no damage.
    fs::create_dir_all(folder.path("joined/A")).unwrap();
    for (name, options) in
        [("o.ogv", "-c:v libtheora"), ("f.mp4", "-c:v libx264 -g 10 -movflags frag_keyframe+empty_moov")]
    {
        let once = fs::read(folder.video(name, "1", options)).unwrap();
        fs::write(folder.path("joined/A").join(name), once.repeat(2)).unwrap();
    }
    // A recording that does not state its length.
    let line = "ffmpeg -v error -f lavfi -i testsrc2=s=64x48:r=25:d=2 -c:v wmv2 -f asf - > joined/A/live.wmv";
    assert!(Command::new("sh").args(["-c", line]).current_dir(folder.path(".")).status().unwrap().success());
    ended(&folder.pack("joined", &[]), 0, &["packed 3 clips"]);
}

#[test]
#[cfg_attr(not(has_ffmpeg), ignore = "needs ffmpeg")]
fn a_build_does_not_go_on_with_other_videos() {
    let folder = Folder::new();
    for name in ["a", "b", "c", "d", "e"] {
        folder.video(&format!("v/A/{name}.avi"), "2", "-c:v mpeg4");
    }
    // Only decoding finds the fault of the last video, after the shards of the others are finished.
    let last = folder.video("v/A/f.mp4", "2", "-c:v libx264 -g 10");
    let whole = fs::read(&last).unwrap();
    let fifth = whole.len() / 5;
    fs::write(&last, [&whole[..2 * fifth], &vec![0; fifth], &whole[3 * fifth..]].concat()).unwrap();
    let more = ["--shard-size", "30KiB", "--jobs", "1"];
    ended(&folder.pack("v", &more), 1, &["f.mp4: ", "with --resume to continue"]);
    folder.video("v/A/a.avi", "2", "-vf hue=s=0 -c:v mpeg4");
    let resumed = folder.pack("v", &[&more[..], &["--resume"]].concat());
    ended(&resumed, 1, &["the lists or the source changed: clip a has label 0, ", "a video of ", "--overwrite"]);
}

#[test]
#[cfg_attr(not(has_ffmpeg), ignore = "needs ffmpeg")]
fn every_kind_of_pixels_becomes_8_bit_rgb() {
    let folder = Folder::new();
    // The videos have a single colour, so that the expected value is known: R 200, G 100, B 50.
    let kinds = [
        ("ten.mp4", "-c:v libx264 -pix_fmt yuv420p10le"),
        ("rgb10.mkv", "-c:v ffv1 -pix_fmt gbrp10le"),
        ("rgb12.mkv", "-c:v ffv1 -pix_fmt gbrp12le"),
        ("rgb16.mkv", "-c:v ffv1 -pix_fmt rgb48le"),
        ("alpha.mkv", "-c:v ffv1 -pix_fmt bgra"),
        ("prores.mov", "-c:v prores_ks -pix_fmt yuva444p10le -profile:v 4444"),
        ("palette.mov", "-c:v qtrle -pix_fmt rgb24"),
        ("usual.mp4", "-c:v libx264 -pix_fmt yuv420p"),
    ];
    fs::create_dir_all(folder.path("kinds/A")).unwrap();
    for (file, options) in kinds {
        folder.ffmpeg(&format!("-f lavfi -i color=0xc86432:s=64x48:r=25:d=1,format=rgb24 {options} kinds/A/{file}"));
    }
    folder.ffmpeg(
        "-f lavfi -i color=0x808080:s=64x48:r=25:d=1,format=rgb24 -c:v ffv1 -pix_fmt gray16le kinds/A/grey.mkv",
    );
    let size = ["--rgb-codec", "raw", "--rgb-short-side", "48"];
    ended(&folder.pack("kinds", &size), 0, &["packed 9 clips, 225 images"]);
    let data = folder.packed("kinds");
    let mut decoder = Decoder::new().unwrap();
    for (number, clip) in data.manifest().clips.iter().enumerate() {
        let records = data.clip("rgb", number).unwrap();
        let mut pixels = vec![0; records.record(12, 0).unwrap().shape.bytes()];
        records.decode(12, 0, &mut decoder, &mut pixels).unwrap();
        let expected = if clip.id == "grey" { [128; 3] } else { [200, 100, 50] };
        let most =
            pixels.chunks_exact(3).flat_map(|pixel| (0..3).map(|c| pixel[c].abs_diff(expected[c]))).max().unwrap();
        assert!(most <= 3, "{}: {most} levels from {expected:?}, {:?}", clip.id, &pixels[..3]);
    }
}

#[test]
#[cfg_attr(not(has_ffmpeg), ignore = "needs ffmpeg")]
fn cover_art_is_not_the_video() {
    let folder = Folder::new();
    folder.video("v.mp4", "1", "-c:v libx264");
    folder.ffmpeg("-f lavfi -i color=red:s=300x300:d=1 -frames:v 1 cover.png");
    fs::create_dir_all(folder.path("art/A")).unwrap();
    // The cover is the first stream.
    folder.ffmpeg("-i cover.png -i v.mp4 -map 0 -map 1 -c copy -disposition:v:0 attached_pic art/A/a.mp4");
    ended(&folder.pack("art", &["--rgb-short-side", "48"]), 0, &["packed 1 clip, 25 images"]);
    let size = folder.packed("art").clip("rgb", 0).unwrap().size(0, 0).unwrap();
    assert_eq!((size.width, size.height), (64, 48));
    // A file with only a cover is no video.
    folder.ffmpeg(
        "-i cover.png -f lavfi -i anullsrc=d=1 -map 0 -map 1 -c:v copy -disposition:v:0 attached_pic art/A/b.mp4",
    );
    ended(&folder.pack("art", &["--overwrite"]), 1, &["b.mp4: it has no video stream"]);
}

#[test]
#[cfg_attr(not(has_ffmpeg), ignore = "needs ffmpeg")]
fn strangers_under_the_root_are_skipped_with_a_note() {
    let folder = Folder::new();
    let video = folder.video("v/A/a.mp4", "1", "-c:v libx264");
    symlink("/nowhere", folder.path("v/README")).unwrap();
    symlink("..", folder.path("v/A/up")).unwrap();
    for hidden in [".Trash", "A/.cache", "__MACOSX"] {
        fs::create_dir_all(folder.path("v").join(hidden)).unwrap();
        fs::copy(&video, folder.path("v").join(hidden).join("old.mp4")).unwrap();
    }
    fs::write(folder.path("v/A/._a.mp4"), "of another system").unwrap();
    fs::write(folder.path("v/A/player.ts"), "const x: number = 1;").unwrap();
    let packed = folder.pack("v", &[]);
    ended(
        &packed,
        0,
        &[
            "packed 1 clip,",
            "note: skipped unreadable entries",
            "/v/README: No such file",
            "a symbolic link to a folder that contains it",
        ],
    );
    ended(
        &packed,
        0,
        &[
            "note: skipped hidden entries",
            "v/.Trash",
            "v/A/.cache",
            "v/__MACOSX",
            "the only folder in ",
            "is the only class (A)",
        ],
    );
    assert_eq!(
        (ids(&folder.packed("v")), folder.packed("v").manifest().classes.clone()),
        (vec!["a"], vec!["A".to_owned()])
    );
    // The root itself must be a readable folder.
    ended(&folder.pack("v/README", &[]), 1, &["no such folder"]);
}

#[test]
#[cfg_attr(not(has_ffmpeg), ignore = "needs ffmpeg")]
fn clips_without_a_name_are_not_lost_silently() {
    let folder = Folder::new();
    let video = folder.video("v/A/a.mp4", "1", "-c:v libx264");
    let latin = folder.path("v/A").join(std::ffi::OsStr::from_bytes(b"caf\xe9.mp4"));
    fs::copy(&video, &latin).unwrap();
    symlink("/nowhere", folder.path("v/A/gone.mp4")).unwrap();
    assert!(Command::new("mkfifo").arg(folder.path("v/A/pipe.mp4")).status().unwrap().success());
    let words = [
        r"  caf\xe9: ",
        r"v/A/caf\xe9.mp4: its name is not UTF-8",
        "rename it",
        "gone.mp4: cannot read it",
        "pipe.mp4: it is not a regular file",
    ];
    ended(&folder.pack("v", &[]), 1, &[&["3 of 4 clips in "], &words[..]].concat());
    ended(&folder.pack("v", &["--keep-going"]), 0, &[&["packed 1 clip,", "skipped 3 clips:"], &words[..]].concat());
    // With a list, these clips are not wanted.
    fs::write(folder.path("l.csv"), "A/a,A,train\n").unwrap();
    let lists = folder.path("l.csv").display().to_string();
    ended(
        &folder.pack("v", &["--overwrite", "--lists", &lists]),
        0,
        &["note: skipped 3 clips that no list can contain"],
    );
    // If they are the only clips, the error names them.
    fs::remove_file(&video).unwrap();
    ended(&folder.pack("v", &["--overwrite"]), 1, &["none of the 3 clips can be used"]);
}

#[test]
#[cfg_attr(not(has_ffmpeg), ignore = "needs ffmpeg")]
fn a_row_that_names_another_folder_is_a_note() {
    let folder = Folder::new();
    let video = folder.video("v/cricket_bowling/nets.mp4", "1", "-c:v libx264");
    fs::create_dir_all(folder.path("v/javelin")).unwrap();
    fs::copy(&video, folder.path("v/javelin/run.mp4")).unwrap();
    fs::write(folder.path("l.csv"), "path,label,split\njavelin/nets.mp4,javelin,train\n./JAVELIN/run,javelin,test\n")
        .unwrap();
    let lists = folder.path("l.csv").display().to_string();
    let packed = folder.pack("v", &["--lists", &lists]);
    ended(
        &packed,
        0,
        &[
            "note: 1 row of the list names a folder without the clip: javelin/nets (line 2) is packed from ",
            "v/cricket_bowling/nets.mp4\n",
        ],
    );
    assert!(!String::from_utf8_lossy(&packed.stderr).contains("line 3"), "{packed:?}");
    // Without a folder, a row names any folder.
    fs::write(folder.path("l.csv"), "nets.mp4,javelin,train\n./run,javelin,test\n").unwrap();
    let packed = folder.pack("v", &["--lists", &lists, "--overwrite"]);
    ended(&packed, 0, &["packed 2 clips"]);
    assert!(!String::from_utf8_lossy(&packed.stderr).contains("of the list"), "{packed:?}");
}

#[test]
#[cfg_attr(not(has_ffmpeg), ignore = "needs ffmpeg")]
fn both_forms_of_accents_are_one_name() {
    let folder = Folder::new();
    let video = folder.video("v/a.mp4", "1", "-c:v libx264");
    fs::create_dir_all(folder.path("v/\u{e9}t\u{e9}")).unwrap();
    fs::rename(&video, folder.path("v/\u{e9}t\u{e9}/\u{e9}t\u{e9}.mp4")).unwrap();
    fs::write(folder.path("l.csv"), "e\u{301}te\u{301}/e\u{301}te\u{301}.mp4,a,train\n").unwrap();
    let packed = folder.pack("v", &["--lists", &folder.path("l.csv").display().to_string()]);
    ended(&packed, 0, &["packed 1 clip, 25 images (25 rgb)", " times the size), shards: 1 rgb"]);
    assert!(!String::from_utf8_lossy(&packed.stderr).contains("of the list"), "{packed:?}");
}

#[test]
#[cfg_attr(not(has_ffmpeg), ignore = "needs ffmpeg")]
fn folders_of_subsets_are_splits() {
    let folder = Folder::new();
    let video = folder.video("v/train/A/a.mp4", "1", "-c:v libx264");
    for copy in ["train/B/b.mp4", "val/A/c.mp4", "val/B/d.mp4"] {
        fs::create_dir_all(folder.path("v").join(copy).parent().unwrap()).unwrap();
        fs::copy(&video, folder.path("v").join(copy)).unwrap();
    }
    ended(&folder.pack("v", &[]), 0, &["packed 4 clips", "has folders for subsets (train, val)", "classes (A, B)"]);
    let data = folder.packed("v");
    assert_eq!(data.manifest().classes, ["A", "B"]);
    let subsets: Vec<Subset> = data.manifest().clips.iter().map(|clip| clip.subsets[0].clone()).collect();
    assert_eq!(subsets, [Subset::Train, Subset::Train, Subset::Val, Subset::Val]);
    // The error about one clip in two subsets names both files.
    fs::copy(&video, folder.path("v/val/A/a.mp4")).unwrap();
    ended(&folder.pack("v", &["--overwrite"]), 1, &["train/A/a.mp4", "val/A/a.mp4 belong to the same clip; keep one"]);
    fs::remove_file(folder.path("v/val/A/a.mp4")).unwrap();
    // Such folders may have a suffix and be in other folders.
    for copy in ["train_256/A/a.mp4", "train_256/B/b.mp4", "val_256/A/c.mp4"] {
        fs::create_dir_all(folder.path("deep/data").join(copy).parent().unwrap()).unwrap();
        fs::copy(&video, folder.path("deep/data").join(copy)).unwrap();
    }
    ended(&folder.pack("deep", &[]), 0, &["packed 3 clips", "(train, val)", "classes (A, B)"]);
    let deep = folder.packed("deep");
    let subsets: Vec<Subset> = deep.manifest().clips.iter().map(|clip| clip.subsets[0].clone()).collect();
    assert_eq!(subsets, [Subset::Train, Subset::Train, Subset::Val]);
    // If only some videos have a subset, nothing is guessed.
    fs::create_dir_all(folder.path("v/C")).unwrap();
    fs::copy(&video, folder.path("v/C/e.mp4")).unwrap();
    fs::rename(folder.path("v/val"), folder.path("v/test")).unwrap();
    let words = ["4 of 5 videos are in folders for subsets (test, train), but the others are not", "--lists"];
    ended(&folder.pack("v", &["--overwrite"]), 1, &words);
    // Folders named after subsets must contain class folders.
    fs::create_dir_all(folder.path("flat/train")).unwrap();
    fs::copy(&video, folder.path("flat/train/a.mp4")).unwrap();
    ended(
        &folder.pack("flat", &[]),
        1,
        &["the folder train is named like a subset, but contains no class folder", "--lists"],
    );
}

#[test]
#[cfg_attr(not(has_ffmpeg), ignore = "needs ffmpeg")]
fn two_videos_of_one_name_and_two_labels_of_one_video_are_named() {
    let folder = Folder::new();
    let video = folder.video("v/A/x.mp4", "1", "-c:v libx264");
    fs::copy(&video, folder.path("v/A/y.mp4")).unwrap();
    let list = |text: &str| {
        fs::write(folder.path("l.csv"), text).unwrap();
        folder.pack("v", &["--overwrite", "--lists", &folder.path("l.csv").display().to_string()])
    };
    ended(&list("A/x,A,train\nA/x,B,test\n"), 1, &["l.csv: line 2: A/x has the label B, but A in line 1"]);
    // Two paths lead to the same file.
    symlink("A", folder.path("v/B")).unwrap();
    let both = list("A/y,A,train\nB/y,B,test\n");
    ended(&both, 0, &["packed 2 clips"]);
    fs::remove_file(folder.path("v/B")).unwrap();
    fs::copy(&video, folder.path("v/A/x.avi")).unwrap();
    ended(&folder.pack("v", &["--overwrite"]), 1, &["v/A/x.avi", "v/A/x.mp4 belong to the same clip; keep one"]);
}

#[test]
#[cfg_attr(not(has_ffmpeg), ignore = "needs ffmpeg")]
fn playlists_and_other_files_that_name_files_are_refused_at_once() {
    let folder = Folder::new();
    folder.video("secret.mp4", "1", "-c:v libx264");
    folder.video("seg.ts", "1", "-c:v libx264");
    fs::create_dir_all(folder.path("v/A")).unwrap();
    let segment = folder.path("seg.ts").display().to_string();
    let endless = format!("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{segment}\n");
    let texts = [
        ("live.avi", endless.clone()),
        ("whole.mp4", format!("{endless}#EXT-X-ENDLIST\n")),
        ("concat.mkv", format!("ffconcat version 1.0\nfile {segment}\n")),
        ("web.mov", "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nhttp://127.0.0.1:9/x.ts\n#EXT-X-ENDLIST\n".into()),
    ];
    for (file, text) in &texts {
        fs::write(folder.path("v/A").join(file), text).unwrap();
    }
    let started = Instant::now();
    let refused = folder.pack("v", &[]);
    ended(&refused, 1, &["4 of 4 clips in ", "it is a playlist or has an unsupported container"]);
    assert!(started.elapsed() < Duration::from_secs(50), "{:?}", started.elapsed());
}

#[test]
#[cfg_attr(not(has_ffmpeg), ignore = "needs ffmpeg")]
fn the_machines_troubles_end_the_build_and_blame_no_clip() {
    let folder = Folder::new();
    for name in ["a", "b", "c", "d", "e", "f", "g", "h"] {
        folder.video(&format!("v/A/{name}.mp4"), "1", "-c:v libx264");
    }
    let limited = |limit: &str, more: &[&str]| {
        let command = folder.pack_command("v", more);
        let mut shell = Command::new("sh");
        shell
            .args(["-c", &format!("{limit} && exec \"$@\""), "sh"])
            .arg(command.get_program())
            .args(command.get_args());
        shell.output().unwrap()
    };
    // This sets both limits. The soft limit alone would be raised at the start.
    let packed = limited("ulimit -n 12", &["--jobs", "8", "--keep-going"]);
    ended(&packed, 1, &["Too many open files", "ulimit -n 4096", "--jobs"]);
    assert!(!folder.path("out-v").exists());
    ended(&limited("ulimit -S -n 12", &["--jobs", "8"]), 0, &["packed 8 clips"]);
}

#[test]
fn images_that_are_to_be_turned_are_told_once() {
    let dir = tempfile::tempdir().unwrap();
    let place = |class: &str, clip: &str| dir.path().join("t").join(class).join(clip);
    // The start of a JPEG file, EXIF data with orientation 6, and the rest of the file.
    let pixels = image::RgbImage::from_fn(32, 24, |x, y| image::Rgb([x as u8 * 7, y as u8 * 9, 90]));
    let mut plain = Vec::new();
    image::codecs::jpeg::JpegEncoder::new(&mut plain).encode_image(&pixels).unwrap();
    let exif = b"\xff\xe1\x00\x22Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
    let turned = [&plain[..2], exif, &plain[2..]].concat();
    for (clip, bytes) in [("v1", &plain), ("v2", &turned), ("v3", &turned)] {
        let folder = place("A", clip);
        fs::create_dir_all(&folder).unwrap();
        (1..=11).for_each(|n| fs::write(folder.join(format!("img_{n:05}.jpg")), bytes).unwrap());
    }
    let mut program = Command::new(env!("CARGO_BIN_EXE_ucfpack"));
    program
        .args(["build", "--dataset", "custom", "--rgb"])
        .arg(dir.path().join("t"))
        .arg("--out")
        .arg(dir.path().join("o"));
    let packed = program.output().unwrap();
    ended(&packed, 0, &["packed 3 clips", "note: 2 clips have images with an EXIF rotation"]);
    let data = Dataset::open(dir.path().join("o")).unwrap();
    let stored = data.clip("rgb", 1).unwrap().record(0, 0).unwrap().bytes.to_vec();
    assert_eq!(stored, turned, "as they are");
}

#[test]
fn strangers_in_trees_are_skipped_and_clips_without_a_name_are_not() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("t");
    let mut jpeg = Vec::new();
    image::codecs::jpeg::JpegEncoder::new(&mut jpeg).encode_image(&image::RgbImage::new(16, 16)).unwrap();
    let clip = |folder: &Path| {
        fs::create_dir_all(folder).unwrap();
        (1..=11).for_each(|n| fs::write(folder.join(format!("img_{n:05}.jpg")), &jpeg).unwrap());
    };
    clip(&root.join("A/v1"));
    clip(&root.join(".Trash/v2"));
    symlink("/nowhere", root.join("README")).unwrap();
    symlink("/nowhere", root.join("A/gone")).unwrap();
    symlink("..", root.join("A/v1/up")).unwrap();
    let pack = |more: &[&str]| {
        let mut program = Command::new(env!("CARGO_BIN_EXE_ucfpack"));
        program.args(["build", "--dataset", "custom", "--rgb"]).arg(&root).arg("--out").arg(dir.path().join("o"));
        program.args(more).output().unwrap()
    };
    ended(&pack(&[]), 0, &["packed 1 clip,", "note: skipped hidden entries: ", ".Trash"]);
    clip(&root.join("A").join(std::ffi::OsStr::from_bytes(b"caf\xe9")));
    ended(&pack(&["--overwrite"]), 1, &["1 of 2 clips in ", "its name is not UTF-8"]);
    ended(&pack(&["--overwrite", "--keep-going"]), 0, &["packed 1 clip,", "skipped 1 clip:", "its name is not UTF-8"]);
    // Folders named after subsets are no classes.
    clip(&root.join("train/v1"));
    clip(&root.join("val/v2"));
    ended(&pack(&["--overwrite", "--keep-going"]), 1, &["the folders train, val are named like subsets"]);
}
