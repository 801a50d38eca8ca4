//! The arguments of `Writer`.

use super::codec::Codec;
use crate::error;
use clipshard::{Attributes, DatasetInfo};
use pyo3::prelude::*;
use pyo3::types::{PyMapping, PyTuple};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The names of arguments of `add`, which no stream can have.
const ARGUMENTS: [&str; 4] = ["attrs", "group", "label", "subset"];

/// How a writer starts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Create,
    Resume,
    Append,
}

/// The arguments of `Writer`.
pub struct Start {
    pub path: PathBuf,
    pub mode: Mode,
    pub streams: BTreeMap<String, Codec>,
    pub classes: Option<Vec<String>>,
    pub splits: Option<Vec<String>>,
    pub name: Option<String>,
    pub attributes: Option<Attributes>,
    pub shard_bytes: Option<u64>,
    pub threads: usize,
}

impl Mode {
    pub fn parse(name: &str) -> PyResult<Self> {
        match name {
            "create" => Ok(Self::Create),
            "resume" => Ok(Self::Resume),
            "append" => Ok(Self::Append),
            _ => Err(error::option(format!("no mode {name:?}; use \"create\", \"resume\" or \"append\""))),
        }
    }
}

/// Checks the size from which a shard is full.
pub fn shard_bytes(bytes: Option<i64>) -> PyResult<Option<u64>> {
    let Some(bytes) = bytes else { return Ok(None) };
    let checked = u64::try_from(bytes).ok().filter(|&bytes| bytes > 0);
    let fault = || error::option(format!("shard_bytes is {bytes}; use a number of bytes above 0, or None"));
    checked.map(Some).ok_or_else(fault)
}

/// Checks the number of threads.
pub fn threads(threads: Option<i64>) -> PyResult<usize> {
    let Some(threads) = threads else { return Ok(std::thread::available_parallelism().map_or(1, usize::from)) };
    let checked = usize::try_from(threads).ok().filter(|threads| (1..=1024).contains(threads));
    checked.ok_or_else(|| error::option(format!("threads is {threads}; use 1 to 1024, or None for one per core")))
}

/// Reads the codecs of the streams.
pub fn streams(streams: Option<&Bound<'_, PyAny>>) -> PyResult<BTreeMap<String, Codec>> {
    let Some(streams) = streams else { return Ok(BTreeMap::new()) };
    let wrong = |what: &str| error::wrong_type(format!("streams: {what}; use {{\"rgb\": clipshard.Jpeg(90)}}"));
    let items = streams.cast::<PyMapping>().map_err(|_| wrong("expected a dict from names to codecs"))?.items()?;
    let mut codecs = BTreeMap::new();
    for item in items {
        let (name, codec): (Bound<'_, PyAny>, Bound<'_, PyAny>) = item.cast::<PyTuple>()?.extract()?;
        let name: String = name.extract().map_err(|_| wrong("a name is no text"))?;
        let codec = codec.cast::<Codec>().map_err(|_| wrong(&format!("the value of {name:?} is no codec")))?;
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if !(1..=16).contains(&name.len()) || !name.bytes().all(is_plain) || ARGUMENTS.contains(&name.as_str()) {
            let names = ARGUMENTS.join(", ");
            let rule = format!("use 1 to 16 letters, digits, - or _, except for the names {names}");
            return Err(error::option(format!("streams: the name {name:?} is not allowed; {rule}")));
        }
        codecs.insert(name, codec.get().clone());
    }
    Ok(codecs)
}

/// Describes a new dataset.
pub fn info(start: &Start) -> DatasetInfo {
    let name = start.name.clone().or_else(|| Some(start.path.file_stem()?.to_string_lossy().into_owned()));
    let (classes, splits) = (start.classes.clone().unwrap_or_default(), start.splits.clone());
    let splits = splits.unwrap_or_else(|| vec!["1".into()]);
    let codecs: serde_json::Map<_, _> =
        start.streams.iter().map(|(name, codec)| (name.clone(), codec.text().into())).collect();
    let build = BTreeMap::from([
        ("program".to_owned(), concat!("clipshard.Writer ", env!("CARGO_PKG_VERSION")).into()),
        ("codecs".to_owned(), codecs.into()),
    ]);
    let info = DatasetInfo::new(name.unwrap_or_default(), classes, splits).with_build(build);
    info.with_attributes(start.attributes.clone().unwrap_or_default())
}
