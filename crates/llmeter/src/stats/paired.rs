//! Paired differences that are looked at while they come.
//!
//! Each test is a randomization test by signs (R. A. Fisher, *The Design of Experiments*, 1935, §21): where
//! the order within a pair was drawn at random and the two do not differ, each difference could as well have
//! had the other sign. It is exact, whatever the distribution. Looking several times is paid for by alpha
//! spending (K. K. G. Lan and D. L. DeMets, *Discrete sequential boundaries for clinical trials*, Biometrika
//! 70, 1983): the k-th look may be wrong with probability α / (k (k + 1)), which sums to α over any number
//! of looks.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Differences at the first look.
const FIRST_LOOK: usize = 8;
/// Differences up to which all signs are tried.
const MAX_EXACT: usize = 13;
/// The share by which numbers that are the same may differ for rounding.
const SAME: f64 = 1e-9;
/// Signs that are drawn beyond that.
const DRAWN: usize = 9_999;

/// What differences say so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// They are below 0.
    Lower,
    /// They are above 0.
    Higher,
    /// They are within the margin.
    NoDifference,
    /// Not known yet.
    Open,
}

/// What a sequence of paired differences says, peeking accounted for.
#[derive(Debug, Clone, PartialEq)]
pub struct PairedAnalysis {
    /// The answer.
    pub answer: Answer,
    /// How many differences it rests on: no more than were there at the look that gave the answer.
    pub differences: usize,
    /// Looks that were taken.
    pub looks: usize,
    /// The mean difference.
    pub mean: f64,
    /// The interval of the mean that holds at all looks together with probability 1 − α; `None` as long as
    /// there are too few differences for one.
    pub interval: Option<(f64, f64)>,
    /// The probability of error that the last look had.
    pub spent: f64,
}

/// Analyses differences in the order in which they came: at the 8th, and whenever there are a third more.
/// It ends at the look that shows a difference from 0, or that the mean is within `margin` (its bounds below
/// and above 0). With `is_last`, what came since the last look has a look of its own.
///
/// `None` without differences.
pub fn analyse_pairs(
    differences: &[f64],
    alpha: f64,
    margin: (f64, f64),
    is_last: bool,
) -> Option<PairedAnalysis> {
    let mut last = PairedAnalysis {
        answer: Answer::Open,
        differences: differences.len(),
        looks: 0,
        mean: mean(differences)?,
        interval: None,
        spent: 0.0,
    };
    let mut next = FIRST_LOOK;
    loop {
        let at = match next <= differences.len() {
            true => next,
            false if is_last && last.differences_seen(differences.len()) => differences.len(),
            false => break,
        };
        let look = last.looks as f64 + 1.0;
        let spent = alpha / (look * (look + 1.0));
        let seen = &differences[..at];
        let interval = interval(seen, spent);
        last = PairedAnalysis {
            answer: answer(interval, margin),
            differences: at,
            looks: last.looks + 1,
            mean: mean(seen)?,
            interval,
            spent,
        };
        if last.answer != Answer::Open || at == differences.len() {
            break;
        }
        next += next.div_ceil(3);
    }
    Some(last)
}

impl PairedAnalysis {
    /// Whether there is something that the last look has not seen.
    fn differences_seen(&self, all: usize) -> bool {
        self.looks == 0 || self.differences < all
    }
}

fn answer(interval: Option<(f64, f64)>, (below, above): (f64, f64)) -> Answer {
    match interval {
        Some((_, high)) if high < 0.0 => Answer::Lower,
        Some((low, _)) if low > 0.0 => Answer::Higher,
        Some((low, high)) if low > below && high < above => Answer::NoDifference,
        _ => Answer::Open,
    }
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// The means that the test by signs does not reject with this probability of error; `None` where there are
/// too few differences to reject any.
pub(crate) fn interval(differences: &[f64], alpha: f64) -> Option<(f64, f64)> {
    let mean = mean(differences)?;
    let signs = Signs::new(differences);
    let spread = differences.iter().map(|value| (value - mean).abs());
    let spread = spread.fold(0.0, f64::max);
    if spread <= SAME * mean.abs() {
        // All alike: nothing else is possible, once enough of them are.
        let is_enough = signs.least_probability() <= alpha;
        return is_enough.then_some((mean, mean));
    }
    let bound = |side: f64| {
        // Far enough away every test rejects that can.
        let mut far = spread;
        while signs.probability(mean + side * far) > alpha {
            far *= 2.0;
            if far > spread * 1e6 {
                return None;
            }
        }
        let mut near = 0.0;
        for _ in 0..40 {
            let middle = (near + far) / 2.0;
            match signs.probability(mean + side * middle) > alpha {
                true => near = middle,
                false => far = middle,
            }
        }
        Some(mean + side * far)
    };
    Some((bound(-1.0)?, bound(1.0)?))
}

/// Sums of differences with other signs: all of them, or a fixed draw.
struct Signs {
    /// For each, the sum of the differences and that of the signs.
    sums: Vec<(f64, f64)>,
    total: f64,
    count: f64,
    is_exact: bool,
}

impl Signs {
    fn new(differences: &[f64]) -> Self {
        let count = differences.len();
        let is_exact = count <= MAX_EXACT;
        let sums_of = |mut is_minus: Box<dyn FnMut(usize) -> bool>| {
            let signed = differences
                .iter()
                .enumerate()
                .map(|(at, value)| match is_minus(at) {
                    true => (-value, -1.0),
                    false => (*value, 1.0),
                });
            signed.fold((0.0, 0.0), |(sum, signs), (value, sign)| {
                (sum + value, signs + sign)
            })
        };
        let sums = match is_exact {
            true => (0..1_usize << count)
                .map(|bits| sums_of(Box::new(move |at| bits >> at & 1 == 1)))
                .collect(),
            false => {
                // The same draw each time, so that a result has the same answer whenever it is loaded.
                let mut random = ChaCha8Rng::seed_from_u64(0);
                (0..DRAWN)
                    .map(|_| {
                        let words: Vec<u64> =
                            (0..count.div_ceil(64)).map(|_| random.next_u64()).collect();
                        sums_of(Box::new(move |at| words[at / 64] >> (at % 64) & 1 == 1))
                    })
                    .collect()
            }
        };
        Self {
            sums,
            total: differences.iter().sum(),
            count: count as f64,
            is_exact,
        }
    }

    /// The probability of a sum at least as far from what it would be if the mean were `mean`.
    fn probability(&self, mean: f64) -> f64 {
        let seen = (self.total - mean * self.count).abs();
        // What is the same sum in another order must count.
        let least = seen - SAME * (seen + self.total.abs());
        let sums = self.sums.iter();
        let as_far = sums
            .filter(|(sum, signs)| (sum - mean * signs).abs() >= least)
            .count() as f64;
        match self.is_exact {
            true => as_far / self.sums.len() as f64,
            // The one that was seen is one of all.
            false => (as_far + 1.0) / (self.sums.len() as f64 + 1.0),
        }
    }

    /// The least that [`probability`](Self::probability) can be.
    fn least_probability(&self) -> f64 {
        match self.is_exact {
            true => 2.0 / self.sums.len() as f64,
            false => 1.0 / (self.sums.len() as f64 + 1.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers about 0 of a standard deviation of 1, by the sum of uniform ones.
    fn noise(random: &mut ChaCha8Rng) -> f64 {
        let uniform = |random: &mut ChaCha8Rng| f64::from(random.next_u32()) / f64::from(u32::MAX);
        (0..12).map(|_| uniform(random)).sum::<f64>() - 6.0
    }

    fn draw(seed: u64, count: usize, shift: f64) -> Vec<f64> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        (0..count).map(|_| shift + noise(&mut random)).collect()
    }

    #[test]
    fn the_test_by_signs_is_that_of_fisher() {
        // Darwin's maize: differences of 15 pairs, in eighths of an inch. Of 32,768 sums 1,726 are as far.
        let maize = [
            49.0, -67.0, 8.0, 16.0, 6.0, 23.0, 28.0, 41.0, 14.0, 29.0, 56.0, 24.0, 75.0, 60.0,
            -48.0,
        ];
        let mut signs = Signs::new(&maize[..13]);
        assert!(signs.is_exact);
        signs = Signs::new(&maize);
        let drawn = signs.probability(0.0);
        assert!((drawn - 1726.0 / 32768.0).abs() < 0.01, "{drawn}");
        // All of three are as far, or all the other way.
        assert_eq!(Signs::new(&[1.0, 2.0, 3.0]).probability(0.0), 0.25);
    }

    #[test]
    fn peeking_does_not_find_what_is_not_there() {
        let wrong = (0..100).filter(|seed| {
            let same = draw(*seed, 30, 0.0);
            // Without a margin, only a difference ends it.
            let analysis = analyse_pairs(&same, 0.05, (0.0, 0.0), true).unwrap();
            matches!(analysis.answer, Answer::Lower | Answer::Higher)
        });
        let wrong = wrong.count();
        assert!(wrong <= 7, "{wrong} of 100");
    }

    #[test]
    fn what_is_there_is_found_and_told_from_the_same() {
        let higher = analyse_pairs(&draw(1, 100, 2.0), 0.05, (-0.5, 0.5), true).unwrap();
        assert_eq!(higher.answer, Answer::Higher);
        assert!(higher.differences < 30, "{higher:?}");
        let (low, high) = higher.interval.unwrap();
        assert!(low < 2.0 && high > 2.0 && low < higher.mean && higher.mean < high);
        let lower = analyse_pairs(&draw(1, 100, -2.0), 0.05, (-0.5, 0.5), true).unwrap();
        assert_eq!(lower.answer, Answer::Lower);
        let same = analyse_pairs(&draw(3, 400, 0.0), 0.05, (-0.5, 0.5), true).unwrap();
        assert_eq!(same.answer, Answer::NoDifference);
    }

    #[test]
    fn few_differences_say_nothing_and_the_last_ones_are_looked_at() {
        assert_eq!(analyse_pairs(&[], 0.05, (-0.1, 0.1), true), None);
        let few = analyse_pairs(&draw(1, 5, 9.0), 0.05, (-0.1, 0.1), true).unwrap();
        assert_eq!((few.answer, few.looks), (Answer::Open, 1));
        let early = analyse_pairs(&draw(1, 9, 0.0), 0.05, (0.0, 0.0), false).unwrap();
        assert_eq!((early.looks, early.differences), (1, 8));
        let last = analyse_pairs(&draw(1, 9, 0.0), 0.05, (0.0, 0.0), true).unwrap();
        assert_eq!((last.looks, last.differences), (2, 9));
        let mut rounded = [2.3; 8];
        rounded[3] += 1e-15;
        let alike = analyse_pairs(&rounded, 0.05, (-0.1, 0.1), false).unwrap();
        assert_eq!((alike.answer, alike.differences), (Answer::Higher, 8));
        let alike = analyse_pairs(&[0.0; 8], 0.05, (-0.1, 0.1), false).unwrap();
        assert_eq!(alike.answer, Answer::NoDifference);
    }
}
