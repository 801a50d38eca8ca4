//! `ucfpack completions` and `ucfpack man`.

use std::fs;

use anyhow::Context;
use ucfpack::console;

use crate::cli::{CompletionsArgs, ManArgs, definition};

pub fn run_completions(args: &CompletionsArgs) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut definition(), "ucfpack", &mut script);
    Ok(console::write_stdout(&script)?)
}

/// Writes the man pages. A temporary folder receives them first, so that a full disk leaves no truncated page.
pub fn run_man(args: &ManArgs) -> anyhow::Result<()> {
    let dir = &args.dir;
    fs::create_dir_all(dir).with_context(|| format!("{}: cannot create the folder", dir.display()))?;
    let fault = || format!("{}: cannot write the man pages", dir.display());
    let whole = tempfile::Builder::new().prefix(".man-").tempdir_in(dir).with_context(fault)?;
    clap_mangen::generate_to(definition(), whole.path()).with_context(fault)?;
    for page in fs::read_dir(whole.path()).with_context(fault)? {
        let page = page.with_context(fault)?;
        let text = fs::read_to_string(page.path()).with_context(fault)?;
        // The generator has no heading of its own for examples.
        let text = text.replace(".SH EXTRA\nExamples:\n", ".SH EXAMPLES\n");
        fs::write(page.path(), text).with_context(fault)?;
        fs::rename(page.path(), dir.join(page.file_name())).with_context(fault)?;
    }
    Ok(())
}
