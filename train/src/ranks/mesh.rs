//! Ranks that are connected by TCP, each with all others.

use super::link::{HEADER, Kind, Label, Link};
use super::{PartialSum, Ranks, Traffic};
use anyhow::{Result, anyhow, bail};
use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Ranks that are connected by TCP.
#[derive(Debug)]
pub(super) struct Mesh {
    rank: usize,
    /// The connections by rank; none to this rank itself.
    links: Vec<Option<Link>>,
    /// Number of the next message.
    next: AtomicU32,
    traffic: Mutex<Traffic>,
}

impl Mesh {
    /// Wraps connections. `links[rank]` is none, and all others are connections to the rank of their place.
    pub(super) fn new(rank: usize, links: Vec<Option<Link>>) -> Self {
        Self { rank, links, next: AtomicU32::new(0), traffic: Mutex::default() }
    }

    /// Sends to each other rank what `message` returns, and receives from each with `receive`, in the order
    /// of the ranks. Calls `receive` without a connection for this rank.
    ///
    /// Each connection has a thread that sends, so no rank waits for a rank that waits for it.
    fn exchange<'m>(
        &self,
        kind: Kind,
        message: impl Fn(usize) -> Option<&'m [u8]>,
        mut receive: impl FnMut(usize, Option<(&Link, Label)>) -> Result<()>,
    ) -> Result<()> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let label = Label { kind, number };
        let (start, mut sent, mut waiting) = (Instant::now(), 0, Duration::ZERO);
        let done = thread::scope(|scope| {
            let mut senders = Vec::new();
            for (rank, link) in self.links.iter().enumerate() {
                let Some(link) = link else { continue };
                let bytes = message(rank);
                let label = Label { kind: if bytes.is_some() { kind } else { Kind::Nothing }, number };
                let bytes = bytes.unwrap_or_default();
                sent += (HEADER + bytes.len()) as u64;
                let sender = thread::Builder::new().spawn_scoped(scope, move || link.send(label, bytes));
                senders.push(sender.map_err(|error| anyhow!("cannot start a thread: {error}"))?);
            }
            let received = self.links.iter().enumerate().try_for_each(|(rank, link)| {
                let Some(link) = link else { return receive(rank, None) };
                let asked = Instant::now();
                link.await_message()?;
                waiting += asked.elapsed();
                receive(rank, Some((link, label)))
            });
            // The rank that was received from first is the one to blame.
            let sent = senders.into_iter().try_for_each(|sender| match sender.join() {
                Ok(sent) => sent,
                Err(_) => bail!("a thread that sends to another rank failed"),
            });
            received.and(sent)
        });
        let traffic = Traffic { sent, time: start.elapsed(), waiting };
        self.traffic.lock().unwrap_or_else(PoisonError::into_inner).add(traffic);
        done
    }

    /// Returns the part of the values that `rank` adds up.
    fn part(&self, rank: usize, len: usize) -> Range<usize> {
        let size = self.links.len();
        len * rank / size..len * (rank + 1) / size
    }
}

impl Ranks for Mesh {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.links.len()
    }

    fn start_sum(&self, len: usize) -> PartialSum {
        PartialSum { len, part: None }
    }

    fn add(&self, sum: &mut PartialSum, values: Option<&[f32]>) -> Result<()> {
        let (len, own) = (sum.len, self.part(self.rank, sum.len));
        let mut received = vec![0_f32; own.len()];
        let message = |rank| values.map(|values| bytemuck::cast_slice(&values[self.part(rank, len)]));
        // Each rank adds up a part of the values.
        let receive = |_, link: Option<(&Link, Label)>| {
            match link {
                None => values.into_iter().for_each(|values| sum.add(&values[own.clone()])),
                Some((link, label)) => {
                    if link.receive_into(label, bytemuck::cast_slice_mut(&mut received))? {
                        sum.add(&received);
                    }
                }
            }
            Ok(())
        };
        self.exchange(Kind::Part, message, receive)
    }

    fn total(&self, sum: PartialSum) -> Result<Vec<f32>> {
        let PartialSum { len, part } = sum;
        let own = part.unwrap_or_else(|| vec![0.0; self.part(self.rank, len).len()]);
        let mut all = vec![0.0; len];
        self.exchange(
            Kind::Sum,
            |_| Some(bytemuck::cast_slice(&own)),
            |rank, link| {
                let place = &mut all[self.part(rank, len)];
                match link {
                    None => place.copy_from_slice(&own),
                    Some((link, label)) => {
                        link.receive_into(label, bytemuck::cast_slice_mut(place))?;
                    }
                }
                Ok(())
            },
        )?;
        Ok(all)
    }

    fn gather(&self, own: Vec<u8>) -> Result<Vec<Vec<u8>>> {
        let mut all = Vec::with_capacity(self.size());
        self.exchange(
            Kind::Gather,
            |_| Some(&own),
            |_, link| {
                all.push(match link {
                    None => own.clone(),
                    Some((link, label)) => link.receive(label)?,
                });
                Ok(())
            },
        )?;
        Ok(all)
    }

    fn traffic(&self) -> Traffic {
        *self.traffic.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
