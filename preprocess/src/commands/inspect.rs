//! `ucfpack verify` and `ucfpack inspect`.

use std::time::Instant;

use clipshard::{Attributes, Dataset, Error as FormatError, Subset, VerifyDepth};
use serde_json::json;
use ucfpack::Error;
use ucfpack::attributes::show_attributes;
use ucfpack::console::{self, Page};
use ucfpack::inspect::{ClipSummary, RecordSummary, SplitSummary, Summary, find_clip, summarise, summarise_clip};
use ucfpack::progress::Progress;
use ucfpack::quantity::{counted, show_bytes, show_count};
use ucfpack::sheet::write_sheet;
use ucfpack::verify::{Rebuilt, rebuild_manifest, verify};

use super::common::{check_folder, clips_of};
use super::threads::{processors, use_threads};
use crate::cli::{InspectArgs, VerifyArgs};

/// Number of classes up to which they are listed. More are only counted.
const CLASSES_SHOWN: usize = 24;
/// Number of shards up to which they are listed. More are only counted.
const SHARDS_SHOWN: usize = 12;

pub fn run_verify(args: &VerifyArgs) -> anyhow::Result<()> {
    check_folder(&args.dir)?;
    use_threads(args.jobs.map_or_else(processors, usize::from))?;
    let started = Instant::now();
    let (depth, what) = match (args.quick, args.checksums) {
        (true, _) => (VerifyDepth::Quick, "indexes of"),
        (_, true) => (VerifyDepth::Checksums, "checksums of"),
        _ => (VerifyDepth::Deep, "every pixel of"),
    };
    if args.rebuild_manifest {
        console::notes(match rebuild_manifest(&args.dir)? {
            Rebuilt::Whole => vec!["the manifest is undamaged; nothing was rebuilt".into()],
            Rebuilt::Written { mut notes } => {
                notes.insert(0, "rebuilt the manifest from the shards".into());
                notes
            }
        });
    }
    let report = verify(&args.dir, depth, &Progress::on_stderr())?;
    let seconds = started.elapsed().as_secs_f64();
    let shown = if args.json {
        console::write_json(&json!({
            "records": report.records,
            "bytes": report.bytes,
            "seconds": seconds,
            "damage": report.damage.iter().map(ToString::to_string).collect::<Vec<_>>(),
        }))
    } else {
        let mut page = Page::default();
        for damage in &report.damage {
            page.line(damage);
        }
        let rate = show_bytes((report.bytes as f64 / seconds.max(1e-3)) as u64);
        let verdict = if report.damage.is_empty() { "no damage" } else { "damaged" };
        page.line(format_args!(
            "checked {what} {}, {} in {seconds:.1} s ({rate}/s): {verdict}",
            counted(report.records, "record", "records"),
            show_bytes(report.bytes)
        ));
        page.write_result()
    };
    if report.damage.is_empty() {
        return Ok(shown?);
    }
    let damaged = Error::Damaged { path: args.dir.clone(), count: report.damage.len() };
    if let [FormatError::Manifest { .. } | FormatError::ManifestChecksum { .. }] = report.damage.as_slice() {
        console::notes(["--rebuild-manifest rebuilds the manifest from the shards"]);
    }
    // The message names both faults: the damage, and that its places could not be printed.
    Err(match shown {
        Ok(()) => damaged.into(),
        Err(lost) => anyhow::Error::new(damaged).context(lost),
    })
}

pub fn run_inspect(args: &InspectArgs) -> anyhow::Result<()> {
    check_folder(&args.dir)?;
    let data = Dataset::open(&args.dir).map_err(Error::from)?;
    let clip = args.clip.as_deref().map(|id| find_clip(&data, id)).transpose()?;
    // The sheet comes first, so that it exists even if stdout is closed.
    if let Some(path) = &args.sheet {
        write_sheet(&data, clip, path)?;
        console::say(&format!("contact sheet: {}", console::escape(&path.display().to_string())));
    }
    if let Some(number) = clip {
        let summary = summarise_clip(&data, number)?;
        if args.json { console::write_json(&summary)? } else { show_clip(&summary).write_result()? }
    } else {
        let summary = summarise(&data)?;
        if args.json { console::write_json(&summary)? } else { show_summary(&summary).write_result()? }
    }
    Ok(())
}

fn show_summary(summary: &Summary) -> Page {
    let mut page = Page::default();
    let Summary { dataset, attributes, clips, unlabelled, classes, splits, groups, streams, build, .. } = summary;
    let groups = if *groups > 0 { format!(", {}", counted(*groups as u64, "group", "groups")) } else { String::new() };
    page.line(format_args!(
        "{dataset}: {}, {}, {}, {}{groups}",
        clips_of(*clips as u64),
        counted(classes.len() as u64, "class", "classes"),
        counted(splits.len() as u64, "split", "splits"),
        counted(streams.len() as u64, "stream", "streams")
    ));
    page.gap();
    page.line(format_args!(
        "{:<8}{:>8}{:>12}{:>12}{:>12}{:>12}{:>8}  stored as",
        "stream", "clips", "frames", "records", "bytes", "per record", "shards"
    ));
    for stream in streams {
        let RecordSummary { frames, records, .. } = stream.records;
        let total: u64 = stream.shards.iter().map(|shard| shard.bytes).sum();
        page.line(format_args!(
            "{:<8}{:>8}{:>12}{:>12}{:>12}{:>12}{:>8}  {}",
            stream.name,
            show_count(stream.clips as u64),
            show_count(frames),
            show_count(records),
            show_bytes(total),
            show_bytes(stream.records.mean_bytes()),
            stream.shards.len(),
            stored_as(&stream.records)
        ));
    }
    page.gap();
    show_splits(&mut page, splits);
    if classes.len() <= CLASSES_SHOWN {
        page.gap();
        page.line(format_args!("{:>5}  {:<28}{:>8}", "label", "class", "clips"));
        for (label, class) in classes.iter().enumerate() {
            page.line(format_args!("{label:>5}  {:<28}{:>8}", class.name, show_count(class.clips as u64)));
        }
    } else {
        let count = |class: &&ucfpack::inspect::ClassSummary| class.clips;
        if let (Some(least), Some(most)) = (classes.iter().min_by_key(count), classes.iter().max_by_key(count)) {
            page.gap();
            page.line(format_args!(
                "{} classes from {} to {} (--json lists all); fewest clips: {} {}, most: {} {}",
                classes.len(),
                classes[0].name,
                classes[classes.len() - 1].name,
                least.name,
                least.clips,
                most.name,
                most.clips
            ));
        }
    }
    if *unlabelled > 0 {
        page.line(format_args!("{:>5}  {:<28}{:>8}", "-", "(no label)", show_count(*unlabelled as u64)));
    }
    let shards: Vec<_> = streams.iter().flat_map(|stream| &stream.shards).collect();
    if shards.len() <= SHARDS_SHOWN {
        page.gap();
        page.line(format_args!("{:<28}{:>8}{:>12}{:>12}", "shard", "clips", "records", "bytes"));
        for shard in shards {
            page.line(format_args!(
                "{:<28}{:>8}{:>12}{:>12}",
                shard.file,
                show_count(shard.clips.into()),
                show_count(shard.records),
                show_bytes(shard.bytes)
            ));
        }
    } else {
        page.gap();
        page.line(format_args!("{} shards (--json lists all)", shards.len()));
    }
    page.gap();
    page.line("packed with");
    for (key, value) in build {
        let text = value.as_str().map_or_else(|| plain(value), str::to_owned);
        page.line(format_args!("  {key}: {text}"));
    }
    if !attributes.is_empty() {
        page.gap();
        show_attribute_lines(&mut page, attributes);
    }
    page
}

/// Adds a table of the splits, with a column for each subset.
fn show_splits(page: &mut Page, splits: &[SplitSummary]) {
    let row = |name: &str, cells: &[(&Subset, String)]| {
        let cells = cells.iter().map(|(subset, text)| format!("{text:>0$}", subset.name().chars().count().max(6) + 2));
        format!("{name:<8}{}", cells.collect::<String>())
    };
    if let Some(first) = splits.first() {
        page.line(row("split", &first.subsets.keys().map(|subset| (subset, subset.to_string())).collect::<Vec<_>>()));
    }
    for split in splits {
        let cells: Vec<_> = split.subsets.iter().map(|(subset, clips)| (subset, show_count(*clips as u64))).collect();
        page.line(row(&split.name, &cells));
    }
}

/// Adds the attributes of the dataset or of a clip, one per line.
fn show_attribute_lines(page: &mut Page, attributes: &Attributes) {
    if attributes.is_empty() {
        return;
    }
    page.line("attributes");
    for (key, value) in show_attributes(attributes) {
        page.line(format_args!("  {key}: {value}"));
    }
}

fn show_clip(clip: &ClipSummary) -> Page {
    let mut page = Page::default();
    match (clip.label, &clip.class) {
        (Some(label), Some(class)) => page.line(format_args!("{}: class {label} {class}", clip.clip)),
        _ => page.line(format_args!("{}: without a label", clip.clip)),
    }
    let subsets: Vec<String> = clip.subsets.iter().map(|(split, subset)| format!("{split} {subset}")).collect();
    page.line(format_args!("splits: {}", subsets.join(", ")));
    if let Some(group) = &clip.group {
        page.line(format_args!("group: {group}"));
    }
    for stream in &clip.streams {
        let records = &stream.records;
        page.line(format_args!(
            "{}: {}, {} in {}, {}, {} to {} bytes per record, {} in total",
            stream.name,
            counted(records.frames, "frame", "frames"),
            counted(records.records, "record", "records"),
            stream.shard,
            stored_as(records),
            show_count(records.smallest.into()),
            show_count(records.largest.into()),
            show_bytes(records.bytes)
        ));
    }
    show_attribute_lines(&mut page, &clip.attributes);
    page
}

/// Returns the codec and the size, such as `jpeg 342x256x3`. Of several, names the most frequent one.
fn stored_as(records: &RecordSummary) -> String {
    let most = |counts: &std::collections::BTreeMap<String, u64>| {
        let name = counts.iter().max_by_key(|(_, n)| **n).map_or("nothing", |(name, _)| name.as_str());
        if counts.len() > 1 { format!("{name} and {} more", counts.len() - 1) } else { name.to_owned() }
    };
    format!("{} {}", most(&records.codecs), most(&records.sizes))
}

/// Returns a JSON value without braces and quotes.
fn plain(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Object(map) => {
            map.iter().map(|(key, value)| format!("{key} {}", plain(value))).collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    }
}
