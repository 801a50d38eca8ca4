//! Scores as CSV, one line per clip: `name,label,samples` and one column per class. `label` and
//! `samples` are optional.

use super::clip_scores::Scores;
use super::fault::ScoreFault;

/// Byte order mark, which spreadsheets write before UTF-8 text.
const BOM: &[u8] = b"\xef\xbb\xbf";

/// Returns whether a file begins with the column `name`, with or without quotes.
pub(super) fn is_csv(bytes: &[u8]) -> bool {
    let text = bytes.strip_prefix(BOM).unwrap_or(bytes);
    [&b"name,"[..], b"\"name\","].iter().any(|head| text.starts_with(head))
}

/// Reads scores from CSV. The caller must check the rules of [`Scores`].
pub(super) fn read(bytes: &[u8]) -> Result<Scores, ScoreFault> {
    let bytes = bytes.strip_prefix(BOM).unwrap_or(bytes);
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(bytes);
    let head = reader.headers().map_err(ScoreFault::Csv)?.clone();
    if head.get(0) != Some("name") {
        let first = head.get(0).unwrap_or_default().chars().take(40).collect::<String>();
        return Err(ScoreFault::CsvHead(first));
    }
    let column = |wanted: &str| head.iter().position(|name| name == wanted);
    let (label, samples) = (column("label"), column("samples"));
    let is_class = |at: &usize| *at > 0 && Some(*at) != label && Some(*at) != samples;
    let classes: Vec<usize> = (0..head.len()).filter(is_class).collect();
    let mut scores = Scores {
        classes: classes.len(),
        labels: label.map(|_| Vec::new()),
        samples: samples.map(|_| Vec::new()),
        ..Scores::default()
    };
    for line in reader.records() {
        let line = line.map_err(ScoreFault::CsvLine)?;
        let number = line.position().map_or(0, csv::Position::line);
        let cell = |at: usize| line.get(at).unwrap_or_default();
        let fault = |at: usize, expected| ScoreFault::CsvCell { line: number, cell: cell(at).to_owned(), expected };
        scores.names.push(cell(0).to_owned());
        for (values, at) in [(&mut scores.labels, label), (&mut scores.samples, samples)] {
            if let (Some(values), Some(at)) = (values, at) {
                values.push(cell(at).parse().map_err(|_| fault(at, "whole number"))?);
            }
        }
        for &at in &classes {
            scores.logits.push(cell(at).parse().map_err(|_| fault(at, "number"))?);
        }
    }
    Ok(scores)
}

/// Encodes scores as CSV. Equal scores give equal bytes, and [`read`] restores the same bits.
pub(super) fn encode(scores: &Scores) -> csv::Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let mut head = vec!["name".to_owned()];
    head.extend(scores.labels.as_ref().map(|_| "label".to_owned()));
    head.extend(scores.samples.as_ref().map(|_| "samples".to_owned()));
    head.extend((0..scores.classes).map(|class| class.to_string()));
    writer.write_record(&head)?;
    for (clip, name) in scores.names.iter().enumerate() {
        let mut row = vec![name.clone()];
        row.extend(scores.labels.as_ref().map(|labels| labels[clip].to_string()));
        row.extend(scores.samples.as_ref().map(|samples| samples[clip].to_string()));
        row.extend(scores.row(clip).iter().map(ToString::to_string));
        writer.write_record(&row)?;
    }
    writer.into_inner().map_err(|e| e.into_error().into())
}
