//! A connection to another rank: numbered messages, and errors that name the rank.

use anyhow::{Result, anyhow, bail};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// A connection to another rank.
#[derive(Debug)]
pub(super) struct Link {
    /// The other rank.
    rank: usize,
    stream: TcpStream,
    timeout: Duration,
}

/// The purpose of a message, so that ranks that do different things notice it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Gather = 1,
    Part = 2,
    Sum = 3,
    Nothing = 4,
}

/// Number and kind of a message. Both sides count their messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Label {
    pub kind: Kind,
    pub number: u32,
}

/// Bytes before each message: kind, number and length.
pub(super) const HEADER: usize = 16;

impl Link {
    /// Wraps a connection whose other end is `rank`. Sending and receiving fail after `timeout` without
    /// progress.
    pub(super) fn new(rank: usize, stream: TcpStream, timeout: Duration) -> Result<Self> {
        let ready = stream
            .set_nodelay(true)
            .and_then(|()| stream.set_read_timeout(Some(timeout)))
            .and_then(|()| stream.set_write_timeout(Some(timeout)));
        ready.map_err(|error| anyhow!("cannot prepare the connection to rank {rank}: {error}"))?;
        Ok(Self { rank, stream, timeout })
    }

    pub(super) fn send(&self, label: Label, bytes: &[u8]) -> Result<()> {
        let mut header = [0; HEADER];
        header[..4].copy_from_slice(&(label.kind as u32).to_le_bytes());
        header[4..8].copy_from_slice(&label.number.to_le_bytes());
        header[8..].copy_from_slice(&(bytes.len() as u64).to_le_bytes());
        let mut stream = &self.stream;
        stream.write_all(&header).and_then(|()| stream.write_all(bytes)).map_err(|error| self.fault(&error))
    }

    /// Waits for the first byte of a message.
    pub(super) fn await_message(&self) -> Result<()> {
        loop {
            match self.stream.peek(&mut [0]) {
                // A signal asks this rank to stop after the step, which needs the message.
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                peeked => return peeked.map(drop).map_err(|error| self.fault(&error)),
            }
        }
    }

    /// Receives a message of any length.
    pub(super) fn receive(&self, label: Label) -> Result<Vec<u8>> {
        let (_, len) = self.header(label, &[label.kind])?;
        let mut bytes = Vec::new();
        // Grows with the bytes that arrive, because the stated length may be wrong.
        let read = (&self.stream).take(len).read_to_end(&mut bytes).map_err(|error| self.fault(&error))?;
        if read as u64 == len { Ok(bytes) } else { Err(self.fault(&ErrorKind::UnexpectedEof.into())) }
    }

    /// Receives a message of `bytes.len()` bytes. Returns false if the other rank has nothing to send.
    pub(super) fn receive_into(&self, label: Label, bytes: &mut [u8]) -> Result<bool> {
        let (kind, len) = self.header(label, &[label.kind, Kind::Nothing])?;
        if kind == Kind::Nothing as u32 {
            return Ok(false);
        }
        if len != bytes.len() as u64 {
            bail!("rank {} sent {len} bytes instead of {}; start all ranks with one program", self.rank, bytes.len());
        }
        (&self.stream).read_exact(bytes).map_err(|error| self.fault(&error))?;
        Ok(true)
    }

    /// Receives the header of a message with one of `kinds`. Returns its kind and length.
    fn header(&self, label: Label, kinds: &[Kind]) -> Result<(u32, u64)> {
        let mut header = [0; HEADER];
        (&self.stream).read_exact(&mut header).map_err(|error| self.fault(&error))?;
        let word = |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        let (kind, number, len) = (word(0), word(4), u64::from(word(8)) | u64::from(word(12)) << 32);
        if number != label.number || !kinds.iter().any(|&known| known as u32 == kind) {
            bail!(
                "rank {} is at another point of the run; start all ranks with one program and one command",
                self.rank
            );
        }
        Ok((kind, len))
    }

    fn fault(&self, error: &std::io::Error) -> anyhow::Error {
        let Self { rank, timeout, .. } = self;
        match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => {
                anyhow!("rank {rank} sent or took nothing for {} s (--timeout); {RESUME}", timeout.as_secs_f64())
            }
            ErrorKind::UnexpectedEof
            | ErrorKind::ConnectionReset
            | ErrorKind::ConnectionAborted
            | ErrorKind::BrokenPipe => anyhow!("rank {rank} has ended; {RESUME}"),
            _ => anyhow!("the connection to rank {rank} failed: {error}; {RESUME}"),
        }
    }
}

/// The cure after the loss of a rank.
const RESUME: &str = "to continue from the last checkpoint, start all ranks again with --resume";
