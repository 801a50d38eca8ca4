//! The lines that a training prints on the console: its plan, and a table with one row per epoch.

use crate::run::state::EpochResult;
use crate::settings::Settings;
use clip_loader::Split;

/// Returns the sizes of the training and of the passes that evaluate it, and the number of epochs.
pub fn plan_lines(settings: &Settings, split: &Split) -> Vec<String> {
    let (train, side, batch) = (split.train.len(), settings.input_size, settings.batch_size);
    let channels = settings.view.channels(settings.stream);
    let steps = |n: usize| n.div_ceil(batch);
    let pass = |name: &str, clips: usize, when: &str| {
        let samples = clips * settings.view.test_samples;
        let (steps, shape) = (steps(samples), format!("{channels} x {side} x {side}"));
        format!("{name}: {clips} clips, {samples} samples of {shape}, {steps} steps of {batch} samples{when}")
    };
    let epochs = if settings.epochs == 1 { "1 epoch".to_owned() } else { format!("{} epochs", settings.epochs) };
    let times =
        if settings.repeat == 1 { String::new() } else { format!(", each {} times per epoch", settings.repeat) };
    let parts = match settings.accumulate {
        1 => String::new(),
        count => format!(" in {count} micro-batches"),
    };
    let mut lines = vec![format!(
        "training: {train} clips{times}, {} steps of {batch} clips{parts} per epoch, {epochs}",
        settings.steps(train)
    )];
    if split.val.is_empty() {
        lines.push(pass("testing", split.test.len(), ""));
    } else {
        lines.push(pass("validation", split.val.len(), " after each epoch"));
        lines.push(if split.test.is_empty() {
            format!("testing: none, because split {} has no test clips", settings.split)
        } else {
            pass("testing", split.test.len(), " at the end")
        });
    }
    lines
}

/// A table that is printed row by row, so its columns have fixed widths.
#[derive(Clone, Copy, Debug)]
pub struct EpochTable {
    /// Subset of the clips that choose the best epoch.
    pub judges: &'static str,
}

impl EpochTable {
    /// Returns the two lines above the rows.
    pub fn head(self) -> String {
        let judged = |name| format!("{} {name}", self.judges);
        let names = [
            "epoch".to_owned(),
            "train loss".to_owned(),
            "train top-1".to_owned(),
            judged("loss"),
            judged("top-1"),
            judged("top-5"),
            "learning rate".to_owned(),
            "time".to_owned(),
        ];
        let line = self.line(&names);
        let rule = "-".repeat(line.chars().count());
        format!("\n{line}\n{rule}")
    }

    /// Returns the row of an epoch: losses, accuracies in percent, and the time of its training steps and test batches.
    pub fn row(self, result: &EpochResult, is_best: bool) -> String {
        let EpochResult { epoch, lr, train, eval, train_seconds, test_seconds, .. } = result;
        let eval = eval.scored();
        let cells = [
            epoch.to_string(),
            format!("{:.4}", train.loss),
            format!("{:.2} %", train.top1),
            format!("{:.4}", eval.loss),
            format!("{:.2} %", eval.top1),
            format!("{:.2} %", eval.top5),
            format!("{lr:.3e}"),
            clock(train_seconds.batch.sum() + test_seconds.batch.sum()),
        ];
        let line = self.line(&cells);
        if is_best { format!("{line}  best") } else { line }
    }

    /// Returns the cells, each to the right of its column.
    fn line(self, cells: &[String; 8]) -> String {
        let judged = |name: &str| self.judges.len() + 1 + name.len();
        let widths = [5, 10, 11, judged("loss").max(9), judged("top-1"), judged("top-5"), 13, 8];
        let cells: Vec<_> = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:>width$}")).collect();
        cells.join("  ")
    }
}

/// Returns seconds as `h:mm:ss`.
fn clock(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    format!("{}:{:02}:{:02}", whole / 3600, whole % 3600 / 60, whole % 60)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::meters::Scored;
    use crate::run::state::{Evaluated, Seconds};
    use clip_loader::Work;

    #[test]
    fn rows_stand_below_their_heads() {
        let mut seconds = Seconds::default();
        seconds.batch.add(2.5, 1);
        seconds.batch.add(58.5, 1);
        let result = EpochResult {
            epoch: 12,
            lr: 5e-4,
            train: Scored { loss: 2.1528, top1: 28.846, top5: 100.0 },
            eval: Evaluated::Test(Scored { loss: 14.696_94, top1: 33.333, top5: 75.0 }),
            train_seconds: seconds,
            test_seconds: seconds,
            train_decode_seconds: Work::default(),
            test_decode_seconds: Work::default(),
        };
        let table = EpochTable { judges: "test" };
        let text = format!("{}\n{}\n{}", table.head(), table.row(&result, true), table.row(&result, false));
        let expected = "
epoch  train loss  train top-1  test loss  test top-1  test top-5  learning rate      time
------------------------------------------------------------------------------------------
   12      2.1528      28.85 %    14.6969     33.33 %     75.00 %       5.000e-4   0:02:02  best
   12      2.1528      28.85 %    14.6969     33.33 %     75.00 %       5.000e-4   0:02:02";
        assert_eq!(text, expected);
    }
}
