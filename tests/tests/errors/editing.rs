//! Errors of `ucfpack add`, `subset` and `recode`.

use std::fs;
use std::path::Path;

use whole_program_tests::{args, run};

use crate::snapshot::{Case, check};

const INTRODUCTION: &str = "\
Errors of the commands of ucfpack that change or copy datasets, as a user sees them.

tests/tests/errors/editing.rs provokes each of them in a folder of its own, DIR. It holds a frame tree with 4 classes of
4 clips (tree/), its split lists (tree/lists/), and a dataset of 2 of these classes (packed/). To write this file again:
UPDATE_SNAPSHOTS=1 cargo test --workspace --test errors";

/// Makes the folder that each case finds.
fn shared(dir: &Path) {
    let ucfpack = |line: &str| drop(run("ucfpack", &args(dir, line)).ok());
    ucfpack("synth --out {}/tree --classes 4 --clips 4 --size 32x24");
    let build = "build --tree {}/tree --lists {}/tree/lists --out {}/packed --flow-size 16";
    ucfpack(&format!("{build} --classes StripedBlobUp,SpottedBlobUp"));
}

#[test]
fn errors_of_editing() {
    let shared_dir = tempfile::tempdir().unwrap();
    shared(shared_dir.path());
    let cases: Vec<Case> = [adding(), selecting(), recoding()].into_iter().flatten().collect();
    check("ucfpack-editing-errors.txt", INTRODUCTION, shared_dir.path(), &cases);
}

fn adding() -> Vec<Case> {
    let add = |title, more: &str| Case::new(title, format!("ucfpack add packed --tree tree {more}").trim_end());
    vec![
        add("add: clips that are there already", "--lists tree/lists"),
        add("add: a class that the lists lack", "--lists tree/lists --classes StripedBlobUpp"),
        add("add: no lists", ""),
        add("add: lists with another split", "--lists more.csv --dataset custom").prepare(|dir| {
            fs::write(dir.join("more.csv"), "path,label,split_7\nv_StripedBlobDown_g01_c01,StripedBlobDown,train\n")
                .unwrap();
        }),
        add("add: a clip that the tree lacks", "--lists more.csv --dataset custom").prepare(|dir| {
            fs::write(dir.join("more.csv"), "path,label,split\nv_Absent_g01_c01,Absent,train\n").unwrap();
        }),
        Case::new("add: a folder without a dataset", "ucfpack add tree --tree tree --lists tree/lists"),
        Case::new("add: a dataset that does not exist", "ucfpack add absent --tree tree --lists tree/lists"),
        Case::new("add: no source", "ucfpack add packed --lists tree/lists"),
        Case::new("add: videos to a dataset of frames", "ucfpack add packed --videos videos").prepare(|dir| {
            fs::create_dir_all(dir.join("videos/Wave")).unwrap();
            fs::write(dir.join("videos/Wave/wave.avi"), "no video").unwrap();
        }),
        add("add: a missing shard", "--lists tree/lists --skip-existing")
            .prepare(|dir| fs::remove_file(dir.join("packed/flow-00000.clipshard")).unwrap()),
        add("add: a dataset that another writer left unfinished", "--lists tree/lists --skip-existing")
            .prepare(|dir| fs::write(dir.join("packed/.writing.json"), "{}").unwrap()),
    ]
}

fn selecting() -> Vec<Case> {
    let subset = |title, more: &str| Case::new(title, format!("ucfpack subset packed --out out {more}").trim_end());
    vec![
        subset("subset: nothing to select", ""),
        subset("subset: an unknown class", "--classes StripedBlobU"),
        subset("subset: an unknown clip", "--clip v_SpottedBlobUp_g09_c01"),
        subset("subset: an unknown stream", "--streams depth"),
        subset("subset: an unknown split", "--split 7 --subset train"),
        subset("subset: no clip remains", "--subset val"),
        subset("subset: a list of clips that does not exist", "--clips absent.txt"),
        subset("subset: a list with an unknown clip", "--clips some.txt")
            .prepare(|dir| fs::write(dir.join("some.txt"), "v_SpottedBlobUp_g01_c01\nv_Absent_g01_c01\n").unwrap()),
        subset("subset: no clips per class", "--limit 0"),
        subset("subset: the output exists", "--streams rgb").prepare(|dir| {
            fs::create_dir(dir.join("out")).unwrap();
            fs::write(dir.join("out/note.txt"), "mine").unwrap();
        }),
        subset("subset: a damaged record", "--clip v_SpottedBlobUp_g01_c01").prepare(|dir| {
            let path = dir.join("packed/rgb-00000.clipshard");
            let mut bytes = fs::read(&path).unwrap();
            // The first records belong to the other class, so all bytes of the records are changed.
            let end = bytes.len() / 2;
            bytes[1000..end].iter_mut().for_each(|byte| *byte ^= 0x10);
            fs::write(path, bytes).unwrap();
        }),
    ]
}

fn recoding() -> Vec<Case> {
    let recode = |title, more: &str| Case::new(title, format!("ucfpack recode packed --out out {more}"));
    vec![
        recode("recode: no stream", "--codec lz4"),
        recode("recode: an unknown stream", "--stream depth --codec lz4"),
        recode("recode: to JPEG", "--stream rgb --codec jpeg"),
        recode("recode: an unknown codec", "--stream rgb --codec h264"),
        recode("recode: a level that the codec lacks", "--stream flow --codec lz4 --level 19"),
        recode("recode: a filter that the samples lack", "--stream flow --codec zstd --filter shuffle"),
        recode("recode: a filter without compression", "--stream flow --codec raw --filter up"),
        recode("recode: two sizes", "--stream rgb --codec zstd --size 64 --short-side 64"),
        recode("recode: a size of zero", "--stream rgb --codec zstd --size 0"),
        Case::new("recode: no dataset", "ucfpack recode tree --out out --stream rgb --codec zstd"),
    ]
}
