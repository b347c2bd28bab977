//! Which percentile, and where it lies among sorted values.

use std::cmp::Ordering;
use std::fmt;

/// With fewer values beyond it, a percentile is marked.
const FEW_BEYOND: u64 = 5;

/// How far a sample carries a percentile. One rule for everything that shows one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Support {
    /// No value lies beyond it, so that it says no more than the largest value: it is not shown.
    None,
    /// Fewer than five values lie beyond it: it is shown with a mark.
    Weak,
    /// It is shown as it is.
    Full,
}

/// A percentile: a whole one from 1 to 99, or 99.9.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Percentile {
    tenths: u16,
}

impl Percentile {
    /// The median.
    pub const P50: Self = Self { tenths: 500 };
    /// Nine of ten values are at or below it.
    pub const P90: Self = Self { tenths: 900 };
    /// 19 of 20 values are at or below it.
    pub const P95: Self = Self { tenths: 950 };
    /// 99 of 100 values are at or below it.
    pub const P99: Self = Self { tenths: 990 };
    /// 999 of 1000 values are at or below it.
    pub const P99_9: Self = Self { tenths: 999 };

    /// A whole percentile; `None` unless from 1 to 99.
    pub const fn whole(percent: u8) -> Option<Self> {
        match percent {
            1..=99 => Some(Self {
                tenths: percent as u16 * 10,
            }),
            _ => None,
        }
    }

    /// The one of this name, like `p99`; `None` for another statistic.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let known = [Self::P50, Self::P90, Self::P95, Self::P99, Self::P99_9];
        known.into_iter().find(|known| known.to_string() == name)
    }

    /// How many of `count` values lie beyond it, on the side that has fewer.
    pub fn beyond(self, count: u64) -> u64 {
        let beyond = u128::from(self.tenths.min(1000 - self.tenths));
        u64::try_from(u128::from(count) * beyond / 1000).unwrap_or(u64::MAX)
    }

    /// How far a sample of `count` values carries it.
    pub fn support(self, count: u64) -> Support {
        match self.beyond(count) {
            0 => Support::None,
            1..FEW_BEYOND => Support::Weak,
            _ => Support::Full,
        }
    }

    /// The part of the values at or below it, from 0 to 1.
    pub fn fraction(self) -> f64 {
        f64::from(self.tenths) / 1000.0
    }

    /// The smallest fraction among fourths, tenths, hundredths and thousandths.
    fn reduced(self) -> (u64, u64) {
        let tenths = u64::from(self.tenths);
        for base in [4, 10, 100] {
            if tenths * base % 1000 == 0 {
                return (tenths * base / 1000, base);
            }
        }
        (tenths, 1000)
    }

    /// Where it lies among `count` sorted values, by the "exclusive" method. Needs two values.
    pub(crate) fn place(self, count: usize) -> Place {
        if self == Self::P50 {
            // The median has its own rule, which agrees but for rounding.
            return if count % 2 == 1 {
                Place {
                    lower: count / 2,
                    weights: None,
                }
            } else {
                Place {
                    lower: count / 2 - 1,
                    weights: Some((1, 1, 2)),
                }
            };
        }
        let (index, base) = self.reduced();
        let count = count as u64;
        let position = index * (count + 1);
        let rank = (position / base).clamp(1, count - 1);
        let delta = position as i64 - (rank * base) as i64;
        Place {
            lower: rank as usize - 1,
            weights: Some((base as i64 - delta, delta, base as i64)),
        }
    }
}

impl fmt::Display for Percentile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.tenths / 10, self.tenths % 10) {
            (whole, 0) => write!(f, "p{whole}"),
            (whole, tenth) => write!(f, "p{whole}.{tenth}"),
        }
    }
}

/// A place among sorted values: one of them, or between two neighbours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// The lower neighbour, counted from 0.
    pub(crate) lower: usize,
    /// Weight of the lower and of the upper neighbour, and their sum.
    pub(crate) weights: Option<(i64, i64, i64)>,
}

/// Puts the values at `ranks` (ascending) where sorting would put them.
pub(crate) fn select<T>(data: &mut [T], ranks: &[usize], compare: &impl Fn(&T, &T) -> Ordering) {
    select_from(data, 0, ranks, compare);
}

fn select_from<T>(
    data: &mut [T],
    offset: usize,
    ranks: &[usize],
    compare: &impl Fn(&T, &T) -> Ordering,
) {
    if ranks.is_empty() || data.len() < 2 {
        return;
    }
    let middle = ranks.len() / 2;
    let rank = ranks[middle] - offset;
    let (below, _, above) = data.select_nth_unstable_by(rank, compare);
    select_from(below, offset, &ranks[..middle], compare);
    select_from(above, offset + rank + 1, &ranks[middle + 1..], compare);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_and_limits() {
        assert_eq!(Percentile::P50.to_string(), "p50");
        assert_eq!(Percentile::P99_9.to_string(), "p99.9");
        assert_eq!(Percentile::whole(95), Some(Percentile::P95));
        assert_eq!(Percentile::whole(0), None);
        assert_eq!(Percentile::whole(100), None);
        for (name, weak, full) in [
            ("p50", 2, 10),
            ("p90", 10, 50),
            ("p95", 20, 100),
            ("p99", 100, 500),
            ("p99.9", 1_000, 5_000),
        ] {
            let percentile = Percentile::named(name).unwrap();
            assert_eq!(percentile.support(weak - 1), Support::None);
            assert_eq!(percentile.support(weak), Support::Weak);
            assert_eq!(percentile.support(full - 1), Support::Weak);
            assert_eq!(percentile.support(full), Support::Full);
        }
        assert_eq!(Percentile::named("average"), None);
    }

    proptest! {
        #[test]
        fn selecting_agrees_with_sorting(
            mut data in prop::collection::vec(0_i64..50, 1..200),
            picks in prop::collection::btree_set(0_usize..200, 0..8),
        ) {
            let ranks: Vec<usize> = picks.into_iter().filter(|&rank| rank < data.len()).collect();
            let mut sorted = data.clone();
            sorted.sort_unstable();
            select(&mut data, &ranks, &i64::cmp);
            for rank in ranks {
                prop_assert_eq!(data[rank], sorted[rank]);
            }
        }
    }
}
