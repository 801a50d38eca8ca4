//! Synthetic datasets: frame trees whose classes only both streams together can distinguish.
//!
//! [`make_tree`] writes a tree and its lists from [`TreeOptions`]; [`like_ucf101`] writes a packed
//! dataset of UCF101's scale. The images of a clip are drawn (`draw`) from a `scene`.
//!
//! A class is one of A appearances (`texture` and hue of a blob) combined with one of M motions
//! (`motion`). The appearance is visible in each frame, but not in the flow; the motion is visible
//! in the flow, but not in a single frame. All other properties have the same distribution in all
//! classes. RGB alone is therefore right for about 1/M of the clips, and flow alone for 1/A. The
//! seed decides everything.

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

/// JPEG quality of RGB frames, as in usual frame trees.
const RGB_QUALITY: u8 = 90;
/// JPEG quality of flow images, as in usual frame trees.
const FLOW_QUALITY: u8 = 95;
/// Number of splits, as in UCF101.
const SPLITS: usize = 3;
/// Largest number of groups per class. UCF101 has 25, and each split tests on 7 of them.
const MAX_GROUPS: usize = 25;

/// Options of [`make_tree`].
#[derive(Debug, Clone)]
pub struct TreeOptions {
    /// The tree to make, with folders `jpegs_256/`, `tvl1_flow/` and `lists/`.
    pub out: PathBuf,
    /// Number of classes, 2 to 144.
    pub classes: usize,
    /// Number of clips per class, at least 4.
    pub clips: usize,
    /// Width of a frame in pixels, at least 16.
    pub width: u16,
    /// Height of a frame in pixels, at least 16.
    pub height: u16,
    /// Seed of the random numbers. Another seed makes other clips of the same classes.
    pub seed: u64,
    /// Whether to replace an existing tree.
    pub overwrite: bool,
}

/// The result of [`make_tree`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TreeReport {
    /// Class names in the order of their labels.
    pub classes: Vec<String>,
    /// Number of appearances and of motions that form the classes.
    pub factors: (usize, usize),
    /// Number of clips.
    pub clips: u64,
    /// Number of images of both streams.
    pub images: u64,
    /// Bytes of all images.
    pub bytes: u64,
}

/// The classes of a synthetic dataset: combinations of appearances and motions. Both numbers are as
/// close to each other as possible.
///
/// ```
/// use ucfpack::synth::Classes;
///
/// let classes = Classes::new(6)?;
/// assert_eq!(classes.factors(4), (1, 1)); // 2 appearances, 3 motions
/// assert_eq!(classes.name(0), "StripedBlobUp");
/// # Ok::<(), ucfpack::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Classes {
    appearances: usize,
    motions: usize,
    count: usize,
}

impl Classes {
    /// Returns `count` classes. If `count` has no factors that are close to each other, some
    /// combinations are not used.
    ///
    /// # Errors
    /// Returns [`Error::Usage`] if `count` is not in 2..=144.
    pub fn new(count: usize) -> Result<Self> {
        let most = Texture::ALL.len() * Motion::ALL.len();
        if !(2..=most).contains(&count) {
            return Err(Error::usage(
                Problem::from(Setting::Classes).then(format!(" is {count}, but must be from 2 to {most}")),
            ));
        }
        let root = (1..=count).find(|n| n * n >= count).unwrap_or(count);
        let divisor = (1..=root).rev().find(|a| count.is_multiple_of(*a) && count / a <= 2 * a);
        let (a, b) = divisor.map_or((root, count.div_ceil(root)), |a| (a, count / a));
        let (appearances, motions) = (a.min(b), a.max(b));
        // Both factors have a limit, so the other factor gets the rest.
        let motions = motions.min(Motion::ALL.len());
        Ok(Self { appearances: appearances.max(count.div_ceil(motions)), motions, count })
    }

    /// Returns the numbers of the appearance and the motion of a label.
    pub fn factors(&self, label: usize) -> (usize, usize) {
        (label / self.motions, label % self.motions)
    }

    /// Returns the name of a label, for example `StripedBlobUp`.
    pub fn name(&self, label: usize) -> String {
        let (appearance, motion) = self.factors(label);
        format!("{}Blob{}", Texture::ALL[appearance].name(), Motion::ALL[motion].name())
    }
}

/// A clip to make. The label counts from 0; the group, and the number in the group, count from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
struct PlannedClip {
    id: String,
    label: usize,
    group: usize,
    number: usize,
}

/// Makes a frame tree with split lists. If this fails, no files remain.
///
/// # Errors
/// Returns [`Error::Usage`] for options out of range, or if the output must not be replaced.
pub fn make_tree(options: &TreeOptions, watch: Watch<'_>) -> Result<TreeReport> {
    let classes = Classes::new(options.classes)?;
    if options.clips < SPLITS + 1 {
        return Err(Error::usage(
            Problem::from(Setting::Clips)
                .then(format!(" is {}, but each class needs at least 4 clips for its three splits", options.clips)),
        ));
    }
    if options.width < 16 || options.height < 16 {
        return Err(Error::usage(
            Problem::from(Setting::Size)
                .then(format!(" is {}x{}, but must be at least 16x16", options.width, options.height)),
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

/// Returns whether `split` (from 0) tests on a group: on a block of 7 groups of 25, or the same
/// share of fewer groups.
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

/// Draws a clip and writes its images. Returns their number and bytes.
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
    // Clips of a group share their background, as in UCF101. Everything else differs.
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
