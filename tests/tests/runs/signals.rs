//! Tests of signals: the exit status of the program, and the files that it leaves.

use super::{Running, end, resume, send, shared, state, training, wait_until};
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use whole_program_tests::{Done, args, program};

#[test]
fn signals_end_a_training_with_their_status_behind_its_checkpoint() {
    let temp = tempfile::tempdir().unwrap();
    for (signal, code) in [("INT", 130), ("TERM", 143), ("HUP", 129)] {
        let run_dir = temp.path().join(signal);
        let mut command = training(temp.path(), signal, "--epochs 100000");
        let mut child = Running::start(command.stdout(Stdio::piped()).stderr(Stdio::piped()));
        let mut pipes = (child.0.stdout.take().unwrap(), child.0.stderr.take().unwrap());
        wait_until("the first epoch", || run_dir.join("best.safetensors").is_file());
        // `timeout` sends its signal twice. The same signal again does not count as a second one.
        send(signal, 2, &child);
        assert_eq!(end(&mut child).code(), Some(code), "{signal}");
        let (mut out, mut err) = (String::new(), String::new());
        pipes.0.read_to_string(&mut out).unwrap();
        pipes.1.read_to_string(&mut err).unwrap();
        assert!(err.contains(&format!("stopped by SIG{signal}; the checkpoint was saved\n")), "{err}");
        assert!(out.contains("steps; to continue: ucftrain temporal --run "), "{out}");
        let epochs = state(&run_dir).history.len();
        resume(&run_dir, &format!("--epochs {}", epochs + 1)).ok();
        assert_eq!(state(&run_dir).history.len(), epochs + 1);
    }
}

#[test]
fn a_second_signal_ends_a_program_that_waits_for_its_reader() {
    let temp = tempfile::tempdir().unwrap();
    // The pipes are full and nothing reads them.
    let (_reader, mut writer) = std::io::pipe().unwrap();
    let full = vec![b'.'; 64 << 10];
    writer.write_all(&full).unwrap();
    let mut command = training(temp.path(), "r", "--epochs 100000");
    let mut child = Running::start(command.stdout(writer.try_clone().unwrap()).stderr(writer));
    wait_until("the configuration", || temp.path().join("r/config.toml").is_file());
    std::thread::sleep(Duration::from_millis(300));
    send("INT", 1, &child);
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(child.0.try_wait().unwrap(), None, "the first signal lets it finish its step");
    send("INT", 1, &child);
    let start = Instant::now();
    assert_eq!(end(&mut child).code(), Some(130));
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

#[test]
fn a_hangup_that_was_ignored_at_the_start_stays_ignored() {
    let temp = tempfile::tempdir().unwrap();
    let training = training(temp.path(), "r", "--epochs 3");
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' HUP; exec \"$@\"", "sh"]).arg(training.get_program()).args(training.get_args());
    let mut child = Running::start(command.stdout(Stdio::null()));
    wait_until("the configuration", || temp.path().join("r/config.toml").is_file());
    send("HUP", 1, &child);
    assert_eq!(end(&mut child).code(), Some(0));
    assert_eq!(state(&temp.path().join("r")).history.len(), 3);
}

#[test]
fn an_evaluation_ends_with_the_status_of_its_signal() {
    let temp = tempfile::tempdir().unwrap();
    Done::of(training(temp.path(), "r", "--test-samples 1000 --limit-steps 1")).ok();
    let checkpoint = temp.path().join("r/checkpoint.safetensors");
    let data = shared().join("packed");
    let line = format!(
        "eval --checkpoint {} --data {} --json --threads 1 --scores {{}}/s.npz",
        checkpoint.display(),
        data.display()
    );
    for (signal, code) in [("INT", 130), ("TERM", 143), ("HUP", 129)] {
        let mut command = Command::new(program("ucftrain"));
        let command = command.args(args(temp.path(), &line)).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = Running::start(command);
        let mut lines = BufReader::new(child.0.stderr.take().unwrap()).lines();
        assert!(lines.next().unwrap().unwrap().contains("\"progress\""));
        send(signal, 1, &child);
        assert_eq!(end(&mut child).code(), Some(code));
        let last = lines.last().unwrap().unwrap();
        assert_eq!(last, format!("stopped by SIG{signal}; no scores were written"));
    }
    assert!(!temp.path().join("s.npz").exists());
}
