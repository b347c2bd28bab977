//! How far the mean of a sequence can be off whose values depend on one another.

use super::batches::Batches;
use crate::stats::student::student_t;

/// Lags at which values still depend on one another, at most.
const MAX_LAG: usize = 1000;
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
        let mut batches = Batches::default();
        values.iter().for_each(|&value| batches.push([value]));
        Self::of_batches(&batches)
    }

    /// From batches of such values.
    pub(super) fn of_batches(batches: &Batches<1>) -> Option<Self> {
        let count = batches.count() as f64;
        let size = batches.size() as f64;
        let means: Vec<f64> = batches.complete().iter().map(|[sum]| sum / size).collect();
        if means.len() < MIN_VALUES {
            return None;
        }
        let model = Autoregression::of(&means)?;
        let complete = means.len() as f64;
        let effective = (complete * model.variance / model.long_run).min(complete);
        Some(Self {
            mean: batches.total()[0] / count,
            variance: model.long_run * size / count,
            freedom: model.freedom,
            skewness: skewness(&means) / effective.sqrt(),
        })
    }

    /// The ratio of two sums, such as a mean over the values of groups: each group's sum and its count
    /// (Cochran 1977).
    pub(super) fn of_ratio(sums: &Batches<2>) -> Option<Self> {
        let [total, count] = sums.total();
        if count <= 0.0 {
            return None;
        }
        let ratio = total / count;
        // What each group has beyond its part.
        let error = Self::of_batches(&sums.map(|[sum, count]| [sum - ratio * count]))?;
        let scale = sums.count() as f64 / count;
        Some(Self {
            mean: ratio,
            variance: error.variance * scale * scale,
            ..error
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
    /// The model's autocorrelations at lags 1, 2, … up to its order, and its coefficients.
    correlations: Vec<f64>,
    coefficients: Vec<f64>,
    /// By how much more the long-run variance was taken than the coefficients say.
    correction: f64,
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
        let mut correlations: Vec<f64> = Vec::new();
        let mut best = (criterion(noise, 0), noise, Vec::new());
        for order in 1..=highest {
            let pairs = || forward[order..].iter().zip(&backward[order - 1..]);
            let product: f64 = pairs().map(|(f, b)| f * b).sum();
            let power: f64 = pairs().map(|(f, b)| f * f + b * b).sum();
            if power <= 0.0 {
                break;
            }
            let reflection = 2.0 * product / power;
            let known = coefficients.iter().zip(correlations.iter().rev());
            let predicted: f64 = known.map(|(one, other)| one * other).sum();
            correlations.push(predicted + reflection * noise / variance);
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
        let fitted = noise / (1.0 - coefficients.iter().sum::<f64>()).powi(2);
        let long_run = noise * count / (count - order) / (1.0 - sum).powi(2);
        let long_run = long_run.max(overlapping(values, average));
        correlations.truncate(coefficients.len());
        let ratio = (long_run / variance).max(1.0);
        let freedom = (count / (1.0 + 2.0 * ratio)).max(2.0);
        Some(Self {
            variance,
            long_run,
            freedom,
            correlations,
            coefficients,
            correction: long_run / fitted,
        })
    }

    /// The variance of the share of values below the `share` quantile, relative to independent
    /// values, if the values are those of a Gaussian process (Kedem 1980): the values at a lag are
    /// below it together with a probability that follows from their correlation.
    fn clipped_ratio(&self, share: f64) -> f64 {
        let order = self.coefficients.len();
        let quantile = normal_quantile(share);
        let mut recent = self.correlations.clone();
        recent.reverse();
        let mut sum = 0.0;
        for lag in 0..MAX_LAG {
            let correlation = match lag < order {
                true => self.correlations[lag],
                false => {
                    let terms = self.coefficients.iter().zip(&recent);
                    let next = terms.map(|(one, other)| one * other).sum();
                    recent.pop();
                    recent.insert(0, next);
                    next
                }
            };
            if lag >= order && recent.iter().all(|one| one.abs() < 1e-3) {
                break;
            }
            sum += clipped_covariance(quantile, correlation);
        }
        let ratio = 1.0 + 2.0 * sum / (share * (1.0 - share));
        ratio.max(0.0) * self.correction
    }
}

/// The dependence of values' normal scores. It tells of high percentiles what the few values beyond
/// them alone do not.
pub(super) struct Scores(Autoregression);

impl Scores {
    /// The scores of values in time order; `None` if they are too few.
    pub(super) fn of(values: &[f64]) -> Option<Self> {
        if values.len() < MIN_VALUES {
            return None;
        }
        let mut order: Vec<usize> = (0..values.len()).collect();
        order.sort_by(|&one, &other| values[one].total_cmp(&values[other]));
        let mut scores = vec![0.0; values.len()];
        for (rank, &place) in order.iter().enumerate() {
            scores[place] = normal_quantile((rank as f64 + 0.5) / values.len() as f64);
        }
        Autoregression::of(&scores).map(Self)
    }

    /// The variance of the share of values below their `share` quantile, relative to independent
    /// values, and the degrees of freedom with which it is known.
    pub(super) fn clipped(&self, share: f64) -> (f64, f64) {
        (self.0.clipped_ratio(share), self.0.freedom)
    }
}

/// The covariance of two standard normal variables' being below `quantile` (Sheppard; by Simpson's
/// rule).
fn clipped_covariance(quantile: f64, correlation: f64) -> f64 {
    const STEPS: u32 = 8;
    let end = correlation.clamp(-0.999, 0.999).asin();
    let density = |angle: f64| (-quantile * quantile / (1.0 + angle.sin())).exp();
    let width = end / f64::from(STEPS);
    let weight = |step: u32| match step {
        0 | STEPS => 1.0,
        step if step % 2 == 1 => 4.0,
        _ => 2.0,
    };
    let terms = (0..=STEPS).map(|step| weight(step) * density(width * f64::from(step)));
    terms.sum::<f64>() * width / 3.0 / std::f64::consts::TAU
}

/// The quantile of the standard normal distribution (Abramowitz and Stegun 26.2.23, good to
/// 4.5e-4).
fn normal_quantile(share: f64) -> f64 {
    let tail = share.min(1.0 - share).max(f64::MIN_POSITIVE);
    let t = (-2.0 * tail.ln()).sqrt();
    let quantile = t
        - (2.515_517 + t * (0.802_853 + t * 0.010_328))
            / (1.0 + t * (1.432_788 + t * (0.189_269 + t * 0.001_308)));
    match share < 0.5 {
        true => -quantile,
        false => quantile,
    }
}

/// The long-run variance by overlapping batch means (Meketon and Schmeiser 1984) in batches of the
/// square root of the count.
fn overlapping(values: &[f64], average: f64) -> f64 {
    let count = values.len();
    let size = (1.5 * (count as f64).sqrt()).ceil() as usize;
    let squares = values
        .windows(size)
        .map(|batch| (mean(batch) - average).powi(2));
    let (size, count) = (size as f64, count as f64);
    count * size / ((count - size) * (count - size + 1.0)) * squares.sum::<f64>()
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
