//! Downloads a file: continues an earlier part, tries again after faults, checks the digest, and
//! gives the file its name when it is complete.

use super::digest::{self, MOST_BYTES};
use super::http::{Client, Fault, Message, Patience};
use crate::base::console::{Console, Transfer, megabytes, note};
use crate::base::stop::Stop;
use anyhow::anyhow;
use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};
use tempfile::TempPath;

/// Time between two looks for a signal.
const LOOK: Duration = Duration::from_millis(50);
/// Bytes after which a try counts as progress.
const PROGRESS: u64 = 1 << 20;

/// A download of one file.
pub struct Download<'a> {
    /// Client for the server.
    pub client: &'a Client,
    /// Address of the file.
    pub url: &'a str,
    /// Folder for the file.
    pub folder: &'a Path,
    /// Name of the file, with its digest.
    pub name: &'a str,
    /// How long to wait.
    pub patience: Patience,
    /// Where progress is shown.
    pub console: Console,
    /// Requests to stop.
    pub stop: &'a Stop,
}

/// Why a download failed.
#[derive(Debug)]
pub enum Failure {
    /// The network, or the server.
    Network(String),
    /// The folder, or its disk.
    Folder(io::Error),
    /// A request to stop.
    Stopped(anyhow::Error),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Folder(error)
    }
}

/// The part of a file that this program alone writes.
enum Part {
    /// A part that later programs continue. The open file holds the lock.
    Locked(PathBuf, #[expect(dead_code, reason = "the open file holds the lock")] File),
    /// A part on a file system without locks, which is removed in the end.
    Own(TempPath),
}

/// How one transfer ended.
enum Outcome {
    /// All bytes are there. The server states their type.
    Complete(Option<String>),
    Fault(Fault),
}

impl Download<'_> {
    /// Downloads the file and returns its path. Waits for another program that downloads it.
    ///
    /// # Errors
    /// The file is not complete. What has arrived stays in the folder for the next try.
    pub fn run(&self) -> Result<PathBuf, Failure> {
        fs::create_dir_all(self.folder)?;
        let part = self.part()?;
        let path = self.folder.join(self.name);
        // Another program may have downloaded it by now.
        if digest::is_right(&path, self.name).unwrap_or(false) {
            return Ok(path);
        }
        let start = Instant::now();
        self.complete(part.path())?;
        fs::rename(part.path(), &path)?;
        let bytes = fs::metadata(&path)?.len();
        self.console.say(&format!("downloaded {} in {:.1} s", megabytes(bytes), start.elapsed().as_secs_f64()));
        Ok(path)
    }

    /// Takes the part of the file. The lock file stays after the release: if it were removed, two
    /// programs could each lock a file of this name.
    fn part(&self) -> Result<Part, Failure> {
        let lock = self.folder.join(format!(".{}.lock", self.name));
        let lock = File::options().create(true).truncate(false).write(true).open(lock)?;
        let mut has_said = false;
        loop {
            match lock.try_lock() {
                Ok(()) => return Ok(Part::Locked(self.folder.join(format!("{}.part", self.name)), lock)),
                Err(TryLockError::WouldBlock) => {
                    if !has_said {
                        note(&format!("another ucftrain downloads {}; waiting for it", self.name));
                    }
                    has_said = true;
                    self.wait(4 * LOOK)?;
                }
                Err(TryLockError::Error(_)) => {
                    let own = tempfile::Builder::new().prefix(self.name).suffix(".part").tempfile_in(self.folder)?;
                    return Ok(Part::Own(own.into_temp_path()));
                }
            }
        }
    }

    /// Transfers bytes until the part has the digest of the name.
    fn complete(&self, part: &Path) -> Result<(), Failure> {
        let (mut tries, mut pause, mut has_restarted) = (0, self.patience.pause, false);
        let mut most = length(part)?;
        loop {
            let start = length(part)?;
            let outcome = self.transfer(part, start);
            if matches!(outcome, Err(Failure::Network(_))) {
                let _ = fs::remove_file(part);
            }
            let fault = match outcome? {
                Outcome::Complete(kind) => {
                    let found = digest::of_file(part)?;
                    if digest::of_name(self.name).is_some_and(|digest| found.starts_with(digest)) {
                        return Ok(());
                    }
                    fs::remove_file(part)?;
                    if start == 0 || has_restarted {
                        let kind = kind.map_or_else(String::new, |kind| format!(" of type {kind}"));
                        return Err(Failure::Network(format!(
                            "the server sent another file{kind}, whose SHA-256 starts with {}",
                            &found[..8]
                        )));
                    }
                    note("the part of an earlier download was damaged; starting again");
                    (has_restarted, most) = (true, 0);
                    continue;
                }
                Outcome::Fault(fault) => fault,
            };
            let now = length(part)?;
            if now >= most + PROGRESS {
                (tries, pause) = (0, self.patience.pause);
            }
            most = most.max(now);
            tries += 1;
            if !fault.is_passing || tries >= self.patience.tries {
                let kept = if now > 0 { format!(" (after {})", megabytes(now)) } else { String::new() };
                return Err(Failure::Network(fault.reason + &kept));
            }
            note(&format!("download: {}; trying again in {} s", fault.reason, pause.as_secs_f32()));
            self.wait(pause)?;
            pause *= 2;
        }
    }

    /// Transfers bytes once, from byte `start` on. A file that is too large is a failure of the network.
    fn transfer(&self, part: &Path, start: u64) -> Result<Outcome, Failure> {
        let messages = self.client.request(self.url, start)?;
        let passing = |reason: String| Ok(Outcome::Fault(Fault { reason, is_passing: true }));
        let mut arriving: Option<Arriving> = None;
        loop {
            self.check_stop()?;
            let message = match messages.recv_timeout(LOOK) {
                Ok(Ok(message)) => message,
                Ok(Err(fault)) => return Ok(Outcome::Fault(fault)),
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => return passing("the transfer ended early".into()),
            };
            match (message, &mut arriving) {
                (Message::Nothing, _) => return Ok(Outcome::Complete(None)),
                (Message::Start { start: first, .. }, _) if first != 0 && first != start => {
                    fs::remove_file(part)?;
                    return passing("the server sent the wrong part of the file".into());
                }
                (Message::Start { start: first, total, kind }, _) => {
                    too_large(total)?;
                    let progress = self.console.transfer("download", total, first);
                    arriving = Some(Arriving::new(part, first, total, kind, progress)?);
                }
                (Message::Bytes(bytes), Some(arriving)) => arriving.write(&bytes)?,
                (Message::End, Some(Arriving { file, at, total, kind, .. })) => {
                    if let Some(total) = total.filter(|total| total != at) {
                        return passing(format!("the connection ended after {at} of {total} bytes"));
                    }
                    file.sync_all()?;
                    return Ok(Outcome::Complete(kind.take()));
                }
                (Message::Bytes(_) | Message::End, None) => return passing("the server sent no head".into()),
            }
        }
    }

    /// Waits, unless a stop is requested.
    fn wait(&self, time: Duration) -> Result<(), Failure> {
        let end = Instant::now() + time;
        loop {
            self.check_stop()?;
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            std::thread::sleep(left.min(LOOK));
        }
    }

    fn check_stop(&self) -> Result<(), Failure> {
        const LEFT: &str = "the same command continues the download";
        if !self.stop.is_asked() {
            return Ok(());
        }
        let error = self.stop.interrupted(LEFT).map_or_else(|| anyhow!("stopped; {LEFT}"), Into::into);
        Err(Failure::Stopped(error))
    }
}

impl Part {
    fn path(&self) -> &Path {
        match self {
            Self::Locked(path, _) => path,
            Self::Own(path) => path,
        }
    }
}

/// A file whose bytes arrive.
struct Arriving {
    file: File,
    /// Bytes in the file.
    at: u64,
    total: Option<u64>,
    kind: Option<String>,
    progress: Transfer,
}

impl Arriving {
    /// Opens the part, whose first `at` bytes stay.
    fn new(part: &Path, at: u64, total: Option<u64>, kind: Option<String>, progress: Transfer) -> io::Result<Self> {
        let file = File::options().create(true).append(true).open(part)?;
        file.set_len(at)?;
        Ok(Self { file, at, total, kind, progress })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.file.write_all(bytes)?;
        self.at += bytes.len() as u64;
        self.progress.advance(bytes.len() as u64);
        too_large(Some(self.at))
    }
}

/// Checks the size of a file, which a wrong server could make endless.
fn too_large(bytes: Option<u64>) -> Result<(), Failure> {
    match bytes.filter(|&bytes| bytes > MOST_BYTES) {
        Some(_) => Err(Failure::Network(format!("the file is larger than {}", megabytes(MOST_BYTES)))),
        None => Ok(()),
    }
}

/// Returns the length of a file; 0 if there is none.
fn length(path: &Path) -> io::Result<u64> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(metadata.len()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(error),
    }
}
