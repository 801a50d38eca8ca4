//! The programs ffmpeg and ffprobe: found on PATH, asked for their version, started in a way that gives every frame once.

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::error::{Error, Result};

/// ffmpeg as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ffmpeg {
    /// As it tells it, e.g. `ffmpeg 5.1.9-0+deb12u1`.
    pub version: String,
    /// Whether frames are passed on one by one by `-fps_mode` (since 5.1) or by `-vsync`.
    fps_mode: bool,
}

/// Frames beyond this are no clip's: a header is damaged.
const MOST_FRAMES: u64 = 1 << 24;

impl Ffmpeg {
    /// Looks for both programs.
    pub fn find() -> Result<Self> {
        let version = version("ffmpeg")?;
        self::version("ffprobe")?;
        Ok(Self { fps_mode: has_fps_mode(&version), version: format!("ffmpeg {version}") })
    }

    /// A process that writes the first `frames` frames of a video to its standard output, as PPM images one behind the other,
    /// and what is wrong to standard error.
    pub(crate) fn decode(&self, video: &Path, frames: u32) -> Command {
        let mut command = Command::new("ffmpeg");
        command.args(["-nostdin", "-hide_banner", "-loglevel", "error", "-threads", "1", "-i"]).arg(url(video));
        command.args(["-map", "0:v:0", "-frames:v"]).arg(frames.to_string());
        // Conversion to RGB that is exact on every processor.
        command.args(["-sws_flags", "accurate_rnd+full_chroma_int+bitexact", "-threads", "1"]);
        // As decoded: no frame doubled or dropped to keep a rate.
        command.args(if self.fps_mode { ["-fps_mode", "passthrough"] } else { ["-vsync", "0"] });
        command.args(["-f", "image2pipe", "-c:v", "ppm", "pipe:1"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // Ctrl-C on a terminal is for this program, which ends ffmpeg itself; else a video that it cut would look short.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        command
    }
}

/// Frames of the first video stream, as the container's header says or else as its packets were counted; or what is wrong with
/// the file in words.
pub(crate) fn probe_frames(video: &Path) -> Result<u32, String> {
    if let Some(fault) = cut_short(video) {
        return Err(fault);
    }
    let header = ask(video, &[])?;
    let frames = match count(&header, "nb_frames") {
        Some(frames) => frames,
        // Containers such as WebM do not say; their packets can be counted without decoding.
        None => count(&ask(video, &["-count_packets"])?, "nb_read_packets").unwrap_or(0),
    };
    if frames > MOST_FRAMES {
        return Err(format!("its header says {frames} frames; it is damaged: get the file again"));
    }
    Ok(frames as u32)
}

/// What to do where a program cannot be started.
pub(crate) fn cannot_start(program: &str, error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::NotFound {
        format!(
            "{program} is not on the PATH, and it decodes the videos: install it (apt install ffmpeg, dnf install ffmpeg, brew install ffmpeg, conda install -c conda-forge ffmpeg) and run this again"
        )
    } else {
        format!("{program} cannot be started: {error}")
    }
}

fn version(program: &str) -> Result<String> {
    let asked = Command::new(program).arg("-version").stdin(Stdio::null()).output();
    let output = asked.map_err(|e| Error::Input(cannot_start(program, &e)))?;
    let text = String::from_utf8_lossy(&output.stdout);
    // `ffmpeg version 5.1.9-0+deb12u1 Copyright (c) ...`
    let version = text.lines().next().and_then(|line| line.split_whitespace().nth(2));
    match version {
        Some(version) if output.status.success() => Ok(version.to_owned()),
        _ => Err(Error::Input(format!(
            "`{program} -version` ended with {} and no version; install ffmpeg anew and run this again",
            output.status
        ))),
    }
}

/// `-fps_mode` came with 5.1 and `-vsync` is going away; builds from the sources in between (`N-1234-g...`) count as new.
fn has_fps_mode(version: &str) -> bool {
    let mut numbers = version.trim_start_matches('n').split(['.', '-', '+', '~']).map(|part| part.parse::<u32>().ok());
    match (numbers.next().flatten(), numbers.next().flatten()) {
        (Some(major), minor) => (major, minor.unwrap_or(0)) >= (5, 1),
        (None, _) => true,
    }
}

/// A path that ffmpeg takes for a file, whatever it looks like.
fn url(video: &Path) -> OsString {
    let mut url = OsString::from("file:");
    url.push(video);
    url
}

/// One video stream's entries.
fn ask(video: &Path, options: &[&str]) -> Result<Value, String> {
    let mut command = Command::new("ffprobe");
    command.args(["-hide_banner", "-loglevel", "error", "-select_streams", "v:0"]).args(options);
    command.args(["-show_entries", "stream=nb_frames,nb_read_packets", "-of", "json"]).arg(url(video));
    let output = command.stdin(Stdio::null()).output().map_err(|e| cannot_start("ffprobe", &e))?;
    if !output.status.success() {
        let words = told(&output.stderr, video);
        return Err(format!("it cannot be read as a video ({words}); get the file again"));
    }
    let document: Value = serde_json::from_slice(&output.stdout).map_err(|e| format!("ffprobe's answer: {e}"))?;
    match document["streams"].get(0) {
        Some(stream) => Ok(stream.clone()),
        None => Err("it has no video stream; get the file again".into()),
    }
}

fn count(stream: &Value, key: &str) -> Option<u64> {
    stream[key].as_str().and_then(|text| text.parse().ok()).filter(|&frames| frames > 0)
}

/// What ffmpeg wrote to standard error, in one line without the file's name, which the caller tells.
pub(crate) fn told(stderr: &[u8], video: &Path) -> String {
    let text = String::from_utf8_lossy(stderr);
    let name = format!("file:{}: ", video.display());
    let lines: Vec<&str> = text.lines().map(|line| line.trim().trim_start_matches(&name)).collect();
    let mut words = lines.iter().take(2).copied().collect::<Vec<_>>().join("; ");
    if lines.len() > 2 {
        words.push_str("; ...");
    }
    if words.is_empty() { "no reason given".into() } else { words }
}

/// Whether a RIFF file (AVI) is shorter than its header says: then frames are missing that the header counts.
fn cut_short(video: &Path) -> Option<String> {
    use std::io::Read;
    let mut file = std::fs::File::open(video).ok()?;
    let length = file.metadata().ok()?.len();
    let mut head = [0; 12];
    if length == 0 {
        return Some("the file is empty; get it again".into());
    }
    file.read_exact(&mut head).ok()?;
    let [b'R', b'I', b'F', b'F', size @ .., b'A', b'V', b'I', b' '] = head else { return None };
    let said = u64::from(u32::from_le_bytes(size)) + 8;
    (said > length).then(|| format!("it is cut short: {length} of {said} bytes are there; get the file again"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_tell_how_frames_are_passed_on() {
        for (version, new) in [
            ("5.1.9-0+deb12u1", true),
            ("4.4.2-0ubuntu0.22.04.1", false),
            ("5.0.1", false),
            ("7.1", true),
            ("8", true),
            ("n6.0", true),
            ("N-113007-g8d24a28d06", true),
        ] {
            assert_eq!(has_fps_mode(version), new, "{version}");
        }
    }

    #[test]
    fn an_avi_that_is_shorter_than_it_says_is_cut_short() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.avi");
        let mut bytes = b"RIFF\x10\0\0\0AVI ".to_vec();
        bytes.extend([0; 11]);
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(cut_short(&path).unwrap(), "it is cut short: 23 of 24 bytes are there; get the file again");
        bytes.push(0);
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(cut_short(&path), None);
        std::fs::write(&path, "text").unwrap();
        assert_eq!(cut_short(&path), None);
        std::fs::write(&path, "").unwrap();
        assert_eq!(cut_short(&path).unwrap(), "the file is empty; get it again");
    }

    #[test]
    fn a_program_that_is_missing_is_named_with_the_cure() {
        let words = cannot_start("ffmpeg", &io::Error::from(io::ErrorKind::NotFound));
        assert!(words.starts_with("ffmpeg is not on the PATH") && words.contains("apt install ffmpeg"), "{words}");
    }

    #[test]
    fn words_of_ffmpeg_are_cut_to_a_line() {
        let video = Path::new("a.avi");
        assert_eq!(told(b"file:a.avi: Invalid data\n", video), "Invalid data");
        assert_eq!(told(b"one\ntwo\nthree\n", video), "one; two; ...");
        assert_eq!(told(b"", video), "no reason given");
    }
}
