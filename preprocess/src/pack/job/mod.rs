//! One run of a build. [`Job`] holds the plan: the clips, their files and the shards of each
//! stream.
//!
//! A run first looks for the shards that are already finished and decides the [`task::Task`] of
//! each clip (`round`). It then reads, encodes and writes the clips (`run`) and moves the finished
//! dataset to its place (`shards`). `made` compares an existing dataset with the plan.

mod made;
mod planned;
mod round;
mod run;
mod shards;
mod task;

pub(crate) use planned::Job;
