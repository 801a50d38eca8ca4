//! Tests with two programs and one output: one of them writes, the other reports an error and
//! changes nothing.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::command::{build, ended, names, ucfpack};
use crate::pack::files;
use crate::tree::Tree;

/// Runs a command while another program holds the lock of an output, and again after that.
fn refused(command: &mut Command, out: &Path) {
    let lock = out.with_file_name(format!(".{}.lock", out.file_name().unwrap().to_str().unwrap()));
    let held = File::create(&lock).unwrap();
    held.lock().unwrap();
    let before = names(out.parent().unwrap());
    let words =
        format!("another ucfpack process is writing {}; wait until it ends, or choose another folder", out.display());
    ended(&command.output().unwrap(), 2, &words);
    assert_eq!(names(out.parent().unwrap()), before);
    // The holder has ended. The file that a killed program leaves behind locks nothing.
    drop(held);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(!lock.exists());
}

#[test]
fn every_command_that_writes_an_output_takes_its_lock() {
    let tree = Tree::new();
    let place = tempfile::tempdir().unwrap();
    let path = |name: &str| place.path().join(name);
    refused(&mut build(&tree, &path("set")), &path("set"));
    refused(build(&tree, &path("set")).arg("--resume"), &path("set"));
    refused(build(&tree, &path("set")).arg("--overwrite"), &path("set"));
    refused(build(&tree, &path("part")).args(["--part", "1/1"]), &path("part"));
    refused(ucfpack().args(["merge", "--out"]).arg(path("merged")).arg(path("part")), &path("merged"));
    refused(ucfpack().arg("export").arg(path("set")).arg("--out").arg(path("tree")), &path("tree"));
    let synth = ["synth", "--classes", "2", "--clips", "4", "--size", "16x16", "--out"];
    refused(ucfpack().args(synth).arg(path("synth")), &path("synth"));
    fs::remove_file(path("set/manifest.json")).unwrap();
    refused(ucfpack().args(["verify", "--rebuild-manifest"]).arg(path("set")), &path("set"));
    // A dry run writes nothing and ignores the lock.
    let held = File::create(path(".plan.lock")).unwrap();
    held.lock().unwrap();
    ended(&build(&tree, &path("plan")).arg("--dry-run").output().unwrap(), 0, "would pack 6 clips");
}

#[test]
fn of_builds_that_start_together_one_writes_and_the_others_are_refused() {
    let tree = Tree::new();
    let place = tempfile::tempdir().unwrap();
    let (reference, out) = (place.path().join("reference"), place.path().join("out"));
    ended(&build(&tree, &reference).output().unwrap(), 0, "");
    for _ in 0..5 {
        let start = || {
            let mut command = build(&tree, &out);
            command.args(["--level", "22"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        };
        let children: Vec<_> = (0..4).map(|_| start()).collect();
        let outputs: Vec<_> = children.into_iter().map(|child| child.wait_with_output().unwrap()).collect();
        let mut status: Vec<_> = outputs.iter().map(|output| output.status.code().unwrap()).collect();
        status.sort_unstable();
        assert_eq!(status, [0, 2, 2, 2]);
        for output in outputs.iter().filter(|output| output.status.code() == Some(2)) {
            let stderr = String::from_utf8_lossy(&output.stderr);
            // Programs that start after the first one has finished find its dataset.
            assert!(
                stderr.contains("another ucfpack process is writing") || stderr.contains("exists and is not empty"),
                "{stderr}"
            );
        }
        ended(&ucfpack().arg("verify").arg(&out).output().unwrap(), 0, "no damage");
        assert_eq!(files(&out).len(), files(&reference).len());
        assert_eq!(names(place.path()), ["out", "reference"]);
        fs::remove_dir_all(&out).unwrap();
    }
}

#[test]
fn a_folder_with_only_a_fragment_is_free() {
    let tree = Tree::new();
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("out");
    let mut reference = None;
    for more in [&[][..], &["--resume"], &["--overwrite"], &["--overwrite", "--resume"]] {
        for fragment in [".shard-Ab12Cd.partial", ".manifest-Ab12Cd.partial", ".part-Ab12Cd.partial", ".partial"] {
            fs::create_dir(&out).unwrap();
            fs::write(out.join(fragment), "half").unwrap();
            ended(&build(&tree, &out).args(more).output().unwrap(), 0, "packed 6 clips");
            let made = files(&out);
            assert!(*reference.get_or_insert(made.clone()) == made, "{more:?} {fragment}");
            fs::remove_dir_all(&out).unwrap();
        }
        // Such a file may also be next to the output.
        if !more.is_empty() {
            fs::write(place.path().join(".out.partial"), "half").unwrap();
            ended(&build(&tree, &out).args(more).output().unwrap(), 0, "packed 6 clips");
            assert_eq!(names(place.path()), ["out"]);
            fs::remove_dir_all(&out).unwrap();
        }
    }
    // Next to other files it stays, and so do they.
    fs::create_dir(&out).unwrap();
    fs::write(out.join(".shard-Ab12Cd.partial"), "half").unwrap();
    fs::write(out.join("thesis.tex"), "all").unwrap();
    ended(&build(&tree, &out).arg("--overwrite").output().unwrap(), 2, "also holds thesis.tex");
    assert_eq!(names(&out), [".shard-Ab12Cd.partial", "thesis.tex"]);
}
