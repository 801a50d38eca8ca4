//! Compares the time of each op of a step with the limits of the GPU's arithmetic and memory.

use crate::base::table::table;
use crate::compute::profile::{Op, Profile};
use serde_json::{Value, json};

/// The ops of a step, with the limits of the GPU.
pub(super) struct Roofline(Profile);

impl Roofline {
    /// Creates the comparison. Sorts the ops, the slowest first.
    pub(super) fn new(mut profile: Profile) -> Self {
        profile.ops.sort_by(|a, b| b.milliseconds.total_cmp(&a.milliseconds));
        Self(profile)
    }

    fn total(&self) -> f64 {
        self.0.ops.iter().map(|op| op.milliseconds).sum()
    }

    /// Returns the milliseconds that all ops would take at the limits of the GPU.
    fn least(&self) -> f64 {
        self.0.ops.iter().map(|op| op.roof_milliseconds).sum()
    }

    /// Formats a table.
    pub(super) fn text(&self) -> String {
        let total = self.total();
        let row = |op: &Op| {
            let rate = |amount: f64, unit: f64| format!("{:.1}", amount / op.milliseconds / unit);
            vec![
                op.name.clone(),
                op.calls.to_string(),
                format!("{:.3}", op.milliseconds),
                format!("{:.1}", 100.0 * op.milliseconds / total),
                rate(op.flops, 1e9),
                rate(op.bytes, 1e6),
                format!("{:.0}", 100.0 * op.roof_milliseconds / op.milliseconds),
            ]
        };
        let head = ["op", "calls", "ms", "% of step", "TFLOP/s", "GB/s", "% of limit"];
        let rows: Vec<_> = self.0.ops.iter().map(row).collect();
        format!(
            "{}\nLimits of this GPU, measured now: {:.0} TFLOP/s (matrix product, 8192 x 8192) and {:.0} GB/s (copy).\n\
             All ops take {total:.2} ms; at these limits they would take {:.2} ms.\n",
            table(&head, &rows),
            self.0.peak_flops / 1e12,
            self.0.peak_bytes / 1e9,
            self.least(),
        )
    }

    /// Formats JSON: numbers of floating-point operations and bytes, and times in milliseconds.
    pub(super) fn json(&self) -> Value {
        let op = |op: &Op| {
            json!({
                "op": op.name, "calls": op.calls, "ms": op.milliseconds, "flop": op.flops, "bytes": op.bytes,
                "roof_ms": op.roof_milliseconds,
            })
        };
        json!({
            "peak_flops": self.0.peak_flops, "peak_bytes_per_second": self.0.peak_bytes, "ms": self.total(),
            "roof_ms": self.least(), "ops": self.0.ops.iter().map(op).collect::<Vec<_>>(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ops_are_compared_with_the_limits_of_the_gpu() {
        let op = |name: &str, milliseconds, flops, bytes, roof_milliseconds| Op {
            name: name.to_owned(),
            milliseconds,
            calls: 2,
            flops,
            bytes,
            roof_milliseconds,
        };
        let ops = vec![op("norm", 1.0, 0.0, 1.5e9, 0.5), op("conv", 3.0, 1.5e12, 1e9, 1.5)];
        let roofline = Roofline::new(Profile { ops, peak_flops: 1e15, peak_bytes: 3e12 });
        let text = roofline.text();
        let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(rows[2], ["conv", "2", "3.000", "75.0", "500.0", "333.3", "50"]);
        assert_eq!(rows[3], ["norm", "2", "1.000", "25.0", "0.0", "1500.0", "50"]);
        assert!(text.contains("take 4.00 ms;") && text.ends_with("would take 2.00 ms.\n"), "{text}");
        let json = roofline.json();
        assert_eq!((&json["ops"][0]["op"], &json["ops"][0]["roof_ms"]), (&json!("conv"), &json!(1.5)));
    }
}
