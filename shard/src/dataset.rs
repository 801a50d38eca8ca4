//! A dataset: a manifest and the shards that it lists.

use crate::clip_records::ClipRecords;
use crate::contents::Access;
use crate::error::{Error, Result};
use crate::layout::MANIFEST_FILE;
use crate::manifest::{Manifest, ShardInfo, Stream, StreamSpec, Subset};
use crate::shard::Shard;
use std::borrow::Borrow;
use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// An open dataset.
///
/// Opening takes milliseconds, because it reads no record. Any number of threads can share a
/// `Dataset`. Use [`ClipHandle`](crate::ClipHandle) to keep a clip in a struct without a lifetime.
///
/// # Example
///
/// ```
/// use clipshard::{Dataset, Decoder, Subset};
///
/// let data = Dataset::open("tests/golden")?;
/// let mut decoder = Decoder::new()?;
/// for number in data.clips_of("1", Subset::Train)? {
///     let clip = data.clip("rgb", number)?;
///     let mut pixels = vec![0; clip.size(0, 0)?.bytes()];
///     clip.decode(0, 0, &mut decoder, &mut pixels)?;
/// }
/// assert_eq!(data.find_clip("v_Jump_g02_c01"), Some(1));
/// # Ok::<(), clipshard::Error>(())
/// ```
pub struct Dataset {
    dir: PathBuf,
    manifest: Manifest,
    /// The streams of the manifest; `None` for those that are not open.
    streams: Vec<Option<OpenStream>>,
    /// Number of each clip by its id. The first search builds it.
    numbers: OnceLock<HashMap<Box<str>, u32>>,
}

struct OpenStream {
    shards: Vec<Shard>,
    /// Place of each clip of the manifest, if the clip has frames in this stream.
    places: Vec<Option<ClipPlace>>,
}

/// The place of a clip's records. Places are ordered as the records are on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct ClipPlace {
    /// Number of the shard among those of the stream.
    pub shard: u32,
    /// Number of the clip in the shard.
    pub clip: u32,
}

impl fmt::Debug for Dataset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let streams: Vec<&str> = self.manifest.streams.iter().map(|stream| stream.spec.name.as_str()).collect();
        f.debug_struct("Dataset")
            .field("dir", &self.dir)
            .field("streams", &streams)
            .field("clips", &self.manifest.clips.len())
            .finish_non_exhaustive()
    }
}

impl Dataset {
    /// Opens the dataset in `dir` with all of its streams, through memory maps.
    ///
    /// # Errors
    ///
    /// Returns an error if the manifest or a shard is missing or damaged, or if they do not match.
    pub fn open(dir: impl AsRef<Path>) -> Result<Self> {
        Self::open_in(dir.as_ref(), Access::Map)
    }

    /// Opens the dataset in `dir` and reads its records through `access`.
    pub fn open_with(dir: impl AsRef<Path>, access: Access) -> Result<Self> {
        Self::open_in(dir.as_ref(), access)
    }

    /// Opens only some streams of the dataset in `dir`. The shards of the other streams may be
    /// missing or damaged, or need features that this crate does not know.
    ///
    /// # Errors
    ///
    /// Returns [`Error::NoStream`] if there is no such stream, and the errors of [`Dataset::open`]
    /// for the named streams. Using another stream later gives [`Error::NotOpen`].
    ///
    /// # Example
    ///
    /// ```
    /// use clipshard::{Access, Dataset, Error};
    ///
    /// let data = Dataset::open_streams("tests/golden", &["rgb"], Access::Map)?;
    /// assert_eq!(data.clip("rgb", 0)?.frame_count(), 3);
    /// assert!(matches!(data.clip("flow", 0), Err(Error::NotOpen { .. })));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn open_streams(dir: impl AsRef<Path>, streams: &[&str], access: Access) -> Result<Self> {
        let dir = dir.as_ref();
        let manifest = Manifest::read(dir)?;
        for name in streams {
            stream_number(dir, &manifest, name)?;
        }
        Self::open_listed(dir, manifest, access, |name| streams.contains(&name))
    }

    fn open_in(dir: &Path, access: Access) -> Result<Self> {
        Self::open_listed(dir, Manifest::read(dir)?, access, |_| true)
    }

    fn open_listed(dir: &Path, manifest: Manifest, access: Access, wanted: impl Fn(&str) -> bool) -> Result<Self> {
        let shards = manifest.streams.iter().map(|stream| {
            let is_wanted = wanted(&stream.spec.name);
            is_wanted
                .then(|| stream.shards.iter().map(|info| stream.open(dir, info, access)).collect::<Result<Vec<_>>>())
                .transpose()
        });
        let shards = shards.collect::<Result<_>>()?;
        Self::assemble(dir, manifest, shards)
    }

    /// Checks that the opened shards match the manifest, and combines them. `opened` has the shards
    /// of each stream, in the order of the manifest, or `None` for a stream that is not wanted.
    pub(crate) fn assemble(dir: &Path, manifest: Manifest, opened: Vec<Option<Vec<Shard>>>) -> Result<Self> {
        let fault = |fault| Error::Manifest { path: dir.join(MANIFEST_FILE), fault };
        let numbers: HashMap<&str, usize> =
            manifest.clips.iter().enumerate().map(|(i, c)| (c.id.as_str(), i)).collect();
        let mut streams = Vec::with_capacity(manifest.streams.len());
        for (stream, opened) in manifest.streams.iter().zip(opened) {
            let Some(shards) = opened else {
                streams.push(None);
                continue;
            };
            let name = &stream.spec.name;
            if !stream.unknown_features().is_empty() {
                let (path, unknown) = (dir.join(MANIFEST_FILE), stream.unknown_features().join(", "));
                return Err(Error::StreamFeature { path, stream: name.clone(), unknown });
            }
            let mut places = vec![None; manifest.clips.len()];
            for (number, (info, shard)) in (0..).zip(stream.shards.iter().zip(&shards)) {
                info.check(shard, &stream.spec)?;
                for (place, id) in (0..).zip(shard.clip_ids()) {
                    let (file, frames) = (&info.file, shard.frame_count(place as usize).unwrap_or_default());
                    let Some(&clip) = numbers.get(id) else {
                        return Err(fault(format!("clip {id} of {file} is not listed")));
                    };
                    let listed = manifest.clips[clip].frames.get(name).copied().unwrap_or_default();
                    if listed != frames {
                        return Err(fault(format!(
                            "clip {id} has {frames} {name} frames in {file}, but {listed} are listed"
                        )));
                    }
                    if places[clip].is_some() {
                        return Err(fault(format!("clip {id} is in {file} and in another {name} shard")));
                    }
                    places[clip] = Some(ClipPlace { shard: number, clip: place });
                }
            }
            let lost =
                manifest.clips.iter().zip(&places).find(|(c, place)| place.is_none() && c.frames.contains_key(name));
            if let Some((clip, _)) = lost {
                return Err(fault(format!("clip {} is listed with {name} frames, but no shard holds them", clip.id)));
            }
            streams.push(Some(OpenStream { shards, places }));
        }
        Ok(Self { dir: dir.to_owned(), manifest, streams, numbers: OnceLock::new() })
    }

    /// Returns the folder of the dataset.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Returns the manifest, which lists classes, splits, streams and clips.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Returns the description of a stream.
    pub fn stream(&self, name: &str) -> Result<&StreamSpec> {
        stream_number(&self.dir, &self.manifest, name).map(|i| &self.manifest.streams[i].spec)
    }

    /// Returns whether a stream exists and is open.
    pub fn is_open(&self, stream: &str) -> bool {
        self.stream_number(stream).is_ok()
    }

    /// Returns the number of an open stream.
    pub(crate) fn stream_number(&self, name: &str) -> Result<usize> {
        let number = stream_number(&self.dir, &self.manifest, name)?;
        if self.streams[number].is_none() {
            return Err(Error::NotOpen { dir: self.dir.clone(), stream: name.to_owned() });
        }
        Ok(number)
    }

    /// Returns an open stream by the number that [`Dataset::stream_number`] returned.
    fn opened(&self, stream: usize) -> &OpenStream {
        self.streams[stream].as_ref().expect("stream_number returns open streams only")
    }

    /// Returns the shards of a stream, in the order of the manifest.
    pub fn shards(&self, stream: &str) -> Result<&[Shard]> {
        Ok(&self.opened(self.stream_number(stream)?).shards)
    }

    /// Returns the number of the clip with this id, which is its index in [`Manifest::clips`].
    ///
    /// The first call builds a table of all ids. Later calls take one look-up.
    pub fn find_clip(&self, id: &str) -> Option<usize> {
        let numbers = self.numbers.get_or_init(|| {
            (0..).zip(&self.manifest.clips).map(|(number, clip)| (clip.id.as_str().into(), number)).collect()
        });
        numbers.get(id).map(|&number| number as usize)
    }

    /// Returns the records of a clip in a stream. `clip` is an index in [`Manifest::clips`].
    ///
    /// The first call for a clip checks the index of the clip.
    ///
    /// # Errors
    ///
    /// Returns [`Error::NoStream`], [`Error::NoClip`] or [`Error::NoFrames`] if there is no such
    /// stream, clip or part of the clip, and [`Error::ClipIndex`] if the index of the clip is
    /// damaged.
    pub fn clip(&self, stream: &str, clip: usize) -> Result<ClipRecords<'_>> {
        let stream = self.stream_number(stream)?;
        self.clip_at(stream, self.place_in(stream, clip)?)
    }

    /// Iterates over the clips that have frames in a stream, in the order of the manifest.
    ///
    /// Each item is the number of the clip with its records, or with an error if the index of the
    /// clip is damaged.
    ///
    /// # Example
    ///
    /// ```
    /// let data = clipshard::Dataset::open("tests/golden")?;
    /// let mut frames = 0;
    /// for (_number, records) in data.clips("flow")? {
    ///     frames += records?.frame_count();
    /// }
    /// assert_eq!(frames, 5);
    /// # Ok::<(), clipshard::Error>(())
    /// ```
    pub fn clips(&self, stream: &str) -> Result<impl Iterator<Item = (usize, Result<ClipRecords<'_>>)> + use<'_>> {
        let stream = self.stream_number(stream)?;
        let places = self.opened(stream).places.iter().enumerate();
        Ok(places.filter_map(move |(number, place)| Some((number, self.clip_at(stream, (*place)?)))))
    }

    pub(crate) fn clip_at(&self, stream: usize, place: ClipPlace) -> Result<ClipRecords<'_>> {
        self.opened(stream).shards[place.shard as usize].clip(place.clip as usize)
    }

    /// Returns the records of a clip that [`Dataset::clip_at`] has returned before.
    pub(crate) fn checked_clip(&self, stream: usize, place: ClipPlace) -> ClipRecords<'_> {
        self.opened(stream).shards[place.shard as usize].checked_clip(place.clip as usize)
    }

    /// Returns the numbers of the clips that are in `subset` of a split, in the order of the
    /// manifest.
    pub fn clips_of(&self, split: &str, subset: impl Borrow<Subset>) -> Result<Vec<usize>> {
        let subset = subset.borrow();
        let place = self.manifest.splits.iter().position(|name| name == split).ok_or_else(|| Error::NoSplit {
            dir: self.dir.clone(),
            split: split.to_owned(),
            known: self.manifest.splits.clone(),
        })?;
        let clips = self.manifest.clips.iter().enumerate();
        Ok(clips.filter(|(_, clip)| clip.subsets[place] == *subset).map(|(number, _)| number).collect())
    }

    /// Returns the place of a clip's records. Sort clips by their places to read them in the order
    /// of the disk.
    pub fn place(&self, stream: &str, clip: usize) -> Result<ClipPlace> {
        self.place_in(self.stream_number(stream)?, clip)
    }

    pub(crate) fn place_in(&self, stream: usize, clip: usize) -> Result<ClipPlace> {
        let place = self.opened(stream).places.get(clip).copied().flatten();
        place.ok_or_else(|| match self.manifest.clips.get(clip) {
            Some(listed) => Error::NoFrames {
                dir: self.dir.clone(),
                clip: listed.id.clone(),
                stream: self.manifest.streams[stream].spec.name.clone(),
            },
            None => Error::NoClip { path: self.dir.clone(), clip, clips: self.manifest.clips.len() },
        })
    }
}

/// Returns the number of a listed stream.
fn stream_number(dir: &Path, manifest: &Manifest, name: &str) -> Result<usize> {
    manifest.streams.iter().position(|s| s.spec.name == name).ok_or_else(|| Error::NoStream {
        dir: dir.to_owned(),
        stream: name.to_owned(),
        known: manifest.streams.iter().map(|s| s.spec.name.clone()).collect(),
    })
}

impl Stream {
    /// Opens a listed shard.
    pub(crate) fn open(&self, dir: &Path, info: &ShardInfo, access: Access) -> Result<Shard> {
        Shard::open_with(dir.join(&info.file), access).map_err(|error| match error {
            Error::Io { path, reason, .. } if reason.kind() == std::io::ErrorKind::NotFound => {
                Error::MissingShard { path, stream: self.spec.name.clone() }
            }
            other => other,
        })
    }
}

impl ShardInfo {
    /// Checks that an open shard is the one that the manifest lists.
    pub(crate) fn check(&self, shard: &Shard, spec: &StreamSpec) -> Result<()> {
        let is_listed = shard.trailer_crc32() == self.trailer_crc32
            && shard.file_bytes() == self.bytes
            && shard.clip_count() == self.clips as usize
            && shard.records() == self.records
            && shard.spec() == spec;
        if is_listed { Ok(()) } else { Err(Error::ForeignShard { path: shard.path().to_owned() }) }
    }
}
