//! Which load to try next: doubling until the SLOs break, then bisection.

/// A load that was tried.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Tried {
    pub(super) level: f64,
    /// Whether the SLOs hold there.
    pub(super) holds: bool,
    /// How near the worst figure is to its limit: 1 is at the limit, 0 far from it.
    pub(super) nearness: f64,
}

/// Below this the limit is far away, and the next step is larger.
const FAR: f64 = 0.5;
const STEP: f64 = 2.0;
const LARGE_STEP: f64 = 4.0;

/// Where capacity is looked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Search {
    pub(super) min: f64,
    pub(super) max: f64,
    /// The largest ratio between the lowest load that breaks and the highest that holds.
    pub(super) precision: f64,
    /// Whether loads are whole numbers.
    pub(super) is_whole: bool,
}

impl Search {
    /// The highest load that holds and the lowest that breaks, as far as there are any. What holds above
    /// one that breaks holds by chance, and does not count.
    pub(super) fn bracket(tried: &[Tried]) -> (Option<f64>, Option<f64>) {
        let broken = tried.iter().filter(|one| !one.holds).map(|one| one.level);
        let broken = broken.reduce(f64::min);
        let held = tried.iter().filter(|one| one.holds).map(|one| one.level);
        let held = held.filter(|level| broken.is_none_or(|broken| *level < broken));
        (held.reduce(f64::max), broken)
    }

    /// The next load to try; `None` if capacity is known as precisely as is wanted.
    pub(super) fn next(&self, tried: &[Tried]) -> Option<f64> {
        let level = match Self::bracket(tried) {
            (None, None) => self.min,
            (None, Some(_)) => return None,
            (Some(held), None) => {
                let last = tried.iter().find(|one| one.level == held)?;
                let step = if last.nearness < FAR {
                    LARGE_STEP
                } else {
                    STEP
                };
                if held >= self.max {
                    return None;
                }
                (held * step).min(self.max)
            }
            (Some(held), Some(broken)) => {
                if broken / held <= self.precision || self.is_whole && broken - held <= 1.0 {
                    return None;
                }
                let middle = (held * broken).sqrt();
                match self.is_whole {
                    true => middle.round().clamp(held + 1.0, broken - 1.0),
                    false => readable(middle),
                }
            }
        };
        Some(level)
    }
}

/// A load of a few digits, which is easier to speak of.
fn readable(level: f64) -> f64 {
    let unit = 10_f64.powi(level.log10().floor() as i32 - 3);
    let rounded = (level / unit).round() * unit;
    // Powers of ten below one are no floats: the text has the digits that are meant.
    format!("{rounded:.6}").parse().unwrap_or(level)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]
        #[test]
        fn capacity_is_found_in_a_dozen_probes(capacity in 1.0_f64..3_000.0, is_whole: bool) {
            let search = Search { min: 1.0, max: 1e5, precision: 1.05, is_whole };
            let mut tried = Vec::new();
            while let Some(level) = search.next(&tried) {
                prop_assert!(tried.iter().all(|one: &Tried| one.level != level));
                tried.push(Tried {
                    level,
                    holds: level <= capacity,
                    nearness: 0.1,
                });
            }
            prop_assert!(tried.len() <= 12, "{tried:?}");
            let (held, broken) = Search::bracket(&tried);
            let (held, broken) = (held.unwrap(), broken.unwrap());
            prop_assert!(held <= capacity && capacity < broken);
            let is_near = capacity / held <= 1.05 || is_whole && held == capacity.floor();
            prop_assert!(is_near, "{held} {capacity}");
        }
    }

    #[test]
    fn the_bounds_end_it() {
        let search = Search {
            min: 4.0,
            max: 10.0,
            precision: 1.05,
            is_whole: true,
        };
        let tried = |level, holds| Tried {
            level,
            holds,
            nearness: 0.9,
        };
        assert_eq!(search.next(&[]), Some(4.0));
        assert_eq!(search.next(&[tried(4.0, false)]), None);
        assert_eq!(search.next(&[tried(4.0, true)]), Some(8.0));
        assert_eq!(
            search.next(&[tried(4.0, true), tried(8.0, true)]),
            Some(10.0)
        );
        assert_eq!(search.next(&[tried(4.0, true), tried(10.0, true)]), None);
        // What holds above what breaks does not count.
        let by_chance = [tried(4.0, true), tried(6.0, false), tried(8.0, true)];
        assert_eq!(Search::bracket(&by_chance), (Some(4.0), Some(6.0)));
        assert_eq!(search.next(&by_chance), Some(5.0));
    }
}
