//! `log.jsonl`: the events of a run, one JSON object per line.

use crate::base::meters::Scored;
use crate::run::state::{EpochResult, State};
use serde_json::{Value, json};
use std::fmt::Write;

/// Returns the event of a complete epoch.
pub fn epoch_event(result: &EpochResult, is_best: bool) -> Value {
    json!({ "event": "epoch", "result": result, "best": is_best })
}

/// Returns the event of a test of the best network of the first `epochs` epochs.
pub fn test_event(epochs: usize, test: &Scored) -> Value {
    json!({ "event": "test", "epochs": epochs, "test": test })
}

/// Returns the log of a run in the state `state`. Starts and earlier tests come from the old log in
/// `text` and keep their place among the epochs. Epochs come from the state, because a killed
/// program may have logged an epoch that the checkpoint does not have, or a part of one.
pub fn rebuilt(text: &str, state: &State) -> String {
    let mut log = Rebuilt { state, lines: String::new(), epochs: 0, tested: None };
    for event in text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
        let number = |value: &Value| value.as_u64().map(|number| number as usize);
        match event["event"].as_str() {
            Some("epoch") => log.epochs_before(number(&event["result"]["epoch"]).map_or(0, |epoch| epoch + 1)),
            Some("test") => {
                // This test belongs to an earlier end of the run, after which it continued for more
                // epochs.
                if let Some(epochs) = number(&event["epochs"]).filter(|&epochs| epochs < state.history.len()) {
                    log.epochs_before(epochs);
                    if log.tested.is_none_or(|tested| tested < epochs) {
                        log.tested = Some(epochs);
                        log.push(&event);
                    }
                }
            }
            Some(_) => {
                log.epochs_before(number(&event["cursor"]["epoch"]).unwrap_or(0));
                log.push(&event);
            }
            None => {}
        }
    }
    log.epochs_before(state.history.len());
    if let Some((epochs, test)) = state.tested.filter(|&(epochs, _)| log.tested.is_none_or(|tested| tested < epochs)) {
        log.push(&test_event(epochs, &test));
    }
    log.lines
}

struct Rebuilt<'a> {
    state: &'a State,
    lines: String,
    /// Number of epochs in `lines`.
    epochs: usize,
    /// Number of epochs before the last test in `lines`.
    tested: Option<usize>,
}

impl Rebuilt<'_> {
    /// Adds the epochs before `end` that `lines` lacks.
    fn epochs_before(&mut self, end: usize) {
        while self.epochs < end.min(self.state.history.len()) {
            let (before, result) = (&self.state.history[..self.epochs], self.state.history[self.epochs]);
            let is_best = before.iter().all(|other| result.is_better_than(other, self.state.best_by));
            self.epochs += 1;
            self.push(&epoch_event(&result, is_best));
        }
    }

    fn push(&mut self, event: &Value) {
        let _ = writeln!(self.lines, "{event}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::state::Evaluated;
    use crate::run::state::tests::state_of;

    fn start(epoch: usize) -> Value {
        json!({ "event": "start", "cursor": { "epoch": epoch, "step": 0, "steps_done": 0 } })
    }

    fn text(events: &[Value]) -> String {
        events.iter().fold(String::new(), |text, event| text + &event.to_string() + "\n")
    }

    #[test]
    fn a_complete_log_stays_unchanged() {
        let state = state_of(&[10.0, 30.0, 20.0]);
        let epoch = |i: usize, is_best| epoch_event(&state.history[i], is_best);
        let whole = text(&[start(0), epoch(0, true), start(1), epoch(1, true), epoch(2, false), start(3)]);
        assert_eq!(rebuilt(&whole, &state), whole);
    }

    #[test]
    fn incomplete_missing_doubled_and_future_epochs_are_replaced_by_those_of_the_state() {
        let state = state_of(&[10.0, 30.0, 20.0]);
        let epoch = |i: usize, is_best| epoch_event(&state.history[i], is_best);
        let whole = text(&[start(0), epoch(0, true), epoch(1, true), epoch(2, false), start(3)]);
        let one_more = epoch_event(&EpochResult { epoch: 3, ..state.history[0] }, false);
        let torn = |event: &Value| event.to_string()[..20].to_owned();
        for log in [
            text(&[start(0), start(3)]),
            text(&[
                start(0),
                epoch(0, true),
                epoch(0, true),
                epoch(1, true),
                epoch(2, false),
                one_more.clone(),
                start(3),
            ]),
            // Another program appended lines after an incomplete one.
            text(&[start(0), epoch(0, true)]) + &torn(&epoch(1, true)) + &text(&[epoch(2, false), start(3)]),
            format!("{}{}\n", text(&[start(0), epoch(0, true)]), torn(&epoch(1, true))) + &text(&[start(3)]),
        ] {
            assert_eq!(rebuilt(&log, &state), whole, "{log}");
        }
        let none = text(&[epoch(0, true), epoch(1, true), epoch(2, false)]);
        assert_eq!(rebuilt("", &state), none);
        assert_eq!(rebuilt(&text(&[start(0), one_more]), &state_of(&[])), text(&[start(0)]));
    }

    #[test]
    fn tests_stay_after_their_epochs_and_the_last_is_that_of_the_state() {
        let mut state = state_of(&[10.0, 30.0]);
        let scored = state.history[0].eval.scored();
        state.tested = Some((2, scored));
        let epoch = |i: usize| epoch_event(&state.history[i], true);
        let wrong = Scored { top1: 99.0, ..scored };
        let whole = text(&[epoch(0), test_event(1, &wrong), epoch(1), test_event(2, &scored)]);
        for log in [
            text(&[epoch(0), test_event(1, &wrong), epoch(1)]),
            text(&[epoch(0), test_event(1, &wrong), test_event(1, &wrong), epoch(1), test_event(2, &wrong)]),
        ] {
            assert_eq!(rebuilt(&log, &state), whole);
        }
        state.tested = None;
        let log = text(&[epoch(0), epoch(1), test_event(2, &scored)]);
        assert_eq!(rebuilt(&log, &state), text(&[epoch(0), epoch(1)]), "the checkpoint does not know of the test");
    }

    #[test]
    fn a_loss_that_is_not_a_number_is_logged_as_text() {
        let mut state = state_of(&[10.0]);
        state.history[0].eval = Evaluated::Test(Scored { loss: f64::NAN, top1: 10.0, top5: 100.0 });
        let line = rebuilt("", &state);
        assert!(line.contains(r#""loss":"NaN""#), "{line}");
        assert_eq!(rebuilt(&line.replace("\"NaN\"", "null"), &state), line, "as earlier versions wrote it");
    }
}
