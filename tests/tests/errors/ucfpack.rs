//! Errors of `ucfpack`.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use whole_program_tests::{args, run};

use crate::snapshot::{Case, check};

const INTRODUCTION: &str = "\
Errors of ucfpack, as a user sees them.

tests/tests/errors/ucfpack.rs provokes each of them in a folder of its own, DIR. It holds a frame tree with 4 classes of
4 clips (tree/), its split lists (tree/lists/), a dataset that was packed from it (packed/), and its two parts (part1/,
part2/). To write this file again: UPDATE_SNAPSHOTS=1 cargo test --workspace --test errors";

/// The command that packs the tree.
const BUILD: &str = "ucfpack build --tree tree --lists tree/lists --out out";
/// The command that packs frames with a CSV file.
const CUSTOM: &str = "ucfpack build --rgb tree --dataset custom --lists clips.csv --out out";
/// The command that packs videos.
const VIDEOS: &str = "ucfpack build --videos videos --dataset custom --flow-method none --out out";
/// The clip that the cases damage.
const CLIP: &str = "v_SpottedBlobDown_g01_c01";

/// Makes the folder that each case finds.
fn shared(dir: &Path) {
    let ucfpack = |line: &str| drop(run("ucfpack", &args(dir, line)).ok());
    ucfpack("synth --out {}/tree --classes 4 --clips 4 --size 32x24");
    ucfpack("build --tree {}/tree --lists {}/tree/lists --out {}/packed --flow-size 16");
    for part in [1, 2] {
        ucfpack(&format!(
            "build --tree {{}}/tree --lists {{}}/tree/lists --out {{}}/part{part} --flow-size 16 --shard-size 60KB \
             --part {part}/2"
        ));
    }
}

#[test]
fn errors_of_ucfpack() {
    let shared_dir = tempfile::tempdir().unwrap();
    shared(shared_dir.path());
    let cases = [options(), trees(), lists(), outputs(), parts(), datasets(), videos(), others()];
    let cases: Vec<Case> = cases.into_iter().flatten().collect();
    check("ucfpack-errors.txt", INTRODUCTION, shared_dir.path(), &cases);
}

fn options() -> Vec<Case> {
    let build = |title, more: &str| Case::new(title, format!("{BUILD} {more}"));
    vec![
        Case::new("No command", "ucfpack"),
        Case::new("A command with a typing error", "ucfpack biuld --tree tree"),
        build("An option with a typing error", "--overwite"),
        Case::new("No source", "ucfpack build --lists tree/lists --out out"),
        Case::new("Two sources", "ucfpack build --tree tree --videos tree --lists tree/lists --out out"),
        Case::new("No lists", "ucfpack build --tree tree --out out"),
        build("An unknown layout", "--layout penn"),
        build("A size without a number", "--shard-size many"),
        build("A size with an unknown unit", "--shard-size 3XB"),
        build("A size of zero", "--shard-size 0"),
        build("A part beyond the last", "--part 3/2"),
        build("No threads", "--jobs 0"),
        build("An unknown class", "--classes SpotedBlobDown"),
        build("Resized RGB frames in source files", "--rgb-short-side 16"),
        build("Resized flow in source files", "--flow-codec jpeg --flow-size 16"),
        build("A level without a codec that has levels", "--level 3 --flow-codec raw"),
        build("A level that the codec does not have", "--level 20 --flow-codec lz4"),
        build("A JPEG quality for frames that are files already", "--rgb-quality 80"),
        build("A flow method for a tree", "--flow-method dis"),
        build("A GPU for a tree", "--device cuda:0"),
        build("An unknown device", "--device gpu"),
        Case::new(
            "Source files of flow from videos",
            "ucfpack build --videos tree --lists tree/lists --out out --flow-codec jpeg",
        ),
    ]
}

fn trees() -> Vec<Case> {
    let build = |title| Case::new(title, BUILD);
    vec![
        Case::new("A path with a typing error", "ucfpack build --tree tre --lists tree/lists --out out"),
        Case::new("An empty folder as tree", "ucfpack build --tree empty --lists tree/lists --out out")
            .prepare(|dir| fs::create_dir(dir.join("empty")).unwrap()),
        Case::new("A folder above the tree", "ucfpack build --tree . --lists tree/lists --out out"),
        Case::new("A tree in another layout than --layout", format!("{BUILD} --layout tsn")),
        Case::new("Lists instead of RGB frames", "ucfpack build --rgb tree/lists --lists tree/lists --out out"),
        build("A tree without flow").prepare(|dir| fs::remove_dir_all(dir.join("tree/tvl1_flow")).unwrap()),
        build("A tree without RGB frames").prepare(|dir| fs::remove_dir_all(dir.join("tree/jpegs_256")).unwrap()),
        build("A tree without v").prepare(|dir| fs::remove_dir_all(dir.join("tree/tvl1_flow/v")).unwrap()),
        build("A tree without clips").prepare(|dir| {
            fs::remove_dir_all(dir.join("tree/jpegs_256")).unwrap();
            fs::create_dir(dir.join("tree/jpegs_256")).unwrap();
        }),
        build("A tree with two layouts").prepare(|dir| {
            fs::rename(dir.join("tree/tvl1_flow/u"), dir.join("tree/x")).unwrap();
            fs::rename(dir.join("tree/tvl1_flow/v"), dir.join("tree/y")).unwrap();
            crate::snapshot::copy_tree(&dir.join("tree/jpegs_256"), &dir.join("tree/rgb"));
            for (new, old) in [("x", "u"), ("y", "v")] {
                crate::snapshot::copy_tree(&dir.join("tree").join(new), &dir.join("tree/tvl1_flow").join(old));
            }
        }),
        build("Lists of another dataset").prepare(|dir| {
            write(dir, "tree/lists/classInd.txt", "1 Archery\n");
            for split in 1..=3 {
                write(dir, &format!("tree/lists/trainlist0{split}.txt"), "Archery/v_Archery_g08_c01.avi 1\n");
                write(dir, &format!("tree/lists/testlist0{split}.txt"), "Archery/v_Archery_g01_c01.avi\n");
            }
        }),
        build("A clip is missing").prepare(|dir| {
            for plane in ["jpegs_256", "tvl1_flow/u", "tvl1_flow/v"] {
                fs::remove_dir_all(dir.join("tree").join(plane).join(CLIP)).unwrap();
            }
        }),
        build("All clips of two classes are missing").prepare(remove_striped),
        Case::new("All clips of two classes are skipped (no error)", format!("{BUILD} --keep-going"))
            .prepare(remove_striped)
            .replace("\n0.", "\n", "SECONDS, RATE"),
        build("The flow of a clip is missing")
            .prepare(|dir| fs::remove_dir_all(dir.join("tree/tvl1_flow/v").join(CLIP)).unwrap()),
        build("A frame is missing").prepare(|dir| fs::remove_file(frame(dir, 3)).unwrap()),
        build("Several frames are missing").prepare(|dir| (3..8).for_each(|i| fs::remove_file(frame(dir, i)).unwrap())),
        build("The last frame is missing").prepare(|dir| fs::remove_file(frame(dir, 23)).unwrap()),
        build("The last frame of v is missing")
            .prepare(|dir| fs::remove_file(dir.join("tree/tvl1_flow/v").join(CLIP).join("frame000022.jpg")).unwrap()),
        build("The frames of a clip start at 0").prepare(|dir| fs::rename(frame(dir, 1), frame(dir, 0)).unwrap()),
        build("A frame is a text file").prepare(|dir| replace(&frame(dir, 3), b"hello")),
        build("A frame is empty").prepare(|dir| replace(&frame(dir, 3), b"")),
        build("A frame is truncated").prepare(|dir| cut(&frame(dir, 3), 40)),
        build("A frame has another size").prepare(|dir| {
            run("ucfpack", &args(dir, "synth --out {}/other --classes 4 --clips 4 --size 48x24")).ok();
            fs::rename(dir.join("other/jpegs_256").join(CLIP).join("frame000003.jpg"), frame(dir, 3)).unwrap();
        }),
        build("A frame is a folder").prepare(|dir| {
            fs::remove_file(frame(dir, 3)).unwrap();
            fs::create_dir(frame(dir, 3)).unwrap();
        }),
        build("More damaged clips than an error names").prepare(|dir| {
            let clips = fs::read_dir(dir.join("tree/jpegs_256")).unwrap();
            clips.for_each(|clip| replace(&clip.unwrap().path().join("frame000003.jpg"), b""));
        }),
        build("Two folders of one clip").prepare(|dir| {
            let rgb = dir.join("tree/jpegs_256");
            crate::snapshot::copy_tree(&rgb.join(CLIP), &rgb.join(CLIP.to_lowercase()));
        }),
        build("No clip is left").prepare(|dir| {
            for clip in fs::read_dir(dir.join("tree/jpegs_256")).unwrap() {
                for frame in fs::read_dir(clip.unwrap().path()).unwrap() {
                    replace(&frame.unwrap().path(), b"");
                }
            }
        }),
        Case::new("Clips are skipped (no error)", format!("{BUILD} --keep-going"))
            .prepare(|dir| replace(&frame(dir, 3), b""))
            .replace("\n0.", "\n", "SECONDS, RATE"),
    ]
}

fn lists() -> Vec<Case> {
    let ucf101 = |title, file: &'static str, text: &'static str| {
        Case::new(title, BUILD).prepare(move |dir| write(dir, &format!("tree/lists/{file}"), text))
    };
    let hmdb51 = |title, files: &'static [(&'static str, &'static str)]| {
        let command = "ucfpack build --rgb tree --dataset hmdb51 --lists lists --out out";
        Case::new(title, command).prepare(move |dir| {
            fs::create_dir(dir.join("lists")).unwrap();
            for (file, text) in files {
                write(dir, &format!("lists/{file}"), text);
            }
        })
    };
    let csv = |title, text: &'static str| Case::new(title, CUSTOM).prepare(move |dir| write(dir, "clips.csv", text));
    vec![
        Case::new("A folder of lists that does not exist", "ucfpack build --tree tree --lists list --out out"),
        Case::new(
            "A CSV file as lists of UCF101",
            "ucfpack build --tree tree --lists clips.csv --dataset ucf101 --out out",
        )
        .prepare(|dir| write(dir, "clips.csv", "path,label,split\n")),
        Case::new("Lists of two kinds", BUILD).prepare(|dir| write(dir, "tree/lists/clips.csv", "path,label,split\n")),
        Case::new("A folder without lists", "ucfpack build --tree tree --lists tree/jpegs_256 --out out"),
        Case::new("A folder with a class list only", BUILD).prepare(|dir| {
            for split in 1..=3 {
                fs::remove_file(dir.join(format!("tree/lists/trainlist0{split}.txt"))).unwrap();
                fs::remove_file(dir.join(format!("tree/lists/testlist0{split}.txt"))).unwrap();
            }
        }),
        Case::new("A training list without its test list", BUILD)
            .prepare(|dir| fs::remove_file(dir.join("tree/lists/testlist02.txt")).unwrap()),
        ucf101("A class without a number", "classInd.txt", "SpottedBlobDown\n"),
        ucf101("A gap in the numbers of classes", "classInd.txt", "1 SpottedBlobDown\n3 SpottedBlobUp\n"),
        ucf101("A class that is listed twice", "classInd.txt", "1 SpottedBlobDown\n2 spottedblobdown\n"),
        ucf101("Text after a class", "classInd.txt", "1 SpottedBlobDown 2 SpottedBlobUp\n"),
        ucf101("An empty class list", "classInd.txt", "\n"),
        ucf101("A list with a class that has no number", "trainlist01.txt", "Archery/v_Archery_g01_c01.avi 1\n"),
        ucf101("A list entry without a class folder", "trainlist01.txt", "v_SpottedBlobDown_g02_c01.avi 1\n"),
        ucf101("A list entry with another number than its class", "trainlist01.txt", "SpottedBlobDown/a.avi 2\n"),
        ucf101("Text after a list entry", "trainlist01.txt", "SpottedBlobDown/a.avi 4 easy\n"),
        ucf101(
            "A clip that is in a list twice",
            "trainlist01.txt",
            "SpottedBlobDown/a.avi 4\nSpottedBlobDown/a.avi 4\n",
        ),
        ucf101("A list entry without a clip", "trainlist01.txt", "SpottedBlobDown/.avi 4\n"),
        Case::new("A list in UTF-16", BUILD)
            .prepare(|dir| fs::write(dir.join("tree/lists/trainlist01.txt"), b"\xff\xfeA\0").unwrap()),
        Case::new("Lists of UCF101 as those of HMDB51", format!("{BUILD} --dataset hmdb51")),
        hmdb51("HMDB51: a number that means nothing", &[("wave_test_split1.txt", "a.avi 3\n")]),
        hmdb51(
            "HMDB51: a class without a list for a split",
            &[
                ("hit_test_split1.txt", "a.avi 1\n"),
                ("wave_test_split1.txt", "b.avi 1\n"),
                ("wave_test_split2.txt", "b.avi 1\n"),
            ],
        ),
        hmdb51("HMDB51: two clips on one line", &[("wave_test_split1.txt", "a.avi 1 b.avi 2\n")]),
        hmdb51("HMDB51: empty lists", &[("wave_test_split1.txt", "\n")]),
        Case::new("CSV: no such file", CUSTOM),
        csv("CSV: a row without a split", "path,label,split\na.avi,walk\n"),
        csv("CSV: a quote that is not closed", "a.avi,walk,train\n\"b.avi,walk,test\n"),
        csv("CSV: one clip with two labels", "walk/a.avi,walk,train\nwalk/a.avi,run,test\n"),
        csv("CSV: one clip twice", "a.avi,walk,train\na.avi,walk,test\n"),
        csv("CSV: a comma in a path", "walk/a, b.avi,walk,train,anna\n"),
        csv("CSV: no rows", "path,label,split\n"),
        Case::new(
            "CSV: a folder without a CSV file",
            "ucfpack build --rgb tree --dataset custom --lists tree --out out",
        ),
        Case::new(
            "A class per folder: a layout without class folders",
            "ucfpack build --rgb tree --dataset custom --out out",
        ),
    ]
}

fn outputs() -> Vec<Case> {
    /// A build with several shards whose last clip is damaged.
    const STOPPED: &str = "ucfpack build --tree tree --lists tree/lists --out out --shard-size 60KB";
    let stop = |dir: &Path| {
        replace(&dir.join("tree/jpegs_256/v_StripedBlobUp_g04_c01/frame000003.jpg"), b"");
        let line = "build --tree {}/tree --lists {}/tree/lists --out {}/out --shard-size 60KB";
        assert!(run("ucfpack", &args(dir, line)).error(1).contains("kept"));
    };
    vec![
        Case::new("The output exists", "ucfpack build --tree tree --lists tree/lists --out packed"),
        Case::new("The output is a file", "ucfpack build --tree tree --lists tree/lists --out tree/lists/classInd.txt"),
        Case::new("The output is the root folder", "ucfpack build --tree tree --lists tree/lists --out /"),
        Case::new(
            "The output is below a file",
            "ucfpack build --tree tree --lists tree/lists --out tree/lists/classInd.txt/out",
        ),
        Case::new(
            "--overwrite of a folder with other files",
            "ucfpack build --tree tree --lists tree/lists --out packed --overwrite",
        )
        .prepare(|dir| write(dir, "packed/thesis.tex", "")),
        Case::new("Another process writes the output", BUILD).prepare(|dir| {
            let lock = File::create(dir.join(".out.lock")).unwrap();
            lock.lock().unwrap();
            // The lock is held until the test ends.
            std::mem::forget(lock);
        }),
        Case::new("A build fails after it finished shards", STOPPED)
            .prepare(|dir| {
                replace(&dir.join("tree/jpegs_256/v_StripedBlobUp_g04_c01/frame000003.jpg"), b"");
            })
            .replace("--keep-going\n", " finished", "N"),
        Case::new("An unfinished build exists", STOPPED).prepare(stop).replace("build left ", " finished", "N"),
        Case::new("--resume with another option", format!("{STOPPED} --flow-size 16 --resume")).prepare(stop),
        Case::new("--resume with another source", format!("{STOPPED} --resume")).prepare(move |dir| {
            stop(dir);
            fs::remove_file(frame(dir, 23)).unwrap();
            for plane in ["u", "v"] {
                fs::remove_file(dir.join("tree/tvl1_flow").join(plane).join(CLIP).join("frame000022.jpg")).unwrap();
            }
        }),
        Case::new("--resume of an unfinished build with a damaged plan", format!("{STOPPED} --resume")).prepare(
            move |dir| {
                stop(dir);
                write(dir, ".out.partial/build.json", "{");
            },
        ),
        Case::new(
            "--resume of a finished dataset with another option",
            "ucfpack build --tree tree --lists tree/lists --out packed --resume",
        ),
        Case::new("The disk is full", format!("trap '' XFSZ; ulimit -f 50; {BUILD} --jobs 1")),
        Case::new("The disk is full: export", "trap '' XFSZ; ulimit -f 0; ucfpack export packed --out out --jobs 1")
            .replace(".partial-", "/", "RANDOM"),
        Case::new(
            "The disk is full: contact sheet",
            "trap '' XFSZ; ulimit -f 0; ucfpack inspect packed --sheet sheet.png",
        ),
        Case::new("stdout is full", "ucfpack inspect packed > /dev/full"),
    ]
}

fn parts() -> Vec<Case> {
    let merge = |title, parts: &str| Case::new(title, format!("ucfpack merge --out out {parts}").trim_end());
    vec![
        merge("merge: no parts", ""),
        merge("merge: a part is missing", "part1"),
        merge("merge: one part twice", "part1 part2 part1"),
        merge("merge: a dataset that is no part", "part1 packed"),
        merge("merge: a folder that does not exist", "part1 part3"),
        merge("merge: a part of another build", "part1 part2").prepare(|dir| {
            fs::remove_dir_all(dir.join("part2")).unwrap();
            let line = "build --tree {}/tree --lists {}/tree/lists --out {}/part2 --shard-size 60KB --part 2/2";
            run("ucfpack", &args(dir, line)).ok();
        }),
        merge("merge: parts of other numbers", "part1 part2").prepare(|dir| {
            fs::remove_dir_all(dir.join("part2")).unwrap();
            let line = "build --tree {}/tree --lists {}/tree/lists --out {}/part2 --shard-size 60KB --part 2/3";
            run("ucfpack", &args(dir, line)).ok();
        }),
        merge("merge: a damaged part", "part1 part2").prepare(|dir| flip(&shard(&dir.join("part2")), 5000)),
        merge("merge: the record of a part is damaged", "part1 part2")
            .prepare(|dir| write(dir, "part2/part.json", "{")),
        merge("merge: the output exists", "part1 part2").prepare(|dir| {
            fs::rename(dir.join("packed"), dir.join("out")).unwrap();
        }),
    ]
}

fn datasets() -> Vec<Case> {
    let damaged = |title, command: &str| {
        Case::new(title, command)
            .prepare(|dir| flip(&dir.join("packed/rgb-00000.clipshard"), 5000))
            .replace(" MB in ", "/s):", "SECONDS s (RATE")
            .replace(" KB in ", "/s):", "SECONDS s (RATE")
            .replace("\"seconds\":", "}", "SECONDS")
    };
    let manifest = |title, command: &str, change: fn(&str) -> String| {
        Case::new(title, command)
            .prepare(move |dir| {
                let path = dir.join("packed/manifest.json");
                let text = fs::read_to_string(&path).unwrap();
                let changed = change(&text);
                assert_ne!(text, changed);
                fs::write(path, changed).unwrap();
            })
            .replace(" in 0.", "/s):", "SECONDS s (RATE")
    };
    vec![
        Case::new("verify: a folder that does not exist", "ucfpack verify pack"),
        Case::new("verify: a frame tree", "ucfpack verify tree"),
        Case::new("verify: two depths", "ucfpack verify packed --quick --checksums"),
        damaged("verify: a damaged record", "ucfpack verify packed"),
        damaged("verify --json: a damaged record", "ucfpack verify packed --json"),
        Case::new("verify: a shard is missing", "ucfpack verify packed")
            .prepare(|dir| fs::remove_file(dir.join("packed/flow-00000.clipshard")).unwrap())
            .replace(" in 0.", "/s):", "SECONDS s (RATE"),
        Case::new("verify: a shard is truncated", "ucfpack verify packed --quick")
            .prepare(|dir| cut(&dir.join("packed/flow-00000.clipshard"), 1000))
            .replace(" in 0.", "/s):", "SECONDS s (RATE"),
        manifest("verify: a truncated manifest", "ucfpack verify packed", |text| text[..text.len() / 2].to_owned()),
        manifest("verify: a manifest that was edited", "ucfpack verify packed", |text| {
            text.replacen("SpottedBlobDown", "Archery", 1)
        }),
        manifest("verify: a manifest of a later version", "ucfpack verify packed", |text| {
            text.replacen("\"clipshard\":\"1.0\"", "\"clipshard\":\"9.0\"", 1)
        }),
        Case::new("verify --rebuild-manifest: no shards", "ucfpack verify tree --rebuild-manifest"),
        Case::new("verify --rebuild-manifest: a damaged shard", "ucfpack verify packed --rebuild-manifest").prepare(
            |dir| {
                fs::remove_file(dir.join("packed/manifest.json")).unwrap();
                fs::write(dir.join("packed/flow-00000.clipshard"), "").unwrap();
            },
        ),
        Case::new("inspect: a frame tree", "ucfpack inspect tree"),
        Case::new("inspect: an unknown clip", "ucfpack inspect packed --clip v_SpottedBlobDown_g01_c09"),
        Case::new(
            "inspect: a contact sheet in a folder that does not exist",
            "ucfpack inspect packed --sheet no/sheet.png",
        ),
        Case::new("inspect: a damaged record on the contact sheet", "ucfpack inspect packed --sheet sheet.png")
            .prepare(|dir| {
                (200..300_000).step_by(200).for_each(|at| flip(&dir.join("packed/rgb-00000.clipshard"), at));
            }),
        manifest("inspect: a truncated manifest", "ucfpack inspect packed", |text| text[..text.len() / 2].to_owned()),
        Case::new("inspect: a shard is missing", "ucfpack inspect packed")
            .prepare(|dir| fs::remove_file(dir.join("packed/flow-00000.clipshard")).unwrap()),
        Case::new("export: no output", "ucfpack export packed"),
        Case::new("export: the output exists", "ucfpack export packed --out tree"),
        Case::new("export: an unknown clip", "ucfpack export packed --out out --clip Archery"),
        Case::new("export: --overwrite of another folder", "ucfpack export packed --out part1 --overwrite"),
        Case::new("export: a damaged record", "ucfpack export packed --out out")
            .prepare(|dir| flip(&dir.join("packed/flow-00000.clipshard"), 5000)),
    ]
}

fn videos() -> Vec<Case> {
    let ffmpeg = |title, command: &str, change: fn(&Path)| {
        Case::new(title, command).only_if(cfg!(has_ffmpeg)).prepare(move |dir| {
            for class in ["run", "walk"] {
                let (from, to) = (dir.join("tree/jpegs_256").join(CLIP), dir.join("videos").join(class));
                fs::create_dir_all(&to).unwrap();
                let mut command = Command::new("ffmpeg");
                command.args(["-v", "error", "-r", "25", "-i"]).arg(from.join("frame%06d.jpg"));
                command.args(["-c:v", "mpeg4", "-bitexact"]).arg(to.join(format!("{class}1.mp4")));
                assert!(command.status().unwrap().success());
            }
            change(dir);
        })
    };
    vec![
        Case::new("ffmpeg is not installed", "PATH=/nowhere ucfpack build --videos tree --lists tree/lists --out out"),
        ffmpeg(
            "A folder of videos with a typing error",
            "ucfpack build --videos video --dataset custom --out out",
            |_| (),
        ),
        ffmpeg("A folder without videos", "ucfpack build --videos tree --lists tree/lists --out out", |_| ()),
        ffmpeg("Videos of another dataset", "ucfpack build --videos videos --lists tree/lists --out out", |_| ()),
        ffmpeg("A video is a text file", VIDEOS, |dir| write(dir, "videos/walk/walk2.mp4", "hello")).replace(
            "readable video (",
            ")",
            "WORDS OF FFMPEG",
        ),
        ffmpeg("A video is empty", VIDEOS, |dir| write(dir, "videos/walk/walk2.mp4", "")),
        ffmpeg("A video is truncated", VIDEOS, |dir| cut(&dir.join("videos/walk/walk1.mp4"), 500))
            .replace("it has ", " bytes", "N")
            .replace("at least ", ";", "N"),
        ffmpeg("Videos with damaged data", &format!("{VIDEOS} --check decode"), |dir| {
            let path = dir.join("videos/walk/walk1.mp4");
            (400..440).for_each(|at| flip(&path, at));
        })
        .replace("ffmpeg found damage: ", "; get", "WORDS OF FFMPEG")
        .replace("packing will take about ", "; an", "TIME (clips: 2, jobs: N)"),
        ffmpeg(
            "A GPU for DIS",
            &format!("{VIDEOS} --device cuda:0 --flow-method dis").replacen("--flow-method none ", "", 1),
            |_| (),
        ),
        ffmpeg(
            "A GPU without CUDA",
            "ucfpack build --videos videos --dataset custom --out out --device cuda:0",
            |_| (),
        ),
        ffmpeg(
            "extract: a class per folder, but the folders are subsets",
            "ucfpack extract --videos videos --dataset custom --out frames",
            |dir| {
                fs::rename(dir.join("videos/run"), dir.join("videos/train")).unwrap();
                fs::rename(dir.join("videos/walk"), dir.join("videos/test")).unwrap();
            },
        ),
        ffmpeg("extract: the output exists", "ucfpack extract --videos videos --dataset custom --out tree", |_| ()),
        ffmpeg(
            "extract --resume: another folder",
            "ucfpack extract --videos videos --dataset custom --out tree --resume",
            |_| (),
        ),
        ffmpeg(
            "extract --resume: another option",
            "ucfpack extract --videos videos --dataset custom --out frames --flow-method none --quality 80 --resume",
            extract,
        ),
        ffmpeg(
            "extract --resume: another video",
            "ucfpack extract --videos videos --dataset custom --out frames --flow-method none --resume",
            |dir| {
                extract(dir);
                // QuickTime files may end with zeros.
                let mut file = OpenOptions::new().append(true).open(dir.join("videos/walk/walk1.mp4")).unwrap();
                file.write_all(&[0; 4]).unwrap();
            },
        )
        .replace("video of walk1 has ", " bytes", "N")
        .replace("from one with ", " bytes", "N"),
        ffmpeg(
            "extract --resume: a video is gone",
            "ucfpack extract --videos videos --dataset custom --out frames --flow-method none --resume",
            |dir| {
                extract(dir);
                fs::remove_dir_all(dir.join("videos/walk")).unwrap();
            },
        ),
    ]
}

fn others() -> Vec<Case> {
    vec![
        Case::new("synth: one class", "ucfpack synth --out out --classes 1"),
        Case::new("synth: too few clips", "ucfpack synth --out out --clips 2"),
        Case::new("synth: tiny images", "ucfpack synth --out out --size 8x8"),
        Case::new("synth: a size that is none", "ucfpack synth --out out --size big"),
        Case::new("synth: a count that is none", "ucfpack synth --out out --clips 10KiB"),
        Case::new("synth --like: options of a tree", "ucfpack synth --out out --like ucf101 --classes 3"),
        Case::new("synth --like: images of a frame tree", "ucfpack synth --out out --like ucf101 --images tree"),
        Case::new("completions: an unknown shell", "ucfpack completions tcsh"),
        Case::new("man: the folder is a file", "ucfpack man tree/lists/classInd.txt"),
    ]
}

/// Removes all clips of two of the four classes from the tree.
fn remove_striped(dir: &Path) {
    for plane in ["jpegs_256", "tvl1_flow/u", "tvl1_flow/v"] {
        for clip in fs::read_dir(dir.join("tree").join(plane)).unwrap() {
            let clip = clip.unwrap();
            if clip.file_name().to_string_lossy().starts_with("v_Striped") {
                fs::remove_dir_all(clip.path()).unwrap();
            }
        }
    }
}

fn extract(dir: &Path) {
    let line = "extract --videos {}/videos --dataset custom --out {}/frames --flow-method none";
    run("ucfpack", &args(dir, line)).ok();
}

fn write(dir: &Path, path: &str, text: &str) {
    fs::write(dir.join(path), text).unwrap();
}

/// Returns the path of an RGB frame of the clip.
fn frame(dir: &Path, number: u32) -> PathBuf {
    dir.join("tree/jpegs_256").join(CLIP).join(format!("frame{number:06}.jpg"))
}

/// Returns the first shard in a folder.
fn shard(dir: &Path) -> PathBuf {
    let files = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|ending| ending == "clipshard")).min().unwrap()
}

/// Replaces a file that may be a hard link.
fn replace(path: &Path, bytes: &[u8]) {
    fs::remove_file(path).unwrap();
    fs::write(path, bytes).unwrap();
}

/// Removes the last bytes of a file.
fn cut(path: &Path, bytes: usize) {
    let whole = fs::read(path).unwrap();
    replace(path, &whole[..whole.len() - bytes]);
}

/// Changes all bits of a byte of a file.
fn flip(path: &Path, at: u64) {
    let file = OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[!byte[0]], at).unwrap();
}
