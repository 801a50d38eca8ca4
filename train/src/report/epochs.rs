//! The epochs of a run. They come from `log.jsonl`, and those that it lacks from the CSV files.

use crate::base::meters::Scored;
use crate::run::rank_work::JointWork;
use crate::run::state::{EpochResult, Seconds};
use clip_loader::Work;
use serde::Deserialize;
use std::collections::BTreeMap;

/// An epoch, with the values that the files contain.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Epoch {
    /// Number, from 0.
    pub number: usize,
    /// Learning rate of its first step.
    pub lr: Option<f64>,
    /// Loss and accuracy on the training batches.
    pub train: Option<Scored>,
    /// Loss and accuracy on the clips that choose the best epoch.
    pub eval: Option<Scored>,
    /// Time of its parts, which only `log.jsonl` has.
    pub seconds: Option<EpochSeconds>,
}

/// Time of the parts of one or more epochs.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct EpochSeconds {
    /// Time of the training steps.
    pub train: PassSeconds,
    /// Time of the test pass.
    pub test: PassSeconds,
    /// Work of the decode threads in the training steps.
    pub decoding: Work,
}

/// Time of the steps of a pass, in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PassSeconds {
    /// Time that is neither copying nor waiting.
    pub computing: f64,
    /// Time of copying pixels to the device.
    pub copying: f64,
    /// Time of waiting for pixels.
    pub waiting: f64,
}

impl PassSeconds {
    fn of(seconds: &Seconds) -> Self {
        let (batch, waiting, copying) = (seconds.batch.sum(), seconds.data.sum(), seconds.copy.sum());
        Self { computing: (batch - waiting - copying).max(0.0), copying, waiting }
    }

    /// Returns the sum of the parts.
    pub fn total(&self) -> f64 {
        self.computing + self.copying + self.waiting
    }

    /// Multiplies each part by a factor.
    #[must_use]
    pub fn scaled(&self, by: f64) -> Self {
        Self { computing: by * self.computing, copying: by * self.copying, waiting: by * self.waiting }
    }

    fn add(&mut self, other: &Self) {
        self.computing += other.computing;
        self.copying += other.copying;
        self.waiting += other.waiting;
    }
}

impl EpochSeconds {
    /// Returns the sum over the epochs that have times, and their number. Returns none if no epoch
    /// has.
    pub fn sum(epochs: &[Epoch]) -> Option<(Self, usize)> {
        let mut sum = Self::default();
        let mut counted = 0;
        for seconds in epochs.iter().filter_map(|epoch| epoch.seconds.as_ref()) {
            sum.train.add(&seconds.train);
            sum.test.add(&seconds.test);
            sum.decoding += seconds.decoding;
            counted += 1;
        }
        (counted > 0).then_some((sum, counted))
    }
}

/// A start of the program: the first of a run, or one that resumed it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Start {
    /// Version of ucftrain.
    pub version: String,
    /// `cpu` or the name of the GPU.
    pub device: String,
    /// Precision of the computation.
    pub precision: String,
    /// Number of threads that decode and compute.
    pub threads: usize,
    /// Whether the start resumed the run.
    pub resumed: bool,
    /// Number of clips of each subset, by name; empty in logs of earlier versions.
    pub clips: BTreeMap<String, usize>,
}

/// Content of `log.jsonl`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Log {
    /// Starts of the program, in order.
    pub starts: Vec<Start>,
    /// Epochs by number. If an epoch was logged twice because the program was killed, the later one
    /// counts.
    pub epochs: BTreeMap<usize, Epoch>,
    /// Subset of the clips that choose the best epoch, if an epoch is complete.
    pub judges: Option<&'static str>,
    /// Work of the ranks in the last epoch that had several.
    pub work: Option<JointWork>,
    /// Number of lines that cannot be read.
    pub unreadable: usize,
}

impl Log {
    /// Reads the lines of `log.jsonl`, and ignores events of other kinds.
    pub fn parse(text: &str) -> Self {
        #[derive(Deserialize)]
        #[serde(tag = "event", rename_all = "lowercase")]
        enum Event {
            Start(Start),
            Epoch {
                result: Box<EpochResult>,
            },
            Ranks {
                work: JointWork,
            },
            #[serde(other)]
            Other,
        }
        let mut log = Self::default();
        for line in text.lines() {
            match serde_json::from_str(line) {
                Ok(Event::Start(start)) => log.starts.push(start),
                Ok(Event::Ranks { work }) => log.work = Some(work),
                Ok(Event::Epoch { result }) => {
                    log.judges = Some(result.eval.subset());
                    log.epochs.insert(result.epoch, Epoch::from(*result));
                }
                Ok(Event::Other) => {}
                Err(_) => log.unreadable += 1,
            }
        }
        log
    }
}

impl From<EpochResult> for Epoch {
    fn from(result: EpochResult) -> Self {
        Self {
            number: result.epoch,
            lr: Some(result.lr),
            train: Some(result.train),
            eval: Some(result.eval.scored()),
            seconds: Some(EpochSeconds {
                train: PassSeconds::of(&result.train_seconds),
                test: PassSeconds::of(&result.test_seconds),
                decoding: result.train_decode_seconds,
            }),
        }
    }
}

/// Kind of a CSV file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Csv {
    /// `train.csv`.
    Train,
    /// `val.csv` or `test.csv`.
    Eval,
}

impl Csv {
    /// Adds the values of a table that `epochs` lacks, and returns the number of lines that cannot
    /// be read.
    pub fn fill(self, text: &str, epochs: &mut BTreeMap<usize, Epoch>) -> usize {
        let mut unreadable = 0;
        for line in text.lines().skip(1) {
            let numbers: Option<Vec<f64>> = line.split(',').map(|cell| cell.trim().parse().ok()).collect();
            let (number, scored, lr) = match (self, numbers.as_deref()) {
                (Self::Train, Some(&[number, _, _, loss, top1, top5, lr])) => {
                    (number, Scored { loss, top1, top5 }, Some(lr))
                }
                (Self::Eval, Some(&[number, _, loss, top1, top5])) => (number, Scored { loss, top1, top5 }, None),
                _ => {
                    unreadable += 1;
                    continue;
                }
            };
            let number = number as usize;
            let epoch = epochs.entry(number).or_insert_with(|| Epoch { number, ..Epoch::default() });
            match self {
                Self::Train => {
                    epoch.train.get_or_insert(scored);
                    epoch.lr = epoch.lr.or(lr);
                }
                Self::Eval => {
                    epoch.eval.get_or_insert(scored);
                }
            }
        }
        unreadable
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EPOCH: &str = r#"{"best":true,"event":"epoch","result":{"epoch":0,"lr":0.001,
        "test":{"loss":14.5,"top1":25.0,"top5":75.0},
        "test_seconds":{"batch":{"count":2.0,"sum":6.0},"data":{"count":2.0,"sum":0.5}},
        "train":{"loss":2.25,"top1":12.5,"top5":50.0},
        "train_seconds":{"batch":{"count":4.0,"sum":10.0},"copy":{"count":4.0,"sum":1.0},
        "data":{"count":4.0,"sum":3.0}}}}"#;

    #[test]
    fn a_log_has_starts_epochs_and_times() {
        let epoch = EPOCH.replace('\n', "");
        let text = format!(
            "{}\n{epoch}\n{}\n{}\n{}\n{{\"event\":\"epo",
            r#"{"event":"start","version":"0.1.0","device":"cpu","threads":2,"clips":{"val":7},"x":{}}"#,
            r#"{"event":"something new","x":1}"#,
            r#"{"event":"ranks","cursor":{},"work":{"steps":3,"ranks":[]}}"#,
            epoch.replace("\"top1\":25.0", "\"top1\":26.0"),
        );
        let log = Log::parse(&text);
        assert_eq!((log.starts.len(), log.epochs.len(), log.unreadable), (1, 1, 1));
        assert_eq!(log.work, Some(JointWork { steps: 3, ranks: Vec::new() }));
        assert_eq!((log.judges, log.starts[0].clips["val"]), (Some("test"), 7));
        assert_eq!((log.starts[0].device.as_str(), log.starts[0].threads), ("cpu", 2));
        let epoch = &log.epochs[&0];
        assert_eq!(epoch.eval, Some(Scored { loss: 14.5, top1: 26.0, top5: 75.0 }), "the later of two");
        let seconds = epoch.seconds.unwrap();
        assert_eq!(seconds.train, PassSeconds { computing: 6.0, copying: 1.0, waiting: 3.0 });
        assert_eq!(seconds.test, PassSeconds { computing: 5.5, copying: 0.0, waiting: 0.5 });
        let (sum, epochs) = EpochSeconds::sum(&[epoch.clone(), epoch.clone(), Epoch::default()]).unwrap();
        assert_eq!((sum.train.total(), sum.test.total(), epochs), (20.0, 12.0, 2));
        assert!(EpochSeconds::sum(&[]).is_none());
    }

    #[test]
    fn tables_fill_in_the_epochs_that_the_log_lacks() {
        let mut epochs = Log::parse(&EPOCH.replace('\n', "")).epochs;
        let train = "Epoch,Batch Time,Data Time,Loss,Prec@1,Prec@5,lr\n0,1,0,9,9,9,9\n\
                     1,0.5,0.1,1.25,50.0000,100.0000,1e-4\n2,0.";
        assert_eq!(Csv::Train.fill(train, &mut epochs), 1);
        assert_eq!(Csv::Eval.fill("Epoch,Batch Time,Loss,Prec@1,Prec@5\n1,0.5,3.5,62.5,100.0\n", &mut epochs), 0);
        assert_eq!(epochs[&0].lr, Some(0.001), "the log takes precedence");
        let expected = Epoch {
            number: 1,
            lr: Some(1e-4),
            train: Some(Scored { loss: 1.25, top1: 50.0, top5: 100.0 }),
            eval: Some(Scored { loss: 3.5, top1: 62.5, top5: 100.0 }),
            seconds: None,
        };
        assert_eq!(epochs[&1], expected);
        assert_eq!(epochs.len(), 2);
    }
}
