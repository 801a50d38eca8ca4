//! What a clip needs to be packed, and why one is not.

/// A clip needs this many flow frames (or RGB frames less one): a temporal sample is a stack of ten.
pub const MIN_FLOW_FRAMES: u32 = 10;

/// Why a clip is not packed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Absence {
    /// It is missing or damaged: the tree is not whole.
    Fault(String),
    /// It is whole but shorter than [`MIN_FLOW_FRAMES`].
    Short(String),
}

/// Why a clip of so few frames is not packed.
pub(crate) fn too_short(frames: u32) -> String {
    format!("too short: {frames} frames, {} are needed", MIN_FLOW_FRAMES + 1)
}
