//! What decided the images of an extracted tree, kept with the tree, so that it is not continued with something else.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use clipshard::{Disk, read_regular, write_whole};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::pack::plan::MAX_PLAN_BYTES;
use crate::place::name::EXTRACT_FILE;

/// What decided the images of a tree.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct ExtractRecord {
    /// Options as typed, and versions, each with its value in words.
    pub decided_by: BTreeMap<String, String>,
    /// The video of each clip, by clip id.
    pub videos: BTreeMap<String, SourceVideo>,
}

/// By what a video is known again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SourceVideo {
    /// Size of the file.
    pub bytes: u64,
    /// Frames, as its container says.
    pub frames: u32,
}

impl ExtractRecord {
    /// `None` where there is none.
    pub fn read(tree: &Path) -> Result<Option<Self>> {
        let path = tree.join(EXTRACT_FILE);
        let text = match read_regular(&path, MAX_PLAN_BYTES) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::io(path, "cannot read how the tree was extracted")(error)),
        };
        serde_json::from_slice(&text).map(Some).map_err(|e| {
            Error::Input(format!("{}: damaged: {e}; remove the tree and extract it again", path.display()))
        })
    }

    pub fn write(&self, tree: &Path) -> Result<()> {
        let path = tree.join(EXTRACT_FILE);
        let text = serde_json::to_vec(self).map_err(|e| Error::Input(format!("{}: {e}", path.display())))?;
        Ok(write_whole(&Disk, &path, ".extract-", &text)?)
    }

    /// Checks that a run with this record goes on with the tree that an earlier one made. The error says what differs.
    pub fn check_continues(&self, earlier: &Self, tree: &Path) -> Result<()> {
        let shown = tree.display();
        let refuse = |what: String| {
            Err(Error::Usage(format!("--resume: {what}; give the same options, or name another folder")))
        };
        let names = earlier.decided_by.keys().chain(self.decided_by.keys());
        for name in names {
            let (was, is) = (earlier.decided_by.get(name), self.decided_by.get(name));
            if was != is {
                let text = |value: Option<&String>| value.map_or("none", |value| value.as_str()).to_owned();
                return refuse(format!("{name} is {}, but {shown} was extracted with {}", text(is), text(was)));
            }
        }
        for (clip, was) in &earlier.videos {
            match self.videos.get(clip) {
                None => {
                    return refuse(format!(
                        "{shown} also holds clip {clip}, which --lists and --classes do not name, or whose video is gone"
                    ));
                }
                Some(is) if is != was => {
                    return refuse(format!(
                        "the video of {clip} has {} bytes and {} frames, but {shown} was extracted from one of {} bytes and {} frames",
                        is.bytes, is.frames, was.bytes, was.frames
                    ));
                }
                Some(_) => {}
            }
        }
        Ok(())
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
    fn only_the_same_options_and_videos_go_on_with_a_tree() {
        let earlier = record(&[("--flow-method", "none"), ("--quality", "95")], &[("a", 10)]);
        let with = |now: &ExtractRecord| now.check_continues(&earlier, Path::new("OUT"));
        with(&earlier).unwrap();
        with(&record(&[("--flow-method", "none"), ("--quality", "95")], &[("a", 10), ("b", 20)])).unwrap();
        let refused = |now: &ExtractRecord| {
            let error = with(now).unwrap_err();
            assert!(error.is_usage(), "{error}");
            error.to_string()
        };
        assert_eq!(
            refused(&record(&[("--flow-method", "tvl1"), ("--quality", "95")], &[("a", 10)])),
            "--resume: --flow-method is tvl1, but OUT was extracted with none; give the same options, or name another folder"
        );
        let text = refused(&record(&[("--flow-method", "none")], &[("a", 10)]));
        assert!(text.contains("--quality is none, but OUT was extracted with 95"), "{text}");
        let text = refused(&record(&[("--flow-method", "none"), ("--quality", "95")], &[]));
        assert!(text.contains("OUT also holds clip a"), "{text}");
        let text = refused(&record(&[("--flow-method", "none"), ("--quality", "95")], &[("a", 11)]));
        assert!(text.contains("the video of a has 11 bytes and 9 frames"), "{text}");
    }
}
