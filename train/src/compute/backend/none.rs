//! Replacement of the module `cuda` in a build without CUDA. Its types have no values, and no
//! device is a GPU.

use crate::base::usage::Usage;
use crate::compute::profile::Profile;
use anyhow::bail;
use candle_core::{DType, Device, Error, Result, Tensor};
use std::collections::BTreeMap;

/// The algorithms that a GPU chose, by operation.
pub type Choices = BTreeMap<String, String>;

/// Returns none, because a build without CUDA finds no GPU.
#[expect(clippy::unnecessary_wraps, reason = "looking for a GPU can fail in a build with CUDA")]
pub fn first() -> anyhow::Result<Option<usize>> {
    Ok(None)
}

/// Returns an error, because a build without CUDA cannot open a GPU.
pub fn open(ordinal: usize, _tf32: bool, _deterministic: bool) -> anyhow::Result<(Device, String)> {
    bail!(Usage(format!(
        "--device cuda:{ordinal}: this program was built without CUDA; \
         build it with --features cuda, or use --device cpu"
    )))
}

fn missing() -> Error {
    Error::Msg("this program was built without CUDA".to_owned())
}

/// Page-locked memory.
#[derive(Debug)]
pub enum Pinned {}

impl Pinned {
    pub fn new(_: &Device, _: usize) -> Result<Self> {
        Err(missing())
    }

    pub fn bytes_mut(&mut self) -> Result<&mut [u8]> {
        match *self {}
    }
}

/// Copies to a GPU.
#[derive(Debug)]
pub enum Uploads {}

/// One copy to a GPU.
#[derive(Debug)]
pub enum Upload {}

impl Uploads {
    pub fn new(_: &Device, _: usize) -> Result<Self> {
        Err(missing())
    }

    pub fn push(&mut self, _: &[u8]) -> Result<()> {
        match *self {}
    }

    pub fn finish(&mut self) -> Result<Upload> {
        match *self {}
    }

    pub fn arrive(&self, _: &Upload) -> Result<()> {
        match *self {}
    }

    pub fn tensor(&self, _: &Upload) -> Result<Tensor> {
        match *self {}
    }

    pub fn release(&mut self, _: &Upload) -> Result<()> {
        match *self {}
    }
}

impl Upload {
    pub fn slot(&self) -> usize {
        match *self {}
    }

    pub fn wait(&self) -> Result<()> {
        match *self {}
    }
}

/// Copies from a GPU.
#[derive(Debug)]
pub enum Downloads {}

/// One copy from a GPU.
#[derive(Debug)]
pub enum Download {}

impl Downloads {
    pub fn new(_: &Device, _: usize) -> Result<Self> {
        Err(missing())
    }

    pub fn start(&mut self, _: &[&Tensor]) -> Result<Download> {
        match *self {}
    }

    pub fn finish(&mut self, _: &Download) -> Result<Vec<f32>> {
        match *self {}
    }
}

/// Recorded work of a GPU.
#[derive(Debug)]
pub enum Recording {}

impl Recording {
    pub fn run(&self) -> Result<()> {
        match *self {}
    }
}

pub fn rehearse<T>(_: &Device, _work: impl FnOnce() -> Result<T>) -> Result<T> {
    Err(missing())
}

pub fn record(_: &Device, _work: impl FnOnce() -> Result<()>) -> Result<Recording> {
    Err(missing())
}

pub fn profile(_: &Device, _: DType, _work: impl FnOnce() -> Result<()>) -> Result<Profile> {
    Err(missing())
}

pub fn choices(_: &Device) -> Result<Choices> {
    Err(missing())
}

pub fn follow(_: &Device, _: Choices) -> Result<()> {
    Err(missing())
}

pub fn cudnn_version() -> usize {
    0
}
