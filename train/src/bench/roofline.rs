//! How long each op of a step takes on a card, beside what the card's arithmetic and memory would allow.

use crate::table::table;
use candle_convnet::cuda::{Peaks, Profile, Spent, peaks, profile};
use candle_core::{DType, Device, Result};
use serde_json::{Value, json};

/// The ops of a step, those that take longest first.
pub struct Roofline {
    ops: Vec<(String, Spent)>,
    peaks: Peaks,
}

impl Roofline {
    /// Measures the card's peaks with images of type `dtype`, and the ops of `step`.
    pub fn measure(device: &Device, dtype: DType, step: impl FnOnce() -> Result<()>) -> Result<Self> {
        Ok(Self::of(profile(device, step)?, peaks(device, dtype)?))
    }

    fn of(profile: Profile, peaks: Peaks) -> Self {
        let mut ops: Vec<_> = profile.into_iter().collect();
        ops.sort_by(|a, b| b.1.milliseconds.total_cmp(&a.1.milliseconds));
        Self { ops, peaks }
    }

    fn total(&self) -> f64 {
        self.ops.iter().map(|(_, spent)| spent.milliseconds).sum()
    }

    /// Milliseconds in which the ops could be done if each met the roof.
    fn least(&self) -> f64 {
        self.ops.iter().map(|(_, spent)| self.peaks.milliseconds(&spent.cost)).sum()
    }

    /// For people.
    pub fn text(&self) -> String {
        let total = self.total();
        let row = |(name, Spent { milliseconds, calls, cost, .. }): &(String, Spent)| {
            let rate = |amount: f64, unit: f64| format!("{:.1}", amount / milliseconds / unit);
            vec![
                name.clone(),
                calls.to_string(),
                format!("{milliseconds:.3}"),
                format!("{:.1}", 100.0 * milliseconds / total),
                rate(cost.flops, 1e9),
                rate(cost.bytes, 1e6),
                format!("{:.0}", 100.0 * self.peaks.milliseconds(cost) / milliseconds),
            ]
        };
        let head = ["op of a step", "calls", "ms", "% of all", "TFLOP/s", "GB/s", "% of roof"];
        let rows: Vec<_> = self.ops.iter().map(row).collect();
        let Peaks { flops, bytes, .. } = self.peaks;
        format!(
            "{}\nThe roof: {:.0} TFLOP/s (a product of 8192 x 8192) and {:.0} GB/s (a copy), measured now. At it all ops, {total:.2} ms,\nwould take {:.2} ms.\n",
            table(&head, &rows),
            flops / 1e12,
            bytes / 1e9,
            self.least(),
        )
    }

    /// For programs: FLOP and bytes as they are, times in milliseconds.
    pub fn json(&self) -> Value {
        let op = |(name, Spent { milliseconds, calls, cost, .. }): &(String, Spent)| {
            let roof_ms = self.peaks.milliseconds(cost);
            json!({
                "op": name, "calls": calls, "ms": milliseconds, "flop": cost.flops, "bytes": cost.bytes, "roof_ms": roof_ms,
            })
        };
        json!({
            "peak_flops": self.peaks.flops, "peak_bytes_per_second": self.peaks.bytes, "ms": self.total(),
            "roof_ms": self.least(), "ops": self.ops.iter().map(op).collect::<Vec<_>>(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_convnet::cuda::Cost;

    #[test]
    fn ops_are_set_beside_the_roof() {
        let spent = |milliseconds, flops, bytes| Spent::new(milliseconds, 2, Cost::new(flops, bytes));
        let profile = [("norm", spent(1.0, 0.0, 1.5e9)), ("conv", spent(3.0, 1.5e12, 1e9))];
        let profile = profile.map(|(name, spent)| (name.to_owned(), spent)).into_iter().collect();
        let roofline = Roofline::of(profile, Peaks::new(1e15, 3e12));
        let text = roofline.text();
        let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(rows[2], ["conv", "2", "3.000", "75.0", "500.0", "333.3", "50"]);
        assert_eq!(rows[3], ["norm", "2", "1.000", "25.0", "0.0", "1500.0", "50"]);
        assert!(text.contains("4.00 ms,") && text.ends_with("would take 2.00 ms.\n"), "{text}");
        let json = roofline.json();
        assert_eq!((&json["ops"][0]["op"], &json["ops"][0]["roof_ms"]), (&json!("conv"), &json!(1.5)));
    }
}
