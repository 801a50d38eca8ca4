//! Scores files in the format npz: a zip archive with one npy file per array.

use super::clip_scores::Scores;
use super::fault::ScoreFault;
use super::names::first_few;
use super::npy::Npy;
use super::samples::SampleScores;
use inert_pickle::Kind;
use npyz::npz::{NpzWriter, array_name_from_file_name, file_name_from_array_name};
use npyz::zip::read::ZipArchive;
use npyz::zip::result::ZipError;
use npyz::zip::write::FileOptions;
use npyz::zip::{CompressionMethod, DateTime};
use npyz::{DType as StoredType, Serialize, WriterBuilder};
use std::collections::HashSet;
use std::io::{self, Cursor, Read};

/// Largest unpacked size of the arrays as a multiple of the file's size, in addition to
/// [`SMALL_BYTES`]. Names and labels compress well, scores hardly.
const MAX_UNPACKED: u64 = 64;
/// Unpacked size that the arrays of any file may have.
const SMALL_BYTES: u64 = 1 << 20;
/// Largest size of a name. Usual names have a few dozen characters.
const MAX_NAME_BYTES: usize = 4 * 4096;

/// An archive, with the number of bytes that may still be unpacked.
struct Archive<'a> {
    zip: ZipArchive<Cursor<&'a [u8]>>,
    left: u64,
}

/// Reads `names`, `logits` and, if they exist, `labels`, `samples` and `subset`. The caller must check the
/// rules of [`Scores`].
pub(super) fn read(bytes: &[u8]) -> Result<Scores, ScoreFault> {
    let zip = ZipArchive::new(Cursor::new(bytes)).map_err(ScoreFault::Zip)?;
    let mut archive = Archive { zip, left: bytes.len() as u64 * MAX_UNPACKED + SMALL_BYTES };
    let file = required(&mut archive, "names")?;
    let names = within("names", || {
        let npy = Npy::parse(&file)?;
        if npy.dtype.kind == Kind::Object {
            return Err(ScoreFault::PythonObjects);
        }
        check_names(&npy)?;
        let other = ScoreFault::ElementType { found: npy.dtype, expected: "text" };
        let names = npy.dtype.texts(npy.data).ok_or(other)?;
        if npy.shape.len() == 1 { Ok(names) } else { Err(ScoreFault::Shape { found: npy.shape, expected: "[clips]" }) }
    })?;
    let file = required(&mut archive, "logits")?;
    let (classes, logits) = within("logits", || logits(&file, names.len()))?;
    let labels = integers(&mut archive, "labels", names.len())?;
    let samples = integers(&mut archive, "samples", names.len())?;
    let subset = text(&mut archive, "subset")?;
    Ok(Scores { names, classes, logits, labels, samples, subset })
}

/// Reads a text. Returns none if the array does not exist or is something else than one text of a
/// usual length, as an array of another program may be.
fn text(archive: &mut Archive<'_>, name: &str) -> Result<Option<String>, ScoreFault> {
    let Some(file) = array(archive, name)? else { return Ok(None) };
    let npy = within(name, || Ok(Npy::parse(&file)?))?;
    if npy.dtype.kind == Kind::Object || !npy.shape.is_empty() || npy.dtype.bytes > MAX_NAME_BYTES {
        return Ok(None);
    }
    let texts = npy.dtype.texts(npy.data);
    Ok(texts.and_then(|texts| texts.into_iter().next()).filter(|text| !text.chars().any(char::is_control)))
}

/// Checks that the names are short and unique. This takes less memory than decoding them.
fn check_names(npy: &Npy<'_>) -> Result<(), ScoreFault> {
    if npy.dtype.bytes > MAX_NAME_BYTES {
        return Err(ScoreFault::NameBytes { found: npy.dtype.bytes, most: MAX_NAME_BYTES });
    }
    let mut seen = HashSet::new();
    for (at, name) in npy.data.chunks_exact(npy.dtype.bytes.max(1)).enumerate() {
        if !seen.insert(name) {
            return Err(ScoreFault::NameTwice(at + 1));
        }
    }
    Ok(())
}

fn within<T>(array: &str, read: impl FnOnce() -> Result<T, ScoreFault>) -> Result<T, ScoreFault> {
    read().map_err(|fault| ScoreFault::Array { array: array.to_owned(), fault: Box::new(fault) })
}

/// Reads logits `[clips, classes]`, and returns the number of classes with them.
pub(super) fn logits(file: &[u8], clips: usize) -> Result<(usize, Vec<f32>), ScoreFault> {
    let npy = Npy::parse(file)?;
    let other = ScoreFault::ElementType { found: npy.dtype, expected: "floats" };
    let values = npy.dtype.floats(npy.data).ok_or(other)?;
    let &[rows, classes] = npy.shape.as_slice() else {
        return Err(ScoreFault::Shape { found: npy.shape, expected: "[clips, classes]" });
    };
    if rows != clips {
        return Err(ScoreFault::RowCount { rows, names: clips });
    }
    if !npy.fortran_order {
        return Ok((classes, values));
    }
    let transposed = (0..rows * classes).map(|at| values[at % classes * rows + at / classes]).collect();
    Ok((classes, transposed))
}

/// Reads whole numbers `[clips]`, or one number for all clips. Returns none if the array does not
/// exist.
fn integers(archive: &mut Archive<'_>, name: &str, clips: usize) -> Result<Option<Vec<u32>>, ScoreFault> {
    let Some(file) = array(archive, name)? else { return Ok(None) };
    within(name, || {
        let npy = Npy::parse(&file)?;
        let other = ScoreFault::ElementType { found: npy.dtype, expected: "whole numbers" };
        let values = npy.dtype.integers(npy.data).ok_or(other)?;
        let number = |value| u32::try_from(value).map_err(|_| ScoreFault::OutOfRange(value));
        match npy.shape.as_slice() {
            [] => Ok(vec![number(values[0])?; clips]),
            [_] => values.into_iter().map(number).collect(),
            shape => Err(ScoreFault::Shape { found: shape.to_vec(), expected: "[clips]" }),
        }
    })
    .map(Some)
}

fn required(archive: &mut Archive<'_>, name: &'static str) -> Result<Vec<u8>, ScoreFault> {
    if let Some(file) = array(archive, name)? {
        return Ok(file);
    }
    let mut found: Vec<_> = archive.zip.file_names().filter_map(array_name_from_file_name).collect();
    found.sort_unstable();
    Err(ScoreFault::NoArray { array: name, found: first_few(&found) })
}

/// Unpacks the npy file of an array. Returns none if it does not exist.
fn array(archive: &mut Archive<'_>, name: &str) -> Result<Option<Vec<u8>>, ScoreFault> {
    let mut entry = match archive.zip.by_name(&file_name_from_array_name(name)) {
        Ok(entry) => entry,
        Err(ZipError::FileNotFound) => return Ok(None),
        Err(error) => return within(name, || Err(ScoreFault::ZipEntry(error))),
    };
    let mut bytes = Vec::new();
    // Reads the existing bytes up to the limit, because the size in the archive may be wrong.
    let read = entry.by_ref().take(archive.left + 1).read_to_end(&mut bytes);
    within(name, || read.map_err(ScoreFault::ZipRead))?;
    let left = archive.left.checked_sub(bytes.len() as u64);
    archive.left = left.ok_or_else(|| ScoreFault::Unpacked { array: name.to_owned(), limit: MAX_UNPACKED })?;
    Ok(Some(bytes))
}

/// Encodes scores as npz without compression, like `np.savez`. `np.load(..., allow_pickle=False)`
/// reads it.
pub(super) fn encode(scores: &Scores) -> io::Result<Vec<u8>> {
    let mut npz = begin(&scores.names, scores.labels.as_deref(), scores.subset.as_deref())?;
    let (clips, classes) = (scores.names.len() as u64, scores.classes as u64);
    write_array(&mut npz, "logits", "<f4", &[clips, classes], &scores.logits)?;
    if let Some(samples) = &scores.samples {
        write_array(&mut npz, "samples", "<u4", &[clips], samples)?;
    }
    Ok(npz.zip_writer().finish()?.into_inner())
}

/// Encodes the scores of samples as npz without compression.
pub(super) fn encode_samples(scores: &SampleScores) -> io::Result<Vec<u8>> {
    let mut npz = begin(&scores.names, scores.labels.as_deref(), scores.subset.as_deref())?;
    let (clips, samples, classes) = (scores.names.len() as u64, scores.samples as u64, scores.classes as u64);
    write_array(&mut npz, "frames", "<u4", &[clips, samples], &scores.frames)?;
    write_array(&mut npz, "logits", "<f4", &[clips, samples, classes], &scores.logits)?;
    Ok(npz.zip_writer().finish()?.into_inner())
}

/// Starts an archive with the names, labels and subset of the clips.
fn begin(names: &[String], labels: Option<&[u32]>, subset: Option<&str>) -> io::Result<NpzWriter<Cursor<Vec<u8>>>> {
    let mut npz = NpzWriter::new(Cursor::new(Vec::new()));
    let clips = names.len() as u64;
    let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0).max(1);
    let texts = names.iter().map(String::as_str);
    write_array::<str, _>(&mut npz, "names", &format!("<U{width}"), &[clips], texts)?;
    if let Some(labels) = labels {
        let labels: Vec<i64> = labels.iter().map(|&label| label.into()).collect();
        write_array(&mut npz, "labels", "<i8", &[clips], &labels)?;
    }
    if let Some(subset) = subset {
        let width = subset.chars().count().max(1);
        write_array::<str, _>(&mut npz, "subset", &format!("<U{width}"), &[], [subset])?;
    }
    Ok(npz)
}

fn write_array<'v, T, I>(
    npz: &mut NpzWriter<Cursor<Vec<u8>>>,
    name: &str,
    dtype: &str,
    shape: &[u64],
    items: I,
) -> io::Result<()>
where
    T: Serialize + ?Sized + 'v,
    I: IntoIterator<Item = &'v T>,
{
    // A fixed date, because equal scores must give equal bytes.
    let options =
        FileOptions::default().compression_method(CompressionMethod::Stored).last_modified_time(DateTime::default());
    let dtype = StoredType::new_scalar(dtype.parse().expect("a type that numpy has"));
    let mut writer = npz.array::<T>(name, options)?.dtype(dtype).shape(shape).begin_nd()?;
    for item in items {
        writer.push(item)?;
    }
    writer.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    /// Encodes an npy file.
    fn npy(descr: &str, shape: &str, data: &[u8]) -> Vec<u8> {
        let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}}}");
        [&b"\x93NUMPY\x01\x00"[..], &(header.len() as u16).to_le_bytes(), header.as_bytes(), data].concat()
    }

    fn fault(arrays: &[(&str, Vec<u8>)]) -> String {
        let mut zip = npyz::zip::ZipWriter::new(Cursor::new(Vec::new()));
        let options = FileOptions::default().compression_method(CompressionMethod::Deflated);
        for (name, bytes) in arrays {
            zip.start_file(format!("{name}.npy"), options).unwrap();
            zip.write_all(bytes).unwrap();
        }
        read(&zip.finish().unwrap().into_inner()).unwrap_err().to_string()
    }

    #[test]
    fn arrays_that_unpack_to_far_more_than_the_file_are_refused() {
        let names = npy("<U1", "(4000000,)", &vec![0; 16_000_000]);
        let error = fault(&[("names", names)]);
        assert_eq!(error, "array \"names\" would unpack to more than 64 times the size of the file, so it is not read");
        let few = npy("<U1", "(2,)", b"a\0\0\0b\0\0\0");
        let logits = npy("<f4", "(2, 2000000)", &vec![0; 16_000_000]);
        assert!(
            fault(&[("names", few), ("logits", logits)])
                .starts_with("array \"logits\" would unpack to more than 64 times")
        );
    }

    #[test]
    fn names_that_no_clips_have_are_refused_before_they_are_text() {
        let wide = npy("<U50000", "(2,)", &vec![0; 400_000]);
        assert_eq!(fault(&[("names", wide)]), "array \"names\": a name has 200000 bytes; at most 16384 are allowed");
        let empty = npy("<U1", "(200000,)", &vec![0; 800_000]);
        assert_eq!(fault(&[("names", empty)]), "array \"names\": name number 2 appears twice");
    }

    #[test]
    fn no_entry_has_the_time_at_which_it_was_written() {
        let scores = Scores {
            names: vec!["a".into()],
            classes: 1,
            logits: vec![0.5],
            labels: Some(vec![0]),
            samples: Some(vec![1]),
            subset: Some("val".into()),
        };
        let bytes = encode(&scores).unwrap();
        let mut zip = ZipArchive::new(Cursor::new(&bytes[..])).unwrap();
        assert_eq!(zip.len(), 5);
        for entry in 0..5 {
            let time = zip.by_index(entry).unwrap().last_modified();
            assert_eq!((time.year(), time.month(), time.day(), time.hour(), time.minute()), (1980, 1, 1, 0, 0));
        }
    }
}
