//! Computes flow between the frames of a video. The CPU uses several threads per clip; a GPU
//! computes many pairs at once.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

#[cfg(feature = "cuda")]
use clip_flow::CudaTvL1;
use clip_flow::{Dis, DisParams, Flow, TvL1, TvL1Params};
use rayon::prelude::*;

use super::options::{FlowMethod, VideoOptions};
use crate::error::{Error, Problem, Result, Setting};

/// Number of pairs that a GPU computes at once for each job. One job per CPU core then keeps the
/// GPU busy.
#[cfg(feature = "cuda")]
const GPU_PAIRS: usize = 32;
/// Largest number of pairs of a clip that the CPU computes at once. A flow takes 0.7 MB.
const MOST_PAIRS: usize = 16;

/// Receives the grey frames of a video one by one, and produces the flow between consecutive
/// frames.
pub(super) struct FlowMaker {
    size: (u16, u16),
    /// Frames whose flow is not yet computed, the oldest first.
    frames: Vec<u8>,
    /// Number of pairs that are computed at once.
    pairs: usize,
    by: By,
}

enum By {
    Processor {
        method: FlowMethod,
        solvers: Solvers,
        flows: Vec<Flow>,
    },
    #[cfg(feature = "cuda")]
    Gpu(Box<CudaTvL1>),
}

impl FlowMaker {
    /// Creates a maker for frames of a width and height. `threads` may help with a clip.
    pub fn new(
        method: FlowMethod,
        options: VideoOptions,
        solvers: Solvers,
        threads: usize,
        size: (u16, u16),
    ) -> Result<Self> {
        options.check()?;
        let (pairs, by) = match (method, options.gpu) {
            #[cfg(feature = "cuda")]
            (FlowMethod::TvL1, Some(gpu)) => on_gpu(gpu, size)?,
            _ => {
                // Some pairs take longer than others, so each thread gets several.
                let pairs = if threads <= 1 { 1 } else { (4 * threads).min(MOST_PAIRS) };
                (pairs, By::Processor { method, solvers, flows: Vec::new() })
            }
        };
        Ok(Self { size, frames: Vec::new(), pairs, by })
    }

    /// Returns the width and height of its frames.
    pub fn size(&self) -> (u16, u16) {
        self.size
    }

    fn pixels(&self) -> usize {
        usize::from(self.size.0) * usize::from(self.size.1)
    }

    /// Forgets all frames: the next one is the first of a video.
    pub fn restart(&mut self) {
        self.frames.clear();
    }

    /// Adds a frame, and passes the flows that are complete to `each`.
    pub fn push(&mut self, grey: &[u8], each: impl FnMut(&Flow) -> Result<()>) -> Result<()> {
        self.frames.extend_from_slice(grey);
        if self.frames.len() <= self.pairs * self.pixels() { Ok(()) } else { self.give(each) }
    }

    /// Passes the remaining flows to `each`.
    pub fn finish(&mut self, each: impl FnMut(&Flow) -> Result<()>) -> Result<()> {
        let outcome = if self.frames.len() > self.pixels() { self.give(each) } else { Ok(()) };
        self.restart();
        outcome
    }

    /// Computes the flow between all stored frames. Keeps only the last frame.
    fn give(&mut self, each: impl FnMut(&Flow) -> Result<()>) -> Result<()> {
        let (size, pixels) = (self.size, self.pixels());
        match &mut self.by {
            By::Processor { method, solvers, flows } => {
                let frames: Vec<&[u8]> = self.frames.chunks_exact(pixels).collect();
                flows.resize_with(frames.len() - 1, Flow::default);
                let compute = |(pair, flow): (usize, &mut Flow)| {
                    solvers.with(*method, size, |solver| solver.compute(frames[pair], frames[pair + 1], flow))
                };
                let computed = if flows.len() == 1 {
                    flows.iter_mut().enumerate().try_for_each(compute)
                } else {
                    flows.par_iter_mut().enumerate().try_for_each(compute)
                };
                computed.map_err(|error| too_large(&error))?;
                flows.iter().try_for_each(each)?;
            }
            #[cfg(feature = "cuda")]
            By::Gpu(solver) => solver.compute(&self.frames).map_err(gpu_fault)?.iter().try_for_each(each)?,
        }
        self.frames.drain(..self.frames.len() - pixels);
        Ok(())
    }
}

/// Idle solvers, shared by all threads that work on the videos of one source. A solver holds 13 MB.
#[derive(Debug, Clone, Default)]
pub(super) struct Solvers(Arc<Mutex<Vec<Waiting>>>);

#[derive(Debug)]
struct Waiting {
    method: FlowMethod,
    size: (u16, u16),
    solver: Solver,
}

#[derive(Debug)]
enum Solver {
    TvL1(Box<TvL1>),
    Dis(Box<Dis>),
}

impl Solvers {
    fn lock(&self) -> MutexGuard<'_, Vec<Waiting>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls `work` with an idle solver for a method and size, or with a new one.
    fn with<T>(
        &self,
        method: FlowMethod,
        size: (u16, u16),
        work: impl FnOnce(&mut Solver) -> clip_flow::Result<T>,
    ) -> clip_flow::Result<T> {
        let taken = {
            let mut waiting = self.lock();
            let fits = waiting.iter().rposition(|waiting| (waiting.method, waiting.size) == (method, size));
            fits.map(|index| waiting.remove(index))
        };
        let mut solver = match taken {
            Some(taken) => taken.solver,
            None => Solver::new(method, size)?,
        };
        let result = work(&mut solver);
        let mut waiting = self.lock();
        waiting.push(Waiting { method, size, solver });
        // The oldest idle solver has a size that has not been used for a while.
        if waiting.len() > rayon::current_num_threads() {
            waiting.remove(0);
        }
        result
    }
}

impl Solver {
    fn new(method: FlowMethod, (width, height): (u16, u16)) -> clip_flow::Result<Self> {
        let (width, height) = (width.into(), height.into());
        Ok(match method {
            FlowMethod::TvL1 => Self::TvL1(TvL1::new(width, height, TvL1Params::default())?.into()),
            FlowMethod::Dis => Self::Dis(Dis::new(width, height, DisParams::MEDIUM)?.into()),
        })
    }

    fn compute(&mut self, first: &[u8], second: &[u8], flow: &mut Flow) -> clip_flow::Result<()> {
        match self {
            Self::TvL1(solver) => solver.compute(first, second, flow),
            Self::Dis(solver) => solver.compute(first, second, flow),
        }
    }
}

fn too_large(error: &clip_flow::Error) -> Error {
    Error::usage(Problem::from(Setting::ShortSide).then(format!(": {error}")))
}

#[cfg(feature = "cuda")]
fn on_gpu(gpu: usize, (width, height): (u16, u16)) -> Result<(usize, By)> {
    let solver =
        CudaTvL1::new(gpu, width.into(), height.into(), TvL1Params::default(), GPU_PAIRS).map_err(gpu_fault)?;
    Ok((solver.pairs(), By::Gpu(solver.into())))
}

#[cfg(feature = "cuda")]
fn gpu_fault(error: clip_flow::Error) -> Error {
    match error {
        clip_flow::Error::GpuFull { ordinal } => Error::input(
            on_device(ordinal, "the GPU is out of memory; reduce ")
                .name(Setting::Jobs)
                .then(", or use the CPU: remove ")
                .name(Setting::Device),
        ),
        clip_flow::Error::Gpu { ordinal, reason } => {
            Error::input(on_device(ordinal, &format!("{reason}; to use the CPU, remove ")).name(Setting::Device))
        }
        other => too_large(&other),
    }
}

#[cfg(feature = "cuda")]
fn on_device(ordinal: usize, words: &str) -> Problem {
    Problem::from(Setting::Device).then(format!(" cuda:{ordinal}: {words}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the flows of videos of shifted frames, made one after another by the same maker.
    fn made(pairs: usize, videos: &[Vec<usize>], frame: impl Fn(usize) -> Vec<u8>) -> Vec<Vec<Flow>> {
        let options = VideoOptions::default();
        let mut maker = FlowMaker::new(FlowMethod::Dis, options, Solvers::default(), 1, (24, 16)).unwrap();
        maker.pairs = pairs;
        let mut flows_of = |video: &Vec<usize>| {
            let mut found = Vec::new();
            let mut given = |flow: &Flow| {
                found.push(flow.clone());
                Ok(())
            };
            maker.restart();
            video.iter().try_for_each(|&shift| maker.push(&frame(shift), &mut given)).unwrap();
            maker.finish(&mut given).unwrap();
            found
        };
        videos.iter().map(&mut flows_of).collect()
    }

    #[test]
    fn flow_is_given_between_neighbours_of_a_video_and_not_across_two() {
        let frame = |shift: usize| (0..24 * 16).map(|i| (7 * (i % 24 + shift) % 251) as u8).collect::<Vec<_>>();
        let videos = [vec![0, 1, 3, 3, 7, 9], vec![5, 4], vec![2], vec![], vec![8, 9, 9, 10, 11]];
        let mut solver = Dis::new(24, 16, DisParams::MEDIUM).unwrap();
        let mut flow = |pair: &[usize]| {
            let mut flow = Flow::default();
            solver.compute(&frame(pair[0]), &frame(pair[1]), &mut flow).unwrap();
            flow
        };
        let expected: Vec<Vec<Flow>> = videos.iter().map(|video| video.windows(2).map(&mut flow).collect()).collect();
        assert_ne!(expected[0][0], expected[0][1]);
        for pairs in 1..8 {
            assert_eq!(made(pairs, &videos, frame), expected, "{pairs} at once");
        }
    }
}
