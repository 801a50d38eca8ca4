//! Starts a program that reads a video, reads its output with a time limit, and ends it.

use std::io::{self, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use crate::error::{ClipError, Error, Problem, Setting, machine_fault};

/// Limit for the bytes of standard error that are kept.
const MOST_WORDS: usize = 1 << 14;
/// Time between two checks of the cancel flag.
#[cfg(unix)]
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A running program. Dropping it ends the program.
pub(super) struct Process<'a> {
    name: &'static str,
    child: Child,
    out: ChildStdout,
    words: Option<JoinHandle<Vec<u8>>>,
    /// Number of bytes that the program has written to standard error.
    said: Arc<AtomicUsize>,
    cancel: &'a AtomicBool,
    /// How long to wait for output.
    patience: Duration,
}

impl<'a> Process<'a> {
    /// Starts the program `name`, which reads `file`.
    pub fn start(
        name: &'static str,
        mut command: Command,
        file: &Path,
        patience: Duration,
        cancel: &'a AtomicBool,
    ) -> Result<Self, ClipError> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // The program gets a process group of its own, so that Ctrl-C on a terminal does not reach
        // it. If it did, a video that was interrupted would look too short.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut child = command.spawn().map_err(|error| ClipError::Work(cannot_start(name, file, error)))?;
        let (out, words) = (child.stdout.take(), child.stderr.take());
        // A thread reads standard error from the start. Otherwise the program would block once the
        // pipe is full.
        let said = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&said);
        let words = Builder::new().spawn(move || {
            let (mut kept, mut buffer) = (Vec::new(), [0; 1024]);
            if let Some(mut words) = words {
                while let Ok(read @ 1..) = words.read(&mut buffer) {
                    kept.extend(&buffer[..read.min(MOST_WORDS - kept.len())]);
                    counted.fetch_add(read, Ordering::SeqCst);
                }
            }
            kept
        });
        match (words, out) {
            (Ok(words), Some(out)) => Ok(Self { name, child, out, words: Some(words), said, cancel, patience }),
            (words, _) => {
                let _ = child.kill();
                let _ = child.wait();
                let error = words.err().unwrap_or_else(|| io::Error::other("it has no pipe"));
                Err(ClipError::Work(cannot_start(name, file, error)))
            }
        }
    }

    /// Waits until the program ends. Its messages are kept for [`Process::words`].
    pub fn wait(&mut self) -> Result<ExitStatus, ClipError> {
        let status =
            self.child.wait().map_err(|error| ClipError::Work(Error::input(format!("{}: {error}", self.name))))?;
        #[cfg(unix)]
        {
            use std::os::unix::process::ExitStatusExt;
            // The system ends programs with SIGKILL if memory runs out, and so do users and job
            // schedulers.
            if let Some(signal @ (2 | 9 | 15)) = status.signal() {
                return Err(ClipError::Work(Error::Machine {
                    what: format!("{} was killed by signal {signal}", self.name),
                    reason: None,
                    cure: Problem::from("if memory ran out, reduce ").name(Setting::Jobs),
                }));
            }
        }
        Ok(status)
    }

    /// Ends the program and returns its standard error.
    pub fn words(&mut self) -> Vec<u8> {
        let _ = self.child.kill();
        self.words.take().and_then(|words| words.join().ok()).unwrap_or_default()
    }

    /// Returns the number of bytes that the program has written to standard error so far.
    pub fn said(&self) -> usize {
        self.said.load(Ordering::SeqCst)
    }

    /// Returns the error for a failed read: the file's fault, or an interruption.
    pub fn read_fault(&mut self, error: &io::Error) -> ClipError {
        match error.kind() {
            _ if self.cancel.load(Ordering::Relaxed) => ClipError::Work(Error::Interrupted),
            io::ErrorKind::TimedOut => ClipError::fault(format!(
                "{} sent nothing for {} seconds; convert the file with ffmpeg, or remove it",
                self.name,
                self.patience.as_secs()
            )),
            _ => ClipError::fault(format!("cannot read the output of {}: {error}", self.name)),
        }
    }

    /// Waits for output. Fails after the time limit, or if the user interrupts the work.
    #[cfg(unix)]
    fn wait_for_bytes(&self) -> io::Result<()> {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let started = Instant::now();
        let every = Timespec { tv_sec: 0, tv_nsec: LOOK_EVERY.subsec_nanos().into() };
        loop {
            if self.cancel.load(Ordering::Relaxed) {
                return Err(io::Error::other("interrupted"));
            }
            match poll(&mut [PollFd::new(&self.out, PollFlags::IN)], Some(&every)) {
                Ok(0) if started.elapsed() >= self.patience => return Err(io::ErrorKind::TimedOut.into()),
                Ok(0) | Err(rustix::io::Errno::INTR) => {}
                Ok(_) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }

    #[cfg(not(unix))]
    fn wait_for_bytes(&self) -> io::Result<()> {
        let _ = (self.cancel, Instant::now());
        Ok(())
    }
}

impl Read for Process<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.wait_for_bytes()?;
        self.out.read(buffer)
    }
}

impl Drop for Process<'_> {
    fn drop(&mut self) {
        // Both calls do nothing if the program has already ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns the error for a program that cannot be started, with advice.
pub(super) fn cannot_start(program: &str, file: &Path, error: io::Error) -> Error {
    if error.kind() == io::ErrorKind::NotFound {
        return Error::input(format!(
            "{program} is not on the PATH, but decoding videos needs it; install ffmpeg (apt install ffmpeg, dnf \
             install ffmpeg, brew install ffmpeg, conda install -c conda-forge ffmpeg)"
        ));
    }
    match machine_fault(&format!("cannot start {program} for {}", file.display()), error) {
        Ok(fault) => fault,
        Err(error) => Error::input(format!("cannot start {program}: {error}")),
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    fn start<'a>(script: &str, patience: u64, cancel: &'a AtomicBool) -> Process<'a> {
        let patience = Duration::from_millis(patience);
        Process::start("sh", shell(script), Path::new("x.avi"), patience, cancel).expect("sh starts")
    }

    #[test]
    fn output_words_and_status_arrive() {
        let cancel = AtomicBool::new(false);
        let mut process = start("echo out; echo err >&2; exit 3", 60_000, &cancel);
        let mut text = String::new();
        process.read_to_string(&mut text).unwrap();
        assert_eq!((text.as_str(), process.wait().unwrap().code()), ("out\n", Some(3)));
        assert_eq!(process.words(), b"err\n");
    }

    #[test]
    fn a_silent_program_is_not_waited_for_longer_than_patience() {
        let cancel = AtomicBool::new(false);
        let mut process = start("echo first; exec sleep 600", 300, &cancel);
        let started = Instant::now();
        let error = process.read_to_end(&mut Vec::new()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        let ClipError::Clip(absence) = process.read_fault(&error) else { panic!("it is the file's fault") };
        let words = absence.to_string();
        assert!(words.starts_with("sh sent nothing for 0 seconds"), "{words}");
        drop(process);
        assert!(started.elapsed() < Duration::from_secs(60));
    }

    #[test]
    fn an_interruption_ends_the_wait() {
        let cancel = AtomicBool::new(true);
        let mut process = start("exec sleep 600", 600_000, &cancel);
        let error = process.read(&mut [0]).unwrap_err();
        assert!(matches!(process.read_fault(&error), ClipError::Work(Error::Interrupted)));
    }

    #[test]
    fn a_program_that_the_system_kills_is_not_the_files_fault() {
        let cancel = AtomicBool::new(false);
        let mut killed = start("kill -9 $$", 60_000, &cancel);
        let Err(ClipError::Work(error)) = killed.wait() else { panic!("it stops all work") };
        assert_eq!(error.to_string(), "sh was killed by signal 9; if memory ran out, reduce `jobs`");
        // A crash while reading a file is that file's fault.
        let mut crashed = start("kill -SEGV $$", 60_000, &cancel);
        assert!(crashed.wait().is_ok());
    }

    #[test]
    fn a_program_that_is_missing_is_named_with_the_cure() {
        let words = cannot_start("ffmpeg", Path::new("x"), io::ErrorKind::NotFound.into()).to_string();
        assert!(words.starts_with("ffmpeg is not on the PATH") && words.contains("apt install ffmpeg"), "{words}");
        let words = cannot_start("ffmpeg", Path::new("x"), io::Error::from_raw_os_error(24)).to_string();
        assert!(words.starts_with("cannot start ffmpeg for x: Too many open files"), "{words}");
        assert!(words.contains("ulimit -n"), "{words}");
    }
}
