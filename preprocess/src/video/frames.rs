//! The frames of a video, one after the other, through a pipe from ffmpeg.

use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout};
use std::thread::JoinHandle;

use clipshard::ImageSize;

use super::ffmpeg::{Ffmpeg, cannot_start, told};

/// Bytes of ffmpeg's words that are kept.
const MOST_WORDS: u64 = 4096;

/// A decoded frame: RGB, `[height, width, 3]`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Frame {
    pub width: u16,
    pub height: u16,
    pub pixels: Vec<u8>,
}

/// Decodes a video. Dropped before its end, it ends ffmpeg.
pub(crate) struct FrameReader {
    video: PathBuf,
    child: Child,
    frames: BufReader<ChildStdout>,
    words: Option<JoinHandle<Vec<u8>>>,
}

impl FrameReader {
    /// Starts to decode the first `frames` frames.
    pub fn start(ffmpeg: &Ffmpeg, video: &Path, frames: u32) -> Result<Self, String> {
        let mut child = ffmpeg.decode(video, frames).spawn().map_err(|e| cannot_start("ffmpeg", &e))?;
        let (Some(out), Some(mut words)) = (child.stdout.take(), child.stderr.take()) else {
            return Err("ffmpeg was started without pipes".into());
        };
        // Read all along, or ffmpeg would wait once the pipe is full.
        let words = std::thread::spawn(move || {
            let mut kept = Vec::new();
            let _ = words.by_ref().take(MOST_WORDS).read_to_end(&mut kept);
            let _ = io::copy(&mut words, &mut io::sink());
            kept
        });
        let frames = BufReader::with_capacity(1 << 17, out);
        Ok(Self { video: video.to_owned(), child, frames, words: Some(words) })
    }

    /// Reads the next frame into `frame`; false at the end.
    pub fn next(&mut self, frame: &mut Frame) -> Result<bool, String> {
        let read = read_ppm(&mut self.frames, frame);
        read.map_err(|error| format!("ffmpeg's output cannot be read: {error}{}", self.said()))
    }

    /// Waits for ffmpeg's end. An error where it failed, else what it had to say.
    pub fn finish(mut self) -> Result<Option<String>, String> {
        let status = self.child.wait().map_err(|e| format!("ffmpeg's end was not seen: {e}"))?;
        let words = self.words();
        if !status.success() {
            let words = told(&words, &self.video);
            return Err(format!("ffmpeg cannot decode it ({words}); get the file again"));
        }
        Ok((!words.is_empty()).then(|| told(&words, &self.video)))
    }

    fn words(&mut self) -> Vec<u8> {
        self.words.take().and_then(|words| words.join().ok()).unwrap_or_default()
    }

    fn said(&mut self) -> String {
        let _ = self.child.kill();
        match self.words() {
            words if words.is_empty() => String::new(),
            words => format!(" ({})", told(&words, &self.video)),
        }
    }
}

impl Drop for FrameReader {
    fn drop(&mut self) {
        // After its end neither does anything.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads a binary PPM image as ffmpeg writes it (`P6`, size, 255, each behind a white space); false at the end of input.
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
