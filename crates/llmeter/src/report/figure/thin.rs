//! Which of many values a figure keeps.
//!
//! A screen shows some thousand points, and what matters of the others are the ends of their distribution.
//!
//! - **Curves of sorted values** ([`ranks`]): of more than 1,000 values 400 at even distances, the 50 from
//!   either end, and from there on each rank 3 % further from its end than the one before: every tail has its
//!   shape, however far out.
//! - **Clouds of points** ([`points`]): of more than 2,000 points, in each of 60 columns of equal width the five
//!   highest and the two lowest, and of the others every so many-th.
//! - **Times of a run** (timelines): bins of equal width, 200 about, each with its sum, median, 90th percentile
//!   and maximum.

/// A curve of so many values keeps all.
pub const MAX_RANKS: u64 = 1_000;
const EVEN_RANKS: u64 = 400;
const RANKS_AT_ENDS: u64 = 50;
const TAIL_STEP: f64 = 1.03;

/// A cloud of so many points keeps all.
pub const MAX_POINTS: usize = 2_000;
const COLUMNS: usize = 60;
const HIGHEST: usize = 5;
const LOWEST: usize = 2;

/// The ranks, from 0, of so many sorted values that a curve keeps, in order.
///
/// ```
/// # use llmeter::report::figure::thin::ranks;
/// assert_eq!(ranks(3), [0, 1, 2]);
/// let kept = ranks(1_000_000);
/// assert!(kept.len() < 1_600 && kept.ends_with(&[999_997, 999_998, 999_999]));
/// ```
pub fn ranks(count: u64) -> Vec<u64> {
    if count <= MAX_RANKS {
        return (0..count).collect();
    }
    let last = count - 1;
    let even = (0..=EVEN_RANKS).map(|step| {
        let rank = u128::from(step) * u128::from(last) / u128::from(EVEN_RANKS);
        u64::try_from(rank).unwrap_or(last)
    });
    let mut from_end: Vec<u64> = (0..RANKS_AT_ENDS).collect();
    let mut distance = RANKS_AT_ENDS as f64;
    while distance < count as f64 / 2.0 {
        from_end.push(distance as u64);
        distance *= TAIL_STEP;
    }
    let ends = from_end.iter().flat_map(|at| [*at, last - at]);
    let mut ranks: Vec<u64> = even.chain(ends).collect();
    ranks.sort_unstable();
    ranks.dedup();
    ranks
}

/// The points of a cloud that are kept, in the order given.
///
/// ```
/// # use llmeter::report::figure::thin::{MAX_POINTS, points};
/// let mut all: Vec<(f64, f64)> = (0..100_000).map(|at| (f64::from(at % 100), 1.0)).collect();
/// all[77_777].1 = 99.0;
/// let kept = points(&all);
/// assert!(kept.len() <= MAX_POINTS && kept.contains(&(77.0, 99.0)));
/// ```
pub fn points(all: &[(f64, f64)]) -> Vec<(f64, f64)> {
    if all.len() <= MAX_POINTS {
        return all.to_vec();
    }
    let (min, max) = all
        .iter()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(min, max), (x, _)| {
            (min.min(*x), max.max(*x))
        });
    let width = ((max - min) / COLUMNS as f64).max(f64::MIN_POSITIVE);
    let mut columns = vec![Vec::new(); COLUMNS];
    for (at, (x, _)) in all.iter().enumerate() {
        let column = ((x - min) / width) as usize;
        columns[column.min(COLUMNS - 1)].push(at);
    }
    let mut kept = vec![false; all.len()];
    for column in &mut columns {
        column.sort_by(|one, other| all[*one].1.total_cmp(&all[*other].1));
        let lowest = column.iter().take(LOWEST);
        for at in lowest.chain(column.iter().rev().take(HIGHEST)) {
            kept[*at] = true;
        }
    }
    let room = MAX_POINTS - kept.iter().filter(|is_kept| **is_kept).count();
    let others = all.len() - (MAX_POINTS - room);
    let step = others.div_ceil(room.max(1)).max(1);
    let mut other = 0;
    let is_kept = |at: &usize| {
        kept[*at] || {
            other += 1;
            other % step == 0
        }
    };
    let kept: Vec<usize> = (0..all.len()).filter(is_kept).collect();
    kept.into_iter().map(|at| all[at]).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn ends_stay_and_no_rank_is_invented(count in 1..3_000_000_u64) {
            let kept = ranks(count);
            prop_assert!(kept.is_sorted_by(|one, other| one < other));
            prop_assert!(kept.len() <= 1_600);
            for at in 0..count.min(RANKS_AT_ENDS) {
                prop_assert!(kept.binary_search(&at).is_ok());
                prop_assert!(kept.binary_search(&(count - 1 - at)).is_ok());
            }
            prop_assert!(kept.iter().all(|rank| *rank < count));
        }
    }

    #[test]
    fn a_cloud_keeps_its_extremes() {
        let x = |at: usize| (at * 7919 % 10_007) as f64;
        for count in [0, 1, MAX_POINTS, MAX_POINTS + 1, 50_000] {
            let mut all: Vec<_> = (0..count).map(|at| (x(at), x(at * 31))).collect();
            if let Some(last) = all.last_mut() {
                last.1 = 1e6;
            }
            let kept = points(&all);
            assert!(
                kept.len() <= MAX_POINTS && kept.len() >= count.min(MAX_POINTS) / 2,
                "{count}"
            );
            assert_eq!(kept.iter().any(|point| point.1 == 1e6), count > 0);
        }
    }
}
