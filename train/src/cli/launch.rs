//! `ucftrain launch`: train with several processes on this machine.

use crate::base::heading::{INPUT, RUN};
use crate::base::stop::Interrupted;
use crate::base::usage::Usage;
use crate::ranks::LAUNCH;
use anyhow::{Context, Result, bail};
use std::ffi::OsString;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use ucfpack::signals::on_first_signal;

/// Arguments of `ucftrain launch`.
#[derive(Debug, clap::Args)]
pub struct LaunchArgs {
    /// Number of processes
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024), help_heading = RUN)]
    ranks: u32,
    /// Devices of the processes in turn, such as cuda:0,cuda:1
    ///
    /// Without this option, --device of the command counts. If it is auto, each process takes its own
    /// GPU.
    #[arg(long, value_name = "DEVICE,DEVICE", value_delimiter = ',', help_heading = RUN)]
    devices: Vec<String>,
    /// Command to run, with its options: spatial, temporal or difference
    #[arg(last = true, required = true, value_name = "COMMAND", help_heading = INPUT)]
    command: Vec<OsString>,
}

pub(super) const EXAMPLES: &str = "Examples:
  ucftrain launch --ranks 2 -- spatial --data ucf101.shards --run runs/spatial --weights imagenet
  ucftrain launch --ranks 2 --devices cuda:0,cuda:1 -- temporal --run runs/temporal --resume";

/// Commands that several processes can run together.
const COMMANDS: [&str; 3] = ["spatial", "temporal", "difference"];
/// Time between two looks at the processes.
const PAUSE: Duration = Duration::from_millis(20);
/// Time that the other processes have to end after one has failed, and again after they were asked to.
const GRACE: Duration = Duration::from_secs(10);

/// A process of a run that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("rank {rank} ended with exit status {status}; see its message")]
pub struct RankFailed {
    rank: usize,
    /// Its exit status; 128 plus the number of a signal that ended it.
    pub status: u8,
}

/// Runs the command.
pub fn run(args: &LaunchArgs) -> Result<()> {
    let name = args.command[0].to_string_lossy();
    if !COMMANDS.contains(&&*name) {
        bail!(Usage(format!("`ucftrain {name}` runs in one process; launch spatial, temporal or difference")));
    }
    let signal = Arc::new(AtomicI32::new(0));
    let heard = signal.clone();
    on_first_signal(move |signal| heard.store(signal, Ordering::Relaxed))
        .map_err(|error| Usage(format!("cannot install a signal handler: {error}")))?;
    let mut group = Group::start(args)?;
    let result = group.wait(&signal);
    group.end();
    result
}

/// The processes of a run.
struct Group {
    /// By rank; none after the end of a process.
    running: Vec<Option<Child>>,
}

impl Group {
    fn start(args: &LaunchArgs) -> Result<Self> {
        let program = std::env::current_exe().context("cannot find the program to start")?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let id = format!("{}-{}", std::process::id(), now.as_nanos());
        let size = args.ranks.to_string();
        let mut group = Self { running: Vec::new() };
        for rank in 0..args.ranks as usize {
            let mut command = Command::new(&program);
            command.args(&args.command).env(LAUNCH, &id).env("RANK", rank.to_string()).env("WORLD_SIZE", &size);
            command.env("LOCAL_RANK", rank.to_string()).env("LOCAL_WORLD_SIZE", &size);
            if !args.devices.is_empty() {
                command.arg("--device").arg(&args.devices[rank % args.devices.len()]);
            }
            if rank > 0 {
                command.stdin(Stdio::null()).stdout(Stdio::null());
            }
            // A Ctrl-C of the terminal goes to this process only, which passes it on once.
            #[cfg(unix)]
            std::os::unix::process::CommandExt::process_group(&mut command, 0);
            match command.spawn() {
                Ok(child) => group.running.push(Some(child)),
                Err(error) => {
                    group.end();
                    return Err(error).with_context(|| format!("cannot start rank {rank}"));
                }
            }
        }
        Ok(group)
    }

    /// Waits until all processes have ended. Passes `signal` on to them once it is not 0.
    ///
    /// # Errors
    /// Names the first process that failed.
    fn wait(&mut self, signal: &AtomicI32) -> Result<()> {
        let (mut failed, mut passed_on) = (None, false);
        // When a process failed, and how the others have been asked to end.
        let (mut since, mut asked) = (Instant::now(), false);
        while self.running.iter().any(Option::is_some) {
            let number = signal.load(Ordering::Relaxed);
            if number != 0 && !passed_on {
                passed_on = true;
                self.signal(number);
            }
            for (rank, slot) in self.running.iter_mut().enumerate() {
                let Some(child) = slot else { continue };
                let Some(status) = child.try_wait().with_context(|| format!("cannot wait for rank {rank}"))? else {
                    continue;
                };
                *slot = None;
                if !status.success() && failed.is_none() {
                    failed = Some(RankFailed { rank, status: number_of(status) });
                    since = Instant::now();
                }
            }
            if failed.is_some() && since.elapsed() >= GRACE {
                if asked {
                    break;
                }
                (asked, since) = (true, Instant::now());
                self.signal(TERMINATE);
            }
            thread::sleep(PAUSE);
        }
        let number = signal.load(Ordering::Relaxed);
        match failed {
            None => Ok(()),
            Some(failed) if number != 0 && i32::from(failed.status) == 128 + number => {
                bail!(Interrupted { signal: number, left: "the checkpoint was saved" })
            }
            Some(failed) => bail!(failed),
        }
    }

    /// Sends a signal to all processes that run.
    fn signal(&mut self, number: i32) {
        for child in self.running.iter_mut().flatten() {
            send(child, number);
        }
    }

    /// Ends all processes at once.
    fn end(&mut self) {
        for child in self.running.iter_mut().filter_map(Option::take) {
            let mut child = child;
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// SIGTERM.
const TERMINATE: i32 = 15;

#[cfg(unix)]
fn send(child: &mut Child, number: i32) {
    use rustix::process::{Pid, Signal, kill_process};
    if let Some(signal) = Signal::from_named_raw(number) {
        let _ = kill_process(Pid::from_child(child), signal);
    }
}

#[cfg(not(unix))]
fn send(child: &mut Child, _: i32) {
    let _ = child.kill();
}

/// Returns the exit status, or 128 plus the number of the signal that ended the process.
fn number_of(status: ExitStatus) -> u8 {
    #[cfg(unix)]
    let signal = std::os::unix::process::ExitStatusExt::signal(&status);
    #[cfg(not(unix))]
    let signal = None;
    let number = status.code().or(signal.map(|signal: i32| 128 + signal));
    number.and_then(|number| u8::try_from(number).ok()).unwrap_or(1)
}
