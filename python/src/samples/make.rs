//! Makes `Samples` from the arguments of `Dataset.samples`.

use super::class::{RESERVED, Samples};
use super::entropy::Entropy;
use super::recipe::{Choices, Recipe};
use super::spec::{Spec, spec_of};
use crate::arguments::{count, names, seed as seed_of, whole, whole_or_none};
use crate::dataset::Dataset;
use crate::error;
use crate::process::PerProcess;
use clip_loader::{Short, SplitClip};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// Makes the samples of a dataset. `Dataset.samples` calls it with its arguments.
#[pyfunction]
#[pyo3(signature = (
    dataset, streams, *, split = None, subset = None, ids = None, sampling = None, segments = None, per_clip = None,
    short = "error", seed = None, damage = "error", repeat = 1
))]
#[allow(clippy::too_many_arguments, reason = "keywords of Python")]
pub fn samples<'py>(
    dataset: &Bound<'py, Dataset>,
    streams: &Bound<'py, PyAny>,
    split: Option<&str>,
    subset: Option<&str>,
    ids: Option<&Bound<'py, PyAny>>,
    sampling: Option<&str>,
    #[pyo3(from_py_with = whole_or_none)] segments: Option<i64>,
    #[pyo3(from_py_with = whole_or_none)] per_clip: Option<i64>,
    short: &str,
    seed: Option<i128>,
    damage: &str,
    #[pyo3(from_py_with = whole)] repeat: i64,
) -> PyResult<Samples> {
    let py = dataset.py();
    let data = dataset.get().data();
    let streams = named_specs(dataset.get(), streams)?;
    let is_random = match sampling {
        None => subset.is_none_or(|subset| subset == "train"),
        Some("random") => true,
        Some("uniform") => false,
        Some(other) => return Err(error::option(format!("sampling is {other:?}, not \"random\" or \"uniform\""))),
    };
    if is_random && per_clip.is_some() {
        return Err(error::option("per_clip is for uniform samples; pass sampling=\"uniform\", or repeat="));
    }
    if !is_random && segments.is_some() {
        return Err(error::option("segments is for random samples; pass sampling=\"random\", or per_clip="));
    }
    let segments = segments.map(|segments| count("segments", segments, 1)).transpose()?;
    let per_clip = per_clip.map(|per_clip| count("per_clip", per_clip, 1)).transpose()?;
    let (seed, repeat) = (seed_of(seed)?, count("repeat", repeat, 1)?);
    let (rule, omits) = match short {
        "error" => (Short::Error, false),
        "omit" => (Short::Error, true),
        "loop" => (Short::Loop, false),
        "hold" => (Short::Hold, false),
        other => {
            return Err(error::option(format!("short is {other:?}, not \"error\", \"omit\", \"loop\" or \"hold\"")));
        }
    };
    let replaces_damage = match damage {
        "error" => false,
        "replace" => true,
        other => return Err(error::option(format!("damage is {other:?}, not \"error\" or \"replace\""))),
    };
    let ids = ids.map(|ids| names(ids, "ids", "[\"clip7\"]")).transpose()?;
    if ids.is_some() && split.is_some() {
        return Err(error::option("both ids and split are given; pass one of them"));
    }
    let numbers = dataset.get().numbers(split, subset)?;
    let numbers = ids.as_ref().map_or(Ok(numbers), |ids| numbers_of(data, ids))?;

    // For a pickle. The values are those that were given.
    let arguments = PyDict::new(py);
    let specs = PyDict::new(py);
    for (name, value, _) in &streams {
        specs.set_item(name, value)?;
    }
    arguments.set_item("streams", specs)?;
    for (name, value) in [("split", split), ("subset", subset), ("sampling", sampling)] {
        arguments.set_item(name, value)?;
    }
    arguments.set_item("ids", ids)?;
    for (name, value) in [("segments", segments), ("per_clip", per_clip), ("repeat", Some(repeat))] {
        arguments.set_item(name, value)?;
    }
    arguments.set_item("short", short)?;
    arguments.set_item("seed", seed)?;
    arguments.set_item("damage", damage)?;

    let streams: Vec<_> = streams.into_iter().map(|(name, _, spec)| (name, spec)).collect();
    let clips = clips(data, &streams, numbers, omits)?;
    let per_clip = per_clip.unwrap_or(1);
    let recipe = Recipe { streams, clips, is_random, segments, per_clip, short: rule, replaces_damage, repeat };
    let entropy = Entropy::new();
    let opened =
        recipe.open(data, Choices { seed: seed.unwrap_or_else(|| entropy.next()), epoch: 0, shuffle: false })?;
    let parts = Arc::new(recipe.parts(data, &opened)?);
    Ok(Samples {
        dataset: dataset.clone().unbind(),
        arguments: arguments.unbind(),
        recipe,
        opened,
        parts,
        seed,
        epoch: AtomicU64::new(0),
        entropy: PerProcess::new(Arc::new(entropy)),
    })
}

/// A name of an array, with its `Frames` or `Stack` as a value of Python and of Rust.
type NamedSpec<'py> = (String, Bound<'py, PyAny>, Spec);

/// Reads the argument `streams`.
fn named_specs<'py>(dataset: &Dataset, streams: &Bound<'py, PyAny>) -> PyResult<Vec<NamedSpec<'py>>> {
    let Ok(given) = streams.cast::<PyDict>() else {
        return Err(error::wrong_type(format!(
            "streams is of type {}, not a dict; pass for example streams={{\"flow\": clipshard.Stack(10)}}",
            streams.get_type().name()?
        )));
    };
    let mut named = Vec::new();
    for (name, value) in given.iter() {
        let name = name.cast::<PyString>().map_err(|_| {
            let example = "streams={\"flow\": clipshard.Stack(10)}";
            error::wrong_type(format!("the key {name} of streams is not a str; pass for example {example}"))
        })?;
        let name = name.to_string_lossy().into_owned();
        if RESERVED.contains(&name.as_str()) {
            return Err(error::option(format!(
                "a sample has another value with the name {name:?}; choose another name, and pass \
                 Frames(..., stream={name:?})"
            )));
        }
        let spec = spec_of(&name, &value)?;
        dataset.check_stream(spec.stream.as_deref().unwrap_or(&name))?;
        named.push((name, value, spec));
    }
    if named.is_empty() {
        return Err(error::option("streams is empty; pass for example {\"rgb\": clipshard.Frames(1)}"));
    }
    Ok(named)
}

/// Returns the numbers of clips.
fn numbers_of(data: &clipshard::Dataset, ids: &[String]) -> PyResult<Vec<usize>> {
    let unknown = |id: &String| {
        let text = format!("{}: no clip {id:?} in this dataset; dataset.ids lists its clips", data.dir().display());
        error::not_found(text)
    };
    ids.iter().map(|id| data.find_clip(id).ok_or_else(|| unknown(id))).collect()
}

/// Describes clips. `omits` omits those that are too short for a view.
///
/// Returns an exception if all clips are omitted, or if a clip has no frames for a view.
fn clips(
    data: &clipshard::Dataset,
    streams: &[(String, Spec)],
    numbers: Vec<usize>,
    omits: bool,
) -> PyResult<Arc<[SplitClip]>> {
    let stream_of = |(name, spec): &'_ (String, Spec)| spec.stream.clone().unwrap_or_else(|| name.clone());
    let names: Vec<String> = streams.iter().map(stream_of).collect();
    let listed = &data.manifest().clips;
    let is_long = |clip: &SplitClip| {
        names.iter().zip(streams).all(|(name, (_, spec))| {
            let frames = listed[clip.clip].frames.get(name).copied().unwrap_or(0);
            frames as usize >= spec.view(name).span()
        })
    };
    let first = names.first().map_or("", String::as_str);
    let all: Vec<SplitClip> = numbers.into_iter().filter_map(|number| SplitClip::of(data, number, first)).collect();
    if omits {
        let count = all.len();
        let long: Vec<SplitClip> = all.into_iter().filter(is_long).collect();
        if long.is_empty() && count > 0 {
            let spans = names.iter().zip(streams).map(|(name, (_, spec))| spec.view(name).span());
            return Err(error::option(format!(
                "short=\"omit\" omits all {count} clips, because a sample spans {} frames; use fewer frames or a \
                 smaller stride, or pass short=\"loop\"",
                spans.max().unwrap_or(0)
            )));
        }
        return Ok(long.into());
    }
    for clip in &all {
        let is_empty = |name: &&String| listed[clip.clip].frames.get(*name).is_none_or(|frames| *frames == 0);
        if let Some(name) = names.iter().find(is_empty) {
            return Err(error::option(format!(
                "clip {} has no frames in stream {name}; pass short=\"omit\", or ids= without this clip",
                clip.id
            )));
        }
    }
    Ok(all.into())
}
