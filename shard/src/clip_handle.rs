//! A clip that shares the ownership of its dataset.

use crate::clip_records::ClipRecords;
use crate::dataset::{ClipPlace, Dataset};
use crate::error::Result;
use std::fmt;
use std::sync::Arc;

/// A clip of a stream that keeps its dataset open.
///
/// It has no lifetime, so a struct can hold it and it can move between threads.
///
/// # Example
///
/// ```
/// use clipshard::{ClipHandle, Dataset};
/// use std::sync::Arc;
///
/// struct Sample {
///     clip: ClipHandle,
///     first_frame: usize,
/// }
///
/// let data = Arc::new(Dataset::open("tests/golden")?);
/// let sample = Sample { clip: ClipHandle::new(&data, "rgb", 1)?, first_frame: 1 };
/// drop(data);
/// let records = sample.clip.records();
/// assert_eq!(records.id(), "v_Jump_g02_c01");
/// assert_eq!(records.size(sample.first_frame, 0)?.to_string(), "16x12x3");
/// # Ok::<(), clipshard::Error>(())
/// ```
#[derive(Clone)]
pub struct ClipHandle {
    data: Arc<Dataset>,
    stream: usize,
    place: ClipPlace,
    clip: usize,
}

impl ClipHandle {
    /// Creates a handle for a clip in a stream. `clip` is an index in
    /// [`Manifest::clips`](crate::Manifest::clips).
    ///
    /// # Errors
    ///
    /// Returns the errors of [`Dataset::clip`]. The index of the clip is checked here.
    pub fn new(data: &Arc<Dataset>, stream: &str, clip: usize) -> Result<Self> {
        let stream = data.stream_number(stream)?;
        let place = data.place_in(stream, clip)?;
        data.clip_at(stream, place)?;
        Ok(Self { data: Arc::clone(data), stream, place, clip })
    }

    /// Returns the records of the clip.
    pub fn records(&self) -> ClipRecords<'_> {
        // `new` has checked the index.
        self.data.checked_clip(self.stream, self.place)
    }

    /// Returns the dataset.
    pub fn dataset(&self) -> &Arc<Dataset> {
        &self.data
    }

    /// Returns the number of the clip in the dataset.
    pub fn number(&self) -> usize {
        self.clip
    }

    /// Returns the id of the clip.
    pub fn id(&self) -> &str {
        &self.data.manifest().clips[self.clip].id
    }
}

impl fmt::Debug for ClipHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClipHandle").field("id", &self.id()).field("place", &self.place).finish_non_exhaustive()
    }
}
