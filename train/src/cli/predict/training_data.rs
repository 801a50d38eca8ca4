//! Differences between a packed video and the data that a network was trained on. Only the log of
//! its run tells them.

use crate::base::console::note;
use crate::stream::Stream;
use serde_json::Value;
use std::path::Path;
use ucfpack::video::{FlowMethod, VideoOptions};

/// Name of the log in a run folder.
const LOG: &str = "log.jsonl";
/// Largest size of a log that is read.
const MOST_BYTES: u64 = 1 << 30;

/// Prints a note on each difference between a video and the training data of a network in a run
/// folder. Prints nothing if `network` is not in the folder of a run.
pub(super) fn note_differences(network: &Path, stream: Stream, method: FlowMethod) {
    let Some(log) = network.parent().map(|folder| folder.join(LOG)) else { return };
    let Ok(bytes) = clipshard::read_regular(&log, MOST_BYTES) else { return };
    for difference in differences(&String::from_utf8_lossy(&bytes), stream, method) {
        note(&format!("note: {}: {difference}", network.display()));
    }
}

/// Returns the differences between a video and the data in the last start of a log.
fn differences(log: &str, stream: Stream, method: FlowMethod) -> Vec<String> {
    let events = log.lines().rev().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let Some(start) = events.into_iter().find(|event| event["event"] == "start") else { return Vec::new() };
    let build = &start["build"][stream.records()];
    let mut differences = Vec::new();
    let side = VideoOptions::default().short_side;
    if let Some(trained) = short_side(build).filter(|&trained| trained != side) {
        differences.push(format!(
            "the network was trained on frames with a short side of {trained} pixels, but this video is decoded with \
             {side}; for the same size, pack it with `ucfpack build --rgb-short-side {trained}` and name --data and \
             --clip"
        ));
    }
    if let (Stream::Temporal, Some(trained)) = (stream, build["method"].as_str().filter(|&name| name != method.name()))
    {
        differences.push(format!(
            "the network was trained on {trained} flow, but this video gets {} flow; add --flow-method {trained}",
            method.name()
        ));
    }
    differences
}

/// Returns the shorter side of the frames in the description of a stream. Flow has the size of the
/// frames that it was computed from in `frames`.
fn short_side(build: &Value) -> Option<u16> {
    let side = |key: &str| build[key].as_str()?.strip_prefix("short side ")?.split(',').next()?.trim().parse().ok();
    side("frames").or_else(|| side("size"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_sizes_and_flow_methods_of_the_training_data_are_told() {
        let log = concat!(
            r#"{"event":"start","build":{"rgb":{"frames":"short side 64, bilinear"}}}"#,
            "\n",
            r#"{"event":"start","build":{"rgb":{"frames":"short side 128, bilinear"},"#,
            r#""flow":{"frames":"short side 256, bilinear","method":"dis"}}}"#,
            "\n{\"event\":\"epoch\"}\n{\"event\":",
        );
        let told = |stream, method| differences(log, stream, method).join("\n");
        let spatial = told(Stream::Spatial, FlowMethod::TvL1);
        assert!(
            spatial.starts_with("the network was trained on frames with a short side of 128 pixels, but this video")
                && spatial.contains("is decoded with 256; for the same size, pack it with `ucfpack build --rgb-short"),
            "{spatial}"
        );
        let temporal = "the network was trained on dis flow, but this video gets tvl1 flow; add --flow-method dis";
        assert_eq!(told(Stream::Temporal, FlowMethod::TvL1), temporal);
        assert_eq!(told(Stream::Temporal, FlowMethod::Dis), "");
        let of_tree = r#"{"event":"start","build":{"rgb":{"size":"short side 100"},"flow":{"size":"224x224"}}}"#;
        assert!(differences(of_tree, Stream::Spatial, FlowMethod::Dis)[0].contains("a short side of 100 pixels"));
        for silent in [of_tree, "", "{}", r#"{"event":"start"}"#] {
            assert_eq!(differences(silent, Stream::Temporal, FlowMethod::Dis), Vec::<String>::new(), "{silent}");
        }
    }
}
