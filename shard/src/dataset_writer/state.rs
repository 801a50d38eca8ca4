//! The description, streams and clips that a writer has so far.

use super::DatasetWriter;
use super::options::DatasetInfo;
use crate::error::Result;
use crate::manifest::StreamSpec;

impl DatasetWriter {
    /// Returns the description of the dataset, with the classes that were added.
    pub fn info(&self) -> DatasetInfo {
        let dataset = &self.journal.dataset;
        let info = DatasetInfo::new(&dataset.dataset, &dataset.classes, &dataset.splits);
        info.with_build(dataset.build.clone()).with_attributes(dataset.attributes.clone())
    }

    /// Returns the streams that were added or that the dataset has, sorted by name.
    pub fn streams(&self) -> impl Iterator<Item = &StreamSpec> {
        self.streams.values().map(|stream| &stream.spec)
    }

    /// Returns the ids of the clips that the dataset will have, in any order.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.ids.iter().map(String::as_str)
    }

    /// Finishes the current shards, so that a resumed writer has all clips that were added so far.
    ///
    /// The next clip starts new shards. Call it before a planned pause, not after each clip: many
    /// small shards are slow to open. [`DatasetWriter::compact`] merges them.
    ///
    /// # Errors
    ///
    /// Returns [`Error::Usage`](crate::Error::Usage) if an earlier write failed. After any other error, drop the writer
    /// and resume.
    ///
    /// # Example
    ///
    /// ```
    /// use clipshard::{DatasetInfo, DatasetWriter, EncodeOptions, ImageSize, Images, NewClip, StreamSpec};
    ///
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let dir = folder.path();
    /// let mut writer = DatasetWriter::create(dir, DatasetInfo::new("waves", ["Wave"], ["1"; 0]))?;
    /// writer.add_stream(StreamSpec::rgb(), EncodeOptions::zstd(3))?;
    /// let size = ImageSize { width: 32, height: 24, channels: 3 };
    /// let frame = vec![9; size.bytes()];
    /// writer.add_images(&NewClip::new("v_Wave_g01_c01", 0, vec![]), &[("rgb", Images::new(size, [&frame]))])?;
    /// writer.flush()?;
    /// drop(writer);
    ///
    /// let writer = DatasetWriter::resume(dir)?;
    /// assert_eq!(writer.ids().collect::<Vec<_>>(), ["v_Wave_g01_c01"]);
    /// assert_eq!(writer.streams().next(), Some(&StreamSpec::rgb()));
    /// assert_eq!(writer.info().name, "waves");
    /// # Ok::<(), clipshard::Error>(())
    /// ```
    pub fn flush(&mut self) -> Result<()> {
        self.check_usable()?;
        self.close_rotation()
    }
}
