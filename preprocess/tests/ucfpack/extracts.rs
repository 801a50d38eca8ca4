//! Tests of continuing an extracted tree, which requires the same options and videos.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

use crate::command::{ended, names, ucfpack, wait_until};

struct Place {
    dir: TempDir,
}

impl Place {
    /// Creates two videos of 15 frames in a class folder.
    fn new() -> Self {
        let place = Self { dir: tempfile::tempdir().unwrap() };
        for name in ["a", "b"] {
            place.write_video(name, "0.6");
        }
        place
    }

    fn write_video(&self, name: &str, seconds: &str) {
        fs::create_dir_all(self.path("videos/A")).unwrap();
        let made = Command::new("ffmpeg")
            .args(["-v", "error", "-y", "-f", "lavfi", "-i", &format!("testsrc2=s=64x48:r=25:d={seconds}")])
            .args(["-c:v", "mpeg4"])
            .arg(self.path(&format!("videos/A/{name}.avi")))
            .status()
            .expect("the tests of videos need ffmpeg");
        assert!(made.success());
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn command(&self, out: &Path, more: &[&str]) -> Command {
        let mut command = ucfpack();
        command.args(["extract", "--dataset", "custom", "--rgb-short-side", "40", "--videos"]).arg(self.path("videos"));
        command.arg("--out").arg(out).args(more);
        command
    }

    fn extract(&self, more: &[&str]) -> Output {
        self.command(&self.path("t"), more).output().unwrap()
    }

    fn images(&self, folder: &str) -> usize {
        fs::read_dir(self.path("t").join(folder)).unwrap().count()
    }
}

#[test]
#[cfg_attr(not(has_ffmpeg), ignore = "needs ffmpeg")]
fn a_tree_is_continued_with_the_options_that_it_was_made_with() {
    let place = Place::new();
    ended(&place.extract(&["--flow-method", "none"]), 0, "extracted 2 clips, 30 images");
    assert_eq!(names(&place.path("t")), [".extract.json", "jpegs_256", "lists"]);
    let out = place.path("t").display().to_string();
    let refused = |more: &[&str], words: &str| {
        let output = place.extract(&[more, &["--resume"]].concat());
        ended(&output, 2, &format!("cannot resume: {}", words.replace("OUT", &out)));
        assert_eq!(names(&place.path("t")), [".extract.json", "jpegs_256", "lists"]);
    };
    refused(&[], "--flow-method is tvl1, but OUT was extracted with none");
    refused(&["--flow-method", "dis"], "--flow-method is dis, but OUT was extracted with none");
    refused(&["--flow-method", "none", "--quality", "80"], "--quality is 80, but OUT was extracted with 95");
    let side = place.command(&place.path("t"), &["--flow-method", "none", "--resume"]);
    let mut other_side = ucfpack();
    other_side.args(side.get_args().map(|argument| if argument == "40" { "48".as_ref() } else { argument }));
    let words = format!("--rgb-short-side is 48, but {out} was extracted with 40");
    ended(&other_side.output().unwrap(), 2, &words);

    ended(&place.extract(&["--flow-method", "none", "--resume"]), 0, "extracted 0 clips, 0 images");
    // One clip lost its images, and one video is new.
    fs::remove_dir_all(place.path("t/jpegs_256/a")).unwrap();
    place.write_video("c", "0.6");
    ended(&place.extract(&["--flow-method", "none", "--resume"]), 0, "extracted 2 clips, 30 images");
    assert_eq!(["a", "b", "c"].map(|clip| place.images(&format!("jpegs_256/{clip}"))), [15; 3]);
    // One video was replaced, and one was removed.
    place.write_video("b", "1.2");
    refused(&["--flow-method", "none"], "the video of b has ");
    fs::remove_file(place.path("videos/A/b.avi")).unwrap();
    refused(&["--flow-method", "none"], "OUT also has clip b, which --lists and --classes do not include");
}

#[test]
#[cfg_attr(not(has_ffmpeg), ignore = "needs ffmpeg")]
fn clips_that_lost_images_are_made_again() {
    let place = Place::new();
    ended(&place.extract(&["--flow-method", "dis"]), 0, "extracted 2 clips, 86 images");
    for lost in ["tvl1_flow/v/a/frame000014.jpg", "tvl1_flow/u/b", "jpegs_256/a/frame000002.jpg"] {
        let path = place.path("t").join(lost);
        let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
        removed.unwrap();
        ended(&place.extract(&["--flow-method", "dis", "--resume"]), 0, "extracted 1 clip, 43 images");
        assert_eq!(["u", "v"].map(|plane| place.images(&format!("tvl1_flow/{plane}/a"))), [14; 2]);
        assert_eq!(["u", "v"].map(|plane| place.images(&format!("tvl1_flow/{plane}/b"))), [14; 2]);
    }
}

#[test]
#[cfg_attr(not(has_ffmpeg), ignore = "needs ffmpeg")]
fn frames_without_flow_are_counted_too() {
    let place = Place::new();
    let none = ["--flow-method", "none"];
    ended(&place.extract(&none), 0, "extracted 2 clips");
    let frame = |number: u32| place.path(&format!("t/jpegs_256/a/frame{number:06}.jpg"));
    fs::remove_file(frame(15)).unwrap();
    ended(&place.extract(&[&none[..], &["--resume"]].concat()), 0, "extracted 1 clip, 15 images");
    fs::write(frame(3), "").unwrap();
    ended(&place.extract(&[&none[..], &["--resume"]].concat()), 0, "1 clip complete before");
    assert!(fs::metadata(frame(3)).unwrap().len() > 0);
}

#[test]
#[cfg_attr(not(has_ffmpeg), ignore = "needs ffmpeg")]
fn a_tree_without_its_record_is_not_continued() {
    let place = Place::new();
    let none = ["--flow-method", "none"];
    ended(&place.extract(&none), 0, "extracted 2 clips");
    let record = place.path("t/.extract.json");
    let text = fs::read_to_string(&record).unwrap();
    fs::remove_file(&record).unwrap();
    ended(
        &place.extract(&[&none[..], &["--resume"]].concat()),
        2,
        "has no .extract.json, so it is not an extracted frame tree",
    );
    fs::write(&record, &text[..text.len() / 2]).unwrap();
    ended(&place.extract(&[&none[..], &["--resume"]].concat()), 1, ".extract.json is damaged");
    // The folder holds only the files of a killed run, so this is a new tree, with or without
    // --resume.
    for more in [&[][..], &["--resume"]] {
        fs::remove_dir_all(place.path("t")).unwrap();
        fs::create_dir_all(place.path("t/.partial/a/rgb")).unwrap();
        ended(&place.extract(&[&none[..], more].concat()), 0, "extracted 2 clips");
        assert_eq!(names(&place.path("t")), [".extract.json", "jpegs_256", "lists"]);
    }
}

#[test]
#[cfg_attr(not(has_ffmpeg), ignore = "needs ffmpeg")]
fn two_extracts_into_one_folder_do_not_meet() {
    let place = Place::new();
    let held = File::create(place.path(".t.lock")).unwrap();
    held.lock().unwrap();
    for more in [&[][..], &["--resume"]] {
        let words = format!("another ucfpack process is writing {}; wait until it ends", place.path("t").display());
        ended(&place.extract(more), 2, &words);
    }
    assert!(!place.path("t").exists());
    drop(held);
    ended(&place.extract(&["--flow-method", "none"]), 0, "extracted 2 clips");
    assert!(!place.path(".t.lock").exists());
}

#[cfg(unix)]
#[test]
#[cfg_attr(not(has_ffmpeg), ignore = "needs ffmpeg")]
fn a_video_whose_name_is_no_folder_name_is_refused_with_the_character() {
    let place = Place::new();
    place.write_video("x:y", "0.6");
    let words = "error: cannot extract clip \"x:y\": its id is not a plain folder name, because it contains `:`; \
                 rename its video, also in the lists";
    ended(&place.extract(&["--flow-method", "none"]), 1, words);
    assert!(!place.path("t").exists());
}

#[test]
#[cfg_attr(not(has_ffmpeg), ignore = "needs ffmpeg")]
fn a_killed_extract_does_not_lose_the_sizes_of_complete_clips() {
    let place = Place::new();
    place.write_video("b", "60");
    let options = ["--jobs", "1", "--flow-method", "none"];
    let mut child = place.command(&place.path("t"), &options).spawn().unwrap();
    wait_until(|| place.path("t/jpegs_256/a").exists() && place.path("t/.partial/b").exists());
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!place.path("t/lists").exists() && !place.path("t/jpegs_256/b").exists());
    ended(&place.extract(&[&options[..], &["--resume"]].concat()), 0, "1 clip complete before");
    assert_eq!(names(&place.path("t")), [".extract.json", "jpegs_256", "lists"]);
    let list = fs::read_to_string(place.path("t/lists/clips.jsonl")).unwrap();
    // The size is that of the video, not that of its images.
    assert_eq!(list.matches(r#""width":64,"height":48"#).count(), 2, "{list}");
}

#[cfg(unix)]
#[test]
#[cfg_attr(not(has_ffmpeg), ignore = "needs ffmpeg")]
fn a_stopped_extract_keeps_whole_clips_and_says_how_to_go_on() {
    let place = Place::new();
    place.write_video("b", "60");
    for (signal, status, more) in [("HUP", 129, &[][..]), ("TERM", 143, &["--resume"])] {
        let mut command = place.command(&place.path("t"), &[&["--jobs", "1"], more].concat());
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        wait_until(|| place.path("t/jpegs_256/a").exists() && place.path("t/.partial/b").exists());
        assert!(
            Command::new("kill").args([&format!("-{signal}"), &child.id().to_string()]).status().unwrap().success()
        );
        let output = child.wait_with_output().unwrap();
        let words = format!("error: interrupted; 1 complete clip is in {}; ", place.path("t").display());
        ended(&output, status, &words);
        assert_eq!(names(&place.path("t")), [".extract.json", "jpegs_256", "lists", "tvl1_flow"]);
        assert_eq!(names(&place.path("t/jpegs_256")), ["a"]);
    }
    place.write_video("b", "0.6");
    ended(&place.extract(&["--resume"]), 2, "the video of b has ");
}

#[test]
#[cfg_attr(not(has_ffmpeg), ignore = "needs ffmpeg")]
fn an_extract_that_made_nothing_leaves_nothing() {
    let place = Place::new();
    for name in ["a", "b"] {
        let path = place.path(&format!("videos/A/{name}.avi"));
        let bytes = fs::read(&path).unwrap();
        // The header is intact, but the images are not.
        let movi = bytes.windows(4).position(|four| four == b"movi").unwrap() + 4;
        let idx1 = bytes.windows(4).rposition(|four| four == b"idx1").unwrap();
        fs::write(&path, [&bytes[..movi], &vec![0; idx1 - movi], &bytes[idx1..]].concat()).unwrap();
    }
    ended(&place.extract(&["--flow-method", "none"]), 1, "2 of 2 clips in ");
    assert!(!place.path("t").exists());
}
