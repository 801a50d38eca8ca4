//! Writes one clip of an extracted tree. Its images are written to a temporary folder, which moves
//! into place when the clip is complete.

use std::fs;
use std::path::Path;

use clipshard::{Attributes, ImageSize};

use super::list::Journal;
use super::options::ExtractOptions;
use crate::error::{ClipError, Error, Result};
use crate::jpeg::encode_jpeg;
use crate::lists::ListedClip;
use crate::progress::Watch;
use crate::video::{StreamImage, VideoEncoder, VideoFile, Wanted};

/// Folders of the layout: flow x, flow y, RGB. RGB moves last, because its folder marks a complete
/// clip.
const FOLDERS: [&str; 3] = ["tvl1_flow/u", "tvl1_flow/v", "jpegs_256"];
/// Folder in the tree for clips in progress.
pub(super) const PARTIAL: &str = ".partial";

/// Returns whether all images of a clip exist and are not empty. The numbers must match its video:
/// `frames` RGB frames, and one less for flow x and y.
pub(super) fn is_whole(out: &Path, id: &str, frames: u32, flow: bool) -> bool {
    let images = |kind: usize| {
        let entries = fs::read_dir(out.join(FOLDERS[kind]).join(id)).into_iter().flatten().flatten();
        entries.filter(|entry| entry.metadata().is_ok_and(|metadata| metadata.len() > 0)).count()
    };
    let frames = frames as usize;
    images(2) == frames && (!flow || (images(0), images(1)) == (frames - 1, frames - 1))
}

/// Totals of one clip.
#[derive(Default)]
pub(super) struct Made {
    pub images: u64,
    pub bytes: u64,
    pub notes: Vec<String>,
    /// Attributes that were measured on the video.
    pub measured: Attributes,
}

/// Decodes a video and writes the images of its clip.
pub(super) fn extract_clip(
    encoder: &mut VideoEncoder,
    listed: &ListedClip,
    file: &VideoFile,
    (options, journal): (&ExtractOptions, &Journal),
    watch: Watch<'_>,
) -> Result<Made, ClipError> {
    let place = options.out.join(PARTIAL).join(&listed.id);
    let folder = |kind: usize| place.join(["u", "v", "rgb"][kind]);
    let kinds = if options.video.flow.is_some() { 0..3 } else { 2..3 };
    for kind in kinds.clone() {
        fs::create_dir_all(folder(kind)).map_err(Error::io(folder(kind), "cannot create the folder"))?;
    }
    let mut made = Made::default();
    let mut numbers = [0_u32; 3];
    let mut write = |kind: usize, pixels: &[u8], size: ImageSize| {
        numbers[kind] += 1;
        let path = folder(kind).join(format!("frame{:06}.jpg", numbers[kind]));
        let bytes = encode_jpeg(pixels, size, options.video.quality)?;
        made.images += 1;
        made.bytes += bytes.len() as u64;
        fs::write(&path, bytes).map_err(Error::io(path, "cannot write the image"))
    };
    let wanted = Wanted { rgb: true, flow: options.video.flow.is_some(), frames: 0..file.frames };
    let seen = encoder.run(file, &wanted, watch.cancel, |image| match image {
        StreamImage::Rgb { width, height, pixels } => write(2, pixels, ImageSize { width, height, channels: 3 }),
        StreamImage::Flow { width, height, planes } => {
            let size = ImageSize { width, height, channels: 1 };
            write(0, planes[0], size)?;
            write(1, planes[1], size)
        }
    });
    let seen = seen.inspect_err(|error| {
        if matches!(error, ClipError::Clip(_)) {
            let _ = fs::remove_dir_all(&place);
        }
    })?;
    (made.notes, made.measured) = (seen.notes, seen.attributes);
    // Before the clip is complete: a later run does not decode it again.
    journal.add(&listed.id, &made.measured)?;
    for kind in kinds {
        put(&folder(kind), &options.out.join(FOLDERS[kind]).join(&listed.id))?;
    }
    let _ = fs::remove_dir_all(&place);
    Ok(made)
}

/// Moves a finished folder into place. Replaces a folder that an interrupted run left there.
fn put(from: &Path, to: &Path) -> Result<()> {
    let parent = to.parent().unwrap_or(to);
    fs::create_dir_all(parent).map_err(Error::io(parent, "cannot create the folder"))?;
    let _ = fs::remove_dir_all(to);
    fs::rename(from, to).map_err(Error::io(to, "cannot move the finished clip there"))
}
