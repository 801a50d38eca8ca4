//! How shards are read, as it is named on the command line.

use clipshard::Access;

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
    /// The same for the shards' crate.
    pub fn access(self) -> Access {
        match self {
            Self::Mmap => Access::Map,
            Self::Pread => Access::Read,
        }
    }
}
