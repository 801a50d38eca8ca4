//! Made-up data sets: a frame tree with lists whose classes need both streams.
//!
//! A class is one of A appearances (the texture and hue of a blob) with one of M motions. The appearance shows in every
//! single frame and not in the flow, the motion in the flow and not in a single frame: outlines, positions, sizes, turns
//! and speeds are drawn alike for all classes. So RGB alone is right in about 1/M of the cases, flow alone in 1/A,
//! and only both together can be right always. Everything is a function of the seed.

mod draw;
pub mod like_ucf101;
mod motion;
mod scene;
mod texture;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use clipshard::order::Draws;
use image::ExtendedColorType;
use image::codecs::jpeg::JpegEncoder;
use rayon::prelude::*;

use crate::error::{Error, Problem, Result, Setting};
use crate::place::staging::Staging;
use crate::place::target::Contents;
use crate::progress::{Watch, Work};

use draw::flow_pixels;
use motion::Motion;
use scene::Scene;
use texture::Texture;
pub(crate) use texture::hsl;

/// JPEG quality of RGB frames and of flow, as in trees people have.
const RGB_QUALITY: u8 = 90;
const FLOW_QUALITY: u8 = 95;
/// Splits, as UCF101 has them.
const SPLITS: usize = 3;
/// UCF101 has 25 groups a class, of which a split tests 7.
const MAX_GROUPS: usize = 25;

/// What to make.
#[derive(Debug, Clone)]
pub struct TreeOptions {
    /// The tree to make: `jpegs_256/`, `tvl1_flow/`, `lists/`.
    pub out: PathBuf,
    /// Classes, 2 to 144.
    pub classes: usize,
    /// Clips a class, at least 4.
    pub clips: usize,
    /// Pixels of a frame.
    pub width: u16,
    /// Pixels of a frame.
    pub height: u16,
    /// Another seed makes other clips of the same classes.
    pub seed: u64,
    /// Replace a tree that is there.
    pub overwrite: bool,
}

/// What was made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TreeReport {
    /// Class names in the order of their labels.
    pub classes: Vec<String>,
    /// Appearances and motions that the classes are made of.
    pub factors: (usize, usize),
    /// Clips.
    pub clips: u64,
    /// Images of both streams.
    pub images: u64,
    /// Their size.
    pub bytes: u64,
}

/// Class list of a made-up set: appearances times motions, as near to a square as it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Classes {
    appearances: usize,
    motions: usize,
    count: usize,
}

impl Classes {
    /// `count` classes. Where it has no nearly square factors, some pairs are not used.
    pub fn new(count: usize) -> Result<Self> {
        let most = Texture::ALL.len() * Motion::ALL.len();
        if !(2..=most).contains(&count) {
            return Err(Error::usage(
                Problem::from(Setting::Classes).then(format!(" {count}: 2 to {most} classes can be made up")),
            ));
        }
        let root = (1..=count).find(|n| n * n >= count).unwrap_or(count);
        let divisor = (1..=root).rev().find(|a| count.is_multiple_of(*a) && count / a <= 2 * a);
        let (a, b) = divisor.map_or((root, count.div_ceil(root)), |a| (a, count / a));
        let (appearances, motions) = (a.min(b), a.max(b));
        // Within the limits: the rest goes to the other factor.
        let motions = motions.min(Motion::ALL.len());
        Ok(Self { appearances: appearances.max(count.div_ceil(motions)), motions, count })
    }

    /// Texture and motion of a label.
    pub fn factors(&self, label: usize) -> (usize, usize) {
        (label / self.motions, label % self.motions)
    }

    /// Name of a label, e.g. `StripedBlobUp`.
    pub fn name(&self, label: usize) -> String {
        let (appearance, motion) = self.factors(label);
        format!("{}Blob{}", Texture::ALL[appearance].name(), Motion::ALL[motion].name())
    }
}

/// One clip to be made: its class, group and number in the group, all counted from 0 but the last two from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
struct PlannedClip {
    id: String,
    label: usize,
    group: usize,
    number: usize,
}

/// Makes a tree. On any error nothing is left of it.
pub fn make_tree(options: &TreeOptions, watch: Watch<'_>) -> Result<TreeReport> {
    let classes = Classes::new(options.classes)?;
    if options.clips < SPLITS + 1 {
        return Err(Error::usage(
            Problem::from(Setting::Clips)
                .then(format!(" {}: three splits by groups need at least 4 clips a class", options.clips)),
        ));
    }
    if options.width < 16 || options.height < 16 {
        return Err(Error::usage(
            Problem::from(Setting::Size).then(format!(" {}x{}: at least 16x16", options.width, options.height)),
        ));
    }
    let staging = Staging::new(&options.out, options.overwrite, Contents::Tree)?;
    let clips = plan(&classes, options.clips);
    write_lists(&staging.path().join("lists"), &classes, &clips, options.clips)?;
    watch.progress.begin("drawing", Work { clips: clips.len() as u64, images: 0, bytes: 0 });
    let made: Vec<(u64, u64)> = clips
        .par_iter()
        .map(|clip| {
            if watch.cancel.load(Ordering::Relaxed) {
                return Err(Error::Interrupted);
            }
            let made = make_clip(staging.path(), options, &classes, clip)?;
            watch.progress.add(Work { clips: 1, images: made.0, bytes: made.1 });
            Ok(made)
        })
        .collect::<Result<_>>()?;
    watch.progress.end();
    staging.commit()?;
    Ok(TreeReport {
        classes: (0..classes.count).map(|label| classes.name(label)).collect(),
        factors: (classes.appearances, classes.motions),
        clips: clips.len() as u64,
        images: made.iter().map(|(images, _)| images).sum(),
        bytes: made.iter().map(|(_, bytes)| bytes).sum(),
    })
}

fn plan(classes: &Classes, clips: usize) -> Vec<PlannedClip> {
    let groups = clips.min(MAX_GROUPS);
    let mut plan = Vec::new();
    for label in 0..classes.count {
        for clip in 0..clips {
            let (group, number) = (clip % groups + 1, clip / groups + 1);
            let id = format!("v_{}_g{group:02}_c{number:02}", classes.name(label));
            plan.push(PlannedClip { id, label, group, number });
        }
    }
    plan
}

/// Groups that split `split` (from 0) tests: a block of 7 of 25, or that share of fewer.
fn is_test(group: usize, split: usize, groups: usize) -> bool {
    let block = ((groups * 7 + 12) / 25).clamp(1, groups / SPLITS);
    (group - 1) / block == split
}

fn write_lists(folder: &Path, classes: &Classes, clips: &[PlannedClip], per_class: usize) -> Result<()> {
    fs::create_dir_all(folder).map_err(Error::io(folder, "cannot create the folder"))?;
    let write = |name: String, text: String| {
        let path = folder.join(name);
        fs::write(&path, text).map_err(Error::io(path, "cannot write the list"))
    };
    let groups = per_class.min(MAX_GROUPS);
    let names = (0..classes.count).map(|label| format!("{} {}\n", label + 1, classes.name(label)));
    write("classInd.txt".into(), names.collect::<Vec<_>>().concat())?;
    for split in 0..SPLITS {
        let (mut train, mut test) = (Vec::new(), Vec::new());
        for clip in clips {
            let file = format!("{}/{}.avi", classes.name(clip.label), clip.id);
            if is_test(clip.group, split, groups) {
                test.push(format!("{file}\n"));
            } else {
                train.push(format!("{file} {}\n", clip.label + 1));
            }
        }
        write(format!("trainlist0{}.txt", split + 1), train.concat())?;
        write(format!("testlist0{}.txt", split + 1), test.concat())?;
    }
    Ok(())
}

/// Draws a clip and writes its images; returns their number and bytes.
fn make_clip(root: &Path, options: &TreeOptions, classes: &Classes, clip: &PlannedClip) -> Result<(u64, u64)> {
    let scene = scene_of(options, classes, clip);
    let folder = |plane: &str| -> Result<PathBuf> {
        let folder = root.join(plane).join(&clip.id);
        fs::create_dir_all(&folder).map_err(Error::io(folder.clone(), "cannot create the folder"))?;
        Ok(folder)
    };
    let (rgb, u, v) = (folder("jpegs_256")?, folder("tvl1_flow/u")?, folder("tvl1_flow/v")?);
    let (mut images, mut bytes) = (0, 0);
    let mut save = |folder: &Path, frame: usize, pixels: &[u8], colour: ExtendedColorType, quality: u8| {
        let path = folder.join(format!("frame{:06}.jpg", frame + 1));
        let mut file = Vec::new();
        JpegEncoder::new_with_quality(&mut file, quality)
            .encode(pixels, options.width.into(), options.height.into(), colour)
            .map_err(|reason| Error::Image { path: path.clone(), reason })?;
        images += 1;
        bytes += file.len() as u64;
        fs::write(&path, file).map_err(Error::io(path, "cannot write the image"))
    };
    for frame in 0..scene.frames {
        save(&rgb, frame, &draw::rgb_pixels(&scene, frame), ExtendedColorType::Rgb8, RGB_QUALITY)?;
        if frame + 1 < scene.frames {
            let [x, y] = flow_pixels(&scene, frame);
            save(&u, frame, &x, ExtendedColorType::L8, FLOW_QUALITY)?;
            save(&v, frame, &y, ExtendedColorType::L8, FLOW_QUALITY)?;
        }
    }
    Ok((images, bytes))
}

fn scene_of(options: &TreeOptions, classes: &Classes, clip: &PlannedClip) -> Scene {
    let (appearance, motion) = classes.factors(clip.label);
    // Clips of one group share their background, as in UCF101; all else is the clip's own.
    let group = (clip.label * 1000 + clip.group) as u64;
    let clip = (group << 16) + clip.number as u64;
    let mut look = scene::Look {
        background: Draws::new(options.seed, 1, group),
        geometry: Draws::new(options.seed, 2, clip),
        colour: Draws::new(options.seed, 3, clip),
        noise_key: clipshard::order::bits(options.seed, 4, clip, 0),
    };
    let hue = (appearance as f32 + 0.5) / classes.appearances as f32;
    let hue_spread = 0.3 / classes.appearances as f32;
    Scene::new(
        (options.width, options.height),
        scene::Subject { texture: Texture::ALL[appearance], hue, hue_spread, motion: Motion::ALL[motion] },
        &mut look,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_nearly_square() {
        let factors = |n| Classes::new(n).map(|c| (c.appearances, c.motions)).unwrap();
        assert_eq!(factors(9), (3, 3));
        assert_eq!(factors(4), (2, 2));
        assert_eq!(factors(2), (1, 2));
        assert_eq!(factors(6), (2, 3));
        assert_eq!(factors(12), (3, 4));
        assert_eq!(factors(101), (10, 11));
        assert_eq!(factors(144), (12, 12));
        for n in 2..=144 {
            let (a, m) = factors(n);
            assert!(a <= 12 && m <= 12 && a * m >= n && (a - 1) * m < n, "{n}: {a} x {m}");
        }
        assert!(Classes::new(1).is_err() && Classes::new(145).is_err());
    }

    #[test]
    fn splits_test_different_groups_as_ucf101_does() {
        for groups in 4..=25 {
            for group in 1..=groups {
                assert!((0..SPLITS).filter(|&s| is_test(group, s, groups)).count() <= 1);
            }
            for split in 0..SPLITS {
                let tested = (1..=groups).filter(|&g| is_test(g, split, groups)).count();
                assert!(tested >= 1 && tested < groups, "{groups} groups, split {split}: {tested}");
            }
        }
        let first: Vec<_> = (1..=25).filter(|&g| is_test(g, 0, 25)).collect();
        assert_eq!(first, (1..=7).collect::<Vec<_>>());
    }
}
