//! One run of a build: what of the plan is to be done, doing it, and what is said of it.

mod made;
mod planned;
mod round;
mod run;
mod shards;
mod task;

pub(super) use planned::Job;
