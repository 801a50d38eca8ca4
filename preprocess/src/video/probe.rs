//! Asks ffprobe what a video file says about itself, without decoding it.

use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::AtomicBool;

use super::container::{self, Verdict};
use super::ffmpeg::{MOST_FRAMES, VIDEO_STREAM, input, patience, refused, told};
use super::process::Process;
use super::timing::{Fraction, Stamps, Timing};
use crate::error::{ClipError, machine_fault};

/// Limit for the bytes of a line of ffprobe's output. Longer lines are divided.
const MOST_LINE: u64 = 1 << 12;

/// The information that a file gives about its video without decoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Probed {
    /// Number of packets in its video stream. The number of frames can differ slightly, because a
    /// few frames may be hidden, empty or duplicated.
    pub packets: u32,
    /// Number of frames in the header, if it has one. It is a hint: cutting without re-encoding
    /// leaves it too high, and streaming leaves it open.
    pub header_frames: Option<u32>,
    /// The timestamps, if the packets have some.
    pub timing: Option<Timing>,
}

/// Reads the packets of a video file without decoding them.
pub(super) fn probe(video: &Path, cancel: &AtomicBool) -> Result<Probed, ClipError> {
    let unreadable = |error: io::Error| match machine_fault(&format!("cannot read {}", video.display()), error) {
        Ok(fault) => ClipError::Work(fault),
        Err(error) => ClipError::fault(format!("cannot read it: {error}")),
    };
    let damaged = |fault: &str| ClipError::fault(format!("{fault}; get the file again"));
    let verdict = container::judge(video).map_err(unreadable)?;
    if let Verdict::Damaged(fault) = &verdict {
        return Err(damaged(fault));
    }
    let mut command = Command::new("ffprobe");
    command.args(["-hide_banner", "-loglevel", "error", "-select_streams", VIDEO_STREAM, "-count_packets"]);
    command.args(["-show_entries", ENTRIES, "-of", "compact"]);
    input(&mut command, video);
    let mut process = Process::start("ffprobe", command, video, patience(video), cancel)?;
    let mut answer = Answer::default();
    if let Err(error) = answer.read(BufReader::new(&mut process)) {
        return Err(process.read_fault(&error));
    }
    let status = process.wait()?;
    if !status.success() {
        let words = told(&process.words(), video);
        return Err(refused(&words, "it is not a readable video"));
    }
    let probed = answer.finish()?;
    match verdict {
        Verdict::Doubtful(fault) if probed.header_frames.is_some_and(|frames| frames > probed.packets + 1) => {
            Err(damaged(&fault))
        }
        _ => Ok(probed),
    }
}

/// The wanted properties of packets and of the stream.
const ENTRIES: &str =
    "packet=pts,dts,size,flags:stream=time_base,avg_frame_rate,r_frame_rate,nb_frames,nb_read_packets";

/// The output of ffprobe, one line for each packet and for the stream:
/// `packet|pts=N/A|dts=0|size=3269|flags=K_`.
#[derive(Default)]
struct Answer {
    /// Number of packets that may contain a shown frame.
    shown: u32,
    /// Times at which frames are shown, and at which they are decoded.
    shown_at: Stamps,
    decoded_at: Stamps,
    stream: Option<String>,
}

impl Answer {
    fn read(&mut self, mut input: impl BufRead) -> io::Result<()> {
        let mut line = Vec::new();
        loop {
            line.clear();
            if input.by_ref().take(MOST_LINE).read_until(b'\n', &mut line)? == 0 {
                return Ok(());
            }
            let line = String::from_utf8_lossy(&line);
            match line.trim_end().split_once('|') {
                Some(("packet", fields)) => self.add_packet(fields),
                // Streams of a transport stream are also listed in lines `program|stream|...`.
                Some(("stream", fields)) => self.stream = Some(fields.to_owned()),
                _ => {}
            }
        }
    }

    /// Adds a packet, unless it is empty or an edit list discards its frame.
    fn add_packet(&mut self, fields: &str) {
        let is_hidden =
            field(fields, "size") == Some("0") || field(fields, "flags").is_some_and(|flags| flags.contains('D'));
        if is_hidden {
            return;
        }
        self.shown = self.shown.saturating_add(1);
        for (key, stamps) in [("pts", &mut self.shown_at), ("dts", &mut self.decoded_at)] {
            if let Some(stamp) = field(fields, key).and_then(|text| text.parse().ok()) {
                stamps.add(stamp);
            }
        }
    }

    fn finish(self) -> Result<Probed, ClipError> {
        let Some(stream) = &self.stream else {
            return Err(ClipError::fault("it has no video stream; get the file again"));
        };
        let count = |key: &str| field(stream, key).and_then(|text| text.parse::<u64>().ok()).filter(|&n| n > 0);
        let usual = |frames: u64| u32::try_from(frames).ok().filter(|&frames| frames <= MOST_FRAMES);
        let Some(packets) = usual(count("nb_read_packets").unwrap_or(0)) else {
            return Err(ClipError::fault(format!("it has more than {MOST_FRAMES} frames; split it into clips")));
        };
        let header_frames = count("nb_frames").and_then(usual);
        let fraction = |key: &str| field(stream, key).and_then(Fraction::parse);
        let stated = [fraction("avg_frame_rate"), fraction("r_frame_rate")];
        // AVI files with B-frames have only times of decoding, which are as regular.
        let stamps = [self.shown_at, self.decoded_at].into_iter().find(|stamps| stamps.count() == self.shown);
        let timing = fraction("time_base").zip(stamps).and_then(|(tick, stamps)| Timing::new(stamps, tick, stated));
        Ok(Probed { packets, header_frames, timing })
    }
}

/// Returns the value of a key in `key=value|key=value`.
fn field<'a>(fields: &'a str, key: &str) -> Option<&'a str> {
    fields.split('|').find_map(|field| field.strip_prefix(key)?.strip_prefix('='))
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &str = "stream|r_frame_rate=25/1|avg_frame_rate=25/1|time_base=1/25|nb_frames=4|nb_read_packets=4\n";

    fn probed(text: &str) -> Result<Probed, String> {
        let mut answer = Answer::default();
        answer.read(text.as_bytes()).unwrap();
        answer.finish().map_err(|error| match error {
            ClipError::Clip(absence) => absence.to_string(),
            ClipError::Work(error) => error.to_string(),
        })
    }

    #[test]
    fn packets_without_times_of_showing_count_by_those_of_decoding() {
        let packets = "packet|pts=N/A|dts=0|size=9|flags=K_\npacket|pts=2|dts=1|size=9|flags=__|side_data|\n\n\
            packet|pts=1|dts=2|size=9|flags=__\npacket|pts=3|dts=3|size=9|flags=__\nprogram|stream|nb_frames=9\n";
        let found = probed(&format!("{packets}{STREAM}")).unwrap();
        assert_eq!((found.packets, found.header_frames), (4, Some(4)));
        assert_eq!(found.timing.unwrap().rate(4).unwrap().fraction, Fraction::parse("25/1"));
        let without = packets.replace("dts=2", "dts=N/A");
        assert_eq!(probed(&format!("{without}{STREAM}")).unwrap().timing, None);
    }

    #[test]
    fn empty_and_discarded_packets_are_no_frames() {
        let packets = "packet|pts=-2|dts=-2|size=9|flags=KD\npacket|pts=0|dts=0|size=9|flags=__\n\
            packet|pts=1|dts=1|size=0|flags=__\npacket|pts=2|dts=2|size=9|flags=__C\n";
        let rate = probed(&format!("{packets}{STREAM}")).unwrap().timing.unwrap().rate(2).unwrap();
        assert!((rate.fps - 12.5).abs() < 1e-9 && rate.fraction.is_none(), "{rate:?}");
    }

    #[test]
    fn odd_answers_are_faults_or_ignored() {
        assert!(probed("").unwrap_err().starts_with("it has no video stream"));
        assert!(probed("stream|nb_read_packets=16777217\n").unwrap_err().contains("more than 16777216 frames"));
        let long = format!("packet|{}\n{STREAM}", "x".repeat(10_000));
        assert_eq!(probed(&long).unwrap().timing, None);
    }
}
