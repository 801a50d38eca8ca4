//! An open writer: the dataset that is written, and the codecs of its streams.
//!
//! Nothing here needs Python's lock, so other threads of Python run meanwhile.

use super::clip::{Addition, place};
use super::codec::{Codec, Compression, check_filter};
use super::fault::{exists, fault};
use super::form::{First, describe, expected};
use super::frames::{Frames, conversion};
use super::jpeg;
use super::start::{Mode, Start, info};
use crate::array::type_name;
use crate::error;
use clipshard::{DatasetWriter, EncodedRecord, Error, Images, MANIFEST_FILE, NewClip, Shape, StreamSpec, WriteOptions};
use pyo3::PyResult;
use std::collections::BTreeMap;
use std::path::Path;

/// A stream: its codec, if the caller gave one, and its form, if it is known.
struct Stream {
    codec: Option<Codec>,
    spec: Option<StreamSpec>,
}

pub struct Session {
    writer: DatasetWriter,
    splits: Vec<String>,
    streams: BTreeMap<String, Stream>,
    threads: usize,
}

impl Session {
    pub fn start(start: &Start) -> PyResult<Self> {
        let path = &start.path;
        let mut options = WriteOptions::new().with_threads(start.threads);
        options.shard_bytes = start.shard_bytes;
        let is_interrupted = DatasetWriter::is_interrupted(path);
        let has_dataset = path.join(MANIFEST_FILE).exists();
        let opened = match start.mode {
            Mode::Append => DatasetWriter::append_with(path, &options),
            Mode::Resume if is_interrupted => DatasetWriter::resume_with(path, &options),
            Mode::Resume if has_dataset => DatasetWriter::append_with(path, &options),
            Mode::Create | Mode::Resume => {
                if start.streams.is_empty() {
                    return Err(error::option("a new dataset needs streams: streams={\"rgb\": clipshard.Jpeg(90)}"));
                }
                DatasetWriter::create_with(path, info(start), &options)
            }
        };
        let writer = opened.map_err(|error| match error {
            Error::Usage(text) if start.mode == Mode::Create && (is_interrupted || has_dataset) => exists(path, &text),
            error => fault(error),
        })?;
        let splits = writer.info().splits;
        let streams =
            writer.streams().map(|spec| (spec.name.clone(), Stream { codec: None, spec: Some(spec.clone()) }));
        let streams = streams.collect();
        let mut session = Self { writer, splits, streams, threads: start.threads };
        session.check_description(start)?;
        session.add_classes(start)?;
        for (name, codec) in &start.streams {
            session.set_codec(path, name, codec)?;
        }
        Ok(session)
    }

    /// Checks that a continued dataset has the description that the caller gave.
    fn check_description(&self, start: &Start) -> PyResult<()> {
        let info = self.writer.info();
        let differs = |what: &str, found: &str| {
            let path = start.path.display();
            Err(error::option(format!("{path}: the dataset has {what} {found}; omit {what}, or give the same")))
        };
        if start.splits.as_ref().is_some_and(|splits| *splits != info.splits) {
            return differs("splits", &format!("{:?}", info.splits));
        }
        if start.name.as_ref().is_some_and(|name| *name != info.name) {
            return differs("name", &format!("{:?}", info.name));
        }
        if start.attributes.as_ref().is_some_and(|attributes| *attributes != info.attributes) {
            return differs("attrs", info.attributes.as_json());
        }
        Ok(())
    }

    /// Adds the classes that a continued dataset does not have yet.
    fn add_classes(&mut self, start: &Start) -> PyResult<()> {
        let Some(classes) = &start.classes else { return Ok(()) };
        let known = self.writer.classes();
        if !classes.starts_with(known) {
            let different = known.iter().zip(classes).position(|(a, b)| a != b).unwrap_or(classes.len());
            let (path, count) = (start.path.display(), known.len());
            return Err(error::option(format!(
                "{path}: the classes must start with the {count} classes of the dataset, because labels are numbers: \
                 number {different} is {:?} there; append new classes at the end",
                known.get(different).map_or("", String::as_str),
            )));
        }
        for class in &classes[known.len()..] {
            self.writer.add_class(class).map_err(fault)?;
        }
        if self.writer.classes().len() != classes.len() {
            return Err(error::option(format!("{}: a class is named twice", start.path.display())));
        }
        Ok(())
    }

    /// Sets the codec of a stream. A stream that the dataset has already must be what it states.
    fn set_codec(&mut self, path: &Path, name: &str, codec: &Codec) -> PyResult<()> {
        let stream = self.streams.entry(name.to_owned()).or_insert(Stream { codec: None, spec: None });
        if let Some(spec) = &stream.spec {
            codec.form.check(spec).and_then(|()| check_codec(codec, spec)).map_err(|found| {
                error::option(format!("{}: stream {name}: {found}, expected those of {}", path.display(), codec.text()))
            })?;
            self.writer.add_stream(spec.clone(), codec.options(spec.samples)).map_err(fault)?;
        }
        stream.codec = Some(codec.clone());
        Ok(())
    }

    /// Encodes and writes a clip. If something does not fit, the dataset stays as it was.
    pub fn add(&mut self, addition: &Addition<'_>) -> PyResult<()> {
        let id = &addition.id;
        if self.writer.contains(id) {
            let text = format!("clip {id}: the dataset has a clip with this id already; ask `id in writer` before");
            return Err(error::option(text));
        }
        let clip = addition.describe(self.writer.classes(), &self.splits, self.streams.keys())?;
        let specs = addition.streams.iter().map(|(name, frames)| self.spec(&clip.id, name, frames));
        let specs = specs.collect::<PyResult<Vec<_>>>()?;
        // Everything is checked before a new stream is fixed.
        let mut inputs = Vec::new();
        for ((name, frames), spec) in addition.streams.iter().zip(&specs) {
            let place = place(&clip.id, name);
            let channels = self.codec(name).and_then(|codec| codec.form.channels);
            inputs.push(match frames.files(spec, channels, &place)? {
                Some(files) => Input::Files(files),
                None => Input::Pixels(frames.records(spec, &place)?),
            });
        }
        for spec in specs {
            let codec = self.codec(&spec.name).cloned();
            let Some(stream) = self.streams.get_mut(&spec.name).filter(|stream| stream.spec.is_none()) else {
                continue;
            };
            let options = codec.and_then(|codec| codec.options(spec.samples));
            self.writer.add_stream(spec.clone(), options).map_err(fault)?;
            stream.spec = Some(spec);
        }
        let mut records: Vec<(&str, Vec<EncodedRecord>)> = Vec::new();
        for ((name, _), input) in addition.streams.iter().zip(inputs) {
            records.push((name, self.encode(&clip, name, input)?));
        }
        let records: Vec<(&str, &[EncodedRecord])> = records.iter().map(|(name, r)| (*name, r.as_slice())).collect();
        self.writer.add_clip(&clip, &records).map_err(fault)
    }

    fn codec(&self, name: &str) -> Option<&Codec> {
        self.streams.get(name)?.codec.as_ref()
    }

    /// Encodes the frames of one stream.
    fn encode(&self, clip: &NewClip, name: &str, input: Input<'_>) -> PyResult<Vec<EncodedRecord>> {
        let place = place(&clip.id, name);
        let pixels = match input {
            Input::Files(files) => return Ok(files),
            Input::Pixels(pixels) => pixels,
        };
        let Some(codec) = self.codec(name) else {
            let text =
                format!("{place}: it has no codec; open the writer with streams={{{name:?}: clipshard.Zstd(9)}}");
            return Err(error::option(text));
        };
        if let Compression::Jpeg { quality } = codec.compression {
            let encoded = jpeg::encode(&pixels, quality, self.threads);
            return encoded.map_err(|(record, text)| error::option(format!("{place}: record {record}: {text}")));
        }
        let images = pixels.into_iter().fold(Images::default(), |images, (shape, bytes)| images.with(shape, bytes));
        self.writer.encode(clip, name, &images).map_err(fault)
    }

    /// Returns the form of a stream. The first clip decides it.
    fn spec(&self, clip: &str, name: &str, frames: &Frames<'_>) -> PyResult<StreamSpec> {
        let place = place(clip, name);
        let Some(Stream { codec, spec }) = self.streams.get(name) else {
            let known: Vec<&str> = self.streams.keys().map(String::as_str).collect();
            let known = known.join(", ");
            return Err(error::not_found(format!(
                "clip {clip}: no stream {name:?}; the writer has {known}; add it to streams= when you open the writer"
            )));
        };
        // An empty clip is an error of its own, also if the form is known.
        let first = frames.first().map_err(|text| error::option(format!("{place}: {text}")))?;
        if let Some(spec) = spec {
            return Ok(spec.clone());
        }
        let Some(codec) = codec else { return Err(error::other(format!("{place}: neither form nor codec is known"))) };
        if let (First::Frame { samples, dims }, Some(wanted)) = (&first, codec.form.samples)
            && *samples != wanted
        {
            let (found, stated) = (describe(*samples, dims), type_name(wanted));
            let cure = conversion(*samples, wanted);
            let text = format!("{place}: found frames of {found}, expected {stated}; {cure}");
            return Err(error::wrong_type(text));
        }
        let inferred = codec.form.infer(name, &first);
        let checked = inferred.and_then(|spec| check_codec(codec, &spec).map(|()| spec));
        checked.map_err(|text| error::option(format!("{place}: {text}")))
    }

    pub fn ids(&self) -> Vec<String> {
        self.writer.ids().map(str::to_owned).collect()
    }

    pub fn contains(&self, id: &str) -> bool {
        self.writer.contains(id)
    }

    pub fn clip_count(&self) -> usize {
        self.writer.clip_count()
    }

    pub fn classes(&self) -> Vec<String> {
        self.writer.classes().to_vec()
    }

    pub fn splits(&self) -> Vec<String> {
        self.splits.clone()
    }

    pub fn stream_names(&self) -> Vec<String> {
        self.streams.keys().cloned().collect()
    }

    pub fn flush(&mut self) -> PyResult<()> {
        self.writer.flush().map_err(fault)
    }

    pub fn remove(&mut self, ids: &[String]) -> PyResult<()> {
        self.writer.remove_clips(ids).map_err(fault)
    }

    pub fn compact(&mut self) -> PyResult<()> {
        self.writer.compact().map_err(fault)
    }

    /// Stores the clips so far, and closes the dataset without finishing it.
    pub fn close(mut self) -> PyResult<()> {
        match self.writer.flush() {
            // A write has failed, and the caller has had its error.
            Ok(()) | Err(Error::Usage(_)) => Ok(()),
            Err(error) => Err(fault(error)),
        }
    }

    pub fn finish(self) -> PyResult<()> {
        self.writer.finish().map(drop).map_err(fault)
    }

    pub fn discard(self) -> PyResult<()> {
        self.writer.discard().map_err(fault)
    }
}

/// The frames of a stream after all checks.
enum Input<'a> {
    Files(Vec<EncodedRecord>),
    Pixels(Vec<(Shape, &'a [u8])>),
}

/// Checks that a codec can encode a stream. Returns the fault in words.
fn check_codec(codec: &Codec, spec: &StreamSpec) -> Result<(), String> {
    if let Compression::Jpeg { .. } = codec.compression {
        let fits = spec.is_u8_images() && matches!(spec.channels, 1 | 3);
        let fault = || format!("found {}, but Jpeg takes uint8 images of 1 or 3 channels; use Zstd", expected(spec));
        return if fits { Ok(()) } else { Err(fault()) };
    }
    check_filter(codec, spec.samples)
}
