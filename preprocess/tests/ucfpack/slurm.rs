//! Tests `scripts/pack_slurm.sh` with a stand-in for `sbatch`, which runs the jobs one after
//! another.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::pack::files;
use crate::tree::Tree;

const SBATCH: &str = r#"#!/usr/bin/env bash
while [[ ${1:-} == --* ]]; do
  case $1 in
    --array=1-*) array=${1#--array=1-} ;;
    --export=ALL,PACK_SLURM_STEP=*) export PACK_SLURM_STEP=${1##*=} ;;
    --dependency=afterok:42) waited=yes ;;
  esac
  shift
done
if [ -n "${array:-}" ]; then
  for i in $(seq "$array"); do SLURM_ARRAY_TASK_ID=$i SLURM_CPUS_PER_TASK=2 "$@" >&2 || exit 1; done
else
  [ "${waited:-}" = yes ] && "$@" >&2 || exit 1
fi
echo 42
"#;

#[test]
fn an_array_of_parts_is_merged_to_what_one_machine_makes() {
    let script = std::path::absolute("../scripts/pack_slurm.sh").unwrap();
    let tree = Tree::new();
    let place = tempfile::tempdir().unwrap();
    let sbatch = place.path().join("bin/sbatch");
    fs::create_dir(sbatch.parent().unwrap()).unwrap();
    fs::write(&sbatch, SBATCH).unwrap();
    fs::set_permissions(&sbatch, fs::Permissions::from_mode(0o755)).unwrap();
    let options = |command: &mut Command| {
        command.arg("--tree").arg(tree.root()).arg("--lists").arg(tree.lists());
        command.args(["--flow-size", "28", "--shard-size", "200000"]);
    };
    let mut single = Command::new(env!("CARGO_BIN_EXE_ucfpack"));
    single.args(["build", "--out"]).arg(place.path().join("single"));
    options(&mut single);
    assert!(single.output().unwrap().status.success());
    let mut array = Command::new("bash");
    array.arg(script).arg("3").arg(place.path().join("array"));
    options(&mut array);
    let path = format!("{}:{}", sbatch.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let output = array.env("PATH", path).env("UCFPACK", env!("CARGO_BIN_EXE_ucfpack")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("parts: job 42, merge: job 42"));
    assert!(files(&place.path().join("array")) == files(&place.path().join("single")));
    let mut left: Vec<_> = fs::read_dir(place.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    left.sort_unstable();
    assert_eq!(left, ["array", "bin", "single"]);
}
