//! How often intervals cover the truth, by simulation.

use anyhow::bail;
use llmeter::stats::{Interval, Percentile, PrecisionWatch, Statistic, Tolerance};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// How often an interval of 95 % has to cover the truth.
const ACCEPTED: std::ops::RangeInclusive<f64> = 0.92..=0.98;
/// Where fewer samples than this have an interval, the coverage of those that do says little.
const COMMON: f64 = 0.5;
/// Then so many samples at most have an interval that misses the truth.
const MISLEADING: f64 = 0.05;
/// How often a figure has to be known as precisely as a run was told to know it.
const KEPT: f64 = 0.94;
/// How precisely that is, as a share of the figure.
const TOLERANCE: f64 = 0.1;
/// Values in which it becomes known.
const MAX_VALUES: usize = 20_000;
/// The spread of the latencies' logarithms.
const SIGMA: f64 = 0.5;
/// Clients of the simulated closed loop.
const CLIENTS: usize = 8;
const SIZES: [usize; 3] = [100, 500, 2_000];

/// Arguments of `coverage`.
#[derive(clap::Args)]
pub(crate) struct CoverageArguments {
    /// Samples of each kind and size
    #[arg(long, default_value_t = 2_000)]
    samples: u32,
    /// Decides the samples
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// How values depend on those before them. All have the same lognormal margins.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Pattern {
    /// First-order autoregression of the logarithms with this correlation.
    Autoregressive(f64),
    /// Clients of a closed loop are answered in batches: half of the variance is the batch's.
    Batched,
}

impl Pattern {
    const ALL: [Self; 4] = [
        Self::Autoregressive(0.0),
        Self::Autoregressive(0.5),
        Self::Autoregressive(0.8),
        Self::Batched,
    ];

    fn name(self) -> String {
        match self {
            Self::Autoregressive(0.0) => "independent".to_owned(),
            Self::Autoregressive(rho) => format!("AR(1) {rho}"),
            Self::Batched => format!("batches of {CLIENTS}"),
        }
    }

    fn sample(self, count: usize, random: &mut ChaCha8Rng) -> Vec<f64> {
        let mut shared = normal(random);
        let first = random.random_range(0..CLIENTS);
        let value = |place: usize| {
            let own = normal(random);
            let score = match self {
                Self::Autoregressive(rho) => {
                    shared = rho * shared + (1.0 - rho * rho).sqrt() * own;
                    shared
                }
                Self::Batched => {
                    if (place + first).is_multiple_of(CLIENTS) {
                        shared = normal(random);
                    }
                    (shared + own) * 0.5_f64.sqrt()
                }
            };
            (SIGMA * score).exp()
        };
        (0..count).map(value).collect()
    }
}

/// A figure whose true value is known.
#[derive(Debug, Clone, Copy)]
enum Figure {
    Percentile(Percentile),
    Mean,
}

impl Figure {
    const ALL: [Self; 4] = [
        Self::Percentile(Percentile::P50),
        Self::Percentile(Percentile::P90),
        Self::Percentile(Percentile::P99),
        Self::Mean,
    ];

    fn name(self) -> String {
        match self {
            Self::Percentile(percentile) => percentile.to_string(),
            Self::Mean => "mean".to_owned(),
        }
    }

    fn statistic(self) -> Statistic {
        match self {
            Self::Percentile(percentile) => Statistic::Percentile(percentile),
            Self::Mean => Statistic::Mean,
        }
    }

    fn truth(self) -> f64 {
        match self {
            Self::Percentile(Percentile::P50) => 1.0,
            Self::Percentile(Percentile::P90) => (SIGMA * 1.281_551_565_5).exp(),
            Self::Percentile(_) => (SIGMA * 2.326_347_874_0).exp(),
            Self::Mean => (SIGMA * SIGMA / 2.0).exp(),
        }
    }

    fn interval(self, values: &[f64]) -> Option<Interval> {
        match self {
            Self::Percentile(percentile) => {
                Interval::of_percentile(values, percentile, Interval::LEVEL)
            }
            Self::Mean => Interval::of_mean(values, Interval::LEVEL),
        }
    }
}

/// How often intervals of one figure covered the truth.
#[derive(Debug, Default)]
struct Coverage {
    samples: u32,
    given: u32,
    covered: u32,
}

impl Coverage {
    fn record(&mut self, interval: Option<Interval>, truth: f64) {
        self.samples += 1;
        if let Some(interval) = interval {
            self.given += 1;
            self.covered += u32::from(interval.contains(truth));
        }
    }

    fn given(&self) -> f64 {
        f64::from(self.given) / f64::from(self.samples.max(1))
    }

    fn covered(&self) -> f64 {
        f64::from(self.covered) / f64::from(self.given.max(1))
    }

    /// Whether it is as it should be, but for `slack` for the chance of few samples.
    fn holds(&self, slack: f64) -> bool {
        let missed = f64::from(self.given - self.covered) / f64::from(self.samples.max(1));
        match self.given() >= COMMON {
            true => {
                let (low, high) = (ACCEPTED.start() - slack, ACCEPTED.end() + slack);
                (low..=high).contains(&self.covered())
            }
            false => missed <= MISLEADING,
        }
    }
}

/// One line of the table.
struct Row {
    pattern: String,
    values: usize,
    figure: String,
    coverage: Coverage,
}

fn simulate(samples: u32, seed: u64, sizes: &[usize]) -> Vec<Row> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut rows = Vec::new();
    for pattern in Pattern::ALL {
        for &size in sizes {
            let mut coverages = Figure::ALL.map(|figure| (figure, Coverage::default()));
            for _ in 0..samples {
                let values = pattern.sample(size, &mut random);
                for (figure, coverage) in &mut coverages {
                    coverage.record(figure.interval(&values), figure.truth());
                }
            }
            rows.extend(coverages.map(|(figure, coverage)| Row {
                pattern: pattern.name(),
                values: size,
                figure: figure.name(),
                coverage,
            }));
        }
    }
    for &size in sizes {
        let mut coverage = Coverage::default();
        for _ in 0..samples {
            let (interval, truth) = closed_loop(size, &mut random);
            coverage.record(interval, truth);
        }
        rows.push(Row {
            pattern: format!("{CLIENTS} clients"),
            values: size,
            figure: "rate".to_owned(),
            coverage,
        });
    }
    rows
}

/// The interval of the rate of a closed loop, by duration, and the true rate.
fn closed_loop(requests: usize, random: &mut ChaCha8Rng) -> (Option<Interval>, f64) {
    let truth = CLIENTS as f64 / Figure::Mean.truth();
    let window = requests as f64 / truth;
    let mut ends = Vec::new();
    for _ in 0..CLIENTS {
        let mut now = 0.0;
        loop {
            now += (SIGMA * normal(random)).exp();
            if now > window {
                break;
            }
            ends.push(now);
        }
    }
    ends.sort_unstable_by(f64::total_cmp);
    let amounts = vec![1.0; ends.len()];
    let interval = Interval::of_rate(&ends, &amounts, window, Interval::LEVEL);
    (interval, truth)
}

/// How often the truth is within the tolerance when a figure is believed to be known, and the values
/// that it took, on average.
fn precision(
    pattern: Pattern,
    figure: Figure,
    samples: u32,
    random: &mut ChaCha8Rng,
) -> (f64, usize) {
    let (mut kept, mut taken) = (0, 0);
    for _ in 0..samples {
        let mut watch = PrecisionWatch::new(figure.statistic(), Tolerance::Share(TOLERANCE));
        let values = pattern.sample(MAX_VALUES, random);
        let is_known = values.into_iter().any(|value| watch.push(value));
        taken += watch.values().len();
        if let Some(interval) = figure.interval(watch.values()).filter(|_| is_known) {
            let measured = f64::midpoint(interval.low, interval.high);
            kept += u32::from((figure.truth() - measured).abs() <= TOLERANCE * measured);
        }
    }
    (
        f64::from(kept) / f64::from(samples.max(1)),
        taken / samples.max(1) as usize,
    )
}

/// A standard normal value, by Box and Muller.
fn normal(random: &mut ChaCha8Rng) -> f64 {
    let (one, other): (f64, f64) = (random.random(), random.random());
    (-2.0 * (1.0 - one).ln()).sqrt() * (std::f64::consts::TAU * other).cos()
}

pub(crate) fn coverage(arguments: &CoverageArguments) -> anyhow::Result<()> {
    let percent = |share: f64| format!("{:.1} %", share * 100.0);
    println!(
        "{:<14} {:>6} {:>6} {:>9} {:>9}",
        "dependence", "values", "figure", "covered", "given"
    );
    let mut outside = 0;
    for row in simulate(arguments.samples, arguments.seed, &SIZES) {
        let holds = row.coverage.holds(0.0);
        outside += u32::from(!holds);
        println!(
            "{:<14} {:>6} {:>6} {:>9} {:>9}{}",
            row.pattern,
            row.values,
            row.figure,
            match row.coverage.given {
                0 => "—".to_owned(),
                _ => percent(row.coverage.covered()),
            },
            percent(row.coverage.given()),
            if holds { "" } else { "  outside" }
        );
    }
    println!(
        "accepted: 92 to 98 % covered; where less than half of the samples have an interval, at \
         most 5 % of all have one that misses"
    );
    println!();
    println!(
        "{:<14} {:>6} {:>9} {:>9}",
        "--until ±10%", "figure", "kept", "values"
    );
    // A run costs as much as hundreds of samples of one size.
    let samples = arguments.samples.div_ceil(10);
    let mut random = ChaCha8Rng::seed_from_u64(arguments.seed);
    for pattern in Pattern::ALL {
        for figure in Figure::ALL {
            let (kept, values) = precision(pattern, figure, samples, &mut random);
            outside += u32::from(kept < KEPT);
            println!(
                "{:<14} {:>6} {:>9} {values:>9}{}",
                pattern.name(),
                figure.name(),
                percent(kept),
                if kept < KEPT { "  outside" } else { "" }
            );
        }
    }
    println!("accepted: {} or more", percent(KEPT));
    match outside {
        0 => Ok(()),
        outside => bail!("{outside} outside"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Few samples with a fixed seed: the bounds are three standard deviations wider.
    #[test]
    fn intervals_cover_the_truth() {
        let rows = simulate(200, 3, &[100, 500]);
        let outside = rows.iter().filter(|row| !row.coverage.holds(0.045));
        let outside: Vec<_> = outside
            .map(|row| (&row.pattern, row.values, &row.figure, &row.coverage))
            .collect();
        assert!(outside.is_empty(), "{outside:?}");
        let shares = rows.iter().map(|row| row.coverage.given());
        assert!(
            shares.clone().any(|share| share == 0.0),
            "p99 of 100 values"
        );
        assert!(shares.filter(|&share| share > 0.9).count() > 20);
    }
}
