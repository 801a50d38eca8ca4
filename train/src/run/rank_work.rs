//! The work of each rank in the training steps of an epoch.

use crate::base::table::table;
use crate::run::state::Cursor;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The work of a rank. Its times are sums over steps, in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RankWork {
    /// Number of clips that it has trained on.
    pub clips: u64,
    /// Time of the steps.
    pub seconds: f64,
    /// Time of waiting for pixels in them.
    pub data: f64,
    /// Time of waiting for other ranks in them.
    pub waiting: f64,
    /// Time of moving and adding values of other ranks in them.
    pub moving: f64,
    /// Number of bytes that it has sent.
    pub sent: u64,
}

impl RankWork {
    /// Returns the rest of the time, in seconds.
    fn computing(&self) -> f64 {
        (self.seconds - self.data - self.waiting - self.moving).max(0.0)
    }
}

/// The work of all ranks in the training steps of an epoch, or in those after the start of a program.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct JointWork {
    /// Number of steps.
    pub steps: u64,
    /// The work by rank.
    pub ranks: Vec<RankWork>,
}

impl JointWork {
    /// Names of the columns of [`JointWork::rows`].
    pub const HEAD: [&str; 7] =
        ["rank", "clips/s", "% computing", "% waiting for data", "% waiting for ranks", "% moving", "MB sent per step"];

    /// Returns a row of numbers per rank. The percentages are parts of the time of its steps.
    pub fn rows(&self) -> Vec<[String; 7]> {
        let row = |(rank, work): (usize, &RankWork)| {
            let RankWork { clips, seconds, data, waiting, moving, sent } = *work;
            let percent = |part: f64| format!("{:.1}", if seconds > 0.0 { 100.0 * part / seconds } else { 0.0 });
            [
                rank.to_string(),
                format!("{:.1}", rate(clips, seconds)),
                percent(work.computing()),
                percent(data),
                percent(waiting),
                percent(moving),
                format!("{:.3}", sent as f64 / 1e6 / self.steps.max(1) as f64),
            ]
        };
        self.ranks.iter().enumerate().map(row).collect()
    }

    /// Returns the speed of all ranks and their imbalance as sentences.
    pub fn sentences(&self) -> String {
        let longest = self.ranks.iter().map(|work| work.seconds).fold(0.0, f64::max);
        let all = rate(self.ranks.iter().map(|work| work.clips).sum(), longest);
        let imbalance = self.imbalance();
        format!(
            "All ranks together train {all:.1} clips per second. The slowest rank computes for {imbalance:.2} x the \
             mean time."
        )
    }

    /// Returns the longest time of computing divided by the mean: 1 if all ranks are equal.
    fn imbalance(&self) -> f64 {
        let times = || self.ranks.iter().map(RankWork::computing);
        let mean = times().sum::<f64>() / self.ranks.len() as f64;
        if mean > 0.0 { times().fold(0.0, f64::max) / mean } else { 1.0 }
    }

    /// Returns the table and the sentences for the console.
    pub fn text(&self) -> String {
        let rows: Vec<Vec<String>> = self.rows().into_iter().map(Vec::from).collect();
        format!("{}{}", table(&Self::HEAD, &rows), self.sentences())
    }

    /// Returns the event of the epoch at `cursor`.
    pub fn event(&self, cursor: Cursor) -> Value {
        json!({ "event": "ranks", "cursor": cursor, "work": self })
    }
}

/// Returns the number of clips per second.
fn rate(clips: u64, seconds: f64) -> f64 {
    if seconds > 0.0 { clips as f64 / seconds } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_speeds_and_shares_of_the_time() {
        let of = |data, waiting| RankWork { clips: 120, seconds: 10.0, data, waiting, moving: 0.5, sent: 5_000_000 };
        let work = JointWork { steps: 10, ranks: vec![of(1.0, 4.5), of(0.0, 0.5), of(0.5, 3.0)] };
        let expected = "\
rank  clips/s  % computing  % waiting for data  % waiting for ranks  % moving  MB sent per step
-----------------------------------------------------------------------------------------------
   0     12.0         40.0                10.0                 45.0       5.0             0.500
   1     12.0         90.0                 0.0                  5.0       5.0             0.500
   2     12.0         60.0                 5.0                 30.0       5.0             0.500
All ranks together train 36.0 clips per second. The slowest rank computes for 1.42 x the mean time.";
        assert_eq!(work.text(), expected);
        assert_eq!(serde_json::from_value::<JointWork>(work.event(Cursor::default())["work"].take()).unwrap(), work);
    }

    #[test]
    fn ranks_without_time_have_no_speed() {
        let work = JointWork { steps: 0, ranks: vec![RankWork::default(); 2] };
        assert!(
            work.text().ends_with("train 0.0 clips per second. The slowest rank computes for 1.00 x the mean time.")
        );
    }
}
