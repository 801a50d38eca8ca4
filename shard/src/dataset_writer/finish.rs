//! Finishes a dataset: its manifest, and the removal of files that it no longer lists.

use super::DatasetWriter;
use super::folder::Folder;
use super::journal::{Journal, ListedShard};
use super::rewrite::{open, sort};
use crate::error::Result;
use crate::manifest::Manifest;
use crate::names::{JOURNAL_FILE, parse_shard_name};
use crate::rebuild::Assembly;

impl DatasetWriter {
    /// Finishes the shards and writes the manifest, which is returned.
    ///
    /// The manifest replaces the old one in one step. Shards that the new manifest does not list are
    /// removed afterwards. Programs that have the old dataset open keep it on Unix; on Windows, the
    /// removal fails until they close it.
    ///
    /// # Errors
    ///
    /// Returns [`Error::Usage`](crate::Error::Usage) if there are no clips, or an earlier write failed. After any other
    /// error, call [`DatasetWriter::resume`]: the dataset is either the old or the new one.
    pub fn finish(mut self) -> Result<Manifest> {
        self.check_usable()?;
        self.close_rotation()?;
        if self.ids.is_empty() {
            return Err(self.folder.usage("a dataset needs at least one clip; add one before you finish"));
        }
        let mut manifest = self.assemble()?;
        if manifest.classes.len() < self.classes().len() {
            // A manifest is rebuilt from shards, so one of them must list all classes.
            self.rewrite_smallest()?;
            manifest = self.assemble()?;
        }
        if self.journal.shards.is_empty() && self.journal.obsolete.is_empty() {
            manifest = Manifest::read(&self.folder.path)?;
        } else {
            self.save_journal()?;
            manifest.write_in(&*self.folder.storage, &self.folder.path)?;
        }
        if self.has_journal {
            Self::clean_up(&self.folder, &self.journal)?;
        }
        Ok(manifest)
    }

    /// Removes everything that this writer and the interrupted writer before it have written. The
    /// folder is then as it was before.
    pub fn discard(mut self) -> Result<()> {
        self.rotation = None;
        let mut files = self.folder.files()?;
        files.retain(|file| {
            parse_shard_name(file)
                .is_some_and(|(stream, number)| number >= self.journal.first && self.streams.contains_key(stream))
        });
        let action = "remove it, because its writer is discarded";
        self.folder.remove(&files, action)?;
        if self.has_journal { self.folder.remove(&[JOURNAL_FILE.to_owned()], action) } else { Ok(()) }
    }

    /// Removes the files that a new manifest does not list, and then the journal.
    pub(super) fn clean_up(folder: &Folder, journal: &Journal) -> Result<()> {
        folder.remove(&journal.obsolete, "remove it, although the new manifest does not list it")?;
        folder.remove(&[JOURNAL_FILE.to_owned()], "remove it, although the dataset is finished")
    }

    /// Returns the finished shards, in the order in which a manifest is rebuilt.
    pub(super) fn shards(&self) -> Vec<ListedShard> {
        let mut shards = [&self.kept[..], &self.journal.shards].concat();
        sort(&mut shards);
        shards
    }

    /// Builds the manifest of the finished shards by opening them.
    pub(super) fn assemble(&self) -> Result<Manifest> {
        let shards = self.shards();
        let mut assembly = Assembly::new(&self.folder.path);
        for listed in &shards {
            assembly.add(&listed.info.file, &open(&self.folder, listed)?)?;
        }
        if shards.is_empty() { Ok(Manifest::default()) } else { assembly.finish() }
    }
}
