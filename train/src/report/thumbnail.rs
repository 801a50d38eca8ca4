//! Small pictures of clips, read from the shards and embedded in the page.

use super::run::Run;
use anyhow::{Context, Result, bail};
use base64::Engine;
use clipshard::{Access, ClipRecords, Dataset, Decoder, MANIFEST_FILE};
use image::codecs::jpeg::JpegEncoder;
use image::{GrayImage, RgbImage, imageops};
use std::path::{Path, PathBuf};

/// Largest width in pixels.
const WIDTH: u32 = 224;
/// JPEG quality, of 100.
const QUALITY: u8 = 80;
/// Level of stored flow that means no motion.
const NO_MOTION: f32 = 128.0;
/// Smallest motion, in levels, that has full colour: in a clip with less motion, noise would look
/// like motion.
const MIN_FULL_COLOUR: f32 = 6.0;

/// A source of thumbnails of a run's clips.
pub struct Thumbnails {
    data: Dataset,
    /// Stream that the pictures show.
    stream: &'static str,
    decoder: Decoder,
}

/// A picture of the page.
#[derive(Debug)]
pub struct Thumbnail {
    /// Data URI of a JPEG.
    pub uri: String,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
}

impl Thumbnails {
    /// Opens the dataset that the run reads: in `dir` if given, otherwise where its settings say.
    ///
    /// # Errors
    /// The dataset is missing, damaged or not the one that the run read. The page shows the error.
    pub fn open(run: &Run, dir: Option<&Path>) -> Result<Self> {
        let dir = match dir {
            Some(dir) => dir.to_owned(),
            None => found(run)?,
        };
        // Does not map the files: a failing disk would then kill the program that has just finished
        // training.
        let open = |stream| Dataset::open_streams(&dir, &[stream], Access::Read);
        let (data, stream) = match open("rgb") {
            Ok(data) => (data, "rgb"),
            Err(error) => (open("flow").map_err(|_| error)?, "flow"),
        };
        if let Some(state) = &run.state {
            let manifest = clipshard::read_regular(dir.join(MANIFEST_FILE), 1 << 30)?;
            if crc32fast::hash(&manifest) != state.manifest_crc32 {
                bail!("{} is not the dataset that the run read", dir.display());
            }
        }
        Ok(Self { data, stream, decoder: Decoder::new()? })
    }

    /// Returns the class names of the dataset.
    pub fn classes(&self) -> &[String] {
        &self.data.manifest().classes
    }

    /// Draws the frame in the middle of a clip: as RGB, or as coloured flow if RGB cannot be read.
    pub fn of(&mut self, clip: &str) -> Result<Thumbnail> {
        let number = self.data.find_clip(clip).with_context(|| format!("the dataset has no clip {clip}"))?;
        let records = self.data.clip(self.stream, number)?;
        let frame = records.frame_count() / 2;
        let image = match records.planes() {
            1 => rgb(&records, frame, &mut self.decoder)?,
            2 => coloured_flow(&records, frame, &mut self.decoder)?,
            planes => bail!("clip {clip}: cannot show frames of {planes} images"),
        };
        encode(&image)
    }
}

/// Finds the dataset of the settings, relative to the current folder or to the folder that contains
/// the run.
fn found(run: &Run) -> Result<PathBuf> {
    let data = run.settings.as_ref().and_then(|settings| settings.data.clone());
    let data = data.context("config.toml does not name the dataset")?;
    let next_to_run = run.dir.parent().map(|parent| parent.join(&data));
    let is_there = |dir: &PathBuf| dir.join(MANIFEST_FILE).is_file();
    let missing = || format!("the dataset {} does not exist; name its folder with --data", data.display());
    [Some(data.clone()), next_to_run].into_iter().flatten().find(is_there).with_context(missing)
}

fn rgb(records: &ClipRecords<'_>, frame: usize, decoder: &mut Decoder) -> Result<RgbImage> {
    let size = records.size(frame, 0)?;
    let mut pixels = vec![0; size.bytes()];
    records.decode(frame, 0, decoder, &mut pixels)?;
    let (width, height) = (size.width.into(), size.height.into());
    let image = match size.channels {
        3 => RgbImage::from_raw(width, height, pixels),
        1 => GrayImage::from_raw(width, height, pixels).map(|grey| image::DynamicImage::from(grey).to_rgb8()),
        _ => None,
    };
    image.with_context(|| format!("cannot show frames of {} channels", size.channels))
}

/// Draws flow in colours, as `ucfpack inspect --sheet` does: the hue is the direction, the
/// saturation the speed.
fn coloured_flow(records: &ClipRecords<'_>, frame: usize, decoder: &mut Decoder) -> Result<RgbImage> {
    let size = records.size(frame, 0)?;
    if size.channels != 1 || records.size(frame, 1)? != size {
        bail!("cannot show flow whose x and y components differ in size or have colours");
    }
    let mut planes = [vec![0; size.bytes()], vec![0; size.bytes()]];
    for (plane, pixels) in planes.iter_mut().enumerate() {
        records.decode(frame, plane, decoder, pixels)?;
    }
    let motion = |at: usize| [0, 1].map(|plane: usize| f32::from(planes[plane][at]) - NO_MOTION);
    let mut speeds: Vec<f32> = (0..size.bytes()).map(|at| motion(at)[0].hypot(motion(at)[1])).collect();
    // One pixel in fifty is faster than this and gets full colour.
    let fast = speeds.len() * 49 / 50;
    let full = speeds.select_nth_unstable_by(fast, f32::total_cmp).1.max(MIN_FULL_COLOUR);
    Ok(RgbImage::from_fn(size.width.into(), size.height.into(), |x, y| {
        let [dx, dy] = motion(y as usize * usize::from(size.width) + x as usize);
        image::Rgb(ucfpack::sheet::colour(dx / full, dy / full))
    }))
}

/// Encodes an image as a JPEG of at most [`WIDTH`] pixels per row.
fn encode(image: &RgbImage) -> Result<Thumbnail> {
    let width = image.width().min(WIDTH);
    let height = (image.height() * width).div_ceil(image.width()).max(1);
    let small = imageops::thumbnail(image, width, height);
    let mut jpeg = Vec::new();
    JpegEncoder::new_with_quality(&mut jpeg, QUALITY).encode_image(&small).context("cannot encode a thumbnail")?;
    let uri = format!("data:image/jpeg;base64,{}", base64::engine::general_purpose::STANDARD.encode(jpeg));
    Ok(Thumbnail { uri, width, height })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thumbnail_keeps_proportions_and_is_never_larger_than_the_frame() {
        let size = |width, height| {
            let thumbnail = encode(&RgbImage::from_pixel(width, height, image::Rgb([200, 30, 60]))).unwrap();
            assert!(thumbnail.uri.starts_with("data:image/jpeg;base64,/9j/"), "{}", &thumbnail.uri[..40]);
            (thumbnail.width, thumbnail.height)
        };
        assert_eq!(size(340, 256), (224, 169));
        assert_eq!(size(44, 36), (44, 36));
        assert_eq!(size(1000, 1), (224, 1));
    }
}
