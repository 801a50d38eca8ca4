//! The option `--io`: how to read shards.

use crate::base::heading::INPUT;
use anyhow::anyhow;
use clipshard::{Access, Dataset, Error};
use std::path::Path;

/// How to read the bytes of shards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Io {
    /// Map the files into memory
    #[default]
    Mmap,
    /// Read each record with a system call
    Pread,
}

/// The option `--io`.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct IoArgs {
    /// How to read shards
    ///
    /// Use pread if the file system cannot map files. With mmap, a disk error ends the program at
    /// once; pread reports it as an error.
    #[arg(long, value_enum, default_value_t, help_heading = INPUT)]
    pub io: Io,
}

impl Io {
    /// Opens some streams of a dataset, so that missing or damaged shards of the other streams are no
    /// error. Errors name the option or the program that helps.
    pub fn open(self, dir: &Path, streams: &[&str]) -> anyhow::Result<Dataset> {
        Dataset::open_streams(dir, streams, self.access()).map_err(|error| match error {
            Error::Map { .. } => anyhow!("{error}; use --io pread"),
            Error::NoManifest { dir } if !dir.exists() => {
                anyhow!("{}: the dataset folder does not exist; check the path", dir.display())
            }
            error @ Error::NoManifest { .. } => anyhow!("{error}, which `ucfpack build` makes"),
            error => error.into(),
        })
    }

    /// Returns the same choice as a type of `clipshard`.
    pub fn access(self) -> Access {
        match self {
            Self::Mmap => Access::Map,
            Self::Pread => Access::Read,
        }
    }
}
