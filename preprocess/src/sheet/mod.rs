//! Contact sheets: PNG images that show the content of a dataset.
//!
//! [`write_sheet`] shows clips of the whole dataset or the frames of one clip; [`write_captioned`]
//! adds a [`Caption`] below each frame. RGB frames are above, flow is below: the hue is the
//! direction, the saturation is the speed, and white is no motion.

mod canvas;
mod font;
mod wheel;

use std::collections::BTreeMap;
use std::path::Path;

use clipshard::{ClipRecords, Dataset, Decoder, ImageSize};
use image::{ExtendedColorType, ImageEncoder, codecs::png::PngEncoder};

use crate::error::{Error, Result};
use crate::place::staging::write_file;
use crate::quantity::counted;
use crate::resize::Resizer;
use canvas::Canvas;
pub use wheel::colour;

/// Number of thumbnails per row.
const COLUMNS: usize = 8;
/// Number of rows of a sheet of the whole dataset.
const ROWS: usize = 10;
/// Number of rows of a sheet of one clip.
const CLIP_ROWS: usize = 6;
/// Sizes in pixels.
const THUMB_WIDTH: usize = 144;
const GAP: usize = 4;
const MARGIN: usize = 16;
const LABEL: usize = 24;
const ROW_GAP: usize = 14;
const HEADER: usize = 84;
/// Line height of captions.
const LINE: usize = 11;
/// Smallest speed that has the full colour, in levels from 128. It keeps the noise of slow clips
/// pale.
const MIN_SCALE: f32 = 6.0;
/// Speed of one level, in pixels per frame.
const PIXELS_PER_LEVEL: f32 = 40.0 / 255.0;
/// Colour of the page: grey, so that white flow is visible.
const PAGE: [u8; 3] = [234, 234, 237];
const INK: [u8; 3] = [30, 30, 34];
const FAINT: [u8; 3] = [92, 92, 100];
const GREEN: [u8; 3] = [0, 110, 50];
const RED: [u8; 3] = [180, 20, 30];

/// A row of a sheet.
struct Row {
    clip: usize,
    title: String,
    detail: String,
    frames: Vec<usize>,
    /// Captions of each frame, or empty if no frame has any.
    captions: Vec<Vec<Caption>>,
}

/// A line of text below a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caption {
    /// The text. At most 24 letters fit below a frame. A longer text ends in an ellipsis.
    pub text: String,
    /// Whether the text is a right (green) or wrong (red) answer; `None` for other text.
    pub is_right: Option<bool>,
}

/// Writes a PNG file of clips from the whole dataset, or of the frames of one clip. `clip` is the
/// index of that clip in the manifest.
///
/// # Errors
/// Returns an error if a record is damaged or the file cannot be written.
///
/// # Panics
/// Panics if `clip` is not an index of the manifest's clips.
pub fn write_sheet(data: &Dataset, clip: Option<usize>, path: &Path) -> Result<()> {
    let title = &data.manifest().dataset;
    if let Some(clip) = clip {
        let rows = clip_rows(data, clip, &spaced(frames_of(data, clip), COLUMNS * CLIP_ROWS), &[]);
        let what = "one clip; frames run from left to right, then down";
        return write_rows(data, &rows, (title, what), path);
    }
    let (clips, classes) = (data.manifest().clips.len(), data.manifest().classes.len());
    let (clips, classes) = (counted(clips as u64, "clip", "clips"), counted(classes as u64, "class", "classes"));
    let what = format!("{clips} of {classes}; each row shows evenly spaced frames of one clip");
    write_rows(data, &spread_rows(data), (title, &what), path)
}

/// Writes a PNG file of some frames of a clip, with captions below each frame.
///
/// `frames` count from 0. `captions` has one entry per frame or is empty. `heading` is a title and
/// the line below it.
///
/// # Errors
/// Returns an error if a record is damaged or the file cannot be written.
///
/// # Panics
/// Panics if `clip` is not an index of the manifest's clips.
pub fn write_captioned(
    data: &Dataset,
    clip: usize,
    (frames, captions): (&[usize], &[Vec<Caption>]),
    heading: (&str, &str),
    path: &Path,
) -> Result<()> {
    write_rows(data, &clip_rows(data, clip, frames, captions), heading, path)
}

fn write_rows(data: &Dataset, rows: &[Row], heading: (&str, &str), path: &Path) -> Result<()> {
    let canvas = draw(data, rows, heading)?;
    let mut png = Vec::new();
    let (width, height) = (canvas.width as u32, canvas.height as u32);
    PngEncoder::new(&mut png)
        .write_image(&canvas.pixels, width, height, ExtendedColorType::Rgb8)
        .map_err(|reason| Error::Image { path: path.into(), reason })?;
    write_file(path, &png)
}

fn draw(data: &Dataset, rows: &[Row], heading: (&str, &str)) -> Result<Canvas> {
    let mut painter = Painter { decoder: Decoder::new()?, resizer: Resizer::default() };
    let mut strips = Vec::new();
    for row in rows {
        strips.push(painter.strip(data, row)?);
    }
    let lines = |row: &Row| row.captions.iter().map(Vec::len).max().unwrap_or(0) * LINE;
    let width = 2 * MARGIN + COLUMNS * (THUMB_WIDTH + GAP) - GAP;
    let height_of = |(row, strip): (&Row, &Strip)| LABEL + strip.height + lines(row) + ROW_GAP;
    let height = HEADER + MARGIN + rows.iter().zip(&strips).map(height_of).sum::<usize>();
    let mut canvas = Canvas::new(width, height, PAGE);
    header(&mut canvas, data, heading);
    let mut y = HEADER;
    for (row, strip) in rows.iter().zip(&strips) {
        let x = canvas.text(MARGIN, y, 2, INK, &row.title);
        let detail = format!("{}{}", row.detail, strip.scale_note);
        canvas.text(x + 12, y + 5, 1, FAINT, &detail);
        y += LABEL;
        for (column, thumb) in &strip.thumbs {
            canvas.place(MARGIN + column * (THUMB_WIDTH + GAP), y + thumb.y, &thumb.pixels, thumb.width, thumb.height);
        }
        y += strip.height;
        for (column, captions) in row.captions.iter().enumerate() {
            for (line, Caption { text, is_right }) in captions.iter().enumerate() {
                let colour = is_right.map_or(FAINT, |is_right| if is_right { GREEN } else { RED });
                let text = shorten(text, THUMB_WIDTH / font::ADVANCE);
                canvas.text(MARGIN + column * (THUMB_WIDTH + GAP), y + 3 + line * LINE, 1, colour, &text);
            }
        }
        y += lines(row) + ROW_GAP;
    }
    Ok(canvas)
}

fn header(canvas: &mut Canvas, data: &Dataset, (title, what): (&str, &str)) {
    canvas.text(MARGIN, MARGIN, 2, INK, title);
    canvas.text(MARGIN, MARGIN + 24, 1, FAINT, what);
    if data.manifest().stream("flow").is_some() {
        let key = "flow: hue is the direction, as on the wheel; saturation is the speed; white is no motion";
        canvas.text(MARGIN, MARGIN + 38, 1, FAINT, key);
        let side = HEADER - 24;
        let x = canvas.width - MARGIN - side;
        for j in 0..side {
            for i in 0..side {
                let half = side as f32 / 2.0;
                let (dx, dy) = ((i as f32 + 0.5 - half) / half, (j as f32 + 0.5 - half) / half);
                if dx.hypot(dy) <= 1.0 {
                    canvas.set(x + i, 8 + j, colour(dx, dy));
                }
            }
        }
    }
}

/// Returns rows of clips from the whole dataset: one row per class if there are enough classes,
/// otherwise several.
fn spread_rows(data: &Dataset) -> Vec<Row> {
    let manifest = data.manifest();
    // Clips without a label are a class of their own, after the others.
    let mut by_class: Vec<Vec<usize>> = vec![Vec::new(); manifest.classes.len() + 1];
    for (number, clip) in manifest.clips.iter().enumerate() {
        by_class[clip.label.map_or(manifest.classes.len(), |label| label as usize)].push(number);
    }
    by_class.retain(|clips| !clips.is_empty());
    let classes = by_class.len().min(ROWS);
    let mut chosen = Vec::new();
    for i in 0..classes {
        let clips = &by_class[i * by_class.len() / classes];
        let wanted = (ROWS / classes + usize::from(i < ROWS % classes)).min(clips.len()).max(1);
        chosen.extend((0..wanted).map(|k| clips[(2 * k + 1) * clips.len() / (2 * wanted)]));
    }
    chosen.into_iter().map(|clip| row(data, clip, None)).collect()
}

/// Returns rows of some frames of one clip, with the captions of each frame.
fn clip_rows(data: &Dataset, clip: usize, frames: &[usize], captions: &[Vec<Caption>]) -> Vec<Row> {
    let mut captions = captions.chunks(COLUMNS);
    let row = |frames: &[usize]| Row {
        captions: captions.next().unwrap_or_default().to_vec(),
        ..row(data, clip, Some(frames.to_vec()))
    };
    frames.chunks(COLUMNS).map(row).collect()
}

fn row(data: &Dataset, number: usize, frames: Option<Vec<usize>>) -> Row {
    let manifest = data.manifest();
    let clip = &manifest.clips[number];
    let count = stated_frames(&clip.frames);
    let detail = if let Some(frames) = &frames {
        let (first, last) = (frames.first().map_or(0, |f| f + 1), frames.last().map_or(0, |f| f + 1));
        format!("frames {first} to {last} of {count}")
    } else {
        let frames = counted(count as u64, "frame", "frames");
        match clip.label {
            Some(label) => format!("class {label} {}, {frames}", manifest.classes[label as usize]),
            None => format!("without a label, {frames}"),
        }
    };
    let frames = frames.unwrap_or_else(|| spaced(frames_of(data, number), COLUMNS));
    Row { clip: number, title: clip.id.clone(), detail, frames, captions: Vec::new() }
}

/// Returns the number of frames that every stream of the clip has.
fn frames_of(data: &Dataset, clip: usize) -> usize {
    data.manifest().clips[clip].frames.values().min().copied().unwrap_or(0) as usize
}

/// Returns the number of frames that the text above a row states: of RGB frames, or of flow frames
/// without them.
fn stated_frames(frames: &BTreeMap<String, u32>) -> usize {
    frames.get("rgb").or_else(|| frames.get("flow")).copied().unwrap_or(0) as usize
}

/// Shortens a text to a number of letters. A shortened text ends in an ellipsis.
pub fn shorten(text: &str, letters: usize) -> String {
    if text.chars().count() <= letters {
        return text.to_owned();
    }
    text.chars().take(letters.saturating_sub(1)).chain(['…']).collect()
}

/// Returns `wanted` evenly spaced numbers of 0..count, or all of them.
fn spaced(count: usize, wanted: usize) -> Vec<usize> {
    let wanted = wanted.min(count);
    (0..wanted).map(|i| (2 * i + 1) * count / (2 * wanted)).collect()
}

struct Strip {
    thumbs: Vec<(usize, Thumb)>,
    height: usize,
    scale_note: String,
}

struct Thumb {
    y: usize,
    width: usize,
    height: usize,
    pixels: Vec<u8>,
}

struct Painter {
    decoder: Decoder,
    resizer: Resizer,
}

impl Painter {
    fn strip(&mut self, data: &Dataset, row: &Row) -> Result<Strip> {
        let clip = &data.manifest().clips[row.clip];
        let open = |name: &str| clip.frames.contains_key(name).then(|| data.clip(name, row.clip)).transpose();
        let (rgb, flow) = (open("rgb")?, open("flow")?);
        let Some(size) = rgb.as_ref().or(flow.as_ref()).map(|records| records.size(0, 0)).transpose()? else {
            return Ok(Strip { thumbs: Vec::new(), height: 0, scale_note: String::new() });
        };
        // Flow that was resized to a square gets the aspect ratio of the frame.
        let thumb_height =
            (THUMB_WIDTH * usize::from(size.height)).div_ceil(size.width.into()).clamp(16, 2 * THUMB_WIDTH);
        let mut strip = Strip { thumbs: Vec::new(), height: 0, scale_note: String::new() };
        if let Some(rgb) = rgb {
            for (column, &frame) in row.frames.iter().enumerate() {
                let (size, pixels) = self.decode(&rgb, frame, 0)?;
                let pixels = self.thumb(&pixels, size, thumb_height);
                strip.thumbs.push((column, Thumb { y: 0, width: THUMB_WIDTH, height: thumb_height, pixels }));
            }
            strip.height = thumb_height;
        }
        if let Some(flow) = flow {
            let y = if strip.height > 0 { strip.height + GAP } else { 0 };
            let mut fields = Vec::new();
            for &frame in &row.frames {
                // The last RGB frame has no flow, so it shows the previous flow.
                let frame = frame.min(flow.frame_count().saturating_sub(1));
                let mut plane = |plane| {
                    let (size, pixels) = self.decode(&flow, frame, plane)?;
                    Ok::<_, Error>(self.thumb(&pixels, size, thumb_height))
                };
                fields.push((plane(0)?, plane(1)?));
            }
            let scale = wheel::scale(&fields).max(MIN_SCALE);
            for (column, (x, y_plane)) in fields.iter().enumerate() {
                let pixels = wheel::colour_field(x, y_plane, scale);
                strip.thumbs.push((column, Thumb { y, width: THUMB_WIDTH, height: thumb_height, pixels }));
            }
            strip.height = y + thumb_height;
            strip.scale_note = format!(", full colour = {:.1} pixels per frame", scale * PIXELS_PER_LEVEL);
        }
        Ok(strip)
    }

    fn decode(&mut self, clip: &ClipRecords<'_>, frame: usize, plane: usize) -> Result<(ImageSize, Vec<u8>)> {
        let size = clip.size(frame, plane)?;
        let mut pixels = vec![0; size.bytes()];
        clip.decode(frame, plane, &mut self.decoder, &mut pixels)?;
        Ok((size, pixels))
    }

    fn thumb(&mut self, pixels: &[u8], size: ImageSize, height: usize) -> Vec<u8> {
        let mut out = Vec::new();
        let from = (usize::from(size.width), usize::from(size.height));
        self.resizer.resize(pixels, from, (THUMB_WIDTH, height), size.channels.into(), &mut out);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_spaced_evenly() {
        assert_eq!(spaced(16, 8), [1, 3, 5, 7, 9, 11, 13, 15]);
        assert_eq!(spaced(3, 8), [0, 1, 2]);
        assert!(spaced(0, 8).is_empty());
    }

    #[test]
    fn stated_frames_are_rgb_frames_if_there_are_any() {
        let stated = |frames: &[(&str, u32)]| {
            stated_frames(&frames.iter().map(|&(stream, count)| (stream.to_owned(), count)).collect())
        };
        assert_eq!(stated(&[("rgb", 120), ("flow", 119)]), 120);
        assert_eq!(stated(&[("flow", 119)]), 119);
        assert_eq!(stated(&[]), 0);
    }

    #[test]
    fn long_texts_end_in_an_ellipsis() {
        assert_eq!(["cricket", "crickets"].map(|name| shorten(name, 7)), ["cricket", "cricke…"]);
    }

    #[test]
    fn letters_are_drawn_without_accents() {
        let draw = |text: &str| {
            let mut canvas = Canvas::new(60, 10, PAGE);
            let end = canvas.text(0, 0, 1, INK, text);
            (end, canvas.pixels)
        };
        assert!(draw("ete ?odz") == draw("été Łódź"));
        assert!(draw("ete") == draw("e\u{301}te\u{301}"));
        assert!(draw("日") == draw("?") && draw("…") != draw("?"));
    }
}
