//! Tests of parts and datasets whose files are links, of shards that are damaged after they were
//! finished, and of the permissions of written files.
#![cfg(unix)]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use clipshard::{VerifyDepth, verify};

use crate::command::{after, build, ended, names, output_soon, stderr, ucfpack};
use crate::pack::files;
use crate::tree::{CLIPS, Tree};

fn merge(out: &Path, parts: &[PathBuf]) -> Command {
    let mut command = ucfpack();
    command.args(["merge", "--out"]).arg(out).args(parts);
    command
}

/// Builds two parts, and a single dataset to compare with.
fn parts(tree: &Tree, place: &Path) -> Vec<PathBuf> {
    let small = ["--shard-size", "200000"];
    ended(&build(tree, &place.join("single")).args(small).output().unwrap(), 0, "");
    let part = |number: u32| {
        let out = place.join(format!("parts/part{number}"));
        let number = format!("{number}/2");
        ended(&build(tree, &out).args(small).args(["--part", &number]).output().unwrap(), 0, "");
        out
    };
    vec![part(1), part(2)]
}

#[test]
fn parts_whose_shards_are_links_are_merged_into_files() {
    let tree = Tree::new();
    let place = tempfile::tempdir().unwrap();
    let parts = parts(&tree, place.path());
    let blobs = place.path().join("parts/blobs");
    fs::create_dir(&blobs).unwrap();
    let mut links = 0;
    for part in &parts {
        for name in names(part) {
            // Model caches store files like this: a relative link to a file with an opaque name.
            let blob = format!("blob{links}");
            fs::rename(part.join(&name), blobs.join(&blob)).unwrap();
            symlink(format!("../blobs/{blob}"), part.join(&name)).unwrap();
            links += 1;
        }
    }
    assert!(links >= 10, "{links}");
    let out = place.path().join("elsewhere/merged");
    ended(&merge(&out, &parts).output().unwrap(), 0, "merged 6 clips");
    fs::remove_dir_all(place.path().join("parts")).unwrap();
    for name in names(&out) {
        assert!(fs::symlink_metadata(out.join(&name)).unwrap().is_file(), "{name}");
    }
    assert!(files(&out) == files(&place.path().join("single")));
    assert!(verify(&out, VerifyDepth::Deep, &|_| {}).unwrap().damage.is_empty());
}

#[test]
fn an_output_that_is_a_link_stays_a_link() {
    let tree = Tree::new();
    let place = tempfile::tempdir().unwrap();
    let path = |name: &str| place.path().join(name);
    fs::create_dir(path("disk")).unwrap();
    let is_link = |name: &str| fs::symlink_metadata(path(name)).unwrap().is_symlink();
    for name in ["set", "tree"] {
        symlink(format!("disk/{name}"), path(name)).unwrap();
    }
    // The target of the link is created, then replaced.
    for more in [&[][..], &["--overwrite"], &["--resume"]] {
        ended(&build(&tree, &path("set")).args(more).output().unwrap(), 0, "");
        assert!(is_link("set") && path("disk/set/manifest.json").exists());
    }
    for more in [&[][..], &["--overwrite"]] {
        let mut export = ucfpack();
        export.arg("export").arg(path("set")).arg("--out").arg(path("tree")).args(more);
        ended(&export.output().unwrap(), 0, "exported 6 clips");
        assert!(is_link("tree") && path("disk/tree/lists").exists());
    }
    assert_eq!(names(place.path()), ["disk", "set", "tree"]);
    assert_eq!(names(&path("disk")), ["set", "tree"]);
}

/// Changes a byte of a record. Returns the bytes of the undamaged shard.
fn damage(shard: &Path) -> Vec<u8> {
    let whole = fs::read(shard).unwrap();
    let mut bytes = whole.clone();
    bytes[1_000] ^= 0x10;
    fs::write(shard, bytes).unwrap();
    whole
}

#[test]
fn merge_refuses_a_damaged_shard_and_names_the_cure() {
    let tree = Tree::new();
    let place = tempfile::tempdir().unwrap();
    let parts = parts(&tree, place.path());
    let out = place.path().join("merged");
    for (number, part) in parts.iter().enumerate() {
        for name in names(part).into_iter().filter(|name| name.ends_with(".clipshard")) {
            let whole = damage(&part.join(&name));
            let output = merge(&out, &parts).output().unwrap();
            ended(&output, 1, &format!("{}: record ", part.join(&name).display()));
            ended(&output, 1, &format!("part {}/2 is damaged, pack it again", number + 1));
            assert!(!out.exists());
            fs::write(part.join(&name), whole).unwrap();
        }
    }
    ended(&merge(&out, &parts).output().unwrap(), 0, "merged 6 clips");
}

#[test]
fn resume_makes_a_damaged_finished_shard_again() {
    let tree = Tree::new();
    let place = tempfile::tempdir().unwrap();
    let (out, single) = (place.path().join("out"), place.path().join("single"));
    let small = ["--shard-size", "200000"];
    ended(&build(&tree, &single).args(small).output().unwrap(), 0, "");
    // An unfinished build: its plan, and shards. One of the shards becomes damaged.
    fs::write(tree.path(&format!("tvl1_flow/v/{}/frame000013.jpg", CLIPS[5])), "").unwrap();
    let cut = build(&tree, &out).args(small).args(["--jobs", "1"]).output().unwrap();
    assert_eq!(cut.status.code(), Some(1), "{}", stderr(&cut));
    let set = place.path().join(".out.partial/set");
    let shard = set.join("rgb-00000.clipshard");
    assert!(shard.exists(), "{}", stderr(&cut));
    let single_tree = Tree::new();
    for plane in ["u", "v"] {
        let image = format!("tvl1_flow/{plane}/{}/frame000013.jpg", CLIPS[5]);
        fs::copy(single_tree.path(&image), tree.path(&image)).unwrap();
    }
    damage(&shard);
    let resumed = build(&tree, &out).args(small).arg("--resume").output().unwrap();
    ended(&resumed, 0, "note: packing rgb-00000.clipshard again: ");
    assert!(stderr(&resumed).contains("checksum"), "{}", stderr(&resumed));
    assert!(files(&out) == files(&single));

    // The same happens with a complete dataset.
    ended(&build(&tree, &out).args(small).arg("--resume").output().unwrap(), 0, "is already complete");
    damage(&out.join("rgb-00000.clipshard"));
    let resumed = build(&tree, &out).args(small).arg("--resume").output().unwrap();
    ended(&resumed, 1, &format!("{}: record ", out.join("rgb-00000.clipshard").display()));
    ended(&resumed, 1, "to pack the dataset again, use --overwrite instead of --resume");
    ended(&build(&tree, &out).args(small).args(["--resume", "--overwrite"]).output().unwrap(), 0, "packed 6 clips");
    assert!(files(&out) == files(&single));
}

#[test]
fn a_pipe_among_the_files_is_named_and_not_waited_for() {
    let tree = Tree::new();
    let place = tempfile::tempdir().unwrap();
    let path = |name: &str| place.path().join(name);
    let pipe = |path: &Path| {
        fs::remove_file(path).unwrap();
        assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
    };
    let frame = tree.path(&format!("jpegs_256/{}/frame000003.jpg", CLIPS[0]));
    let whole = fs::read(&frame).unwrap();
    pipe(&frame);
    let words = "frame000003.jpg: cannot read it: it is a named pipe, not a regular file";
    ended(&output_soon(&mut build(&tree, &path("out"))), 1, words);
    ended(&output_soon(build(&tree, &path("out")).arg("--keep-going")), 0, words);
    fs::remove_file(&frame).unwrap();
    symlink("/dev/zero", &frame).unwrap();
    let words = "frame000003.jpg: cannot read it: it is a device, not a regular file";
    ended(&output_soon(build(&tree, &path("out")).arg("--overwrite")), 1, words);
    fs::remove_file(&frame).unwrap();
    fs::write(&frame, whole).unwrap();

    ended(&build(&tree, &path("part")).args(["--part", "1/1"]).output().unwrap(), 0, "");
    fs::copy(path("part/part.json"), path("part.json")).unwrap();
    pipe(&path("part/part.json"));
    let words = "part.json: cannot read the record of the part: it is a named pipe, not a regular file";
    ended(&output_soon(&mut merge(&path("merged"), &[path("part")])), 1, words);
    fs::remove_file(path("part/part.json")).unwrap();
    fs::rename(path("part.json"), path("part/part.json")).unwrap();
    pipe(&path("part/rgb-00000.clipshard"));
    let words = "rgb-00000.clipshard: cannot open it: it is a named pipe, not a regular file";
    for arguments in [["verify"], ["inspect"]] {
        ended(&output_soon(ucfpack().args(arguments).arg(path("part"))), 1, words);
    }
    ended(&output_soon(ucfpack().arg("export").arg(path("part")).arg("--out").arg(path("tree"))), 1, words);
    ended(&output_soon(&mut merge(&path("merged"), &[path("part")])), 1, words);
    fs::remove_file(path("part/manifest.json")).unwrap();
    let words = "rgb-00000.clipshard is a named pipe, not a shard; move it away";
    ended(&output_soon(ucfpack().args(["verify", "--rebuild-manifest"]).arg(path("part"))), 1, words);
}

#[test]
fn what_is_written_is_as_open_as_the_umask_allows() {
    let tree = Tree::new();
    let place = tempfile::tempdir().unwrap();
    let path = |name: &str| place.path().join(name);
    let run = |command: &mut Command| ended(&after("umask 0027", command).output().unwrap(), 0, "");
    run(&mut build(&tree, &path("set")));
    run(build(&tree, &path("part")).args(["--part", "1/1"]));
    run(&mut merge(&path("merged"), &[path("part")]));
    run(ucfpack().arg("export").arg(path("set")).arg("--out").arg(path("tree")));
    run(ucfpack().args(["synth", "--classes", "2", "--clips", "4", "--size", "16x16", "--out"]).arg(path("synth")));
    run(ucfpack().arg("inspect").arg(path("set")).arg("--sheet").arg(path("sheet.png")));
    run(ucfpack().arg("man").arg(path("man")));
    fs::remove_file(path("merged/manifest.json")).unwrap();
    run(ucfpack().args(["verify", "--rebuild-manifest"]).arg(path("merged")));
    let (mut folders, mut seen) = (vec![place.path().to_owned()], 0);
    while let Some(folder) = folders.pop() {
        for name in names(&folder) {
            let path = folder.join(name);
            let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
            if path.is_dir() {
                assert_eq!(mode, 0o750, "{}", path.display());
                folders.push(path);
            } else {
                assert_eq!(mode, 0o640, "{}", path.display());
                seen += 1;
            }
        }
    }
    assert!(seen > 500, "{seen} files");
}

#[test]
fn a_file_that_does_not_fit_on_the_disk_is_not_left_half_written() {
    let tree = Tree::new();
    let place = tempfile::tempdir().unwrap();
    let path = |name: &str| place.path().join(name);
    ended(&build(&tree, &path("set")).output().unwrap(), 0, "");
    // Files larger than a few kilobytes cannot be written, as on a full disk.
    let full = |command: &Command| after("ulimit -f 4; trap '' XFSZ", command).output().unwrap();
    let mut sheet = ucfpack();
    sheet.arg("inspect").arg(path("set")).arg("--sheet").arg(path("sheet.png"));
    for before in [None, Some("an older sheet")] {
        if let Some(text) = before {
            fs::write(path("sheet.png"), text).unwrap();
        }
        ended(&full(&sheet), 1, "sheet.png: cannot write it: File too large");
        assert_eq!(fs::read_to_string(path("sheet.png")).ok().as_deref(), before);
    }
    let mut man = ucfpack();
    man.arg("man").arg(path("man"));
    ended(&full(&man), 1, "cannot write the man pages");
    assert_eq!(names(&path("man")), Vec::<String>::new());
    let mut export = ucfpack();
    export.arg("export").arg(path("set")).args(["--pixels", "png", "--out"]).arg(path("tree"));
    let bytes = after("ulimit -f 1; trap '' XFSZ", &export).output().unwrap();
    assert_eq!(bytes.status.code(), Some(1), "{}", stderr(&bytes));
    ended(&full(&build(&tree, &path("other"))), 1, "File too large");
    assert_eq!(names(place.path()), ["man", "set", "sheet.png"]);
    // The file behind a link is written, and the link stays a link.
    fs::remove_file(path("sheet.png")).unwrap();
    fs::write(path("target.png"), "").unwrap();
    symlink("target.png", path("sheet.png")).unwrap();
    ended(&sheet.output().unwrap(), 0, "");
    assert!(fs::symlink_metadata(path("sheet.png")).unwrap().is_symlink());
    assert!(fs::read(path("target.png")).unwrap().starts_with(b"\x89PNG"));
}

#[test]
fn bytes_behind_the_end_of_a_frame_are_called_so() {
    let tree = Tree::new();
    let place = tempfile::tempdir().unwrap();
    let frame = tree.path(&format!("jpegs_256/{}/frame000003.jpg", CLIPS[0]));
    let whole = fs::read(&frame).unwrap();
    fs::write(&frame, [&whole, &b"trailer"[..]].concat()).unwrap();
    let output = build(&tree, &place.path().join("out")).output().unwrap();
    ended(&output, 1, "frame000003.jpg: the JPEG file has 7 bytes after its end marker; remove them");
    assert!(!stderr(&output).contains("truncated"), "{}", stderr(&output));
    fs::write(&frame, &whole[..whole.len() - 9]).unwrap();
    let output = build(&tree, &place.path().join("out")).output().unwrap();
    ended(&output, 1, "frame000003.jpg: the JPEG file is truncated: its end marker is missing");
}
