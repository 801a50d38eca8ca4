//! Tests of the settings of a resumed run: they are compared, kept complete, and found from every
//! folder.

use super::{COMMON, change_state, copy_of_whole, resume, shared, state, training};
use std::fs;
use std::path::Path;
use std::process::Command;
use ucftrain::testing::load_network;
use whole_program_tests::{Done, args, program, run};

#[test]
fn a_run_is_resumed_only_with_the_settings_that_it_used() {
    let temp = tempfile::tempdir().unwrap();
    let run_dir = copy_of_whole(temp.path());
    let config = run_dir.join("config.toml");
    let whole = fs::read_to_string(&config).unwrap();
    let checkpoint = fs::read(run_dir.join("checkpoint.safetensors")).unwrap();
    let edit = |from: &str, to: &str| {
        let text = fs::read_to_string(&config).unwrap();
        assert!(text.contains(from), "{text}");
        fs::write(&config, text.replace(from, to)).unwrap();
    };
    edit("\nlr = 0.01\n", "\nlr = 0.1\n");
    edit("\nbatch-size = 4\n", "\nbatch-size = 8\n");
    edit("\nflip = false\n", "\n");
    edit("\nsegments = 1\n", "\nsegments = 1\nval-groups = [\"g03\", \"g05\"]\nflip = true\n");
    let edited = format!("(from {})", config.display());
    let cure = format!("Restore these values in {}, or start a new run", config.display());
    let expected = format!(
        "error: cannot resume: --batch-size is 8, but the run used 4 {edited}\n  \
         --flip is true, but the run used false {edited}\n  \
         --lr is 0.1, but the run used 0.01 {edited}\n  --val-groups is g03,g05, but the run used none {edited}\n\
         {cure}\n"
    );
    assert_eq!(resume(&run_dir, "--epochs 3").error(2), expected);
    fs::write(&config, &whole).unwrap();
    // The run used f32 on a CPU, although no option selected these.
    let typed = "--seed 4 --lr 0.5 --recipe tsn --precision f32";
    let expected = "error: cannot resume: --lr is 0.5, but the run used 0.01\n  \
                    --recipe is tsn, but the run used seed\n  \
                    --seed is 4, but the run used 3\nRemove these options, or start a new run\n";
    assert_eq!(resume(&run_dir, typed).error(2), expected);
    assert_eq!(fs::read_to_string(&config).unwrap(), whole);
    assert!(fs::read(run_dir.join("checkpoint.safetensors")).unwrap() == checkpoint);

    // Options with the run's own values override the edited file, which is then corrected. Settings
    // that do not affect results may differ.
    edit("\nlr = 0.01\n", "\nlr = 0.1\n");
    edit("\nthreads = 2\n", "\nthreads = 1\n");
    resume(&run_dir, "--epochs 3 --lr 0.01 --skip-damaged --checkpoint-minutes 1 --keep-epochs 1").ok();
    let text = fs::read_to_string(&config).unwrap();
    for line in ["lr = 0.01", "threads = 1", "epochs = 3", "skip-damaged = true", "keep-epochs = 1"] {
        assert!(text.lines().any(|found| found == line), "{line}: {text}");
    }
    assert_eq!(state(&run_dir).history.len(), 3);
}

#[test]
fn an_old_checkpoint_without_settings_is_resumed_by_its_configuration() {
    let temp = tempfile::tempdir().unwrap();
    let run_dir = copy_of_whole(temp.path());
    change_state(&run_dir, |state| state.settings = None);
    let error = resume(&run_dir, "--lr 0.1").error(2);
    assert!(error.contains("--lr is 0.1, but the run used 0.01"), "{error}");
    resume(&run_dir, "--epochs 3").ok();
    assert_eq!(state(&run_dir).settings, state(&shared().join("whole")).settings);
    assert_eq!(state(&run_dir).history.len(), 3);
}

#[test]
fn a_finished_run_says_that_it_has_finished() {
    let temp = tempfile::tempdir().unwrap();
    let run_dir = copy_of_whole(temp.path());
    for more in ["", "--epochs 1"] {
        let text = resume(&run_dir, more).ok();
        let head =
            "the run has finished: 2 of 2 epochs\nto train longer, add --epochs N with N above 2\n\nbest epoch: ";
        assert!(text.starts_with(head) && !text.contains("training: "), "{more}: {text}");
        let page = run_dir.join("report.html");
        assert_eq!(text.lines().last().unwrap(), format!("report: {}", page.display()), "{text}");
        assert!(fs::read_to_string(run_dir.join("config.toml")).unwrap().contains("\nepochs = 2\n"));
    }
    let text = resume(&run_dir, "--epochs 3").ok();
    assert!(text.starts_with("training: ") && text.contains("\nepoch  train loss"), "{text}");
    // Only the plateau schedule allows more epochs.
    Done::of(training(temp.path(), "cosine", "--schedule cosine --epochs 1")).ok();
    let text = resume(&temp.path().join("cosine"), "").ok();
    assert!(text.starts_with("the run has finished: 1 of 1 epochs\n\nbest epoch: "), "{text}");
}

#[test]
fn the_note_about_a_low_learning_rate_comes_once() {
    let temp = tempfile::tempdir().unwrap();
    let run_dir = copy_of_whole(temp.path());
    change_state(&run_dir, |state| {
        (state.plateau.lr, state.plateau.best, state.plateau.bad_epochs) = (1e-4, Some(0.0), 1);
    });
    let text = resume(&run_dir, "--epochs 4").ok();
    let note = "note: the learning rate has fallen from 1e-2 to 1e-5, so further epochs will hardly change the \
                network; Ctrl-C ends the training and keeps the best epoch\n";
    assert_eq!(text.matches(note).count(), 1, "{text}");
    let text = resume(&run_dir, "--epochs 7").ok();
    assert!(!text.contains("note: "), "{text}");
}

#[test]
fn every_seed_of_64_bits_trains_and_resumes() {
    let temp = tempfile::tempdir().unwrap();
    for seed in ["9223372036854775808", "18446744073709551615"] {
        Done::of(training(temp.path(), seed, &format!("--seed {seed} --limit-steps 1"))).ok();
        let run_dir = temp.path().join(seed);
        let config = fs::read_to_string(run_dir.join("config.toml")).unwrap();
        assert!(config.contains(&format!("\nseed = \"{seed}\"\n")), "{config}");
        resume(&run_dir, "--limit-steps 2").ok();
        let error = resume(&run_dir, "--seed 1").error(2);
        assert!(error.contains(&format!("--seed is 1, but the run used {seed}")), "{error}");
        let line = "temporal --config {}/config.toml --run {}/again --limit-steps 2";
        run("ucftrain", &args(&run_dir, line)).ok();
        let network = |dir: &Path| load_network(&dir.join("checkpoint.safetensors")).unwrap().1["fc.weight"].clone();
        let values = |dir: &Path| network(dir).flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(values(&run_dir), values(&run_dir.join("again")));
    }
    let error = Done::of(training(temp.path(), "r", "--seed 18446744073709551616")).error(2);
    assert!(error.contains("'--seed <N>'"), "{error}");
}

#[test]
fn the_printed_command_resumes_a_run_from_another_folder() {
    let temp = tempfile::tempdir().unwrap();
    let (here, elsewhere) = (temp.path().join("here"), temp.path().join("else where"));
    for dir in [&here, &elsewhere] {
        fs::create_dir(dir).unwrap();
    }
    std::os::unix::fs::symlink(shared().join("packed"), here.join("packed")).unwrap();
    let mut command = Command::new(program("ucftrain"));
    command.current_dir(&here).args(["temporal", "--data", "packed", "--run"]).arg(elsewhere.join("it's a $run"));
    command.args(args(&here, COMMON)).args(["--limit-steps", "1"]);
    let text = Done::of(command).ok();
    let hint = text.lines().find_map(|line| line.split_once("; to continue: ucftrain ")).unwrap().1;
    let mut command = Command::new("sh");
    command.current_dir(&elsewhere).args(["-c", &format!("{} {hint}", program("ucftrain").display())]);
    Done::of(command).ok();
    let run_dir = elsewhere.join("it's a $run");
    assert_eq!(state(&run_dir).history.len(), 2);
    let config = fs::read_to_string(run_dir.join("config.toml")).unwrap();
    assert!(config.contains(&format!("\ndata = {:?}\n", here.join("packed"))), "{config}");
    // Messages show the path as the user typed it.
    fs::remove_file(here.join("packed")).unwrap();
    let mut command = Command::new(program("ucftrain"));
    command.current_dir(&here).args(["temporal", "--resume", "--run"]).arg(&run_dir);
    let error = Done::of(command).error(1);
    assert!(error.starts_with("error: packed: "), "{error}");
}

#[test]
fn only_regular_files_are_read_as_settings_and_checkpoints() {
    let temp = tempfile::tempdir().unwrap();
    let run_dir = copy_of_whole(temp.path());
    let pipe = temp.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    for (file, words) in [(pipe.as_path(), "it is a named pipe"), (Path::new("/dev/zero"), "it is a device")] {
        let done = Done::of(training(temp.path(), "r", &format!("--config {}", file.display())));
        let error = done.error(1);
        assert!(error.contains(&format!("{}: cannot read it: {words}", file.display())), "{error}");
        let line = format!("eval --checkpoint {} --data {}", file.display(), shared().join("packed").display());
        let error = run("ucftrain", &args(temp.path(), &line)).error(1);
        assert!(error.contains(words), "{error}");
        fs::remove_file(run_dir.join("config.toml")).unwrap();
        std::os::unix::fs::symlink(file, run_dir.join("config.toml")).unwrap();
        let error = resume(&run_dir, "").error(1);
        assert!(error.contains("config.toml") && error.contains(words), "{error}");
    }
    fs::write(temp.path().join("long"), vec![b'#'; (1 << 20) + 1]).unwrap();
    let error = Done::of(training(temp.path(), "r", "--config {}/long")).error(1);
    assert!(error.contains("long: cannot read it: it has more than 1048576 bytes"), "{error}");
    assert!(!temp.path().join("r").exists());
}
