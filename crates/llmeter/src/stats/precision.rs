//! When a figure is known precisely enough.

use super::interval::Interval;
use super::percentile::Percentile;

/// Values before which nothing is known well enough.
const FIRST_LOOK: usize = 100;
/// How many values there are at a look, as a multiple of those at the look before.
const GROWTH: f64 = 1.2;
/// The level of the interval that a look judges by, and how many looks in a row must find it tight.
/// Whoever stops at the first tight interval of 95 % prefers those that are tight by luck.
const SNAPSHOT_LEVEL: f64 = 0.97;
const SNAPSHOTS_IN_A_ROW: u32 = 2;

/// The statistic of a metric that is watched.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Statistic {
    /// The mean.
    Mean,
    /// A percentile.
    Percentile(Percentile),
}

/// How far the ends of an interval may be from the figure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Tolerance {
    /// A share of the figure, such as 0.05.
    Share(f64),
    /// In the metric's own unit.
    Absolute(f64),
}

/// Collects values of a metric until a figure of theirs is known within a tolerance.
///
/// A sequential stopping rule of fixed width (Chow and Robbins 1965; for values that depend on one
/// another Glynn and Whitt 1992). That it looks often is made up for: by a first look at a hundred
/// values and others at numbers that grow by a fifth, by intervals of 97 %, and by two looks in a row
/// that have to find them tight. The true figure then is within the tolerance of the measured one
/// with a probability of 95 %, as `cargo xtask coverage` shows.
#[derive(Debug, Clone)]
pub struct PrecisionWatch {
    statistic: Statistic,
    tolerance: Tolerance,
    values: Vec<f64>,
    next_look: usize,
    /// Looks in a row that found the interval tight.
    tight_looks: u32,
}

impl PrecisionWatch {
    /// Nothing collected yet.
    pub fn new(statistic: Statistic, tolerance: Tolerance) -> Self {
        Self {
            statistic,
            tolerance,
            values: Vec::new(),
            next_look: FIRST_LOOK,
            tight_looks: 0,
        }
    }

    /// The least number of values with which the figure can be known.
    pub fn min_values(&self) -> usize {
        let percentile = match self.statistic {
            Statistic::Mean => None,
            Statistic::Percentile(percentile) => Some(percentile),
        };
        let mut look = FIRST_LOOK;
        let mut looks = 0;
        loop {
            looks += u32::from(Interval::is_carried(look, percentile, SNAPSHOT_LEVEL));
            if looks == SNAPSHOTS_IN_A_ROW {
                return look;
            }
            look = next_look(look);
        }
    }

    /// Takes in the next value in time order; what is not a number is left out. Tells whether the
    /// figure is known, at this value or one before.
    pub fn push(&mut self, value: f64) -> bool {
        if self.is_reached() || value.is_nan() {
            return self.is_reached();
        }
        self.values.push(value);
        if self.values.len() >= self.next_look {
            self.next_look = next_look(self.values.len());
            self.tight_looks = match self.is_tight() {
                true => self.tight_looks + 1,
                false => 0,
            };
        }
        self.is_reached()
    }

    /// Whether the figure is known.
    pub fn is_reached(&self) -> bool {
        self.tight_looks >= SNAPSHOTS_IN_A_ROW
    }

    /// Whether the values so far would do at a look, which alone settles nothing.
    pub(crate) fn is_tight(&self) -> bool {
        let Some((half_width, middle)) = self.interval() else {
            return false;
        };
        half_width
            <= match self.tolerance {
                Tolerance::Share(share) => share * middle.abs(),
                Tolerance::Absolute(tolerance) => tolerance,
            }
    }

    /// Half the width of the interval by which a look judges, as a share of its middle; `None` with too
    /// few values.
    pub fn half_width(&self) -> Option<f64> {
        let (half_width, middle) = self.interval()?;
        Some(half_width / middle.abs())
    }

    /// Half the width of the interval by which a look judges, and its middle, which is as good as the
    /// figure where the interval is tight.
    fn interval(&self) -> Option<(f64, f64)> {
        let interval = match self.statistic {
            Statistic::Mean => Interval::of_mean(&self.values, SNAPSHOT_LEVEL),
            Statistic::Percentile(percentile) => {
                Interval::of_percentile(&self.values, percentile, SNAPSHOT_LEVEL)
            }
        }?;
        let middle = f64::midpoint(interval.low, interval.high);
        Some((interval.half_width(), middle))
    }

    /// The values so far, in the order in which they came.
    pub fn values(&self) -> &[f64] {
        &self.values
    }
}

/// How many values there are at the look after this one.
fn next_look(values: usize) -> usize {
    (values as f64 * GROWTH) as usize
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn a_figure_needs_so_many_values_at_least() {
        for statistic in [
            Statistic::Mean,
            Statistic::Percentile(Percentile::P50),
            Statistic::Percentile(Percentile::P99),
        ] {
            // Any interval is tight enough.
            let mut watch = PrecisionWatch::new(statistic, Tolerance::Absolute(1e9));
            let least = watch.min_values();
            let mut random = ChaCha8Rng::seed_from_u64(1);
            let reached = (1..).find(|_| watch.push(random.random::<f64>()));
            assert_eq!(reached, Some(least), "{statistic:?}");
        }
    }

    /// Lognormal values whose logarithms are an AR(1) process with this correlation.
    struct Source {
        random: ChaCha8Rng,
        correlation: f64,
        last: f64,
    }

    impl Source {
        fn new(seed: u64, correlation: f64) -> Self {
            let mut source = Self {
                random: ChaCha8Rng::seed_from_u64(seed),
                correlation,
                last: 0.0,
            };
            source.last = source.normal();
            source
        }

        fn normal(&mut self) -> f64 {
            let (radius, angle): (f64, f64) = (self.random.random(), self.random.random());
            (-2.0 * (1.0 - radius).ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
        }

        fn next(&mut self) -> f64 {
            let fresh = (1.0 - self.correlation.powi(2)).sqrt() * self.normal();
            self.last = self.correlation * self.last + fresh;
            (SIGMA * self.last).exp()
        }
    }

    const SIGMA: f64 = 0.4;

    /// How often the true figure is within the tolerance, and the values that it took, on average.
    fn coverage(figure: Statistic, truth: f64, correlation: f64, tolerance: f64) -> (f64, usize) {
        const TRIES: u64 = 200;
        let (mut covered, mut values) = (0, 0);
        for seed in 0..TRIES {
            let mut source = Source::new(seed, correlation);
            let mut watch = PrecisionWatch::new(figure, Tolerance::Share(tolerance));
            while !watch.push(source.next()) {}
            values += watch.values().len();
            let interval = match figure {
                Statistic::Mean => Interval::of_mean(watch.values(), Interval::LEVEL),
                Statistic::Percentile(percentile) => {
                    Interval::of_percentile(watch.values(), percentile, Interval::LEVEL)
                }
            };
            let interval = interval.unwrap();
            let middle = f64::midpoint(interval.low, interval.high);
            covered += u64::from((truth - middle).abs() <= tolerance * middle);
        }
        (covered as f64 / TRIES as f64, values / TRIES as usize)
    }

    #[test]
    fn what_is_asked_for_is_kept_however_often_it_looks() {
        let mean = (SIGMA * SIGMA / 2.0).exp();
        let p90 = (SIGMA * 1.281_552).exp();
        let mut fewer = 0;
        for correlation in [0.0, 0.5] {
            let of_mean = coverage(Statistic::Mean, mean, correlation, 0.1);
            let of_p90 = coverage(
                Statistic::Percentile(Percentile::P90),
                p90,
                correlation,
                0.1,
            );
            for (coverage, _) in [of_mean, of_p90] {
                assert!(coverage >= 0.95, "{coverage} at {correlation}");
            }
            assert!(of_mean.1 > fewer, "dependence costs values");
            fewer = of_mean.1;
        }
    }

    #[test]
    fn what_varies_is_not_known_early_and_what_does_not_vary_by_an_absolute_tolerance() {
        let median = Statistic::Percentile(Percentile::P50);
        let mut watch = PrecisionWatch::new(median, Tolerance::Absolute(1e-3));
        let known = (0..1000).position(|step| watch.push(f64::from(step % 2)));
        assert_eq!(known, None);
        let mut watch = PrecisionWatch::new(median, Tolerance::Absolute(1e-3));
        let known = (0..1000).position(|step| watch.push(0.2 + f64::from(step % 7) * 1e-5));
        assert!(known >= Some(119), "not before the second look: {known:?}");
    }
}
