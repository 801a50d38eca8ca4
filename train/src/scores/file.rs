//! Reads and writes scores files. The content of a file determines its format, not its name.

use super::clip_scores::Scores;
use super::fault::ScoreFault;
use super::samples::SampleScores;
use super::{csv, npy, npz};
use crate::base::replace_file::replace_file;
use crate::base::usage::Usage;
use anyhow::{Context, Result, bail};
use inert_pickle::{Kind, Rows};
use std::path::Path;

/// Name of the file with the scores of test clips in a run folder.
pub const SCORES_FILE: &str = "scores.npz";
/// Name of the file with the scores of val clips in a run folder.
pub const VAL_SCORES_FILE: &str = "val_scores.npz";
/// Largest size of a file that is read. Scores of the 240,000 clips of Kinetics-400 take 400 MB.
const MAX_FILE_BYTES: u64 = 1 << 30;

impl Scores {
    /// Reads a scores file, or the scores of a run folder.
    ///
    /// # Errors
    /// The file cannot be read, has an unknown format or breaks a rule of scores.
    pub fn load(path: &Path) -> Result<Self> {
        Self::load_with_names(path, None)
    }

    /// Reads scores as [`Scores::load`] does. `names` lists the clips of files that do not name
    /// them, in the order of the file.
    pub fn load_with_names(path: &Path, names: Option<&[String]>) -> Result<Self> {
        let shown = path.display();
        if path.is_dir() {
            let file = path.join(SCORES_FILE);
            if file.is_file() {
                return Self::load(&file);
            }
            if path.join(VAL_SCORES_FILE).is_file() {
                bail!(
                    "{shown}: no {SCORES_FILE} here, because the run has not tested its best network on test clips; \
                     name {VAL_SCORES_FILE} in this folder to use the scores of val clips"
                );
            }
            bail!("{shown}: no {SCORES_FILE} here; name the folder of a run that finished at least one epoch");
        }
        let bytes =
            clipshard::read_regular(path, MAX_FILE_BYTES).with_context(|| format!("{shown}: cannot read it"))?;
        Self::parse(&bytes, names).map_err(|fault| anyhow::anyhow!("{shown}: {fault}"))
    }

    /// Reads the content of a scores file.
    fn parse(bytes: &[u8], names: Option<&[String]>) -> Result<Self, ScoreFault> {
        let scores = match bytes {
            [b'P', b'K', 3 | 5, ..] => npz::read(bytes)?,
            [0x93, b'N', ..] => {
                let npy = npy::Npy::parse(bytes)?;
                if npy.dtype.kind == Kind::Object {
                    // np.save writes a dictionary as a pickle.
                    Self::of_pickle(npy.data, names)?
                } else {
                    let names = names.ok_or(ScoreFault::NpyWithoutNames)?;
                    let (classes, logits) = npz::logits(bytes, names.len())?;
                    Self { names: names.to_vec(), classes, logits, ..Self::default() }
                }
            }
            // A pickle starts with a protocol number, or in text form with a dictionary or list.
            [0x80 | b'(' | b'}' | b']' | b'c', ..] => Self::of_pickle(bytes, names)?,
            [] => return Err(ScoreFault::Empty),
            _ if csv::is_csv(bytes) => csv::read(bytes)?,
            [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => return Err(ScoreFault::Utf16),
            _ => return Err(ScoreFault::UnknownFormat),
        };
        scores.check()?;
        Ok(scores)
    }

    fn of_pickle(bytes: &[u8], names: Option<&[String]>) -> Result<Self, ScoreFault> {
        Self::from_rows(match inert_pickle::read_rows(bytes)? {
            Rows::Named(rows) => rows,
            Rows::Listed(rows) => {
                let names = names.ok_or(ScoreFault::ListWithoutNames)?;
                if names.len() != rows.len() {
                    return Err(ScoreFault::NameCount { clips: rows.len(), names: names.len() });
                }
                names.iter().cloned().zip(rows).collect()
            }
            _ => return Err(ScoreFault::UnknownFormat),
        })
    }

    /// Writes an npz file. Equal scores give equal bytes. An older file is replaced only when the
    /// new one is complete.
    pub fn write_npz(&self, path: &Path) -> Result<()> {
        let shown = path.display();
        self.check().map_err(|fault| anyhow::anyhow!("{shown}: cannot write these scores: {fault}"))?;
        let bytes = npz::encode(self).with_context(|| format!("{shown}: cannot encode the scores"))?;
        replace_file(path, &bytes)
    }

    /// Writes npz or CSV, depending on the extension of `path`.
    ///
    /// # Errors
    /// The extension is neither `npz` nor `csv`, the scores break a rule, or the file cannot be
    /// written.
    pub fn write(&self, path: &Path) -> Result<()> {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("npz") => self.write_npz(path),
            Some("csv") => {
                let shown = path.display();
                self.check().map_err(|fault| anyhow::anyhow!("{shown}: cannot write these scores: {fault}"))?;
                let bytes = csv::encode(self).with_context(|| format!("{shown}: cannot encode the scores"))?;
                replace_file(path, &bytes)
            }
            _ => bail!(Usage(format!(
                "{}: unknown format of scores; name a file that ends in .npz or .csv",
                path.display()
            ))),
        }
    }
}

impl SampleScores {
    /// Writes an npz file with the arrays `names`, `labels`, `subset`, `frames` and `logits`.
    pub fn write_npz(&self, path: &Path) -> Result<()> {
        let shown = path.display();
        let bytes =
            npz::encode_samples(self).with_context(|| format!("{shown}: cannot encode the scores of the samples"))?;
        replace_file(path, &bytes)
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
            subset: Some("val".into()),
        }
    }

    #[test]
    fn scores_come_back_as_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(SCORES_FILE);
        example().write_npz(&path).unwrap();
        assert_eq!(Scores::load(&path).unwrap(), example());
        assert_eq!(Scores::load(dir.path()).unwrap(), example(), "by its run folder");
        let bytes = std::fs::read(&path).unwrap();
        example().write_npz(&path).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "nothing else is left in the folder");
    }

    #[test]
    fn labels_samples_and_subset_may_be_unknown() {
        let scores = Scores { labels: None, samples: None, subset: None, ..example() };
        assert_eq!(Scores::parse(&npz::encode(&scores).unwrap(), None).unwrap(), scores);
    }

    #[test]
    fn csv_comes_back_with_the_same_bits() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("scores.csv");
        let odd = [0.1, f32::MIN_POSITIVE / 8.0, -0.0, f32::MAX, 1.0 / 3.0, 2.0];
        let scores = Scores { logits: odd.to_vec(), subset: None, ..example() };
        scores.write(&path).unwrap();
        let read = Scores::load(&path).unwrap();
        assert_eq!(read, scores);
        let bits = |scores: &Scores| scores.logits.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&read), bits(&scores));
        let parse = |text: &str| Scores::parse(text.as_bytes(), None);
        let plain = parse("name,Jump, Run\nv_a,1,-2.5e-1\n").unwrap();
        assert_eq!((plain.classes, plain.logits, plain.labels), (2, vec![1.0, -0.25], None));
        let fault = |text: &str| parse(text).unwrap_err().to_string();
        assert!(fault("name,0,1\nv_a,1\n").contains("line: 2"), "{}", fault("name,0,1\nv_a,1\n"));
        assert!(fault("name,0,1\nv_a,1,x\n").contains("line 2: \"x\" is not a number"));
        assert!(fault("name,label,0\nv_a,-1,0\n").contains("line 2: \"-1\" is not a whole number"));
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
        let utf16 = Scores::parse(b"\xff\xfen\0a\0m\0e\0,\0", None).unwrap_err().to_string();
        assert!(utf16.contains("UTF-16 text; save it as UTF-8"), "{utf16}");
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
        assert!(broken(|s| s.logits[3] = f32::NAN).contains("clip Jump_g01_c01 has the score NaN"));
        assert!(broken(|s| s.logits[0] = f32::INFINITY).contains("clip v_Wave_g01_c01 has the score inf"));
        assert!(broken(|s| s.names[1] = "wave_g01_c01.avi".into()).contains("appears twice (also as v_Wave_g01_c01)"));
        assert!(broken(|s| s.names[1] = "\x1b[2J".into()).contains("has control characters"));
        assert!(broken(|s| s.labels = Some(vec![0, 2, 0])).contains("label 2, but there are only 2 classes"));
        assert!(broken(|s| s.samples = Some(vec![1, 0, 1])).contains("0 samples"));
    }

    #[test]
    fn files_of_other_kinds_are_refused_with_a_reason() {
        let fault = |bytes: &[u8]| Scores::parse(bytes, None).unwrap_err().to_string();
        assert!(fault(b"").contains("empty"));
        assert!(fault(b"file,score\n").contains("not a scores file"));
        assert!(fault(b"PK\x03\x04").contains("incomplete or damaged"));
        let npy = b"\x93NUMPY\x01\x00\x3c\x00{'descr': '<f4', 'fortran_order': False, 'shape': (0,)}    \n";
        assert!(fault(npy).contains("no clip names"), "{}", fault(npy));
        let dir = tempfile::tempdir().unwrap();
        assert!(Scores::load(dir.path()).unwrap_err().to_string().contains("no scores.npz"));
        assert!(Scores::load(&dir.path().join("a")).unwrap_err().to_string().contains("cannot read it"));
    }
}
