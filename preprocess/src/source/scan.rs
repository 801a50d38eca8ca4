//! Lists the images of all clips in parallel, and compares each clip with the numbering that most
//! clips of the tree have.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

use rayon::prelude::*;

use super::folders::{ClipFolders, FolderIndex, Plane};
use super::found::{ClipFiles, FoundClip, PlaneFiles, Scan, ScannedClip, StreamFiles};
use super::layout::FlowCount;
use super::numbering::{NameRule, Numbers, list};
use super::strangers::Strangers;
use crate::clip::{Absence, MIN_FLOW_FRAMES};
use crate::error::{Error, Result, machine_fault};
use crate::lists::{ListedClip, clip_key};
use crate::progress::{Watch, Work};
use crate::quantity::counted;
use crate::stream::StreamKind;

/// Lists the clips. `usual` is the flow count of the layout, for trees from which it cannot be
/// seen.
pub(super) fn scan(
    folders: &[ClipFolders],
    streams: &[StreamKind],
    usual: FlowCount,
    clips: &[ListedClip],
    watch: Watch<'_>,
) -> Result<Scan> {
    let roots: Vec<Root> = folders.iter().map(Root::read).collect::<Result<_>>()?;
    watch.progress.begin("listing", Work { clips: clips.len() as u64, ..Work::default() });
    let list_one = |clip| {
        if watch.cancel.load(Ordering::Relaxed) {
            return Err(Error::Interrupted);
        }
        let listed = roots.iter().map(|root| root.list(clip)).collect::<Result<_>>()?;
        watch.progress.add(Work { clips: 1, ..Work::default() });
        Ok(listed)
    };
    let found: Vec<Vec<Listing>> = clips.par_iter().map(list_one).collect::<Result<_>>()?;
    watch.progress.end();
    let convention = Convention::of(&roots, streams, usual, &found);
    let listed: HashSet<String> = clips.iter().map(|clip| clip_key(&clip.folder)).collect();
    let unlisted = roots.first().map_or(0, |root| root.index.keys().filter(|&key| !listed.contains(key)).count());
    let clips = found.into_iter().map(|listings| {
        let nominal_frames = convention.nominal_frames(&roots, streams, &listings);
        ScannedClip { files: judge(&roots, streams, &convention, listings).map(FoundClip::Images), nominal_frames }
    });
    let mut strangers = Strangers::default();
    for root in &roots {
        strangers.add(root.index.strangers.clone());
    }
    let mut notes = convention.notes(streams, usual);
    notes.extend(strangers.notes());
    Ok(Scan { clips: clips.collect(), unlisted, notes, strangers: strangers.clips })
}

/// A root with its clip folders.
struct Root<'a> {
    folders: &'a ClipFolders,
    index: FolderIndex,
    names: Vec<NameRule>,
}

/// The files of one clip under a root: the folder and the numbers of each plane, `None` without a
/// folder, or a message.
type Listing = Result<Option<(PathBuf, Vec<Result<Numbers, String>>)>, String>;

impl<'a> Root<'a> {
    fn read(folders: &'a ClipFolders) -> Result<Self> {
        let names = folders.planes.iter().map(|plane| plane.name.clone()).collect();
        Ok(Self { folders, index: FolderIndex::read(folders)?, names })
    }

    /// Lists the files of a clip. Errors of the machine, such as too many open files, end the scan.
    fn list(&self, clip: &ListedClip) -> Result<Listing> {
        let folder = match self.index.find(clip) {
            Ok(Some(folder)) => &folder.path,
            Ok(None) => return Ok(Ok(None)),
            Err(fault) => return Ok(Err(fault)),
        };
        let what = format!("{}: cannot list the folder", folder.display());
        match list(folder, &self.names) {
            Ok(planes) => Ok(Ok(Some((folder.clone(), planes)))),
            Err(error) => match machine_fault(&what, error) {
                Ok(fault) => Err(fault),
                Err(error) => Ok(Err(format!("{what}: {error}"))),
            },
        }
    }
}

/// Returns the planes of a stream, each with a clip's numbers.
fn planes_of<'a>(
    roots: &'a [Root<'_>],
    listings: &'a [Listing],
    stream: StreamKind,
) -> impl Iterator<Item = (&'a Plane, &'a Numbers)> {
    roots.iter().zip(listings).flat_map(move |(root, listing)| {
        let planes = listing.as_ref().ok().and_then(Option::as_ref).map_or(&[][..], |(_, planes)| planes);
        let numbered = root.folders.planes.iter().zip(planes).filter(move |(plane, _)| plane.stream == stream);
        numbered.filter_map(|(plane, numbers)| Some((plane, numbers.as_ref().ok()?)))
    })
}

/// The numbering and counts of most clips of a tree, which all clips must follow.
struct Convention {
    /// First frame number of each stream, in the order of the streams.
    first: Vec<u32>,
    flow_count: FlowCount,
}

impl Convention {
    fn of(roots: &[Root<'_>], streams: &[StreamKind], usual: FlowCount, found: &[Vec<Listing>]) -> Self {
        let first: Vec<u32> = streams
            .iter()
            .map(|&stream| {
                let lowest = |listings: &Vec<Listing>| planes_of(roots, listings, stream).map(|(_, n)| n.lowest).min();
                let (mut zero, mut one) = (0, 0);
                for lowest in found.iter().filter_map(lowest) {
                    zero += u64::from(lowest == 0);
                    one += u64::from(lowest == 1);
                }
                u32::from(zero <= one)
            })
            .collect();
        let (mut equal, mut one_less) = (0, 0);
        for listings in found {
            let count = |stream| planes_of(roots, listings, stream).map(|(_, n)| n.count).max();
            if let (Some(rgb), Some(flow)) = (count(StreamKind::Rgb), count(StreamKind::Flow)) {
                equal += u64::from(rgb == flow);
                one_less += u64::from(rgb == flow + 1);
            }
        }
        let flow_count = match equal.cmp(&one_less) {
            std::cmp::Ordering::Greater => FlowCount::AsRgb,
            std::cmp::Ordering::Less => FlowCount::OneLess,
            std::cmp::Ordering::Equal => usual,
        };
        Self { first, flow_count }
    }

    /// Returns the number of frames of each stream for the plan, derived from the highest frame
    /// number. Clips that cannot be packed have one too.
    fn nominal_frames(&self, roots: &[Root<'_>], streams: &[StreamKind], listings: &[Listing]) -> Vec<u32> {
        let frames = |(&stream, &first): (&StreamKind, &u32)| {
            let highest = planes_of(roots, listings, stream).map(|(_, numbers)| numbers.highest).max();
            highest.map_or(0, |highest| (highest + 1).saturating_sub(first))
        };
        streams.iter().zip(&self.first).map(frames).collect()
    }

    fn notes(&self, streams: &[StreamKind], usual: FlowCount) -> Vec<String> {
        let mut notes = Vec::new();
        let from_zero: Vec<_> =
            streams.iter().zip(&self.first).filter(|(_, first)| **first == 0).map(|(s, _)| s.name()).collect();
        if !from_zero.is_empty() {
            notes.push(format!("{} frames are numbered from 0", from_zero.join(" and ")));
        }
        if streams.len() > 1 && self.flow_count != usual {
            notes.push(format!("most clips have {}, so all clips must", self.flow_count.words()));
        }
        notes
    }
}

impl FlowCount {
    fn words(self) -> &'static str {
        match self {
            Self::OneLess => "one flow frame fewer than RGB frames",
            Self::AsRgb => "as many flow frames as RGB frames",
        }
    }

    fn expected(self, rgb: u32) -> u32 {
        match self {
            Self::OneLess => rgb.saturating_sub(1),
            Self::AsRgb => rgb,
        }
    }
}

fn flow_frames(count: u32) -> String {
    counted(count.into(), "flow frame", "flow frames")
}

fn judge(
    roots: &[Root<'_>],
    streams: &[StreamKind],
    convention: &Convention,
    listings: Vec<Listing>,
) -> Result<ClipFiles, Absence> {
    let missing: Vec<String> = listings
        .iter()
        .zip(roots)
        .filter(|(listing, _)| matches!(listing, Ok(None)))
        .map(|(_, root)| root.folders.root.display().to_string())
        .collect();
    if missing.len() == roots.len() {
        return Err(Absence::missing("missing from the tree"));
    }
    let mut planes = Vec::new();
    for (root, listing) in roots.iter().zip(listings) {
        let Some((folder, numbers)) = listing.map_err(Absence::fault)? else { continue };
        for (plane, numbers) in root.folders.planes.iter().zip(numbers) {
            planes.push((plane, folder.clone(), numbers.map_err(Absence::fault)?));
        }
    }
    if !missing.is_empty() {
        return Err(Absence::fault(format!("no folder in {}", missing.join(", "))));
    }
    let mut clip = ClipFiles { streams: Vec::new() };
    for (&kind, &first) in streams.iter().zip(&convention.first) {
        let own: Vec<_> = planes.iter().filter(|(plane, ..)| plane.stream == kind).collect();
        if let Some(fault) = own.iter().find_map(|(_, folder, numbers)| numbers.fault(folder, first)) {
            return Err(Absence::fault(fault));
        }
        if let [(x, _, nx), (y, _, ny)] = own[..]
            && nx.count != ny.count
        {
            let (u, v) = (nx.count, ny.count);
            return Err(Absence::fault(format!("{} in {}, but {v} in {}", flow_frames(u), x.label, y.label)));
        }
        let files = own.iter().map(|(_, folder, n)| PlaneFiles { folder: folder.clone(), name: n.name.clone(), first });
        let frames = own.first().map_or(0, |(_, _, numbers)| numbers.count);
        clip.streams.push(StreamFiles { kind, frames, planes: files.collect() });
    }
    if let [rgb, flow] = &clip.streams[..] {
        let expected = convention.flow_count.expected(rgb.frames);
        if flow.frames != expected {
            return Err(Absence::fault(format!(
                "{} for {}, but {expected} expected: most clips have {}",
                flow_frames(flow.frames),
                counted(rgb.frames.into(), "RGB frame", "RGB frames"),
                convention.flow_count.words()
            )));
        }
    }
    let steps = clip.streams.last().map_or(0, |last| match last.kind {
        StreamKind::Rgb => last.frames.saturating_sub(1),
        StreamKind::Flow => last.frames,
    });
    if steps < MIN_FLOW_FRAMES {
        return Err(Absence::short(steps));
    }
    Ok(clip)
}
