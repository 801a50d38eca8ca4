//! `ucfpack export`.

use ucfpack::console::{self, Page};
use ucfpack::export::{ExportOptions, PixelFormat, export};
use ucfpack::progress::{Progress, Watch};
use ucfpack::quantity::{show_bytes, show_count};

use super::common::{check_folder, clips_of, images_of};
use super::signals::cancel_on_signals;
use super::threads::{processors, use_threads};
use crate::cli::{ExportArgs, PixelsArg};

pub fn run_export(args: &ExportArgs) -> anyhow::Result<()> {
    check_folder(&args.dir)?;
    use_threads(args.jobs.map_or_else(processors, usize::from))?;
    let cancel = cancel_on_signals()?;
    let progress = Progress::on_stderr();
    let options = ExportOptions {
        out: args.out.clone(),
        clips: args.clip.clone(),
        pixels: match args.pixels {
            PixelsArg::Jpeg => PixelFormat::Jpeg,
            PixelsArg::Png => PixelFormat::Png,
        },
        overwrite: args.overwrite,
    };
    let report = export(&args.dir, &options, Watch { progress: &progress, cancel: &cancel })?;
    console::notes(&report.notes);
    let mut page = Page::default();
    page.line(format_args!(
        "exported {}, {} byte for byte, {} encoded from pixels, {} to {}",
        clips_of(report.clips),
        images_of(report.untouched),
        show_count(report.encoded),
        show_bytes(report.bytes),
        args.out.display()
    ));
    page.write_summary();
    Ok(())
}
