//! How shards are read, as it is named on the command line.

use anyhow::anyhow;
use clipshard::{Access, Dataset, Error};
use std::path::Path;

/// How the bytes of shards are reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Io {
    /// Through a read-only memory map.
    #[default]
    Mmap,
    /// By reading each record.
    Pread,
}

impl Io {
    /// Opens a data set. Errors name the option or the program that helps.
    pub fn open(self, dir: &Path) -> anyhow::Result<Dataset> {
        Dataset::open_with(dir, self.access()).map_err(|error| match error {
            Error::Map { .. } => anyhow!("{error}; --io pread reads without a map"),
            Error::NoManifest { .. } => anyhow!("{error}, which `ucfpack build` makes"),
            error => error.into(),
        })
    }

    /// The same for the shards' crate.
    pub fn access(self) -> Access {
        match self {
            Self::Mmap => Access::Map,
            Self::Pread => Access::Read,
        }
    }
}
