//! What differs by chance: intervals from blocks drawn anew, tests from blocks that change sides.

use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::blocks::{Blocks, MIN_BLOCKS, Series, Statistic, count_of};

/// The share of intervals that hold the truth.
pub(super) const CONFIDENCE: f64 = 0.95;
/// Draws that an interval rests on, at most.
const DRAWS: usize = 999;
/// A test ends once chance alone made so large a difference so many times: it is not shown then (Besag and
/// Clifford, "Sequential Monte Carlo p-values", 1991).
const ENOUGH: usize = 50;
/// Two runs of the same data are compared the same way each time.
const SEED: u64 = 0x6c6c_6d65_7465_7221;

/// What two series say of how a statistic differs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Resampled {
    /// Requests, or bins, of a block.
    pub(super) block_length: usize,
    /// The interval of the difference, new less base.
    pub(super) difference: (f64, f64),
    /// The interval of the change as a share of the base; `None` where the base is not above 0.
    pub(super) change: Option<(f64, f64)>,
    /// How often chance alone makes so large a difference.
    pub(super) p_value: f64,
    /// The statistic of all values of either.
    pub(super) observed: (f64, f64),
}

/// Compares a statistic of the series of two, a series for each run, with so many rounds of chance; `None` if
/// there is too little of either.
pub(super) fn resample(
    statistic: Statistic,
    base: &[Series],
    new: &[Series],
    rounds: usize,
) -> Option<Resampled> {
    let both = || base.iter().chain(new);
    let lengths = both().map(|one| statistic.block_length(one));
    let length = lengths.max()?;
    let count = |series: &[Series]| -> usize {
        let counts = series.iter().map(|one| count_of(one, length));
        counts.sum()
    };
    if count(base).min(count(new)) < MIN_BLOCKS || !carries(statistic, base, new) {
        return None;
    }
    if let Some((first, weight)) = both().find_map(|one| Some((*one.values.first()?, one.weight)))
        && both().all(|one| one.weight == weight && one.values.iter().all(|value| *value == first))
    {
        return Some(Resampled {
            block_length: length,
            difference: (0.0, 0.0),
            change: (first > 0.0).then_some((0.0, 0.0)),
            p_value: 1.0,
            observed: (first, first),
        });
    }
    let mut random = ChaCha8Rng::seed_from_u64(SEED);
    let of = |series: Vec<&Series>| Blocks::new(statistic, &series, length);
    let of_base = of(base.iter().collect());
    let of_new = of(new.iter().collect());
    let of_both = of(both().collect());

    let draws = rounds.min(DRAWS);
    let mut differences = Vec::with_capacity(draws);
    let mut changes = Vec::with_capacity(draws);
    for _ in 0..draws {
        let one = drawn(&of_base, &mut random);
        let other = drawn(&of_new, &mut random);
        differences.push(other - one);
        if one > 0.0 {
            changes.push(other / one - 1.0);
        }
    }
    let change = (changes.len() == draws).then(|| middle(&mut changes));
    Some(Resampled {
        block_length: length,
        difference: middle(&mut differences),
        change,
        p_value: permuted(&of_both, of_base.count(), rounds, &mut random),
        observed: (whole(&of_base), whole(&of_new)),
    })
}

/// Whether a quantile has five values or more on either side, in both series.
fn carries(statistic: Statistic, base: &[Series], new: &[Series]) -> bool {
    let Statistic::Quantile(share) = statistic else {
        return true;
    };
    let beyond = share.min(1.0 - share);
    let count = |series: &[Series]| -> usize { series.iter().map(|one| one.values.len()).sum() };
    let fewest = count(base).min(count(new)) as f64;
    // A rate of 0.1 is a little less than a tenth.
    fewest * beyond >= 5.0 - 1e-6
}

/// The statistic of all blocks.
fn whole(blocks: &Blocks) -> f64 {
    blocks.estimate(&vec![1; blocks.count()])
}

/// The statistic of as many blocks as there are, drawn with replacement.
fn drawn(blocks: &Blocks, random: &mut ChaCha8Rng) -> f64 {
    let mut times = vec![0; blocks.count()];
    for _ in 0..blocks.count() {
        times[random.random_range(0..blocks.count())] += 1;
    }
    blocks.estimate(&times)
}

/// The share of rounds in which blocks that take sides by chance differ by as much as they do.
fn permuted(blocks: &Blocks, in_base: usize, rounds: usize, random: &mut ChaCha8Rng) -> f64 {
    let mut sides: Vec<u32> = (0..blocks.count())
        .map(|at| u32::from(at < in_base))
        .collect();
    let mut others = vec![0; sides.len()];
    let mut difference = |sides: &[u32]| {
        for (other, side) in others.iter_mut().zip(sides) {
            *other = 1 - side;
        }
        (blocks.estimate(&others) - blocks.estimate(sides)).abs()
    };
    let observed = difference(&sides);
    let mut as_large = 0;
    for round in 1..=rounds {
        sides.shuffle(random);
        // Sums of the same values in another order differ in their last digits.
        as_large += usize::from(difference(&sides) >= observed * (1.0 - 1e-9));
        if as_large == ENOUGH {
            return as_large as f64 / round as f64;
        }
    }
    (as_large + 1) as f64 / (rounds + 1) as f64
}

/// The interval of what is in the middle.
fn middle(values: &mut [f64]) -> (f64, f64) {
    values.sort_unstable_by(f64::total_cmp);
    let outside = (1.0 - CONFIDENCE) / 2.0;
    let last = values.len().saturating_sub(1);
    let at = |share: f64| values.get((share * last as f64).round() as usize).copied();
    (
        at(outside).unwrap_or(f64::NAN),
        at(1.0 - outside).unwrap_or(f64::NAN),
    )
}

/// P-values that hold for all of them together: Holm, "A simple sequentially rejective multiple test
/// procedure" (1979).
pub(super) fn holm(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|one, other| p_values[*one].total_cmp(&p_values[*other]));
    let mut adjusted = vec![1.0; p_values.len()];
    let mut least = 0.0_f64;
    for (rank, at) in order.into_iter().enumerate() {
        least = least
            .max(p_values[at] * (p_values.len() - rank) as f64)
            .min(1.0);
        adjusted[at] = least;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values that depend on those before them by `memory`.
    fn series(count: usize, scale: f64, memory: f64, random: &mut ChaCha8Rng) -> Series {
        let mut level = 0.0;
        let values = (0..count).map(|_| {
            level = memory * level + (1.0 - memory) * (random.random::<f64>() - 0.5);
            scale * (1.0 + 0.4 * level)
        });
        Series::of(values.collect())
    }

    /// How often the difference of two series is found, and how often its interval holds the truth.
    fn found(scale: f64, memory: f64, statistic: Statistic, times: usize) -> (usize, usize) {
        let mut random = ChaCha8Rng::seed_from_u64(11);
        let (mut is_found, mut is_held) = (0, 0);
        for _ in 0..times {
            let base = series(200, 1.0, memory, &mut random);
            let new = series(200, scale, memory, &mut random);
            let Some(resampled) = resample(statistic, &[base], &[new], 199) else {
                continue;
            };
            is_found += usize::from(resampled.p_value <= 0.05);
            let (low, high) = resampled.change.unwrap();
            is_held += usize::from(low <= scale - 1.0 && scale - 1.0 <= high);
        }
        (is_found, is_held)
    }

    #[test]
    fn chance_is_found_as_seldom_as_it_should_be() {
        for statistic in [Statistic::Mean, Statistic::Quantile(0.5)] {
            let (is_found, is_held) = found(1.0, 0.0, statistic, 60);
            assert!(is_found <= 7, "{statistic:?}: {is_found} of 60");
            assert!(is_held >= 52, "{statistic:?}: {is_held} of 60");
        }
        // Without blocks a third of them would be found.
        let (is_found, _) = found(1.0, 0.6, Statistic::Mean, 60);
        assert!(is_found <= 10, "{is_found} of 60");
    }

    #[test]
    fn a_shift_of_a_tenth_is_found() {
        let (is_found, is_held) = found(1.1, 0.0, Statistic::Quantile(0.5), 50);
        assert!(is_found >= 48, "{is_found} of 50");
        assert!(is_held >= 43, "{is_held} of 50");
    }

    #[test]
    fn too_little_says_nothing() {
        let mut random = ChaCha8Rng::seed_from_u64(5);
        let few = [series(9, 1.0, 0.0, &mut random)];
        let many = [series(400, 1.0, 0.0, &mut random)];
        assert_eq!(resample(Statistic::Mean, &few, &many, 99), None);
        assert_eq!(resample(Statistic::Quantile(0.99), &many, &many, 99), None);
        assert!(resample(Statistic::Quantile(0.9), &many, &many, 99).is_some());
        assert_eq!(
            resample(Statistic::Mean, &[Series::default()], &many, 99),
            None
        );
    }

    #[test]
    fn the_same_values_do_not_differ() {
        let mut random = ChaCha8Rng::seed_from_u64(5);
        let values = [series(100, 1.0, 0.0, &mut random)];
        for statistic in [Statistic::Mean, Statistic::Quantile(0.5)] {
            let resampled = resample(statistic, &values, &values, 99).unwrap();
            assert_eq!(resampled.p_value, 1.0, "{statistic:?}");
        }
    }

    #[test]
    fn several_tests_are_judged_together() {
        let adjusted = holm(&[0.01, 0.04, 0.03, 0.005]);
        let expected = [0.03, 0.06, 0.06, 0.02];
        for (adjusted, expected) in adjusted.iter().zip(expected) {
            assert!((adjusted - expected).abs() < 1e-12, "{adjusted} {expected}");
        }
        assert_eq!(holm(&[]), [0.0; 0]);
    }
}
