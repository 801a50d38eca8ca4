//! Random numbers with a symmetric beta distribution.

use clipshard::order::Draws;

/// Draws a number from 0 to 1 with the distribution Beta(`alpha`, `alpha`), for `alpha` > 0.
///
/// From 1/2 on, the number is a coordinate of a random point in a circle (Ulrich 1984). Below, it is
/// a ratio of two powers of uniform numbers, drawn again until their sum is at most 1 (Jöhnk 1964).
pub(super) fn symmetric_beta(alpha: f64, draws: &mut Draws) -> f64 {
    // Numbers above 0, which have a logarithm.
    let mut uniform = || 1.0 - draws.unit();
    if alpha > 0.5 {
        let radius = (1.0 - uniform().powf(2.0 / (2.0 * alpha - 1.0))).max(0.0).sqrt();
        return 0.5 + 0.5 * radius * (2.0 * std::f64::consts::PI * uniform()).cos();
    }
    loop {
        let (x, y) = (uniform().ln(), uniform().ln());
        // The logarithms of x^(1/alpha) and y^(1/alpha). The powers themselves may underflow.
        let difference = (y - x) / alpha;
        let log_sum = x.max(y) / alpha + (-difference.abs()).exp().ln_1p();
        if log_sum <= 0.0 {
            return 1.0 / (1.0 + difference.exp());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_and_quantiles_are_those_of_the_distribution() {
        // The share of the distribution below a point: closed forms for 1/2, 1 and 2, and numerical
        // integrals of the density for the others.
        let below = [
            (0.2, 0.1, 0.336_689_8),
            (0.4, 0.1, 0.239_739_2),
            (0.5, 0.1, 2.0 / std::f64::consts::PI * 0.1_f64.sqrt().asin()),
            (1.0, 0.1, 0.1),
            (1.5, 0.1, 0.052_044_0),
            (2.0, 0.25, 3.0 * 0.0625 - 2.0 * 0.015_625),
            (4.0, 0.25, 0.070_556_6),
        ];
        let n = 200_000_u32;
        for (alpha, point, expected) in below {
            let mut draws = Draws::new(3, 0, 0);
            let values: Vec<f64> = (0..n).map(|_| symmetric_beta(alpha, &mut draws)).collect();
            assert!(values.iter().all(|value| (0.0..=1.0).contains(value)));
            let mean = |of: &dyn Fn(f64) -> f64| values.iter().map(|&value| of(value)).sum::<f64>() / f64::from(n);
            let found = mean(&|value| value);
            let variance = mean(&|value| (value - 0.5).powi(2));
            // The fourth central moment is that of the variance's error.
            let fourth = mean(&|value| (value - 0.5).powi(4));
            let exact = 1.0 / (4.0 * (2.0 * alpha + 1.0));
            let error = |squared: f64| 4.0 * (squared / f64::from(n)).sqrt();
            assert!((found - 0.5).abs() < error(exact), "{alpha}: mean {found}");
            assert!((variance - exact).abs() < error(fourth - exact * exact), "{alpha}: {variance}, not {exact}");
            let share = mean(&|value| f64::from(u8::from(value < point)));
            assert!((share - expected).abs() < error(expected * (1.0 - expected)), "{alpha}: {share}, not {expected}");
        }
    }

    #[test]
    fn extreme_parameters_give_numbers() {
        for alpha in [f64::MIN_POSITIVE / 4.0, 1e-300, 1e-9, 0.5, 0.5 + f64::EPSILON, 100.0, 1e300] {
            let mut draws = Draws::new(1, 2, 3);
            for _ in 0..1000 {
                let value = symmetric_beta(alpha, &mut draws);
                assert!((0.0..=1.0).contains(&value), "{alpha}: {value}");
            }
        }
    }
}
