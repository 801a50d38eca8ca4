//! Tests of the program: exit status, standard output, signals.

use std::fs;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use crate::command::{build, ended, ucfpack};
use crate::tree::{CLIPS, Tree};
use serde_json::Value;

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn build_verify_and_inspect_agree_on_what_is_there() {
    let tree = Tree::new();
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("out");
    fs::remove_dir_all(tree.path(&format!("jpegs_256/{}", CLIPS[2]))).unwrap();
    ended(&build(&tree, &out).output().unwrap(), 1, "1 of 6 clips in ");
    let built = build(&tree, &out).args(["--keep-going", "--json"]).output().unwrap();
    ended(&built, 0, "");
    let built = json(&built);
    let keys: Vec<_> = built.as_object().unwrap().keys().cloned().collect();
    assert_eq!(keys, ["bytes_in", "bytes_out", "clips", "records", "seconds", "skipped"]);
    assert_eq!((built["clips"].as_u64(), built["records"]["rgb"].as_u64()), (Some(5), Some(70)));
    assert_eq!(built["skipped"][0]["clip"], CLIPS[2]);

    let verified = ucfpack().arg("verify").arg(&out).arg("--json").output().unwrap();
    ended(&verified, 0, "");
    assert_eq!(json(&verified)["records"], 70 + 5 * 26);
    ended(&ucfpack().args(["verify", "--quick"]).arg(&out).output().unwrap(), 0, "checked indexes of 200 records");

    let sheet = place.path().join("sheet.png");
    let inspected = ucfpack().arg("inspect").arg(&out).arg("--json").arg("--sheet").arg(&sheet).output().unwrap();
    ended(&inspected, 0, "contact sheet");
    let inspected = json(&inspected);
    assert_eq!(inspected["splits"][0]["subsets"]["train"], 3);
    assert_eq!(inspected["streams"][1]["codecs"]["zstd+up"], 130);
    assert_eq!(inspected["streams"][1]["sizes"]["28x28x1"], 130);
    assert!(fs::read(&sheet).unwrap().starts_with(b"\x89PNG"));
    let clip = ucfpack().arg("inspect").arg(&out).args(["--clip", "Rowing/v_rowing_g01_c01.avi"]).output().unwrap();
    ended(&clip, 0, "v_Rowing_g01_c01: class 2 Rowing");
    ended(
        &ucfpack().arg("inspect").arg(&out).args(["--clip", "v_Rowing_g99"]).output().unwrap(),
        2,
        "one of them is v_Rowing",
    );

    let shard = out.join("flow-00000.clipshard");
    let mut bytes = fs::read(&shard).unwrap();
    bytes[1_000] ^= 1;
    fs::write(&shard, bytes).unwrap();
    let damaged = ucfpack().arg("verify").arg(&out).arg("--json").output().unwrap();
    ended(&damaged, 1, "damaged in 1 place");
    assert_eq!(json(&damaged)["damage"].as_array().unwrap().len(), 1);
}

#[test]
fn wrong_usage_ends_with_status_2_and_says_what_to_do() {
    let tree = Tree::new();
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("out");
    let with = |args: &[&str]| build(&tree, &out).args(args).output().unwrap();
    ended(&with(&["--rgb-short-side", "128"]), 2, "use --rgb-codec zstd, lz4 or raw");
    ended(
        &with(&["--rgb-codec", "jpeg", "--flow-codec", "raw", "--level", "3"]),
        2,
        "--level needs a codec that has levels",
    );
    ended(&with(&["--flow-codec", "lz4", "--level", "13"]), 2, "lz4 has the levels 1 to 12");
    ended(&with(&["--classes", "Rowinf"]), 2, "similar: Rowing");
    ended(&with(&["--shard-size", "many"]), 2, "is not a size");
    let jpeg = ucfpack()
        .args(["build", "--tree", "t", "--lists", "l", "--out", "o", "--flow-codec", "jpeg", "--flow-size", "112"])
        .output();
    ended(&jpeg.unwrap(), 2, "use --flow-size native");
    ended(&ucfpack().args(["build", "--lists", "l", "--out", "o"]).output().unwrap(), 2, "--tree");
    ended(&ucfpack().args(["build", "--tree", "t", "--out", "o"]).output().unwrap(), 2, "--lists is missing");
    ended(
        &ucfpack().args(["synth", "--like", "ucf101", "--classes", "3", "--out", "o"]).output().unwrap(),
        2,
        "cannot be used with",
    );
    assert!(!out.exists());
    fs::create_dir(&out).unwrap();
    ended(&with(&[]), 0, "packed 6 clips");
    ended(&with(&[]), 2, "replace it with --overwrite");
    ended(&with(&["--overwrite", "--dry-run"]), 0, "would pack 6 clips");
    ended(&ucfpack().arg("verify").arg(tree.root()).output().unwrap(), 1, "name the folder of a packed dataset");
}

#[test]
fn an_error_tells_its_cause_once() {
    let tree = Tree::new();
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("file");
    fs::write(&file, "").unwrap();
    let output = build(&tree, &file.join("out")).output().unwrap();
    ended(&output, 1, "Not a directory");
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(stderr.matches("Not a directory").count(), 1, "{stderr}");
}

#[test]
fn a_closed_pipe_is_no_error() {
    let tree = Tree::new();
    let place = tempfile::tempdir().unwrap();
    let mut child =
        build(&tree, &place.path().join("out")).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    ended(&output, 0, "");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.lines().all(|line| line.starts_with("note: ")), "{stderr}");
}

#[cfg(unix)]
#[test]
fn ctrl_c_leaves_nothing_behind() {
    let place = tempfile::tempdir().unwrap();
    let mut command = ucfpack();
    command.args(["synth", "--classes", "9", "--clips", "200", "--out"]).arg(place.path().join("tree"));
    let child = command.stderr(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let started = std::time::Instant::now();
    while fs::read_dir(place.path()).unwrap().count() == 0 {
        assert!(started.elapsed() < Duration::from_secs(20));
        std::thread::sleep(Duration::from_millis(20));
    }
    let kill = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(kill.success());
    ended(&child.wait_with_output().unwrap(), 130, "interrupted; nothing was written");
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0);
}

#[test]
fn completions_and_man_pages_know_every_command_and_option() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let output = ucfpack().args(["completions", shell]).output().unwrap();
        ended(&output, 0, "rebuild-manifest");
    }
    if let Ok(bash) = Command::new("bash").args(["-n", "/dev/stdin"]).stdin(Stdio::piped()).spawn() {
        let mut bash = bash;
        let script = ucfpack().args(["completions", "bash"]).output().unwrap().stdout;
        std::io::Write::write_all(&mut bash.stdin.take().unwrap(), &script).unwrap();
        assert!(bash.wait().unwrap().success());
    }
    let place = tempfile::tempdir().unwrap();
    let man = place.path().join("share/man1");
    ended(&ucfpack().arg("man").arg(&man).output().unwrap(), 0, "");
    for command in ["build", "merge", "verify", "inspect", "export", "synth", "completions", "man"] {
        let page = fs::read_to_string(man.join(format!("ucfpack-{command}.1"))).unwrap();
        assert!(page.contains(".SH RUN") && page.contains(".SH EXAMPLES\n"), "{command}");
    }
    assert!(fs::read_to_string(man.join("ucfpack-build.1")).unwrap().contains("\\-\\-keep\\-going"));
    ended(&ucfpack().args(["build", "--help"]).output().unwrap(), 0, "ucfpack build --tree UCF101 --lists");
}

#[test]
fn parts_are_merged_exported_and_repaired_by_the_program() {
    let tree = Tree::new();
    let place = tempfile::tempdir().unwrap();
    let path = |name: &str| place.path().join(name);
    let small = ["--shard-size", "200000", "--json"];
    let single = json(&build(&tree, &path("single")).args(small).output().unwrap());
    for part in ["1/2", "2/2"] {
        let out = path(&part.replace('/', "of"));
        ended(&build(&tree, &out).args(small).args(["--part", part]).output().unwrap(), 0, "\"clips\"");
        ended(&ucfpack().arg("verify").arg(&out).output().unwrap(), 0, "no damage");
    }
    let merge = |parts: &[&str]| {
        let parts: Vec<_> = parts.iter().map(|part| path(part)).collect();
        ucfpack().args(["merge", "--json", "--out"]).arg(path("merged")).args(parts).output().unwrap()
    };
    ended(&merge(&["1of2"]), 1, "missing part 2/2; all 2 parts are needed");
    let merged = merge(&["2of2", "1of2"]);
    ended(&merged, 0, "");
    for key in ["clips", "records", "bytes_out", "skipped"] {
        assert_eq!(json(&merged)[key], single[key], "{key}");
    }
    assert!(crate::pack::files(&path("merged")) == crate::pack::files(&path("single")));
    ended(&merge(&["2of2", "1of2"]), 2, "replace it with --overwrite");

    let export = ["export", "--clip", CLIPS[3], "--out"];
    let exported = ucfpack().args(export).arg(path("tree")).arg(path("merged")).output().unwrap();
    ended(&exported, 0, "exported 1 clip, 14 images byte for byte, 26 encoded from pixels");
    let frame = format!("jpegs_256/{}/frame000014.jpg", CLIPS[3]);
    assert_eq!(fs::read(path("tree").join(&frame)).unwrap(), fs::read(tree.path(&frame)).unwrap());

    fs::remove_file(path("merged").join("manifest.json")).unwrap();
    let verify = |more: &[&str]| ucfpack().arg("verify").arg(path("merged")).args(more).output().unwrap();
    ended(&verify(&[]), 1, "no manifest.json here");
    ended(&verify(&["--rebuild-manifest", "--checksums"]), 0, "rebuilt the manifest from the shards");
    ended(&verify(&["--rebuild-manifest"]), 0, "the manifest is undamaged; nothing was rebuilt");
    assert!(crate::pack::files(&path("merged")) == crate::pack::files(&path("single")));
    ended(&build(&tree, &path("x")).args(["--part", "3/2"]).output().unwrap(), 2, "expected I/N with I from 1 to N");
}
