//! How far the mean of a sequence can be off whose values depend on one another.

use super::special::student_t;

/// Longer sequences are taken in so many batches at most.
const MAX_BATCHES: usize = 512;
/// With fewer values nothing is known of how they depend on one another.
const MIN_VALUES: usize = 10;

/// The mean of a sequence, and how far it can be off.
#[derive(Debug, Clone, Copy)]
pub(super) struct MeanError {
    pub(super) mean: f64,
    /// The variance of the mean, dependence taken into account.
    pub(super) variance: f64,
    /// The degrees of freedom of that estimate.
    pub(super) freedom: f64,
    /// The skewness of the mean's distribution.
    pub(super) skewness: f64,
}

impl MeanError {
    /// From values in time order; `None` if they are too few or all the same.
    ///
    /// Values are averaged in batches, and an autoregressive model of the batch means gives the
    /// spectral density at frequency zero, which is the long-run variance.
    pub(super) fn of(values: &[f64]) -> Option<Self> {
        let count = values.len();
        if count < MIN_VALUES {
            return None;
        }
        let size = count.div_ceil(MAX_BATCHES);
        let batches: Vec<f64> = values.chunks_exact(size).map(mean).collect();
        let model = Autoregression::of(&batches)?;
        let batch_count = batches.len() as f64;
        let effective = batch_count * model.variance / model.long_run;
        Some(Self {
            mean: mean(values),
            variance: model.long_run / batch_count * (size * batches.len()) as f64 / count as f64,
            freedom: model.freedom,
            skewness: skewness(&batches) / effective.min(batch_count).sqrt(),
        })
    }

    /// The interval of the mean by Student's t, adjusted for skewness (Johnson 1978, in Willink's
    /// form of 2005).
    pub(super) fn interval(&self, level: f64) -> (f64, f64) {
        let t = student_t(f64::midpoint(1.0, level), self.freedom);
        let error = self.variance.sqrt();
        let beta = self.skewness / 6.0;
        let adjusted = |t: f64| match beta.abs() < 1e-6 {
            true => t,
            false => ((1.0 + 6.0 * beta * (t - beta)).cbrt() - 1.0) / (2.0 * beta),
        };
        (
            self.mean - adjusted(t) * error,
            self.mean - adjusted(-t) * error,
        )
    }
}

/// An autoregressive model of a sequence.
struct Autoregression {
    /// The variance of a value.
    variance: f64,
    /// The variance of the mean, times the number of values, as that grows.
    long_run: f64,
    freedom: f64,
}

impl Autoregression {
    /// Fits by Burg's method; the order is the one that the corrected Akaike criterion likes best.
    fn of(values: &[f64]) -> Option<Self> {
        let count = values.len() as f64;
        let average = mean(values);
        let mut forward: Vec<f64> = values.iter().map(|value| value - average).collect();
        let mut backward = forward.clone();
        let variance = forward.iter().map(|value| value * value).sum::<f64>() / (count - 1.0);
        if !(variance.is_finite() && variance > 0.0) {
            return None;
        }
        let highest = ((10.0 * count.log10()) as usize).min(values.len() / 4);
        let criterion = |noise: f64, order: usize| {
            let parameters = order as f64 + 1.0;
            count * noise.ln() + 2.0 * parameters * count / (count - parameters - 1.0)
        };
        let mut noise = variance;
        let mut coefficients: Vec<f64> = Vec::new();
        let mut best = (criterion(noise, 0), noise, Vec::new());
        for order in 1..=highest {
            let pairs = || forward[order..].iter().zip(&backward[order - 1..]);
            let product: f64 = pairs().map(|(f, b)| f * b).sum();
            let power: f64 = pairs().map(|(f, b)| f * f + b * b).sum();
            if power <= 0.0 {
                break;
            }
            let reflection = 2.0 * product / power;
            let mirrored: Vec<f64> = coefficients.iter().rev().copied().collect();
            for (coefficient, mirror) in coefficients.iter_mut().zip(mirrored) {
                *coefficient -= reflection * mirror;
            }
            coefficients.push(reflection);
            for at in (order..values.len()).rev() {
                let (f, b) = (forward[at], backward[at - 1]);
                forward[at] = f - reflection * b;
                backward[at] = b - reflection * f;
            }
            noise *= 1.0 - reflection * reflection;
            if noise <= variance * 1e-9 {
                break;
            }
            let score = criterion(noise, order);
            if score < best.0 {
                best = (score, noise, coefficients.clone());
            }
        }
        let (_, noise, coefficients) = best;
        let order = coefficients.len() as f64;
        let sum: f64 = coefficients.iter().sum();
        // Fitted coefficients are too small by so much (Kendall 1954).
        let sum = match coefficients.is_empty() {
            true => 0.0,
            false => (sum + (1.0 + 3.0 * sum) / count).min(1.0 - 1.0 / count),
        };
        let long_run = noise * count / (count - order) / (1.0 - sum).powi(2);
        let ratio = (long_run / variance).max(1.0);
        let freedom = match coefficients.is_empty() {
            true => count - 1.0,
            false => (count / (1.0 + 2.0 * ratio)).max(2.0),
        };
        Some(Self {
            variance,
            long_run,
            freedom,
        })
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn skewness(values: &[f64]) -> f64 {
    let average = mean(values);
    let moment = |power: i32| {
        let powers = values.iter().map(|value| (value - average).powi(power));
        powers.sum::<f64>() / values.len() as f64
    };
    let variance = moment(2);
    match variance > 0.0 {
        true => moment(3) / variance.powf(1.5),
        false => 0.0,
    }
}
