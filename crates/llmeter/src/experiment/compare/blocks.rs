//! A statistic of a series that is cut into blocks, so that blocks can be drawn anew.
//!
//! Requests of a run depend on those before them: a busy server is busy for all. Values are therefore drawn in
//! blocks of neighbours, long enough that what is in one says little of the next.

/// Most blocks of a series: with more, a test gets slower and no better.
const MAX_BLOCKS: usize = 64;
/// Fewest blocks that say anything of how a statistic varies.
pub(super) const MIN_BLOCKS: usize = 10;
/// Points at which the distribution of pooled values is looked at.
const GRID: usize = 256;
/// Those among them that are spread over all values, the others are near the percentile.
const WIDE_GRID: usize = 32;
/// Values among which the points are chosen.
const MAX_SORTED: usize = 16_384;
/// Values that a block length is estimated from; more are averaged first.
const MAX_SERIES: usize = 4096;

/// Values in the order in which their requests were sent, some of which belong to one request.
#[derive(Debug, Clone, Default)]
pub(super) struct Series {
    pub(super) values: Vec<f64>,
    /// Where the values of each request end, if a request has several.
    pub(super) ends: Option<Vec<usize>>,
    /// What each value is divided by, if they are amounts: seconds of a bin, say.
    pub(super) weight: f64,
}

impl Series {
    pub(super) fn of(values: Vec<f64>) -> Self {
        Self {
            values,
            ends: None,
            weight: 1.0,
        }
    }

    /// How many requests, or bins, there are.
    pub(super) fn len(&self) -> usize {
        self.ends.as_ref().map_or(self.values.len(), Vec::len)
    }

    fn end(&self, unit: usize) -> usize {
        match &self.ends {
            None => unit,
            Some(_) if unit == 0 => 0,
            Some(ends) => ends[unit - 1],
        }
    }

    /// The values of each request, as one number.
    fn units(&self, take: impl Fn(f64) -> f64) -> Vec<f64> {
        let of = |unit: usize| {
            let values = &self.values[self.end(unit)..self.end(unit + 1)];
            let sum: f64 = values.iter().map(|value| take(*value)).sum();
            sum / values.len().max(1) as f64
        };
        (0..self.len()).map(of).collect()
    }
}

/// What is asked of a series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Statistic {
    Mean,
    /// The value below which this share lies.
    Quantile(f64),
}

impl Statistic {
    /// How many requests a block of this series should have: at least the cube root of all, which is how
    /// the best length grows, as far as that leaves blocks enough. A weak dependence, which the estimate
    /// overlooks in half of the runs, would otherwise make chance look like a difference.
    pub(super) fn block_length(self, series: &Series) -> usize {
        let units = match self {
            Self::Mean => series.units(|value| value),
            Self::Quantile(share) => {
                let at = quantile(&series.values, share);
                // What a quantile varies with is how many values lie below it.
                series.units(|value| f64::from(u8::from(value <= at)))
            }
        };
        let floor = (units.len() as f64).cbrt() as usize;
        block_length(&units).max(floor.min(units.len() / (2 * MIN_BLOCKS)))
    }
}

fn quantile(values: &[f64], share: f64) -> f64 {
    let mut values = values.to_vec();
    let Some(last) = values.len().checked_sub(1) else {
        return f64::NAN;
    };
    let at = ((share * last as f64).round() as usize).min(last);
    *values.select_nth_unstable_by(at, f64::total_cmp).1
}

/// The block length that makes the variance of a block bootstrap's mean most accurate: Politis and White,
/// "Automatic block-length selection for the dependent bootstrap" (2004), with the correction of Patton,
/// Politis and White (2009), for circular blocks.
pub(super) fn block_length(series: &[f64]) -> usize {
    let step = series.len().div_ceil(MAX_SERIES).max(1);
    let thinned: Vec<f64> = series
        .chunks(step)
        .map(|chunk| chunk.iter().sum::<f64>() / chunk.len() as f64)
        .collect();
    let n = thinned.len();
    if n < 8 {
        return 1;
    }
    let mean = thinned.iter().sum::<f64>() / n as f64;
    let centred: Vec<f64> = thinned.iter().map(|value| value - mean).collect();
    let covariance = |lag: usize| {
        let pairs = centred.iter().zip(&centred[lag..]);
        pairs.map(|(one, other)| one * other).sum::<f64>() / n as f64
    };
    let variance = covariance(0);
    if variance <= 0.0 {
        return 1;
    }
    let size = n as f64;
    let quiet = 5.max(size.log10().sqrt().ceil() as usize);
    let bound = 2.0 * (size.log10() / size).sqrt();
    let max_lag = (size.sqrt().ceil() as usize + quiet).min(n - 1);
    // The first lag after which a row of correlations is no larger than chance makes them.
    let mut covariances = vec![variance];
    let mut silent = 0;
    while covariances.len() <= max_lag && silent < quiet {
        let next = covariance(covariances.len());
        silent = match (next / variance).abs() < bound {
            true => silent + 1,
            false => 0,
        };
        covariances.push(next);
    }
    let last = covariances.len() - 1 - silent;
    if last == 0 {
        // Chunks of a long series are blocks already.
        return step;
    }
    let width = 2 * last;
    let (mut slope, mut spectrum) = (0.0, variance);
    for lag in 1..=width.min(n - 1) {
        let known = covariances.get(lag).copied();
        let covariance = known.unwrap_or_else(|| covariance(lag));
        let at = lag as f64 / width as f64;
        let taper = if at <= 0.5 { 1.0 } else { 2.0 * (1.0 - at) };
        slope += 2.0 * taper * lag as f64 * covariance;
        spectrum += 2.0 * taper * covariance;
    }
    let scale = 4.0 / 3.0 * spectrum * spectrum;
    let most = (3.0 * size.sqrt()).min(size / 3.0).ceil();
    let length = match scale > 0.0 {
        true => (2.0 * slope * slope / scale * size).cbrt().ceil(),
        false => most,
    };
    let length = length.clamp(1.0, most) as usize;
    // Clients that take turns make values that make up for one another. Blocks that are too short for that only
    // widen intervals, and leave blocks enough to have one.
    let length = match spectrum < variance {
        true => length.min((n / (2 * MIN_BLOCKS)).max(1)),
        false => length,
    };
    length * step
}

/// Blocks of several series with what a statistic needs of each.
#[derive(Debug)]
pub(super) struct Blocks {
    kind: Kind,
    count: usize,
}

#[derive(Debug)]
enum Kind {
    Mean {
        sums: Vec<f64>,
        weights: Vec<f64>,
    },
    Quantile {
        share: f64,
        /// Values of the grid, ascending.
        grid: Vec<f64>,
        /// For each value of the grid, how many of each block are not above it.
        below: Vec<u32>,
    },
}

/// Into how many blocks of this length a series is cut.
pub(super) fn count_of(series: &Series, length: usize) -> usize {
    let units = series.len();
    let length = length.max(units.div_ceil(MAX_BLOCKS)).max(1);
    units / length
}

impl Blocks {
    /// Series cut into blocks of so many requests, one series after the other. The last block of each
    /// takes what is left.
    pub(super) fn new(statistic: Statistic, series: &[&Series], length: usize) -> Self {
        let mut spans: Vec<(&Series, usize, usize)> = Vec::new();
        for one in series {
            let count = count_of(one, length);
            let per_block = one.len() / count.max(1);
            for block in 0..count {
                let last = if block + 1 == count {
                    one.len()
                } else {
                    (block + 1) * per_block
                };
                spans.push((one, one.end(block * per_block), one.end(last)));
            }
        }
        let count = spans.len();
        let kind = match statistic {
            Statistic::Mean => Kind::Mean {
                sums: spans
                    .iter()
                    .map(|(one, from, to)| one.values[*from..*to].iter().sum())
                    .collect(),
                weights: spans
                    .iter()
                    .map(|(one, from, to)| (to - from) as f64 * one.weight)
                    .collect(),
            },
            Statistic::Quantile(share) => {
                let grid = grid(series, share, count);
                let mut below = vec![0_u32; grid.len() * count];
                for (block, (one, from, to)) in spans.iter().enumerate() {
                    for value in &one.values[*from..*to] {
                        let at = grid.partition_point(|point| point < value);
                        if at < grid.len() {
                            below[at * count + block] += 1;
                        }
                    }
                }
                for at in count..below.len() {
                    below[at] += below[at - count];
                }
                Kind::Quantile { share, grid, below }
            }
        };
        Self { kind, count }
    }

    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// The statistic of blocks that are each taken so many times.
    pub(super) fn estimate(&self, times: &[u32]) -> f64 {
        match &self.kind {
            Kind::Mean { sums, weights } => {
                let dot = |of: &[f64]| -> f64 {
                    of.iter()
                        .zip(times)
                        .map(|(one, times)| one * f64::from(*times))
                        .sum()
                };
                dot(sums) / dot(weights)
            }
            Kind::Quantile { share, grid, below } => {
                let Some(last) = grid.len().checked_sub(1) else {
                    return f64::NAN;
                };
                let at = |point: usize| {
                    let row = &below[point * self.count..(point + 1) * self.count];
                    let mut sum = 0;
                    for (count, times) in row.iter().zip(times) {
                        sum += u64::from(count * times);
                    }
                    sum as f64
                };
                let target = share * at(last);
                let (mut low, mut high) = (0, last);
                while low < high {
                    let middle = (low + high) / 2;
                    match at(middle) < target {
                        true => low = middle + 1,
                        false => high = middle,
                    }
                }
                let Some(before) = low.checked_sub(1) else {
                    return grid[0];
                };
                let (from, to) = (at(before), at(low));
                let part = if to > from {
                    (target - from) / (to - from)
                } else {
                    1.0
                };
                grid[before] + part * (grid[low] - grid[before])
            }
        }
    }
}

/// The values at which distributions are looked at: all, or many near a quantile and some elsewhere.
fn grid(series: &[&Series], share: f64, blocks: usize) -> Vec<f64> {
    let all = || series.iter().flat_map(|one| one.values.iter().copied());
    // Where values are counted decides how finely, not how rightly: some of many do.
    let step = all().count().div_ceil(MAX_SORTED).max(1);
    let mut values: Vec<f64> = all().step_by(step).collect();
    if step > 1 {
        values.extend(all().max_by(f64::total_cmp));
    }
    values.sort_unstable_by(f64::total_cmp);
    let Some(last) = values.len().checked_sub(1) else {
        return values;
    };
    if values.len() > GRID {
        // Ten times as far as the quantile of so many blocks of independent values varies.
        let reach = 10.0 * (share * (1.0 - share) / blocks.max(1) as f64).sqrt();
        let (from, to) = ((share - reach).max(0.0), (share + reach).min(1.0));
        let near = GRID - WIDE_GRID;
        let near = (0..near).map(|at| from + (to - from) * at as f64 / (near - 1) as f64);
        let wide = (0..WIDE_GRID).map(|at| at as f64 / (WIDE_GRID - 1) as f64);
        let mut ranks: Vec<usize> = near
            .chain(wide)
            .map(|share| (share * last as f64).round() as usize)
            .collect();
        ranks.sort_unstable();
        values = ranks
            .into_iter()
            .map(|rank| values[rank.min(last)])
            .collect();
    }
    values.dedup();
    values
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn independent_values_need_no_blocks_and_dependent_ones_do() {
        let mut random = ChaCha8Rng::seed_from_u64(3);
        let noise: Vec<f64> = (0..2000).map(|_| random.random::<f64>() - 0.5).collect();
        assert!(block_length(&noise) <= 2, "{}", block_length(&noise));
        let mut level = 0.0;
        let walk: Vec<f64> = noise
            .iter()
            .map(|step| {
                level = 0.9 * level + step;
                level
            })
            .collect();
        let length = block_length(&walk);
        assert!((10..200).contains(&length), "{length}");
        assert_eq!(block_length(&[1.0; 500]), 1);
        assert_eq!(block_length(&[]), 1);
    }

    #[test]
    fn all_blocks_once_give_the_statistic_of_all() {
        let values: Vec<f64> = (0..3001).map(|at| f64::from((at * 7919) % 3001)).collect();
        let series = Series::of(values);
        for (statistic, expected) in [
            (Statistic::Mean, 1500.0),
            (Statistic::Quantile(0.5), 1500.0),
            (Statistic::Quantile(0.99), 2970.0),
        ] {
            let blocks = Blocks::new(statistic, &[&series], 10);
            let estimate = blocks.estimate(&vec![1; blocks.count()]);
            assert!(
                (estimate - expected).abs() < 2.0,
                "{statistic:?}: {estimate}"
            );
        }
    }

    #[test]
    fn values_of_one_request_stay_together() {
        let series = Series {
            values: (0..100).map(f64::from).collect(),
            ends: Some((1..=20).map(|request| request * 5).collect()),
            weight: 1.0,
        };
        let blocks = Blocks::new(Statistic::Mean, &[&series], 2);
        assert_eq!(blocks.count(), 10);
        let mut first = vec![0; 10];
        first[0] = 1;
        assert_eq!(blocks.estimate(&first), 4.5);
    }
}
