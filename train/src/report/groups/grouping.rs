//! Groups of runs: those whose settings are equal except for the split and the seed.

use super::settings::{Options, deciding, defaults, seed, weights, words};
use crate::report::run::Run;
use crate::stream::Stream;
use clap::ValueEnum;
use std::collections::{BTreeMap, BTreeSet};

/// Runs with equal settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Name of the stream.
    pub stream: String,
    /// Recipe and settings that differ from other groups of the stream; unique in the stream.
    pub name: String,
    /// Indices of the runs, in their order.
    pub members: Vec<usize>,
}

/// A group under way.
struct Draft {
    stream: String,
    judges: &'static str,
    options: Option<Options>,
    /// Words that tell the group from others with the same options.
    more: Vec<String>,
    members: Vec<usize>,
}

/// Returns the groups of these runs. The groups of a stream follow each other, those with fewer
/// changes to their recipe first.
pub fn groups(runs: &[Run]) -> Vec<Group> {
    let mut drafts: Vec<Draft> = Vec::new();
    for (number, run) in runs.iter().enumerate() {
        let (stream, judges, options) = (stream(run), run.judges, deciding(run));
        // Two runs of unknown settings may be anything, so each is a group of its own.
        let same =
            |d: &&mut Draft| options.is_some() && d.options == options && d.stream == stream && d.judges == judges;
        match drafts.iter_mut().find(same) {
            Some(draft) => draft.members.push(number),
            None => drafts.push(Draft { stream, judges, options, more: Vec::new(), members: vec![number] }),
        }
    }
    let drafts = drafts.into_iter().flat_map(|draft| by_weights(draft, runs)).collect::<Vec<_>>();
    let drafts: Vec<Draft> = drafts.into_iter().flat_map(|draft| by_data(draft, runs)).collect();
    named(&drafts, runs)
}

/// Returns the name of a run's stream.
fn stream(run: &Run) -> String {
    run.stream().map_or_else(|| "unknown stream".to_owned(), |stream| stream.to_string())
}

/// Splits a group by the path of the start weights if it has runs of one split and seed with
/// different paths. Otherwise, the path may depend on the split or seed.
fn by_weights(draft: Draft, runs: &[Run]) -> Vec<Draft> {
    let key = |run: &Run| Some((run.split()?.to_owned(), seed(run)?));
    parted(draft, runs, key, |run| weights(run).unwrap_or_default(), |run| weights(run).unwrap_or_default(), "weights")
}

/// Splits a group by the dataset if it has runs of one split on different datasets. Otherwise, each
/// split may have a dataset of its own.
fn by_data(draft: Draft, runs: &[Run]) -> Vec<Draft> {
    let crc = |run: &Run| run.state.as_ref().map(|state| state.manifest_crc32.to_string()).unwrap_or_default();
    let path = |run: &Run| {
        let data = run.settings.as_ref().and_then(|settings| settings.data.as_ref());
        data.map(|data| data.display().to_string()).unwrap_or_default()
    };
    parted(draft, runs, |run| run.split().map(str::to_owned), crc, path, "data")
}

/// Splits a group by `value` if two runs with the same `key` differ in it. `shown` is the value as
/// the names of the groups have it, after `what`.
fn parted<K: Ord>(
    draft: Draft,
    runs: &[Run],
    key: impl Fn(&Run) -> Option<K>,
    value: impl Fn(&Run) -> String,
    shown: impl Fn(&Run) -> String,
    what: &str,
) -> Vec<Draft> {
    let mut by_key: BTreeMap<K, BTreeSet<String>> = BTreeMap::new();
    for &member in &draft.members {
        let (key, value) = (key(&runs[member]), value(&runs[member]));
        if let Some(key) = key.filter(|_| !value.is_empty()) {
            by_key.entry(key).or_default().insert(value);
        }
    }
    if by_key.values().all(|values| values.len() < 2) {
        return vec![draft];
    }
    let mut parts: Vec<(String, Draft)> = Vec::new();
    for &member in &draft.members {
        let value = value(&runs[member]);
        if let Some((_, part)) = parts.iter_mut().find(|(other, _)| *other == value) {
            part.members.push(member);
            continue;
        }
        let mut more = draft.more.clone();
        more.push(format!("{what} {}", shown(&runs[member])));
        let (stream, options) = (draft.stream.clone(), draft.options.clone());
        parts.push((value, Draft { stream, judges: draft.judges, options, more, members: vec![member] }));
    }
    parts.into_iter().map(|(_, part)| part).collect()
}

/// Names the groups and puts them in order.
fn named(drafts: &[Draft], runs: &[Run]) -> Vec<Group> {
    let place = |stream: &str| Stream::value_variants().iter().position(|other| other.to_string() == stream);
    let mut groups: Vec<(usize, usize, Group)> = Vec::new();
    for draft in drafts {
        let first = draft.members[0];
        let parts = match &draft.options {
            None => vec![format!("unknown settings of {}", runs[first].name)],
            Some(options) => {
                let same_stream = drafts.iter().filter(|other| other.stream == draft.stream);
                let others: Vec<&Options> = same_stream.filter_map(|other| other.options.as_ref()).collect();
                let all: BTreeSet<&String> = others.iter().flat_map(|options| options.keys()).collect();
                let differs = |option: &&String| others.iter().any(|other| other.get(*option) != options.get(*option));
                let differing: Vec<&String> = all.into_iter().filter(differs).collect();
                words(options, &defaults(&runs[first]), &differing).into_iter().chain(draft.more.clone()).collect()
            }
        };
        let group = Group { stream: draft.stream.clone(), name: parts.join(", "), members: draft.members.clone() };
        groups.push((place(&draft.stream).unwrap_or(usize::MAX), parts.len(), group));
    }
    // Groups that differ only in the clips that choose the best epoch have the same words so far.
    for more in [
        |draft: &Draft, _: &[Run]| format!("epoch chosen on {} clips", draft.judges),
        |draft: &Draft, runs: &[Run]| format!("as {}", runs[draft.members[0]].name),
    ] {
        let alike = |a: &Group, b: &Group| (&a.stream, &a.name) == (&b.stream, &b.name);
        let is_taken =
            |(.., group): &(usize, usize, Group)| groups.iter().filter(|(.., other)| alike(group, other)).count() > 1;
        let taken: Vec<bool> = groups.iter().map(is_taken).collect();
        for (at, draft) in drafts.iter().enumerate().filter(|(at, _)| taken[*at]) {
            groups[at].2.name = format!("{}, {}", groups[at].2.name, more(draft, runs));
        }
    }
    groups.sort_by_key(|(stream, parts, group)| (*stream, *parts, group.members[0]));
    groups.into_iter().map(|(.., group)| group).collect()
}
