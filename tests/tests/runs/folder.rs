//! Tests of the run folder: two programs in one folder, incomplete files, leftovers, permissions.

use super::{EVENTS, Running, copy_of_whole, logged_epochs, names, resume, state, training, wait_until};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use ucftrain::testing::LOCK_FILE;
use whole_program_tests::Done;

#[test]
fn a_second_program_does_not_touch_a_run_that_is_under_way() {
    let temp = tempfile::tempdir().unwrap();
    let run_dir = temp.path().join("q");
    let mut command = training(temp.path(), "q", "--epochs 100000 --threads 1");
    let mut first = Running::start(command.stdout(Stdio::null()));
    wait_until("the configuration", || run_dir.join("config.toml").is_file());
    let config = fs::read(run_dir.join("config.toml")).unwrap();
    let said = format!("{}: another ucftrain (process {}) uses this run folder", run_dir.display(), first.0.id());
    let overwrite = || Done::of(training(temp.path(), "q", "--overwrite --batch-size 8 --epochs 1 --seed 5"));
    let error = overwrite().error(2);
    assert!(error.contains(&said), "{error}");
    wait_until("the checkpoint", || run_dir.join("checkpoint.safetensors").is_file());
    let error = resume(&run_dir, "").error(2);
    assert!(error.contains(&said), "{error}");
    assert!(fs::read(run_dir.join("config.toml")).unwrap() == config);
    assert_eq!(first.0.try_wait().unwrap(), None, "the first run continues");
    // The system releases the lock of a killed program.
    drop(first);
    overwrite().ok();
    assert_eq!(state(&run_dir).history.len(), 1);
}

#[test]
fn incomplete_logs_are_rebuilt_and_leftovers_removed_when_a_run_is_resumed() {
    let temp = tempfile::tempdir().unwrap();
    let run_dir = copy_of_whole(temp.path());
    let file = |name: &str| run_dir.join(name);
    let cut = |name: &str, bytes: u64| {
        let file = OpenOptions::new().write(true).open(file(name)).unwrap();
        file.set_len(file.metadata().unwrap().len() - bytes).unwrap();
    };
    let whole = fs::read(file(EVENTS)).unwrap();
    let whole_csv = fs::read(file("train.csv")).unwrap();
    for name in [EVENTS, "log.jsonl", "train.csv", "test.csv"] {
        cut(name, 9);
    }
    let leftovers = [".partial-Xa81k2", ".partial-Xa81k2.partial"];
    for name in leftovers {
        fs::write(file(name), "part of a checkpoint").unwrap();
    }
    resume(&run_dir, "").ok();
    assert_eq!(logged_epochs(&run_dir), [0, 1]);
    assert!(fs::read(file("train.csv")).unwrap() == whole_csv);
    let rebuilt = fs::read(file(EVENTS)).unwrap();
    // The last event has another time, and therefore another checksum.
    let tail = whole.len() / 2;
    assert!(rebuilt.len() == whole.len() && rebuilt[..tail] == whole[..tail]);
    assert!(!names(&run_dir).iter().any(|name| name.starts_with(".partial")), "{:?}", names(&run_dir));

    // The run was killed between the logs of an epoch and its checkpoint. The next run repeats the
    // epoch.
    let one_more = |name: &str, from: &[u8]| {
        OpenOptions::new().append(true).open(file(name)).unwrap().write_all(from).unwrap();
    };
    let log = fs::read_to_string(file("log.jsonl")).unwrap();
    let epoch = log.lines().find(|line| line.contains("\"epoch\":1,")).unwrap();
    one_more("log.jsonl", format!("{}\n", epoch.replace("\"epoch\":1,", "\"epoch\":2,")).as_bytes());
    one_more(EVENTS, &whole[whole.len() - 40..]);
    resume(&run_dir, "--epochs 4").ok();
    assert_eq!(logged_epochs(&run_dir), [0, 1, 2, 3]);
    let starts = fs::read_to_string(file("log.jsonl")).unwrap().matches("\"event\":\"start\"").count();
    assert_eq!(starts, 3);
    // The records are the version and the epochs.
    let events = fs::read(file(EVENTS)).unwrap();
    let mut lengths = Vec::new();
    let mut at = 0;
    while at < events.len() {
        let size = u64::from_le_bytes(events[at..at + 8].try_into().unwrap()) as usize;
        lengths.push(size);
        at += size + 16;
    }
    assert_eq!((at, lengths.len()), (events.len(), 5), "{lengths:?}");
}

#[test]
fn the_umask_decides_who_may_read_a_run() {
    let temp = tempfile::tempdir().unwrap();
    for (umask, mode) in [("077", 0o600), ("002", 0o664)] {
        let training = training(temp.path(), umask, "--epochs 1 --keep-epochs 1");
        let mut command = Command::new("sh");
        command.args(["-c", &format!("umask {umask}; exec \"$@\""), "sh"]);
        Done::of({
            command.arg(training.get_program()).args(training.get_args());
            command
        })
        .ok();
        let files = names(&temp.path().join(umask));
        assert!(files.len() >= 10, "{files:?}");
        for file in files {
            let found = fs::metadata(temp.path().join(umask).join(&file)).unwrap().permissions().mode() & 0o777;
            assert_eq!(found, mode, "{file}: {found:o}");
        }
    }
}

#[test]
fn a_folder_with_nothing_but_leftovers_is_refused_plainly_and_takes_a_new_run() {
    let temp = tempfile::tempdir().unwrap();
    let run_dir = temp.path().join("r");
    let leave = || {
        fs::create_dir_all(&run_dir).unwrap();
        fs::write(run_dir.join(".partial-9sk3Aq"), "part").unwrap();
        fs::write(run_dir.join(LOCK_FILE), "1\n").unwrap();
    };
    leave();
    let error = resume(&run_dir, "").error(1);
    assert!(error.contains("cannot resume") && error.contains("remove --resume"), "{error}");
    for more in ["--overwrite --limit-steps 1", "--limit-steps 1"] {
        leave();
        Done::of(training(temp.path(), "r", more)).ok();
        assert!(!run_dir.join(".partial-9sk3Aq").exists() && run_dir.join("checkpoint.safetensors").is_file());
        fs::remove_dir_all(&run_dir).unwrap();
    }
}

#[test]
fn a_run_is_not_resumed_without_the_results_of_its_best_epoch() {
    let temp = tempfile::tempdir().unwrap();
    let run_dir = copy_of_whole(temp.path());
    for name in ["best.safetensors", "scores.npz"] {
        let path = run_dir.join(name);
        let whole = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        let cure = "restore the files of the best epoch";
        let error = resume(&run_dir, "").error(1);
        assert!(error.contains(cure) && error.contains(name) && error.contains("--weights"), "{error}");
        fs::write(&path, &whole[..whole.len() - 9]).unwrap();
        assert!(resume(&run_dir, "").error(1).contains(cure));
        fs::write(&path, whole).unwrap();
    }
    resume(&run_dir, "").ok();
}
