//! Trains, evaluates and fuses two-stream action recognition networks straight from clip shards.

pub mod fuse;
pub mod fusion;
pub mod scores;
pub mod usage;
