//! Property tests: whatever a `DatasetWriter` does, its manifest is the one that is rebuilt from the
//! shards, and every clip comes back as it was given.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod written;

use clipshard::order::Draws;
use clipshard::{Dataset, DatasetInfo, DatasetWriter, Manifest, WriteOptions};
use std::collections::BTreeMap;
use std::path::Path;
use written::{Source, add_streams, assert_holds, assert_whole};

/// The clips that a dataset must have, and its classes.
#[derive(Clone, Default)]
struct Expected {
    clips: BTreeMap<String, Source>,
    classes: Vec<String>,
    splits: usize,
    /// Number of ids that were used, so that each new clip has another one.
    used: usize,
}

fn open_options(draws: &mut Draws) -> WriteOptions {
    let bytes = [0, 1500, 6000, 1 << 20, u64::MAX][draws.below(5) as usize];
    WriteOptions::new().with_shard_bytes(bytes).with_threads(draws.below(3) as usize)
}

impl Expected {
    fn add(&mut self, writer: &mut DatasetWriter, draws: &mut Draws) {
        let id = match draws.below(4) {
            0 => format!("v {} #&\"ü\n", self.used),
            _ => format!("v_{}", self.used),
        };
        self.used += 1;
        let source = Source::random(id.clone(), self.classes.len() as u64, self.splits, draws);
        source.add_to(writer).unwrap();
        self.clips.insert(id, source);
    }

    /// Removes random clips, but not all.
    fn remove(&mut self, writer: &mut DatasetWriter, draws: &mut Draws) {
        let chosen: Vec<String> = self.clips.keys().filter(|_| draws.below(3) == 0).cloned().collect();
        if chosen.len() < self.clips.len() {
            writer.remove_clips(&chosen).unwrap();
            self.clips.retain(|id, _| !chosen.contains(id));
        }
    }

    /// Drops the writer, resumes, and adds again what was lost.
    fn resume(&mut self, dir: &Path, writer: DatasetWriter, draws: &mut Draws) -> DatasetWriter {
        drop(writer);
        if !DatasetWriter::is_interrupted(dir) {
            // Nothing had been written.
            return self.start(dir, draws);
        }
        assert!(Manifest::rebuild(dir).unwrap_err().to_string().contains(".writing.json is here"));
        let mut writer = DatasetWriter::resume_with(dir, &open_options(draws)).unwrap();
        self.restore(&mut writer);
        writer
    }

    /// Opens the dataset, or starts it.
    fn start(&self, dir: &Path, draws: &mut Draws) -> DatasetWriter {
        let mut writer = if dir.join("manifest.json").exists() {
            DatasetWriter::append_with(dir, &open_options(draws)).unwrap()
        } else {
            let splits = (0..self.splits).map(|split| format!("split {split}"));
            let mut info = DatasetInfo::new("random", [""; 0], splits);
            info.build.insert("level".into(), 1.5.into());
            info.attributes.set("licence", "CC0");
            DatasetWriter::create_with(dir, info, &open_options(draws)).unwrap()
        };
        self.restore(&mut writer);
        writer
    }

    fn restore(&self, writer: &mut DatasetWriter) {
        add_streams(writer);
        for (label, class) in (0..).zip(&self.classes) {
            assert_eq!(writer.add_class(class).unwrap(), label);
        }
        for (id, source) in &self.clips {
            if !writer.contains(id) {
                source.add_to(writer).unwrap();
            }
        }
        assert_eq!(writer.clip_count(), self.clips.len());
    }
}

/// Runs a random sequence of sessions. Returns how often each step was done.
fn run(seed: u64) -> BTreeMap<&'static str, usize> {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let mut draws = Draws::new(seed, 0, 0);
    let mut expected = Expected { splits: draws.below(3) as usize, ..Expected::default() };
    let (mut done, mut before) = (BTreeMap::new(), None::<(Dataset, Expected)>);
    for _ in 0..draws.between(1, 4) {
        let mut writer = expected.start(dir, &mut draws);
        let between = dir.join("manifest.json").exists().then(|| (Dataset::open(dir).unwrap(), expected.clone()));
        for _ in 0..draws.between(1, 10) {
            let step = match draws.below(16) {
                0 | 1 => {
                    expected.classes.push(format!("Class {}", expected.classes.len()));
                    writer.add_class(expected.classes.last().unwrap()).unwrap();
                    "class"
                }
                2 | 3 => {
                    expected.remove(&mut writer, &mut draws);
                    "remove"
                }
                4 => {
                    writer.compact().unwrap();
                    "compact"
                }
                5 | 6 => {
                    writer = expected.resume(dir, writer, &mut draws);
                    "resume"
                }
                _ => {
                    expected.add(&mut writer, &mut draws);
                    "add"
                }
            };
            *done.entry(step).or_default() += 1;
        }
        if expected.clips.is_empty() {
            expected.add(&mut writer, &mut draws);
        }
        let manifest = writer.finish().unwrap();
        assert_eq!(assert_whole(dir), manifest);
        assert_eq!(manifest.classes, expected.classes);
        assert_holds(&Dataset::open(dir).unwrap(), expected.clips.values());
        // Readers that opened the dataset earlier still have all of it.
        for (data, expected) in between.iter().chain(&before) {
            assert_holds(data, expected.clips.values());
        }
        before = Some((Dataset::open(dir).unwrap(), expected.clone()));
    }
    done
}

#[test]
fn every_dataset_that_the_writer_makes_can_be_rebuilt_from_its_shards() {
    let sequences = std::env::var("SEQUENCES").map_or(60, |n| n.parse().unwrap());
    let mut done = BTreeMap::<_, usize>::new();
    for seed in 0..sequences {
        for (step, times) in run(seed) {
            *done.entry(step).or_default() += times;
        }
    }
    for step in ["add", "class", "remove", "compact", "resume"] {
        assert!(done[step] > sequences as usize / 5, "{done:?}");
    }
}
