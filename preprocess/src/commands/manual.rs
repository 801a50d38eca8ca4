//! `ucfpack completions` and `ucfpack man`, from the definitions in `cli`.

use std::fs;
use std::io;

use anyhow::Context;
use clap::CommandFactory;

use crate::cli::{Cli, CompletionsArgs, ManArgs};

pub fn run_completions(args: &CompletionsArgs) {
    clap_complete::generate(args.shell, &mut Cli::command(), "ucfpack", &mut io::stdout().lock());
}

pub fn run_man(args: &ManArgs) -> anyhow::Result<()> {
    let dir = &args.dir;
    fs::create_dir_all(dir).with_context(|| format!("{}: cannot create the folder", dir.display()))?;
    clap_mangen::generate_to(Cli::command(), dir)
        .with_context(|| format!("{}: cannot write the man pages", dir.display()))
}
