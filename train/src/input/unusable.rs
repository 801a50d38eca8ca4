//! Clips that a network cannot use, with the reasons.

use crate::base::console::note;
use crate::stream::Stream;
use clip_loader::SplitClip;

/// Fewest flow frames of a usable clip, for all streams and stacks. Networks of different streams
/// then test the same clips.
pub const MIN_FLOW_FRAMES: u32 = Stream::Temporal.stack() as u32;

/// Largest number of omitted clips that a note names.
const NAMED: usize = 20;

/// The reason why a network cannot use a clip, or cannot learn from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unusable {
    /// The dataset has no frame of the clip in the stream of the network, such as after the loss of
    /// a shard.
    NoFrames,
    /// The clip has fewer than [`MIN_FLOW_FRAMES`] flow frames.
    Short,
    /// The clip has no label.
    NoLabel,
}

impl Unusable {
    /// All reasons, in the order in which they are found.
    const ALL: [Self; 3] = [Self::NoFrames, Self::Short, Self::NoLabel];

    /// Returns why a network of the stream cannot use the frames of a clip; `None` if it can.
    pub fn by_frames(clip: &SplitClip, stream: Stream) -> Option<Self> {
        if clip.frames == 0 {
            return Some(Self::NoFrames);
        }
        let is_short = clip.flow_frames < MIN_FLOW_FRAMES || (clip.frames as usize) < stream.frames(stream.stack());
        is_short.then_some(Self::Short)
    }

    /// Returns why a network of the stream cannot learn from a clip; `None` if it can.
    pub fn of(clip: &SplitClip, stream: Stream) -> Option<Self> {
        Self::by_frames(clip, stream).or_else(|| clip.label.is_none().then_some(Self::NoLabel))
    }

    /// Describes clips that cannot be used for this reason, as a part of "clips without a label".
    fn described(self, stream: Stream) -> String {
        match self {
            Self::NoFrames => format!("without {} frames", stream.kind()),
            Self::Short => format!("with fewer than {MIN_FLOW_FRAMES} flow frames"),
            Self::NoLabel => "without a label".into(),
        }
    }
}

/// Counts the clips that a network cannot use for a reason.
pub fn count(clips: &[SplitClip], stream: Stream, reason: Unusable) -> usize {
    clips.iter().filter(|clip| Unusable::of(clip, stream) == Some(reason)).count()
}

/// Prints a note on the clips that a command omits, with the reason.
pub fn note_omitted(omitted: &[SplitClip], stream: Stream) {
    for reason in Unusable::ALL {
        let clips: Vec<&str> =
            omitted.iter().filter(|clip| Unusable::of(clip, stream) == Some(reason)).map(|clip| &*clip.id).collect();
        if !clips.is_empty() {
            let named = clips.get(..NAMED).unwrap_or(&clips).join(", ");
            let more = if clips.len() > NAMED { ", ..." } else { "" };
            note(&format!("note: omitted {} clips {}: {named}{more}", clips.len(), reason.described(stream)));
        }
    }
}
