//! Runs the programs ffmpeg and ffprobe: finds them on the PATH, reads their version, and starts
//! them so that they output each frame exactly once.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::process::cannot_start;
use crate::error::{ClipError, Error, Problem, Result, Setting};

/// The installed ffmpeg.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ffmpeg {
    /// Name and version, for example `ffmpeg 5.1.9-0+deb12u1`.
    pub version: String,
    /// Whether ffmpeg has the option `-fps_mode` (since 5.1). Older versions use `-vsync`.
    fps_mode: bool,
}

/// Limit for the frames of a clip: a week at 25 frames per second.
pub(crate) const MOST_FRAMES: u32 = 1 << 24;

impl Ffmpeg {
    /// Finds ffmpeg and ffprobe on the PATH.
    ///
    /// # Errors
    /// Returns [`Error::Input`] if one of them is not installed or does not report a version.
    pub fn find() -> Result<Self> {
        let version = version("ffmpeg")?;
        self::version("ffprobe")?;
        Ok(Self { fps_mode: has_fps_mode(&version), version: format!("ffmpeg {version}") })
    }

    /// Returns a command that decodes the first `frames` frames of a video. It writes 8-bit RGB PPM
    /// images to standard output, one after another, and warnings to standard error.
    pub(crate) fn decode(&self, video: &Path, frames: u32) -> Command {
        let mut command = Command::new("ffmpeg");
        command.args(["-nostdin", "-hide_banner", "-loglevel", "error", "-threads", "1"]);
        input(&mut command, video);
        command.args(["-map", VIDEO_STREAM, "-frames:v"]).arg(frames.to_string());
        // Converts every pixel format to RGB with the same result on every processor: 10 bits,
        // grey, palettes, alpha.
        command.args(["-sws_flags", "accurate_rnd+full_chroma_int+bitexact", "-pix_fmt", "rgb24", "-threads", "1"]);
        // Frames are output as decoded: none is duplicated or dropped to keep a frame rate or
        // because of its timestamp. `setpts` numbers the frames. If frames change their size,
        // ffmpeg restarts the filters and the numbers, and its complaint about that reveals the
        // change.
        command.args(["-vf", "setpts=N*100/TB"]);
        command.args(if self.fps_mode { ["-fps_mode", "passthrough"] } else { ["-vsync", "0"] });
        command.args(["-f", "image2pipe", "-c:v", "ppm", "pipe:1"]);
        command
    }
}

/// The first real video stream. Cover art, thumbnails and other attached pictures do not count.
pub(super) const VIDEO_STREAM: &str = "V:0";

/// Formats that contain their own frames. Playlists (HLS, DASH, concat) and image sequences refer
/// to other files and are not allowed.
const FORMATS: &str = "avi,mov,matroska,webm,mpegts,mpeg,mpegvideo,m4v,asf,flv,live_flv,ogg,h264,hevc";

/// Adds the file to read, and forbids all other files and formats.
pub(super) fn input(command: &mut Command, video: &Path) {
    command.args(["-protocol_whitelist", "file", "-format_whitelist", FORMATS, "-i"]).arg(url(video));
}

/// Returns how long a program may take without output: long enough for a slow disk that reads one
/// megabyte per second.
pub(crate) fn patience(video: &Path) -> Duration {
    let bytes = video.metadata().map_or(0, |metadata| metadata.len());
    Duration::from_secs(60 + bytes / 1_000_000)
}

/// Returns the error for a message of ffmpeg. The file is at fault, unless the machine ran out of
/// something.
pub(super) fn refused(words: &str, what: &str) -> ClipError {
    let lower = words.to_ascii_lowercase();
    let machine = [
        ("too many open files", "raise the limit of open files (ulimit -n 4096), or "),
        ("cannot allocate memory", ""),
        ("resource temporarily unavailable", "raise the limit of processes (ulimit -u), or "),
    ];
    if let Some((_, first)) = machine.iter().find(|(trouble, _)| lower.contains(trouble)) {
        let cure = Problem::from(format!("{first}reduce ")).name(Setting::Jobs);
        return ClipError::Work(Error::Machine { what: format!("ffmpeg: {words}"), reason: None, cure });
    }
    if lower.contains("not on whitelist") || lower.contains("not in whitelist") {
        return ClipError::fault(
            "it is a playlist or has an unsupported container; convert it with ffmpeg, or remove it",
        );
    }
    ClipError::fault(format!("{what} ({words}); get the file again"))
}

fn version(program: &str) -> Result<String> {
    let asked = Command::new(program).arg("-version").stdin(Stdio::null()).output();
    let output = asked.map_err(|e| cannot_start(program, Path::new("-version"), e))?;
    let text = String::from_utf8_lossy(&output.stdout);
    // The line is like `ffmpeg version 5.1.9-0+deb12u1 Copyright (c) ...`.
    let version = text.lines().next().and_then(|line| line.split_whitespace().nth(2));
    match version {
        Some(version) if output.status.success() => Ok(version.to_owned()),
        _ => Err(Error::input(format!("`{program} -version` prints no version ({}); reinstall ffmpeg", output.status))),
    }
}

/// Returns whether ffmpeg has `-fps_mode`, which replaces `-vsync` since version 5.1. Development
/// builds (`N-1234-g...`) are assumed to be newer.
fn has_fps_mode(version: &str) -> bool {
    let mut numbers = version.trim_start_matches('n').split(['.', '-', '+', '~']).map(|part| part.parse::<u32>().ok());
    match (numbers.next().flatten(), numbers.next().flatten()) {
        (Some(major), minor) => (major, minor.unwrap_or(0)) >= (5, 1),
        (None, _) => true,
    }
}

/// Returns a URL that ffmpeg treats as a file, whatever the path looks like.
fn url(video: &Path) -> OsString {
    let mut url = OsString::from("file:");
    url.push(video);
    url
}

/// The meaning of ffmpeg's messages for the frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// No fault: joined Ogg files have header packets among their frames.
    Nothing,
    /// Frames that others refer to are missing, because the video was cut between key frames.
    MissingReferences,
    /// The frames change their size or pixel format.
    OtherSize,
    /// Any other message.
    Damage,
}

/// Classifies the lines that ffmpeg wrote to standard error.
pub(super) fn meaning(stderr: &[u8]) -> Meaning {
    const HEADERS: [&str; 1] = ["header packet passed to frame decoder"];
    const REFERENCES: [&str; 9] = [
        "mmco: unref short failure",
        "number of reference frames",
        "reference picture missing",
        "missing reference picture",
        "could not find ref with poc",
        "co located pocs unavailable",
        "non-existing pps",
        "decode_slice_header error",
        "no frame!",
    ];
    // These lines follow the line with the actual fault.
    const FOLLOWING: [&str; 2] = ["last message repeated", "error while decoding stream"];
    let text = String::from_utf8_lossy(stderr).to_ascii_lowercase();
    if text.contains("non monotonically increasing dts") {
        return Meaning::OtherSize;
    }
    let mut found = Meaning::Nothing;
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    for (number, line) in lines.enumerate() {
        let has = |phrases: &[&str]| phrases.iter().any(|phrase| line.contains(phrase));
        if has(&REFERENCES) {
            found = Meaning::MissingReferences;
        } else if !has(&HEADERS) && (number == 0 || !has(&FOLLOWING)) {
            return Meaning::Damage;
        }
    }
    found
}

/// Shortens ffmpeg's messages to one line. Removes the name of the file, because callers add it.
pub(crate) fn told(stderr: &[u8], video: &Path) -> String {
    let text = String::from_utf8_lossy(stderr);
    let name = format!("file:{}: ", video.display());
    // In `[h264 @ 0x55906c460ec0] words`, the address helps no reader.
    let plain =
        |line: &str| match line.split_once(" @ 0x").and_then(|(name, rest)| Some((name, rest.split_once("] ")?.1))) {
            Some((name, words)) if name.starts_with('[') => format!("{}: {words}", &name[1..]),
            _ => line.to_owned(),
        };
    let lines: Vec<String> = text.lines().map(|line| plain(line.trim().trim_start_matches(&name))).collect();
    let mut words = lines.iter().take(2).cloned().collect::<Vec<_>>().join("; ");
    if lines.len() > 2 {
        words.push_str("; ...");
    }
    if words.is_empty() { "no reason given".into() } else { words }
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
    fn words_of_ffmpeg_are_cut_to_a_line() {
        let video = Path::new("a.avi");
        assert_eq!(told(b"file:a.avi: Invalid data\n", video), "Invalid data");
        assert_eq!(told(b"one\ntwo\nthree\n", video), "one; two; ...");
        assert_eq!(told(b"", video), "no reason given");
        assert_eq!(told(b"[h264 @ 0x55906c460ec0] no frame!\n", video), "h264: no frame!");
    }

    #[test]
    fn words_about_references_are_told_from_damage() {
        let of = |text: &str| meaning(text.as_bytes());
        let stream = "Error while decoding stream #0:0: Invalid data found when processing input\n";
        assert_eq!(of(""), Meaning::Nothing);
        assert_eq!(
            of("[h264 @ 0x1] mmco: unref short failure\n    Last message repeated 3 times\n"),
            Meaning::MissingReferences
        );
        let pps = "[h264 @ 0x1] non-existing PPS 0 referenced\n[h264 @ 0x1] decode_slice_header error\n[h264 @ 0x1] \
            no frame!\n";
        assert_eq!(of(&format!("{pps}{stream}")), Meaning::MissingReferences);
        assert_eq!(
            of(&format!("[theora @ 0x1] Header packet passed to frame decoder, skipping\n{stream}")),
            Meaning::Nothing
        );
        assert_eq!(of(&format!("{pps}[h264 @ 0x1] error while decoding MB 3 4\n")), Meaning::Damage);
        assert_eq!(of(stream), Meaning::Damage);
        let back = "[image2pipe @ 0x1] Application provided invalid, non monotonically increasing dts to muxer in \
            stream 0: 6 >= 0\n";
        assert_eq!(of(back), Meaning::OtherSize);
    }
}
