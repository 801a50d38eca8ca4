//! A folder of videos at any depth, one per clip, such as the unpacked UCF101.rar:
//! `<Class>/v_X.avi`.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ffi::OsStr;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use clipshard::open_regular;
use rayon::prelude::*;
use walkdir::WalkDir;

use super::found::{FoundClip, Scan, ScannedClip};
use super::strangers::{Strangers, is_hidden, none_can_be_packed};
use crate::clip::Absence;
use crate::error::{ClipError, Error, Problem, Result, Setting, machine_cure};
use crate::lists::{ClassedFolder, ListedClip, clip_key, published_ucf101, same_name, subset_of_folder};
use crate::progress::{Watch, Work};
use crate::quantity::show_count;
use crate::stream::StreamKind;
use crate::video::{VideoDecoder, VideoFile, frames_of};

/// Extensions of video files, in lower case.
const ENDINGS: [&str; 16] =
    ["avi", "mp4", "m4v", "mkv", "webm", "mov", "mpg", "mpeg", "wmv", "flv", "ogv", "3gp", "vob", "ts", "mts", "m2ts"];

/// A folder of videos.
#[derive(Debug)]
pub struct Videos {
    video: VideoDecoder,
    root: PathBuf,
    shown: String,
    /// Video files, by the [`clip_key`] of their names without extension.
    files: HashMap<String, Vec<PathBuf>>,
    strangers: Strangers,
}

impl Videos {
    /// Lists the videos in a folder and its subfolders.
    ///
    /// # Errors
    /// Returns [`Error::Input`] if the folder does not exist or holds no videos.
    pub fn open(root: &Path, video: VideoDecoder) -> Result<Self> {
        if !root.is_dir() {
            return Err(Error::input(format!("{}: no such folder", root.display())));
        }
        let (mut files, mut strangers) = (HashMap::<String, Vec<PathBuf>>::new(), Strangers::default());
        let mut entries = WalkDir::new(root).follow_links(true).sort_by_file_name().into_iter();
        while let Some(entry) = entries.next() {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    let path = error.path().unwrap_or(root).to_owned();
                    if error.depth() == 0 {
                        return Err(Error::io(path, "cannot list the folder")(error.into()));
                    }
                    let is_loop = error.loop_ancestor().is_some();
                    let error = error.into_io_error().unwrap_or_else(|| std::io::ErrorKind::Other.into());
                    if is_loop {
                        strangers.add_unreadable(
                            &path,
                            std::io::Error::other("a symbolic link to a folder that contains it"),
                        )?;
                    } else if machine_cure(&error).is_none() && is_video(&path) {
                        strangers.add_clip(&path, &format!("cannot read it: {error}"));
                    } else {
                        strangers.add_unreadable(&path, error)?;
                    }
                    continue;
                }
            };
            let (path, name) = (entry.path(), entry.file_name().to_string_lossy());
            if entry.file_type().is_dir() {
                if entry.depth() > 0 && is_hidden(&name) {
                    strangers.add_hidden(path);
                    entries.skip_current_dir();
                }
            } else if name.starts_with('.') {
                // macOS archives contain `._` files, which are no videos.
                if !name.starts_with("._") && is_video(path) {
                    strangers.add_hidden(path);
                }
            } else if is_video(path) {
                let class = path.parent().and_then(Path::file_name).unwrap_or_default();
                match path.file_stem().and_then(|stem| stem.to_str()) {
                    _ if !entry.file_type().is_file() => strangers.add_clip(path, "it is not a regular file"),
                    Some(stem) if class.to_str().is_some() => {
                        files.entry(clip_key(stem)).or_default().push(path.to_owned());
                    }
                    _ => strangers.add_unnamed(path),
                }
            }
        }
        if files.is_empty() {
            return Err(none_can_be_packed(root, &strangers).unwrap_or_else(|| {
                Error::input(format!(
                    "{} contains no videos (*.{}); choose the folder with the unpacked archive",
                    root.display(),
                    ENDINGS.join(", *.")
                ))
            }));
        }
        Ok(Self { video, root: root.to_owned(), shown: root.display().to_string(), files, strangers })
    }

    /// Returns the decoder and its options.
    pub fn video(&self) -> &VideoDecoder {
        &self.video
    }

    /// Returns the folder as the user named it.
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// Returns the streams that are made from the videos.
    pub fn streams(&self) -> Vec<StreamKind> {
        let flow = self.video.options.flow.map(|_| StreamKind::Flow);
        [Some(StreamKind::Rgb), flow].into_iter().flatten().collect()
    }

    /// Returns all videos with their class folders, for datasets in which each folder is a class. A
    /// folder above the classes may name a subset, such as `train/` or `val_256/`; then all videos
    /// must be in such folders.
    ///
    /// # Errors
    /// Returns [`Error::Input`] if only some videos are in such folders.
    pub fn classed_folders(&self) -> Result<Vec<ClassedFolder>> {
        let name = |path: Option<&OsStr>| path.and_then(|name| name.to_str()).map(str::to_owned);
        let (mut classed, mut in_parts, mut parts) = (Vec::new(), 0, BTreeSet::new());
        for path in self.files.values().flatten() {
            let (class, clip) = (name(path.parent().and_then(Path::file_name)), name(path.file_stem()));
            let (Some(class), Some(clip)) = (class, clip) else {
                return Err(Error::input(format!(
                    "{}: the name of its folder cannot be a class; rename the folder",
                    path.display()
                )));
            };
            let below: Vec<_> = path.strip_prefix(&self.root).unwrap_or(path).components().collect();
            let above_class = &below[..below.len().saturating_sub(2)];
            let part = above_class.iter().find_map(|folder| {
                let folder = folder.as_os_str().to_str()?;
                let subset = subset_of_folder(folder)?;
                parts.insert(folder);
                Some(subset)
            });
            in_parts += usize::from(part.is_some());
            classed.push(ClassedFolder { class, clip, subset: part });
        }
        if (1..classed.len()).contains(&in_parts) {
            return Err(Error::input(
                Problem::from(format!(
                    "{}: {} of {} videos {} in folders for subsets ({}), but the others are not; list the clips in a \
                     CSV file (path,label,split) and pass it with ",
                    self.shown,
                    show_count(in_parts as u64),
                    show_count(classed.len() as u64),
                    if in_parts == 1 { "is" } else { "are" },
                    parts.into_iter().collect::<Vec<_>>().join(", ")
                ))
                .name(Setting::Lists),
            ));
        }
        classed.sort_unstable();
        Ok(classed)
    }

    /// Returns the [`clip_key`] of the names of all videos.
    pub(super) fn clip_keys(&self) -> HashSet<String> {
        self.files.keys().cloned().collect()
    }

    /// Finds the videos of the wanted clips, and reads the number of frames from each container.
    ///
    /// # Errors
    /// Returns [`Error::Input`] if none of the clips exists.
    pub fn scan(&self, clips: &[ListedClip], watch: Watch<'_>) -> Result<Scan> {
        let (lists, flow_frames) = published_ucf101();
        let published: HashMap<String, u32> =
            lists.clips.iter().map(|clip| clip_key(&clip.folder)).zip(flow_frames).collect();
        watch.progress.begin("probing", Work { clips: clips.len() as u64, ..Work::default() });
        let scan_one = |clip: &ListedClip| {
            if watch.cancel.load(Ordering::Relaxed) {
                return Err(Error::Interrupted);
            }
            let scanned = self.scan_one(clip, &published, watch)?;
            watch.progress.add(Work { clips: 1, ..Work::default() });
            Ok(scanned)
        };
        let scanned = clips.par_iter().map(scan_one).collect::<Result<Vec<_>>>();
        watch.progress.end();
        let clips_found = scanned?;
        let listed: HashSet<String> = clips.iter().map(|clip| clip_key(&clip.folder)).collect();
        let unlisted = self.files.keys().filter(|&key| !listed.contains(key)).count();
        if unlisted == self.files.len() {
            let example = clips.first().map_or("", |clip| clip.id.as_str());
            return Err(Error::input(format!(
                "{} has none of the {} clips in the lists, such as {example}; use the folder that belongs to these \
                 lists",
                self.shown,
                clips.len()
            )));
        }
        let strangers = self.strangers.clone();
        Ok(Scan { clips: clips_found, unlisted, notes: strangers.notes(), strangers: strangers.clips })
    }

    fn scan_one(&self, clip: &ListedClip, published: &HashMap<String, u32>, watch: Watch<'_>) -> Result<ScannedClip> {
        let streams = self.streams();
        let published = published.get(&clip_key(&clip.folder)).copied();
        let found = self.find(clip).map_err(ClipError::from);
        match found.and_then(|path| VideoFile::probe(path, published, watch.cancel)) {
            Ok(file) => {
                let nominal_frames = streams.iter().map(|&kind| frames_of(kind, file.frames)).collect();
                Ok(ScannedClip { files: file.check().map(|()| FoundClip::Video(file)), nominal_frames })
            }
            Err(ClipError::Clip(absence)) => {
                Ok(ScannedClip { files: Err(absence), nominal_frames: vec![0; streams.len()] })
            }
            Err(ClipError::Work(error)) => Err(error),
        }
    }

    /// Returns the video of a clip: the only one with its name, or the only one in its class
    /// folder.
    fn find(&self, clip: &ListedClip) -> Result<&Path, Absence> {
        let files = self.files.get(&clip_key(&clip.folder)).map_or(&[][..], Vec::as_slice);
        let of_class: Vec<&PathBuf> = files
            .iter()
            .filter(|path| {
                let folder = path.parent().and_then(Path::file_name).and_then(|name| name.to_str());
                folder.zip(clip.class_folder.as_deref()).is_some_and(|(a, b)| same_name(a, b))
            })
            .collect();
        match (files, of_class.as_slice()) {
            ([], _) => Err(Absence::missing(format!("no video with this name in {}", self.shown))),
            (_, [only]) => Ok(only),
            // Only their class folders distinguish two listed clips with the same name.
            ([only], []) if clip.id == clip.folder => Ok(only),
            ([_], []) => {
                Err(Absence::missing(format!("no video with this name in a folder of its class in {}", self.shown)))
            }
            _ => {
                let places: Vec<String> = files.iter().map(|path| path.display().to_string()).collect();
                Err(Absence::fault(format!("{} belong to the same clip; keep one of them", places.join(", "))))
            }
        }
    }
}

/// Returns whether a file is a video, by its extension. For the ambiguous extension `ts`, also
/// reads the first byte.
fn is_video(path: &Path) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str()).map(str::to_ascii_lowercase).unwrap_or_default();
    let first = || {
        let mut byte = [0];
        open_regular(path).and_then(|mut file| file.read_exact(&mut byte)).map(|()| byte[0])
    };
    // TypeScript files share the extension of transport streams, whose packets start with this
    // byte.
    ENDINGS.contains(&ending.as_str()) && (ending != "ts" || first().is_ok_and(|byte| byte == 0x47))
}
