//! The event file of a run, which shows its epochs in `TensorBoard`: `tensorboard --logdir runs`.
//!
//! The file is a sequence of `TFRecords`
//! (<https://www.tensorflow.org/tutorials/load_data/tfrecord>): length, checksum of the length,
//! data, checksum of the data. The data is a protocol buffer `Event` with the fields 1 `wall_time`,
//! 2 `step`, 3 `file_version` and 5 `summary`. A summary has values (field 1) with a `tag` (1) and
//! a `simple_value` (2).

use crate::base::meters::Scored;
use crate::base::replace_file::replace_file;
use crate::run::state::{EpochResult, State};
use anyhow::{Context, Result};
use std::collections::HashMap;
use std::io::Write;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// Name of the file in a run folder; `TensorBoard` looks for `tfevents` in names.
pub const FILE: &str = "events.out.tfevents.ucftrain";

/// The scalars of an epoch or of a test, by tag.
#[derive(Debug)]
pub struct Event {
    step: u64,
    values: Vec<(String, f64)>,
}

impl Event {
    /// Returns the scalars of an epoch.
    pub fn of_epoch(result: &EpochResult) -> Self {
        let EpochResult { lr, train, eval, train_seconds, .. } = *result;
        let (eval, subset) = (eval.scored(), eval.subset());
        let values = vec![
            (OF_EPOCHS.to_owned(), train.loss),
            (format!("loss/{subset}"), eval.loss),
            ("top1/train".to_owned(), train.top1),
            (format!("top1/{subset}"), eval.top1),
            ("top5/train".to_owned(), train.top5),
            (format!("top5/{subset}"), eval.top5),
            ("learning_rate".to_owned(), lr),
            ("seconds/step".to_owned(), train_seconds.batch.get()),
            ("seconds/waiting".to_owned(), train_seconds.data.get()),
        ];
        Self { step: result.epoch as u64, values }
    }

    /// Returns the scalars of the test of the best network of the first `epochs` epochs. They belong
    /// to the last of these epochs.
    pub fn of_test(epochs: usize, test: &Scored) -> Self {
        let values = [("loss/test", test.loss), ("top1/test", test.top1), ("top5/test", test.top5)];
        let values = values.map(|(tag, value)| (tag.to_owned(), value)).to_vec();
        Self { step: epochs.saturating_sub(1) as u64, values }
    }

    fn encode(&self, wall_time: f64) -> Vec<u8> {
        record(&scalars(wall_time, self.step, self.values.iter().map(|(tag, value)| (tag.as_str(), *value))))
    }
}

/// A tag that all events of epochs have, and those of tests do not.
const OF_EPOCHS: &str = "loss/train";

/// Adds an event, and creates the file if it does not exist.
pub fn append(path: &Path, event: &Event) -> Result<()> {
    let now = now();
    let write = || {
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path)?;
        let mut bytes = Vec::new();
        if file.metadata()?.len() == 0 {
            bytes.extend(record(&version(now)));
        }
        bytes.extend(event.encode(now));
        file.write_all(&bytes)
    };
    write().with_context(|| format!("{}: cannot write it", path.display()))
}

/// Largest size of an event file that is read.
const MOST_BYTES: u64 = 1 << 30;

/// Rewrites the file with the epochs and the last test of a run. Events that the file contains keep
/// their times.
pub fn rebuild(path: &Path, state: &State) -> Result<()> {
    let times = clipshard::read_regular(path, MOST_BYTES).map(|bytes| times(&bytes)).unwrap_or_default();
    replace_file(path, &rebuilt(&times, now(), state))
}

fn rebuilt(times: &Times, now: f64, state: &State) -> Vec<u8> {
    let mut bytes = record(&version(times.version.unwrap_or(now)));
    for (number, result) in (1..).zip(&state.history) {
        let event = Event::of_epoch(result);
        bytes.extend(event.encode(times.epochs.get(&event.step).copied().unwrap_or(now)));
        if let Some((epochs, test)) = state.tested.filter(|&(epochs, _)| epochs == number) {
            let event = Event::of_test(epochs, &test);
            bytes.extend(event.encode(times.tests.get(&event.step).copied().unwrap_or(now)));
        }
    }
    bytes
}

/// Times at which the events of a file were written, in seconds since 1970.
#[derive(Debug, Default, PartialEq)]
struct Times {
    version: Option<f64>,
    /// Times of the epochs, by number.
    epochs: HashMap<u64, f64>,
    /// Times of the tests, by the number of the epoch before.
    tests: HashMap<u64, f64>,
}

/// Returns the times of all records before the first incomplete one.
fn times(mut bytes: &[u8]) -> Times {
    let mut times = Times::default();
    while let Some((data, rest)) = split_record(bytes) {
        bytes = rest;
        let Some((time, fields)) = data.strip_prefix(&[1 << 3 | 1]).and_then(|data| data.split_first_chunk()) else {
            continue;
        };
        let time = f64::from_le_bytes(*time);
        let step = match fields {
            [VERSION, ..] => {
                times.version = Some(time);
                continue;
            }
            [STEP, fields @ ..] => read_varint(fields),
            _ => 0,
        };
        let is_epoch = fields.windows(OF_EPOCHS.len()).any(|tag| tag == OF_EPOCHS.as_bytes());
        (if is_epoch { &mut times.epochs } else { &mut times.tests }).insert(step, time);
    }
    times
}

/// First byte of an event's field `step`.
const STEP: u8 = 2 << 3;
/// First byte of an event's field `file_version`.
const VERSION: u8 = 3 << 3 | 2;

/// Splits the first record off, and returns its data and the rest. Returns none if the record is
/// incomplete or damaged.
fn split_record(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<8>()?;
    let (length_crc, rest) = rest.split_first_chunk()?;
    let (data, rest) = rest.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
    let (crc, rest) = rest.split_first_chunk()?;
    let is_whole =
        u32::from_le_bytes(*length_crc) == masked_crc(length) && u32::from_le_bytes(*crc) == masked_crc(data);
    is_whole.then_some((data, rest))
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

/// Encodes the first event of a file.
fn version(wall_time: f64) -> Vec<u8> {
    let mut event = double(1, wall_time);
    event.extend(bytes(3, b"brain.Event:2"));
    event
}

fn scalars<'t>(wall_time: f64, step: u64, values: impl IntoIterator<Item = (&'t str, f64)>) -> Vec<u8> {
    let mut summary = Vec::new();
    for (tag, value) in values {
        let mut scalar = bytes(1, tag.as_bytes());
        // Field 2, wire type 5: four bytes.
        scalar.push(2 << 3 | 5);
        scalar.extend((value as f32).to_le_bytes());
        summary.extend(bytes(1, &scalar));
    }
    let mut event = double(1, wall_time);
    // Protocol buffers omit fields that are 0.
    if step > 0 {
        event.push(STEP);
        event.extend(varint(step));
    }
    event.extend(bytes(5, &summary));
    event
}

/// Encodes a field of eight bytes.
fn double(field: u8, value: f64) -> Vec<u8> {
    let mut encoded = vec![field << 3 | 1];
    encoded.extend(value.to_le_bytes());
    encoded
}

/// Encodes a field with a length.
fn bytes(field: u8, value: &[u8]) -> Vec<u8> {
    let mut encoded = vec![field << 3 | 2];
    encoded.extend(varint(value.len() as u64));
    encoded.extend(value);
    encoded
}

/// Encodes a number with seven bits per byte, lowest first; all bytes except for the last have the
/// highest bit set.
fn varint(mut value: u64) -> Vec<u8> {
    let mut encoded = Vec::new();
    while value > 0x7f {
        encoded.push(value as u8 | 0x80);
        value >>= 7;
    }
    encoded.push(value as u8);
    encoded
}

fn read_varint(bytes: &[u8]) -> u64 {
    let last = bytes.iter().position(|byte| byte >> 7 == 0).unwrap_or(0).min(9);
    bytes[..bytes.len().min(last + 1)].iter().rev().fold(0, |value, byte| value << 7 | u64::from(byte & 0x7f))
}

fn record(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    let mut record = length.to_vec();
    record.extend(masked_crc(&length).to_le_bytes());
    record.extend(data);
    record.extend(masked_crc(data).to_le_bytes());
    record
}

/// Returns the CRC-32C, rotated and shifted: it then differs from a CRC-32C that the data may
/// contain.
fn masked_crc(data: &[u8]) -> u32 {
    crc32c::crc32c(data).rotate_right(15).wrapping_add(0xa282_ead8)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `scripts/make_event_golden.py` writes the same events with `TensorBoard`'s own writer.
    #[test]
    fn events_have_the_bytes_that_tensorboards_writer_gives_them() {
        let mut found = record(&version(1_700_000_000.25));
        found.extend(record(&scalars(1_700_000_001.5, 0, [("loss/train", 1.25), ("learning_rate", 5e-4)])));
        found.extend(record(&scalars(1_700_000_002.75, 300, [("top1/test", 73.883)])));
        assert_eq!(found, include_bytes!("../../tests/goldens/events.tfevents"));
    }

    #[test]
    fn an_incomplete_file_is_rebuilt_and_keeps_the_times_of_its_events() {
        let mut state = crate::run::state::tests::state_of(&[10.0; 300]);
        let history = state.history.clone();
        let at = |epoch: usize| 1_700_000_000.25 + epoch as f64;
        let event = |epoch: usize, at: f64| Event::of_epoch(&history[epoch]).encode(at);
        let head = record(&version(at(0)));
        let whole: Vec<u8> = head.iter().copied().chain((0..300).flat_map(|epoch| event(epoch, at(epoch)))).collect();
        assert_eq!(rebuilt(&times(&whole), 5.0, &state), whole);
        // The first file ends within epoch 299 and has epoch 298 appended again; the second has one
        // epoch too many.
        let mut torn = whole[..whole.len() - 9].to_vec();
        torn.extend(event(298, 7.0));
        let mut expected = whole[..whole.len() - event(299, 0.0).len()].to_vec();
        expected.extend(event(299, 5.0));
        assert_eq!(rebuilt(&times(&torn), 5.0, &state), expected);
        state.history.truncate(299);
        assert_eq!(rebuilt(&times(&whole), 5.0, &state), whole[..whole.len() - event(299, 0.0).len()]);
        for damaged in [&[][..], &whole[..11], &[0xff; 40]] {
            assert_eq!(times(damaged), Times::default());
        }
    }

    #[test]
    fn a_test_comes_after_its_epoch_and_keeps_its_time() {
        let mut state = crate::run::state::tests::state_of(&[10.0, 20.0, 15.0]);
        let test = Scored { loss: 1.5, top1: 62.5, top5: 87.5 };
        let epoch = |number: usize, at: f64| Event::of_epoch(&state.history[number]).encode(at);
        let whole =
            [record(&version(1.0)), epoch(0, 2.0), epoch(1, 3.0), Event::of_test(2, &test).encode(4.0), epoch(2, 5.0)];
        let has = |bytes: &[u8], tag: &str| bytes.windows(tag.len()).any(|found| found == tag.as_bytes());
        assert!(has(&whole[3], "top1/test") && !has(&whole[3], "train"));
        let whole = whole.concat();
        state.tested = Some((2, test));
        assert_eq!(rebuilt(&times(&whole), 9.0, &state), whole);
    }
}
