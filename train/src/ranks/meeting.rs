//! The meeting of the ranks: rank 0 writes its address into a file next to the run folder, the others connect to
//! it, and then each to each.
//!
//! torchrun itself listens on `MASTER_PORT`, so rank 0 takes a free port. A secret token in the file keeps
//! other programs out.

use super::link::Link;
use super::mesh::Mesh;
use super::place::Place;
use super::{Alone, Ranks};
use crate::base::usage::Usage;
use anyhow::{Context, Result, anyhow, bail};
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// First words of a connection.
const MAGIC: &str = "ucftrain ranks 1";
/// Largest message of a meeting, and largest meeting file.
const MOST_BYTES: u64 = 1 << 20;
/// Time for the first words of a connection, and between attempts to connect.
const GREETING: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(50);

/// How ranks meet.
#[derive(Clone, Debug)]
pub struct Meeting<'a> {
    /// This process.
    pub place: &'a Place,
    /// The run folder. All ranks must see the folder that contains it.
    pub run: &'a Path,
    /// The address of this machine at which others reach it; none to find out.
    pub interface: Option<IpAddr>,
    /// Longest time to wait for other ranks, now and in each exchange.
    pub timeout: Duration,
}

/// The facts that the others need to reach rank 0.
#[derive(Serialize, Deserialize)]
struct Notice {
    id: String,
    address: SocketAddr,
    token: String,
}

/// The first words of a connection.
#[derive(Serialize, Deserialize)]
struct Hello {
    magic: String,
    token: String,
    rank: usize,
    size: usize,
    /// Where the rank listens.
    address: SocketAddr,
}

#[derive(Serialize, Deserialize)]
enum Answer {
    Welcome,
    Refused(String),
}

/// Connects all ranks of a run.
///
/// # Errors
/// A rank does not come in time, or does not belong to the run.
pub fn meet(meeting: &Meeting<'_>) -> Result<Arc<dyn Ranks>> {
    let Place { rank, size, .. } = *meeting.place;
    if size == 1 {
        return Ok(Arc::new(Alone));
    }
    let deadline = Instant::now() + meeting.timeout;
    let links = if rank == 0 { meeting.host(deadline) } else { meeting.join(deadline) }?;
    Ok(Arc::new(Mesh::new(rank, links)))
}

impl Meeting<'_> {
    /// Meets as rank 0.
    fn host(&self, deadline: Instant) -> Result<Vec<Option<Link>>> {
        let listener = listen(self.interface()?)?;
        let address = listener.local_addr().context("cannot read the own address")?;
        let token = token()?;
        let notice = Notice { id: self.place.id.clone(), address, token: token.clone() };
        let _file = NoticeFile::write(self.file()?, &notice)?;
        let mut streams: Vec<Option<TcpStream>> = (0..self.place.size).map(|_| None).collect();
        let mut addresses = vec![address; self.place.size];
        while streams.iter().skip(1).any(Option::is_none) {
            let missing = || (1..streams.len()).filter(|&rank| streams[rank].is_none()).collect::<Vec<_>>();
            let stream = accept(&listener, deadline)?.ok_or_else(|| self.absent(&missing()))?;
            if let Some(hello) = self.greet(&stream, &token, &streams) {
                addresses[hello.rank] = hello.address;
                streams[hello.rank] = Some(stream);
            }
        }
        for (rank, stream) in streams.iter().enumerate() {
            if let Some(stream) = stream {
                tell(stream, &addresses).map_err(|_| ended(rank))?;
            }
        }
        self.links(streams)
    }

    /// Meets as another rank.
    fn join(&self, deadline: Instant) -> Result<Vec<Option<Link>>> {
        let (first, notice) = self.reach_first(deadline)?;
        let own = first.local_addr().context("cannot read the own address")?;
        let listener = listen(self.interface.unwrap_or(own.ip()))?;
        let address = listener.local_addr().context("cannot read the own address")?;
        let Place { rank, size, .. } = *self.place;
        let hello = || Hello { magic: MAGIC.into(), token: notice.token.clone(), rank, size, address };
        introduce(&first, 0, &hello())?;
        wait(&first, deadline.saturating_duration_since(Instant::now()))?;
        let addresses: Vec<SocketAddr> = hear(&first).map_err(|_| ended(0))?;
        let mut streams: Vec<Option<TcpStream>> = (0..size).map(|_| None).collect();
        streams[0] = Some(first);
        for other in 1..rank.min(addresses.len()) {
            let stream = TcpStream::connect_timeout(&addresses[other], GREETING)
                .map_err(|error| anyhow!("cannot connect to rank {other} at {}: {error}", addresses[other]))?;
            introduce(&stream, other, &hello())?;
            streams[other] = Some(stream);
        }
        while let Some(missing) = (rank + 1..size).find(|&other| streams[other].is_none()) {
            let stream = accept(&listener, deadline)?.ok_or_else(|| self.absent(&[missing]))?;
            if let Some(hello) = self.greet(&stream, &notice.token, &streams) {
                streams[hello.rank] = Some(stream);
            }
        }
        self.links(streams)
    }

    /// Waits for the notice of rank 0 and connects to it. A notice of an earlier run may still be there.
    fn reach_first(&self, deadline: Instant) -> Result<(TcpStream, Notice)> {
        let path = self.file()?;
        loop {
            if let Ok(bytes) = clipshard::read_regular(&path, MOST_BYTES)
                && let Ok(notice) = serde_json::from_slice::<Notice>(&bytes)
                && notice.id == self.place.id
                && let Ok(stream) = TcpStream::connect_timeout(&notice.address, GREETING)
            {
                return Ok((stream, notice));
            }
            if Instant::now() >= deadline {
                bail!(
                    "rank 0 did not come within {} s (--timeout): there is no {}; all ranks need the same --run, in a \
                     folder that all of them see",
                    self.timeout.as_secs_f64(),
                    path.display()
                );
            }
            thread::sleep(PAUSE);
        }
    }

    /// Reads the first words of a connection. Returns none if it does not belong to the run, and tells the
    /// other side why.
    fn greet(&self, stream: &TcpStream, token: &str, streams: &[Option<TcpStream>]) -> Option<Hello> {
        let size = self.place.size;
        wait(stream, GREETING).ok()?;
        let hello: Hello = hear(stream).ok().filter(|hello: &Hello| hello.magic == MAGIC)?;
        let fault = if hello.token != token {
            "its token is not that of this run".to_owned()
        } else if hello.size != size {
            format!("it belongs to {} ranks, but this run has {size}", hello.size)
        } else if hello.rank <= self.place.rank || hello.rank >= size {
            format!("there is no rank {} to wait for", hello.rank)
        } else if streams[hello.rank].is_some() {
            format!("rank {} is already there", hello.rank)
        } else {
            tell(stream, &Answer::Welcome).ok()?;
            return Some(hello);
        };
        let _ = tell(stream, &Answer::Refused(fault));
        None
    }

    fn links(&self, streams: Vec<Option<TcpStream>>) -> Result<Vec<Option<Link>>> {
        let link = |(rank, stream): (usize, Option<TcpStream>)| {
            stream.map(|stream| Link::new(rank, stream, self.timeout)).transpose()
        };
        streams.into_iter().enumerate().map(link).collect()
    }

    /// Returns the address of this machine at which the other ranks reach it.
    fn interface(&self) -> Result<IpAddr> {
        if let Some(interface) = self.interface {
            return Ok(interface);
        }
        if self.place.is_local() {
            return Ok(Ipv4Addr::LOCALHOST.into());
        }
        // Sends nothing: the system only chooses the interface of the default route.
        let found = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).and_then(|socket| {
            socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9))?;
            socket.local_addr()
        });
        let found = found.map_err(|error| {
            Usage(format!("cannot find the address of this machine ({error}); name it with --interface ADDRESS"))
        })?;
        Ok(found.ip())
    }

    /// Returns the path of the notice, next to the run folder, which may not exist yet.
    fn file(&self) -> Result<PathBuf> {
        let run = std::path::absolute(self.run).with_context(|| self.run.display().to_string())?;
        let (Some(folder), Some(name)) = (run.parent(), run.file_name()) else {
            bail!(Usage(format!("--run {}: not a folder for a run; name another one", run.display())));
        };
        let mut file = OsString::from(".");
        file.push(name);
        file.push(".ranks");
        Ok(folder.join(file))
    }

    fn absent(&self, ranks: &[usize]) -> anyhow::Error {
        let names: Vec<String> = ranks.iter().map(ToString::to_string).collect();
        let (noun, names) = (if ranks.len() == 1 { "rank" } else { "ranks" }, names.join(", "));
        anyhow!(
            "{noun} {names} did not come within {} s (--timeout); start {} processes, all with the same --run",
            self.timeout.as_secs_f64(),
            self.place.size
        )
    }
}

/// The notice of rank 0, which it removes after the meeting.
struct NoticeFile(PathBuf);

impl NoticeFile {
    fn write(path: PathBuf, notice: &Notice) -> Result<Self> {
        let write = || -> Result<()> {
            let folder = path.parent().unwrap_or(Path::new("."));
            std::fs::create_dir_all(folder)?;
            // Only this user can read a temporary file, and so the token.
            let mut file = tempfile::NamedTempFile::new_in(folder)?;
            file.write_all(&serde_json::to_vec(notice)?)?;
            file.persist(&path)?;
            Ok(())
        };
        write().with_context(|| format!("{}: cannot write the address of rank 0", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for NoticeFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn listen(interface: IpAddr) -> Result<TcpListener> {
    let listener = TcpListener::bind((interface, 0));
    Ok(listener.map_err(|error| {
        Usage(format!("cannot listen at {interface}: {error}; name an address of this machine with --interface"))
    })?)
}

/// Waits for a connection. Returns none if none has come before the deadline.
fn accept(listener: &TcpListener, deadline: Instant) -> Result<Option<TcpStream>> {
    let context = "cannot wait for other ranks";
    listener.set_nonblocking(true).context(context)?;
    while Instant::now() < deadline {
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(false).context(context)?;
                return Ok(Some(stream));
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => thread::sleep(PAUSE / 10),
            Err(error) => return Err(error).context(context),
        }
    }
    Ok(None)
}

/// Tells the rank at the other end who this is.
fn introduce(stream: &TcpStream, other: usize, hello: &Hello) -> Result<()> {
    wait(stream, 2 * GREETING)?;
    match tell(stream, hello).and_then(|()| hear(stream)).map_err(|_| ended(other))? {
        Answer::Welcome => Ok(()),
        Answer::Refused(fault) => bail!(
            "rank {other} refused this process: {fault}; start all ranks with one launcher, and only one launcher per \
             --run"
        ),
    }
}

fn ended(rank: usize) -> anyhow::Error {
    anyhow!("rank {rank} ended, or was not ready, while the ranks met; see its message")
}

fn wait(stream: &TcpStream, longest: Duration) -> Result<()> {
    Ok(stream.set_read_timeout(Some(longest.max(PAUSE))).and_then(|()| stream.set_write_timeout(Some(GREETING)))?)
}

/// Sends a value: the length of its JSON text, and the text.
fn tell<T: Serialize>(mut stream: &TcpStream, value: &T) -> Result<()> {
    let text = serde_json::to_vec(value)?;
    stream.write_all(&(text.len() as u32).to_le_bytes())?;
    Ok(stream.write_all(&text)?)
}

/// Receives a value that [`tell`] sent.
fn hear<T: for<'de> Deserialize<'de>>(mut stream: &TcpStream) -> Result<T> {
    let mut len = [0; 4];
    stream.read_exact(&mut len)?;
    let len = u64::from(u32::from_le_bytes(len));
    if len > MOST_BYTES {
        bail!("a message of {len} bytes");
    }
    let mut text = Vec::new();
    stream.take(len).read_to_end(&mut text)?;
    Ok(serde_json::from_slice(&text)?)
}

/// Returns a secret that only the ranks of this run know.
fn token() -> Result<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| anyhow!("cannot get random bytes from the system: {error}"))?;
    Ok(format!("{:032x}", u128::from_le_bytes(bytes)))
}

#[cfg(test)]
mod tests;
