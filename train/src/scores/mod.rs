//! Scores of a network: for each clip the sum of its samples' logits.
//!
//! `scores.npz` of a run holds `names` `[clips]`, `labels` `[clips]`, `logits` `[clips, classes]` and `samples` `[clips]`.
//! Files of others are read where they say as much: npz files with `names` and `logits`, and pickled dictionaries
//! `{name: float32[classes]}` as the reference code (jeffreyyihuang/two-stream-action-recognition) writes them. The content
//! of a file decides what it is, not its name.

mod csv;
mod labels;
mod names;
mod npy;
mod npz;
mod samples;

pub use labels::Labels;
pub(crate) use names::first_few;
pub use names::{clip_key, read_names};
pub use samples::SampleScores;

use crate::usage::Usage;
use crate::whole_file::write_whole;
use anyhow::{Context, Result, bail};
use inert_pickle::Kind;
use inert_pickle::Rows;
use std::collections::HashMap;
use std::path::Path;

/// Name of the score file in a run folder.
pub const SCORES_FILE: &str = "scores.npz";
/// Scores of Kinetics-400's 240,000 clips take 400 MB.
const MAX_FILE_BYTES: u64 = 1 << 30;

/// The scores of one network on a list of clips.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scores {
    /// Names of the clips, each once, however spelt (see [`clip_key`]).
    pub names: Vec<String>,
    /// Number of classes.
    pub classes: usize,
    /// `[clips, classes]`, the last index fastest: sums over the samples of a clip, before any softmax.
    pub logits: Vec<f32>,
    /// The right class of each clip, where known.
    pub labels: Option<Vec<u32>>,
    /// How many samples each clip's sum is of, where known.
    pub samples: Option<Vec<u32>>,
}

impl Scores {
    /// Reads a run folder's scores or a score file.
    pub fn load(path: &Path) -> Result<Self> {
        Self::load_with_names(path, None)
    }

    /// The same; `names` are the clips of files that do not name them, in order.
    pub fn load_with_names(path: &Path, names: Option<&[String]>) -> Result<Self> {
        let shown = path.display();
        if path.is_dir() {
            let file = path.join(SCORES_FILE);
            if file.is_file() {
                return Self::load(&file);
            }
            bail!("{shown}: no {SCORES_FILE} in this folder: is it a run, and has it finished an epoch?");
        }
        let bytes =
            clipshard::read_regular(path, MAX_FILE_BYTES).with_context(|| format!("{shown}: cannot read it"))?;
        Self::parse(&bytes, names).map_err(|fault| anyhow::anyhow!("{shown}: {fault}"))
    }

    /// Reads a score file's content.
    fn parse(bytes: &[u8], names: Option<&[String]>) -> Result<Self, String> {
        let scores = match bytes {
            [b'P', b'K', 3 | 5, ..] => npz::read(bytes)?,
            [0x93, b'N', ..] => {
                let npy = npy::Npy::parse(bytes)?;
                if npy.dtype.kind == Kind::Object {
                    // np.save of a dictionary: the data is a pickle.
                    Self::of_pickle(npy.data, names)?
                } else {
                    let names = names.ok_or("an npy file has no clip names; give --names a list of them")?;
                    let (classes, logits) = npz::logits(bytes, names.len())?;
                    Self { names: names.to_vec(), classes, logits, ..Self::default() }
                }
            }
            // A protocol's number, or the start of a dictionary or list in text.
            [0x80 | b'(' | b'}' | b']' | b'c', ..] => Self::of_pickle(bytes, names)?,
            [] => return Err("the file is empty".to_owned()),
            _ if csv::is_csv(bytes) => csv::read(bytes)?,
            [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => return Err("it is text in UTF-16; save it as UTF-8".to_owned()),
            _ => return Err("not a score file: neither npz nor npy nor a pickle nor csv".to_owned()),
        };
        scores.check()?;
        Ok(scores)
    }

    fn of_pickle(bytes: &[u8], names: Option<&[String]>) -> Result<Self, String> {
        Self::from_rows(match inert_pickle::read_rows(bytes).map_err(|e| e.to_string())? {
            Rows::Named(rows) => rows,
            Rows::Listed(rows) => {
                let names = names.ok_or("the pickle is a list without clip names; give --names a list of them")?;
                if names.len() != rows.len() {
                    return Err(format!("it holds {} clips, --names has {}", rows.len(), names.len()));
                }
                names.iter().cloned().zip(rows).collect()
            }
            _ => return Err("the pickle holds neither a dictionary nor a list of rows".to_owned()),
        })
    }

    /// From one row of logits for each clip.
    fn from_rows(rows: Vec<(String, Vec<f32>)>) -> Result<Self, String> {
        let Some((first, row)) = rows.first() else { return Err("it holds no clips".to_owned()) };
        let (first, classes) = (first.clone(), row.len());
        let mut scores = Self { classes, ..Self::default() };
        for (name, row) in rows {
            if row.len() != classes {
                let (name, first) = (name.escape_debug(), first.escape_debug());
                return Err(format!("clip {name} has {} scores, clip {first} has {classes}", row.len()));
            }
            scores.names.push(name);
            scores.logits.extend(row);
        }
        Ok(scores)
    }

    /// Logits of one clip, `[classes]`.
    pub fn row(&self, clip: usize) -> &[f32] {
        &self.logits[clip * self.classes..][..self.classes]
    }

    /// What holds of all scores, whoever made them.
    pub(crate) fn check(&self) -> Result<(), String> {
        let clips = self.names.len();
        if clips == 0 || self.classes == 0 {
            return Err(format!("it holds scores of {clips} clips and {} classes", self.classes));
        }
        if Some(self.logits.len()) != clips.checked_mul(self.classes) {
            return Err(format!("{} logits for {clips} clips and {} classes", self.logits.len(), self.classes));
        }
        for (what, values) in [("labels", &self.labels), ("samples", &self.samples)] {
            if let Some(values) = values.as_ref().filter(|values| values.len() != clips) {
                return Err(format!("{} {what} for {clips} clips", values.len()));
            }
        }
        let mut seen = HashMap::with_capacity(clips);
        for (clip, name) in self.names.iter().enumerate() {
            if name.is_empty() || name.chars().any(char::is_control) {
                return Err(format!("{name:?} is not the name of a clip"));
            }
            if let Some(other) = seen.insert(clip_key(name), name) {
                return Err(format!("clip {name} is there twice (also as {other})"));
            }
            if let Some(value) = self.row(clip).iter().find(|value| !value.is_finite()) {
                return Err(format!("clip {name} has a score of {value}"));
            }
            if let Some(label) = self.labels.as_ref().map(|l| l[clip]).filter(|&label| label as usize >= self.classes) {
                return Err(format!("clip {name} has label {label} of {} classes", self.classes));
            }
            if self.samples.as_ref().is_some_and(|samples| samples[clip] == 0) {
                return Err(format!("clip {name} is the sum of no samples"));
            }
        }
        Ok(())
    }

    /// Writes an npz file, whole or not at all. The same scores give the same bytes.
    pub fn write_npz(&self, path: &Path) -> Result<()> {
        let shown = path.display();
        self.check().map_err(|fault| anyhow::anyhow!("{shown}: these scores cannot be written: {fault}"))?;
        let bytes = npz::encode(self).with_context(|| format!("{shown}: cannot encode the scores"))?;
        write_whole(path, &bytes)
    }

    /// Writes npz, or csv where the name ends in that; whole or not at all.
    pub fn write(&self, path: &Path) -> Result<()> {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("npz") => self.write_npz(path),
            Some("csv") => {
                let shown = path.display();
                self.check().map_err(|fault| anyhow::anyhow!("{shown}: these scores cannot be written: {fault}"))?;
                let bytes = csv::encode(self).with_context(|| format!("{shown}: cannot encode the scores"))?;
                write_whole(path, &bytes)
            }
            _ => bail!(Usage(format!("{}: scores are written as .npz or .csv", path.display()))),
        }
    }

    /// Each clip's place, by its [`clip_key`].
    pub(crate) fn places(&self) -> HashMap<String, usize> {
        self.names.iter().enumerate().map(|(clip, name)| (clip_key(name), clip)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Scores {
        Scores {
            names: vec!["v_Wave_g01_c01".into(), "Jump_g01_c01".into(), "Łódź".into()],
            classes: 2,
            logits: vec![1.5, -2.0, 0.1, 1e30, -0.0, 3.0],
            labels: Some(vec![0, 1, 1]),
            samples: Some(vec![19, 25, 1]),
        }
    }

    #[test]
    fn scores_come_back_as_written_and_the_bytes_are_the_same_each_time() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(SCORES_FILE);
        example().write_npz(&path).unwrap();
        assert_eq!(Scores::load(&path).unwrap(), example());
        assert_eq!(Scores::load(dir.path()).unwrap(), example(), "by its run folder");
        let bytes = std::fs::read(&path).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(2100));
        example().write_npz(&path).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), bytes, "two seconds, the unit of time in zip files, later");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "nothing else is left in the folder");
    }

    #[test]
    fn labels_and_samples_may_be_unknown() {
        let scores = Scores { labels: None, samples: None, ..example() };
        assert_eq!(Scores::parse(&npz::encode(&scores).unwrap(), None).unwrap(), scores);
    }

    #[test]
    fn csv_comes_back_with_the_same_bits() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("scores.csv");
        let odd = [0.1, f32::MIN_POSITIVE / 8.0, -0.0, f32::MAX, 1.0 / 3.0, 2.0];
        let scores = Scores { logits: odd.to_vec(), ..example() };
        scores.write(&path).unwrap();
        let read = Scores::load(&path).unwrap();
        assert_eq!(read, scores);
        let bits = |scores: &Scores| scores.logits.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&read), bits(&scores));
        let parse = |text: &str| Scores::parse(text.as_bytes(), None);
        let plain = parse("name,Jump, Run\nv_a,1,-2.5e-1\n").unwrap();
        assert_eq!((plain.classes, plain.logits, plain.labels), (2, vec![1.0, -0.25], None));
        assert!(parse("name,0,1\nv_a,1\n").unwrap_err().contains("line: 2"), "{:?}", parse("name,0,1\nv_a,1\n"));
        assert!(parse("name,0,1\nv_a,1,x\n").unwrap_err().contains("line 2: \"x\" is no number"));
        assert!(parse("name,label,0\nv_a,-1,0\n").unwrap_err().contains("line 2: \"-1\" is no whole number"));
    }

    #[test]
    fn csv_of_spreadsheets_is_read() {
        let parse = |text: &str| Scores::parse(text.as_bytes(), None).unwrap();
        let plain = parse("name,label,0,1\nv_a,1,0.5,-2\n");
        assert_eq!((plain.classes, &plain.logits, &plain.labels), (2, &vec![0.5, -2.0], &Some(vec![1])));
        for text in [
            "\u{feff}name,label,0,1\nv_a,1,0.5,-2\n",
            "\"name\",\"label\",\"0\",\"1\"\r\n\"v_a\",\"1\",\"0.5\",\"-2\"\r\n",
            "\u{feff}\"name\",\"label\",0,1\rv_a,1,0.5,-2\r",
        ] {
            assert_eq!(parse(text), plain, "{text:?}");
        }
        let utf16 = Scores::parse(b"\xff\xfen\0a\0m\0e\0,\0", None).unwrap_err();
        assert!(utf16.contains("UTF-16; save it as UTF-8"), "{utf16}");
    }

    #[cfg(unix)]
    #[test]
    fn only_regular_files_are_read_as_scores() {
        let error = Scores::load(Path::new("/dev/zero")).unwrap_err();
        assert!(
            format!("{error:#}").ends_with("/dev/zero: cannot read it: it is a device, not a regular file"),
            "{error:#}"
        );
    }

    #[test]
    fn a_dictionary_of_np_save_is_read() {
        let scores = Scores::load(Path::new("tests/goldens/dictionary.npy")).unwrap();
        assert_eq!((scores.names.len(), scores.classes), (3, 4));
    }

    #[test]
    fn each_rule_of_scores_is_enforced() {
        let broken = |change: fn(&mut Scores)| {
            let mut scores = example();
            change(&mut scores);
            let dir = tempfile::tempdir().unwrap();
            let error = scores.write_npz(&dir.path().join("x.npz")).unwrap_err().to_string();
            assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "nothing is written");
            error
        };
        assert!(broken(|s| *s = Scores::default()).contains("0 clips"));
        assert!(broken(|s| s.logits.truncate(5)).contains("5 logits for 3 clips and 2 classes"));
        assert!(broken(|s| s.labels = Some(vec![1])).contains("1 labels for 3 clips"));
        assert!(broken(|s| s.samples = Some(vec![])).contains("0 samples for 3 clips"));
        assert!(broken(|s| s.logits[3] = f32::NAN).contains("clip Jump_g01_c01 has a score of NaN"));
        assert!(broken(|s| s.logits[0] = f32::INFINITY).contains("clip v_Wave_g01_c01 has a score of inf"));
        assert!(broken(|s| s.names[1] = "wave_g01_c01.avi".into()).contains("there twice (also as v_Wave_g01_c01)"));
        assert!(broken(|s| s.names[1] = "\x1b[2J".into()).contains("not the name"));
        assert!(broken(|s| s.labels = Some(vec![0, 2, 0])).contains("label 2 of 2"));
        assert!(broken(|s| s.samples = Some(vec![1, 0, 1])).contains("no samples"));
    }

    #[test]
    fn files_of_other_kinds_are_refused_with_a_reason() {
        let fault = |bytes: &[u8]| Scores::parse(bytes, None).unwrap_err();
        assert!(fault(b"").contains("empty"));
        assert!(fault(b"file,score\n").contains("neither npz nor npy nor a pickle nor csv"));
        assert!(fault(b"PK\x03\x04").contains("zip"));
        let npy = b"\x93NUMPY\x01\x00\x3c\x00{'descr': '<f4', 'fortran_order': False, 'shape': (0,)}    \n";
        assert!(fault(npy).contains("no clip names"), "{}", fault(npy));
        let dir = tempfile::tempdir().unwrap();
        assert!(Scores::load(dir.path()).unwrap_err().to_string().contains("no scores.npz"));
        assert!(Scores::load(&dir.path().join("a")).unwrap_err().to_string().contains("cannot read it"));
    }
}
