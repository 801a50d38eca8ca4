//! The scale of an axis of the charts that need no script.

/// Smallest range of values of an axis.
const LEAST: f64 = 1e-9;

/// The range of an axis, with ticks at round numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Scale {
    low: f64,
    high: f64,
    step: f64,
}

impl Scale {
    /// Returns a scale for these values with about `steps` steps of 1, 2 or 5 times a power of ten.
    /// Values that are not finite do not count.
    pub fn of(values: impl Iterator<Item = f64>, steps: f64) -> Self {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in values.filter(|value| value.is_finite()) {
            (low, high) = (low.min(value), high.max(value));
        }
        if low > high {
            (low, high) = (0.0, 1.0);
        }
        if high - low < LEAST {
            (low, high) = (low - 1.0, high + 1.0);
        }
        let rough = (high - low) / steps;
        let power = 10.0_f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0].map(|digit| digit * power).into_iter().find(|step| *step >= rough);
        let step = step.unwrap_or(10.0 * power);
        Self { low: (low / step).floor() * step, high: (high / step).ceil() * step, step }
    }

    /// Limits the scale to a range that contains its values, as 0 to 100 for percentages.
    #[must_use]
    pub fn within(self, low: f64, high: f64) -> Self {
        Self { low: self.low.max(low), high: self.high.min(high), ..self }
    }

    /// Returns the place of a value, from 0 at the start of the axis to 1 at its end.
    pub fn place(&self, value: f64) -> f64 {
        ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0)
    }

    /// Returns the ticks: their places and texts.
    pub fn ticks(&self) -> Vec<(f64, String)> {
        let digits = (-self.step.log10().floor()).clamp(0.0, 9.0) as usize;
        let (first, last) = ((self.low / self.step).ceil() as i64, (self.high / self.step + LEAST).floor() as i64);
        let values = (first..=last).take(50).map(|tick| tick as f64 * self.step);
        values.map(|value| (self.place(value), format!("{value:.digits$}"))).collect()
    }
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "exact values")]
mod tests {
    use super::*;

    #[test]
    fn an_axis_has_round_ticks_around_its_values() {
        let scale = Scale::of([41.3, 57.9, f64::NAN].into_iter(), 5.0).within(0.0, 100.0);
        let texts: Vec<String> = scale.ticks().into_iter().map(|(_, text)| text).collect();
        assert_eq!(texts, ["40", "45", "50", "55", "60"]);
        assert_eq!([40.0, 50.0, 60.0, 70.0].map(|value| scale.place(value)), [0.0, 0.5, 1.0, 1.0]);
        assert_eq!(scale.ticks()[1].0, 0.25);
        let texts = |values: &[f64]| {
            let scale = Scale::of(values.iter().copied(), 4.0).within(0.0, 100.0);
            scale.ticks().into_iter().map(|(_, text)| text).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(texts(&[99.2, 100.0]), "99.2 99.4 99.6 99.8 100.0");
        assert_eq!(texts(&[100.0]), "99.0 99.5 100.0", "one value");
        assert_eq!(texts(&[]), "0.0 0.5 1.0", "no value");
        assert_eq!(texts(&[0.0, 3.0]), "0 1 2 3");
    }
}
