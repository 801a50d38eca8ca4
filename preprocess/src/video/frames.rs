//! Reads the frames of a video through a pipe from ffmpeg.

use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use clipshard::ImageSize;

use super::ffmpeg::Ffmpeg;
use super::ffmpeg::{Meaning, meaning, patience, refused, told};
use super::process::Process;
use crate::error::ClipError;

/// A decoded frame: RGB, `[height, width, 3]`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Frame {
    pub width: u16,
    pub height: u16,
    pub pixels: Vec<u8>,
}

/// Decodes a video. Dropping it early stops ffmpeg.
pub(crate) struct FrameReader<'a> {
    video: PathBuf,
    frames: BufReader<Process<'a>>,
    read: u32,
    /// Number of bytes that ffmpeg had written to standard error when the first frames were read.
    said_at_start: usize,
}

/// Messages during this number of frames are about the start of a video.
const START_FRAMES: u32 = 8;

/// The messages of ffmpeg about a video that it decoded to the end.
#[derive(Debug)]
pub(crate) struct Said {
    /// The messages in one line.
    pub words: String,
    /// Meaning of the messages.
    pub meaning: Meaning,
    /// Whether all messages came during the first frames.
    pub at_start: bool,
}

impl<'a> FrameReader<'a> {
    /// Starts to decode the first `frames` frames.
    pub fn start(ffmpeg: &Ffmpeg, video: &Path, frames: u32, cancel: &'a AtomicBool) -> Result<Self, ClipError> {
        let process = Process::start("ffmpeg", ffmpeg.decode(video, frames), video, patience(video), cancel)?;
        Ok(Self {
            video: video.to_owned(),
            frames: BufReader::with_capacity(1 << 17, process),
            read: 0,
            said_at_start: 0,
        })
    }

    /// Reads the next frame into `frame`. Returns false at the end.
    pub fn next(&mut self, frame: &mut Frame) -> Result<bool, ClipError> {
        let read = read_ppm(&mut self.frames, frame);
        if self.read < START_FRAMES {
            self.said_at_start = self.frames.get_ref().said();
        }
        self.read += 1;
        read.map_err(|error| {
            let process = self.frames.get_mut();
            match (process.read_fault(&error), process.words()) {
                (ClipError::Clip(fault), words) if !words.is_empty() => {
                    refused(&format!("{fault}: {}", told(&words, &self.video)), "ffmpeg cannot decode it")
                }
                (error, _) => error,
            }
        })
    }

    /// Waits until ffmpeg ends. Returns its messages, or an error if it failed.
    pub fn finish(mut self) -> Result<Option<Said>, ClipError> {
        let process = self.frames.get_mut();
        let status = process.wait()?;
        let words = process.words();
        let told = told(&words, &self.video);
        if !status.success() {
            return Err(refused(&told, "ffmpeg cannot decode it"));
        }
        let (meaning, at_start) = (meaning(&words), words.len() == self.said_at_start);
        Ok((meaning != Meaning::Nothing).then_some(Said { words: told, meaning, at_start }))
    }
}

/// Reads a binary PPM image as ffmpeg writes it: `P6`, width, height and 255, each followed by
/// whitespace. Returns false at the end of the input.
fn read_ppm(input: &mut impl Read, frame: &mut Frame) -> io::Result<bool> {
    let wrong = |what: String| io::Error::new(io::ErrorKind::InvalidData, what);
    let mut magic = [0; 3];
    if input.read(&mut magic[..1])? == 0 {
        return Ok(false);
    }
    input.read_exact(&mut magic[1..])?;
    if &magic != b"P6\n" {
        return Err(wrong(format!("an image starts with {magic:02x?}")));
    }
    let mut number = || -> io::Result<u32> {
        let mut value = 0;
        for digits in 0.. {
            let mut byte = [0];
            input.read_exact(&mut byte)?;
            match byte[0] {
                digit @ b'0'..=b'9' if digits < 6 => value = 10 * value + u32::from(digit - b'0'),
                b' ' | b'\n' if digits > 0 => break,
                other => return Err(wrong(format!("byte {other:#04x} in an image's size"))),
            }
        }
        Ok(value)
    };
    let (width, height, most) = (number()?, number()?, number()?);
    let size = |side: u32| u16::try_from(side).map_err(|_| wrong(format!("frames of {width}x{height} pixels")));
    let size = ImageSize { width: size(width)?, height: size(height)?, channels: 3 };
    if most != 255 || !size.is_storable() {
        return Err(wrong(format!("frames of {size} samples up to {most} cannot be stored")));
    }
    (frame.width, frame.height) = (size.width, size.height);
    frame.pixels.resize(size.bytes(), 0);
    input.read_exact(&mut frame.pixels)?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_read_one_behind_the_other() {
        let mut bytes = b"P6\n2 1\n255\nabcdef".to_vec();
        bytes.extend(b"P6\n1 2\n255\nP6\nxyz");
        let (mut input, mut frame) = (&bytes[..], Frame::default());
        assert!(read_ppm(&mut input, &mut frame).unwrap());
        assert_eq!(frame, Frame { width: 2, height: 1, pixels: b"abcdef".to_vec() });
        assert!(read_ppm(&mut input, &mut frame).unwrap());
        assert_eq!(frame, Frame { width: 1, height: 2, pixels: b"P6\nxyz".to_vec() });
        assert!(!read_ppm(&mut input, &mut frame).unwrap());
    }

    #[test]
    fn what_is_no_image_is_refused_before_memory_is_taken() {
        for bytes in [
            &b"P5\n2 1\n255\nabcdef"[..],
            b"P6\n2 1\n65535\nabcdef",
            b"P6\n99999 99999\n255\n",
            b"P6\n9999999999 1\n255\n",
            b"P6\n65535 65535\n255\n",
            b"P6\n0 4\n255\n",
            b"P6\n-2 4\n255\n",
            b"P6\n2 1\n255\nabcde",
            b"P6",
        ] {
            let mut frame = Frame::default();
            assert!(read_ppm(&mut &bytes[..], &mut frame).is_err(), "{}", String::from_utf8_lossy(bytes));
        }
    }
}
