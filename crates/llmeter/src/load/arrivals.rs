//! How arrivals are spread around their rate.

use std::f64::consts::TAU;
use std::fmt;
use std::str::FromStr;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::base::setting::ARRIVALS;

/// The stream of the generator that arrivals have; clients have those from 0 on.
const STREAM: u64 = u64::MAX;
/// Within what the coefficient of variation may be: beyond, gaps are all equal or nearly all zero.
const VARIATIONS: std::ops::RangeInclusive<f64> = 0.01..=10.0;
/// The largest burst.
const MAX_BURST: u32 = 1_000_000;

/// How arrivals are spread around their rate.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Arrivals {
    /// As many independent users make them: gaps have an exponential distribution.
    #[default]
    Poisson,
    /// All gaps are equal, and the first arrival is at once.
    Constant,
    /// Gaps have a gamma distribution with this coefficient of variation (standard deviation / mean): 1 is
    /// Poisson, below is more even, above comes in clusters. The shape is 1 / CV², which other tools call
    /// burstiness.
    Gamma(f64),
    /// So many arrive at the same moment, then none until as many are due by the rate.
    Burst(u32),
}

impl Arrivals {
    /// When requests arrive where one is expected in each unit of time, in order and without an end.
    /// Whoever changes the rate stretches this time, so that any rate keeps the distribution.
    ///
    /// ```
    /// use llmeter::load::Arrivals;
    ///
    /// let times: Vec<f64> = Arrivals::Burst(2).times(1).take(4).collect();
    /// assert_eq!(times, [0.0, 0.0, 2.0, 2.0]);
    /// ```
    pub fn times(self, seed: u64) -> impl Iterator<Item = f64> + Send + use<> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(STREAM);
        ArrivalTimes {
            arrivals: self,
            random,
            count: 0,
            time: 0.0,
        }
    }
}

/// See [`Arrivals::times`].
#[derive(Debug)]
struct ArrivalTimes {
    arrivals: Arrivals,
    random: ChaCha8Rng,
    /// Arrivals so far.
    count: u64,
    /// That of the last random one.
    time: f64,
}

impl Iterator for ArrivalTimes {
    type Item = f64;

    fn next(&mut self) -> Option<f64> {
        let number = self.count;
        self.count += 1;
        match self.arrivals {
            Arrivals::Constant => return Some(number as f64),
            Arrivals::Burst(size) => {
                let size = u64::from(size.max(1));
                return Some((number / size * size) as f64);
            }
            Arrivals::Poisson => self.time += exponential(&mut self.random),
            Arrivals::Gamma(variation) => {
                let shape = (variation * variation).recip();
                self.time += gamma(&mut self.random, shape) / shape;
            }
        }
        Some(self.time)
    }
}

/// An even random number above 0, up to 1.
fn unit(random: &mut ChaCha8Rng) -> f64 {
    1.0 - random.random::<f64>()
}

/// A random number of the exponential distribution with mean 1, by inversion.
pub(crate) fn exponential(random: &mut ChaCha8Rng) -> f64 {
    -unit(random).ln()
}

/// A random number of the standard normal distribution, by the method of Box and Muller (1958).
pub(crate) fn normal(random: &mut ChaCha8Rng) -> f64 {
    let radius = (2.0 * exponential(random)).sqrt();
    radius * (TAU * random.random::<f64>()).cos()
}

/// A random number of the gamma distribution with this shape and scale 1, by the method of Marsaglia
/// and Tsang (2000).
fn gamma(random: &mut ChaCha8Rng, shape: f64) -> f64 {
    if shape < 1.0 {
        let more = gamma(random, shape + 1.0);
        return more * unit(random).powf(shape.recip());
    }
    let (d, c) = (shape - 1.0 / 3.0, (9.0 * shape - 3.0).sqrt().recip());
    loop {
        let x = normal(random);
        let v = (1.0 + c * x).powi(3);
        if v > 0.0 && unit(random).ln() < 0.5 * x * x + d - d * v + d * v.ln() {
            return d * v;
        }
    }
}

impl FromStr for Arrivals {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = match text.split_once(':') {
            None if text == "poisson" => Some(Self::Poisson),
            None if text == "constant" => Some(Self::Constant),
            Some(("gamma", variation)) => {
                let variation = variation.parse().ok();
                let variation = variation.filter(|variation| VARIATIONS.contains(variation));
                variation.map(Self::Gamma)
            }
            Some(("burst", size)) => {
                let size = size.parse().ok();
                size.filter(|size| (1..=MAX_BURST).contains(size))
                    .map(Self::Burst)
            }
            _ => None,
        };
        parsed.ok_or_else(|| ARRIVALS.to_owned())
    }
}

impl fmt::Display for Arrivals {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Poisson => formatter.write_str("poisson"),
            Self::Constant => formatter.write_str("constant"),
            Self::Gamma(variation) => write!(formatter, "gamma:{variation}"),
            Self::Burst(size) => write!(formatter, "burst:{size}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gaps(arrivals: Arrivals, seed: u64, count: usize) -> Vec<f64> {
        let times: Vec<_> = arrivals.times(seed).take(count).collect();
        assert!(times.is_sorted());
        let before = std::iter::once(0.0).chain(times.iter().copied());
        times
            .iter()
            .zip(before)
            .map(|(time, before)| time - before)
            .collect()
    }

    /// The Kolmogorov-Smirnov distance of a sample from a distribution.
    fn distance(mut sample: Vec<f64>, distribution: impl Fn(f64) -> f64) -> f64 {
        sample.sort_by(f64::total_cmp);
        let count = sample.len() as f64;
        let each = sample.iter().enumerate().map(|(number, value)| {
            let (below, at) = (number as f64 / count, (number + 1) as f64 / count);
            let expected = distribution(*value);
            (expected - below).max(at - expected)
        });
        each.fold(0.0, f64::max)
    }

    #[test]
    fn gaps_have_the_distribution_that_was_asked_for() {
        const COUNT: usize = 20_000;
        // 0.1 % of true samples are further away.
        let critical = 1.95 / (COUNT as f64).sqrt();
        let of_exponential = |gap: f64| 1.0 - (-gap).exp();
        // Gamma of shape 4, the sum of four exponentials: 1 - e^-x (1 + x + x²/2 + x³/6).
        let of_even = |gap: f64| {
            let x = 4.0 * gap;
            1.0 - (-x).exp() * (1.0 + x + x * x / 2.0 + x.powi(3) / 6.0)
        };
        for seed in 0..3 {
            let poisson = distance(gaps(Arrivals::Poisson, seed, COUNT), of_exponential);
            assert!(poisson < critical, "{poisson} with seed {seed}");
            let same = distance(gaps(Arrivals::Gamma(1.0), seed, COUNT), of_exponential);
            assert!(same < critical, "{same} with seed {seed}");
            let even = gaps(Arrivals::Gamma(0.5), seed, COUNT);
            let (is, other) = (
                distance(even.clone(), of_even),
                distance(even, of_exponential),
            );
            assert!(
                is < critical && other > 10.0 * critical,
                "{is} {other} with seed {seed}"
            );
        }
        for variation in [0.2, 3.0] {
            let gaps = gaps(Arrivals::Gamma(variation), 1, COUNT);
            let mean = gaps.iter().sum::<f64>() / COUNT as f64;
            let square = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>();
            let found = (square / COUNT as f64).sqrt() / mean;
            assert!((mean - 1.0).abs() < 0.1, "{mean} of {variation}");
            assert!(
                (found / variation - 1.0).abs() < 0.15,
                "{found} of {variation}"
            );
        }
    }

    #[test]
    fn even_arrivals_and_bursts_are_exact() {
        let take = |arrivals: Arrivals| arrivals.times(5).take(7).collect::<Vec<_>>();
        assert_eq!(
            take(Arrivals::Constant),
            [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
        );
        assert_eq!(
            take(Arrivals::Burst(3)),
            [0.0, 0.0, 0.0, 3.0, 3.0, 3.0, 6.0]
        );
        assert_eq!(take(Arrivals::Poisson), take(Arrivals::Poisson));
        let other: Vec<_> = Arrivals::Poisson.times(6).take(7).collect();
        assert_ne!(take(Arrivals::Poisson), other);
    }

    #[test]
    fn what_is_no_kind_of_arrivals_is_refused() {
        for text in ["poisson", "constant", "gamma:0.5", "burst:8"] {
            assert_eq!(text.parse::<Arrivals>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "uniform",
            "gamma",
            "gamma:0",
            "gamma:nan",
            "gamma:11",
            "burst:0",
            "burst:-1",
        ] {
            assert!(text.parse::<Arrivals>().is_err(), "{text}");
        }
    }
}
