//! Changes to clips and classes that a dataset has: removed clips, merged shards, new classes.

use super::DatasetWriter;
use super::journal::ListedShard;
use super::rewrite::{bins, copy, groups, open};
use crate::error::{Error, Result};
use std::collections::HashSet;

impl DatasetWriter {
    /// Returns the label of a class. Appends the class if the dataset does not have it.
    ///
    /// Classes are never renamed or reordered, so existing labels stay valid.
    ///
    /// # Errors
    ///
    /// Returns [`Error::Usage`] if an earlier write failed, or there are too many classes.
    ///
    /// # Example
    ///
    /// ```
    /// use clipshard::{DatasetInfo, DatasetWriter};
    ///
    /// # let dir = tempfile::tempdir().unwrap();
    /// let mut writer = DatasetWriter::create(dir.path(), DatasetInfo::new("waves", ["Wave"], ["1"]))?;
    /// assert_eq!((writer.add_class("Jump")?, writer.add_class("Wave")?), (1, 0));
    /// # Ok::<(), clipshard::Error>(())
    /// ```
    pub fn add_class(&mut self, name: &str) -> Result<u32> {
        self.check_usable()?;
        let classes = &mut self.journal.dataset.classes;
        let known = classes.iter().position(|class| class == name);
        let label = u32::try_from(known.unwrap_or(classes.len()));
        let label = label.map_err(|_| Error::Usage(format!("class {name}: there are too many classes")))?;
        if known.is_none() {
            classes.push(name.to_owned());
            self.is_stale = true;
        }
        Ok(label)
    }

    /// Removes clips. The shards that hold them are written again without them, under new numbers.
    ///
    /// Records are copied after a check of their checksums. They are not decoded. The old shards
    /// stay until [`DatasetWriter::finish`] has written the new manifest. Pass all ids at once,
    /// because each call copies shards. Clips of the new shards get other numbers.
    ///
    /// # Errors
    ///
    /// Returns [`Error::Usage`] if the dataset has no such clip, or no clip would remain. Returns
    /// [`Error::Record`] or [`Error::ClipIndex`] if a clip that remains is damaged. In these cases
    /// the dataset stays as it was.
    pub fn remove_clips(&mut self, ids: impl IntoIterator<Item: AsRef<str>>) -> Result<()> {
        self.check_usable()?;
        let ids: Vec<_> = ids.into_iter().collect();
        let removed: HashSet<&str> = ids.iter().map(AsRef::as_ref).collect();
        if let Some(id) = removed.iter().filter(|id| !self.ids.contains(**id)).min() {
            return Err(Error::Usage(format!("clip {id}: it cannot be removed, because the dataset does not have it")));
        }
        if removed.len() == self.ids.len() {
            let what = "no clip would remain, but a dataset needs one; keep a clip, or delete the folder";
            return Err(self.folder.usage(what));
        }
        self.close_rotation()?;
        let mut bins = Vec::new();
        for group in groups(&self.shards()) {
            let mut bin = Vec::new();
            for listed in group {
                if open(&self.folder, &listed)?.clip_ids().any(|id| removed.contains(id)) {
                    bin.push(listed);
                }
            }
            bins.push(bin);
        }
        bins.retain(|bin| !bin.is_empty());
        self.rewrite(&bins, &removed)?;
        self.ids.retain(|id| !removed.contains(id.as_str()));
        Ok(())
    }

    /// Merges small shards into shards near the size from which they are full.
    ///
    /// Shards count as small up to half of that size. Records are copied after a check of their
    /// checksums. They are not decoded. Clips of the new shards get other numbers.
    ///
    /// # Errors
    ///
    /// Returns [`Error::Record`] or [`Error::ClipIndex`] if a clip is damaged. The dataset stays as
    /// it was.
    pub fn compact(&mut self) -> Result<()> {
        self.check_usable()?;
        self.close_rotation()?;
        let bins = bins(groups(&self.shards()), self.journal.shard_bytes);
        self.rewrite(&bins, &HashSet::new())
    }

    /// Writes the smallest shards of one number again, so that they list all classes.
    pub(super) fn rewrite_smallest(&mut self) -> Result<()> {
        let size = |group: &Vec<ListedShard>| group.iter().map(|shard| shard.info.bytes).sum::<u64>();
        let smallest = groups(&self.shards()).into_iter().min_by_key(size);
        self.rewrite(smallest.as_slice(), &HashSet::new())
    }

    /// Replaces each of several sets of shards with new shards of one number, without the clips in
    /// `removed`.
    fn rewrite(&mut self, bins: &[Vec<ListedShard>], removed: &HashSet<&str>) -> Result<()> {
        if bins.is_empty() {
            return Ok(());
        }
        self.save_journal()?;
        let (mut made, mut next) = (Vec::new(), self.next);
        for bin in bins {
            let before = made.len();
            let copied = copy(&self.folder, &self.journal.dataset, bin, removed, next, &mut made);
            if let Err(error) = copied {
                // The journal does not list the new shards, so the dataset stays as it was.
                let files: Vec<_> = made.into_iter().map(|shard| shard.info.file).collect();
                let undone = self.folder.remove(&files, "remove it, because it is not needed");
                self.has_failed = undone.is_err() || !error.is_clip_damage();
                return Err(error);
            }
            next += u64::from(made.len() > before);
        }
        self.next = next;
        let replaced: HashSet<&str> = bins.iter().flatten().map(|shard| shard.info.file.as_str()).collect();
        self.kept.retain(|shard| !replaced.contains(shard.info.file.as_str()));
        self.journal.shards.retain(|shard| !replaced.contains(shard.info.file.as_str()));
        self.journal.shards.append(&mut made);
        self.journal.obsolete.extend(replaced.iter().map(|&file| file.to_owned()));
        self.journal.obsolete.sort_unstable();
        self.is_stale = true;
        self.save_journal()
    }
}
