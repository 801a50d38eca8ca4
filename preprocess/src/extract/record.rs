//! The record of an extracted tree: everything that decided its images. It prevents continuing the
//! tree with other settings.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use clipshard::{Disk, read_regular, write_whole};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Problem, Result, Setting};
use crate::pack::plan::MAX_PLAN_BYTES;
use crate::place::name::EXTRACT_FILE;

/// Keys of the settings in [`ExtractRecord::decided_by`].
pub(super) const SHORT_SIDE: &str = "short_side";
pub(super) const QUALITY: &str = "quality";
pub(super) const FLOW_METHOD: &str = "flow_method";
pub(super) const DEVICE: &str = "device";

/// Everything that decided the images of a tree.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct ExtractRecord {
    /// Settings and versions with their values.
    pub decided_by: BTreeMap<String, String>,
    /// The video of each clip, by clip id.
    pub videos: BTreeMap<String, SourceVideo>,
}

/// Properties that identify a video.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SourceVideo {
    /// Size of the file in bytes.
    pub bytes: u64,
    /// Number of frames in its container.
    pub frames: u32,
}

impl ExtractRecord {
    /// Reads the record of a tree. Returns `None` if it has none.
    pub fn read(tree: &Path) -> Result<Option<Self>> {
        let path = tree.join(EXTRACT_FILE);
        let text = match read_regular(&path, MAX_PLAN_BYTES) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::io(path, "cannot read the options of the extraction")(error)),
        };
        serde_json::from_slice(&text).map(Some).map_err(|e| {
            Error::input(format!("{} is damaged ({e}); remove the tree and extract it again", path.display()))
        })
    }

    pub fn write(&self, tree: &Path) -> Result<()> {
        let path = tree.join(EXTRACT_FILE);
        let text = serde_json::to_vec(self).map_err(|e| Error::input(format!("{}: {e}", path.display())))?;
        Ok(write_whole(&Disk, &path, ".extract-", &text)?)
    }

    /// Checks that a run with this record can continue the tree of an `earlier` run. The error
    /// names the difference.
    pub fn check_continues(&self, earlier: &Self, tree: &Path) -> Result<()> {
        let shown = tree.display();
        let refuse = |what: Problem| {
            let problem = Problem::from("cannot resume: ").with(what);
            Err(Error::Usage(problem.then("; use the same options and videos, or choose another folder")))
        };
        let names = earlier.decided_by.keys().chain(self.decided_by.keys());
        for name in names {
            let (was, is) = (earlier.decided_by.get(name), self.decided_by.get(name));
            if was != is {
                let text = |value: Option<&String>| value.map_or("none", |value| value.as_str()).to_owned();
                let differs = format!(" is {}, but {shown} was extracted with {}", text(is), text(was));
                return refuse(name_of(name).then(differs));
            }
        }
        for (clip, was) in &earlier.videos {
            match self.videos.get(clip) {
                None => {
                    return refuse(
                        Problem::from(format!("{shown} also has clip {clip}, which "))
                            .name(Setting::Lists)
                            .then(" and ")
                            .name(Setting::Classes)
                            .then(" do not include, or whose video is missing"),
                    );
                }
                Some(is) if is != was => {
                    let what = format!(
                        "the video of {clip} has {} bytes and {} frames, but {shown} was extracted from one with {} \
                         bytes and {} frames",
                        is.bytes, is.frames, was.bytes, was.frames
                    );
                    return refuse(what.into());
                }
                Some(_) => {}
            }
        }
        Ok(())
    }
}

/// Returns the setting of a key, or the key itself.
fn name_of(key: &str) -> Problem {
    match key {
        SHORT_SIDE => Setting::ShortSide.into(),
        QUALITY => Setting::Quality.into(),
        FLOW_METHOD => Setting::FlowMethod.into(),
        DEVICE => Setting::Device.into(),
        words => words.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(options: &[(&str, &str)], videos: &[(&str, u64)]) -> ExtractRecord {
        ExtractRecord {
            decided_by: options.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect(),
            videos: videos.iter().map(|&(id, bytes)| (id.to_owned(), SourceVideo { bytes, frames: 9 })).collect(),
        }
    }

    #[test]
    fn only_the_same_options_and_videos_continue_a_tree() {
        let earlier = record(&[(FLOW_METHOD, "none"), (QUALITY, "95")], &[("a", 10)]);
        let with = |now: &ExtractRecord| now.check_continues(&earlier, Path::new("OUT"));
        with(&earlier).unwrap();
        with(&record(&[(FLOW_METHOD, "none"), (QUALITY, "95")], &[("a", 10), ("b", 20)])).unwrap();
        let refused = |now: &ExtractRecord| {
            let error = with(now).unwrap_err();
            assert!(error.is_usage(), "{error}");
            error.to_string()
        };
        assert_eq!(
            refused(&record(&[(FLOW_METHOD, "tvl1"), (QUALITY, "95")], &[("a", 10)])),
            "cannot resume: `video.flow` is tvl1, but OUT was extracted with none; use the same options and videos, or \
             choose another folder"
        );
        let text = refused(&record(&[(FLOW_METHOD, "none")], &[("a", 10)]));
        assert!(text.contains("`video.quality` is none, but OUT was extracted with 95"), "{text}");
        let text = refused(&record(&[(FLOW_METHOD, "none"), (QUALITY, "95")], &[]));
        assert!(text.contains("OUT also has clip a"), "{text}");
        let text = refused(&record(&[(FLOW_METHOD, "none"), (QUALITY, "95")], &[("a", 11)]));
        assert!(text.contains("the video of a has 11 bytes and 9 frames"), "{text}");
    }
}
