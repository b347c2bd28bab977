//! The figures that two runs share, and how each differs.

use super::between::Between;
use super::figures::{self, Better, Compared};
use super::measured::Level;
use super::resample::{Resampled, resample};
use super::{Difference, Outcome, Spread};
use crate::stats::{Figure, Interval, Percentile, least_support};

/// The figures that two runs share.
pub(super) fn differences(base: &Level, new: &Level, rounds: usize) -> Vec<Difference> {
    let compared = figures::all(&base.all_stats()).into_iter();
    let mut differences: Vec<_> = compared
        .filter_map(|one| difference(&one, base, new, rounds))
        .collect();
    for at in 0..differences.len() {
        let one = &differences[at];
        let places = differences.iter().enumerate();
        // Of two the headline figure is the original, else the first.
        let original = places
            .filter(|(place, other)| {
                other.is_headline && !one.is_headline
                    || other.is_headline == one.is_headline && *place < at
            })
            .find(|(_, other)| one.is_same_as(other) && other.repeats.is_none());
        let original = original.map(|(_, other)| other.figure.clone());
        differences[at].repeats = original;
    }
    differences
}

fn difference(compared: &Compared, base: &Level, new: &Level, rounds: usize) -> Option<Difference> {
    let figure = &compared.figure;
    let (of_base, of_new) = (base.spread(figure)?, new.spread(figure)?);
    let (one, other) = (of_base.mean, of_new.mean);
    let drawn = base.series(compared).zip(new.series(compared));
    let is_drawn = drawn.is_some();
    let percentile = figure.statistic().and_then(Percentile::named);
    let support = drawn
        .as_ref()
        .zip(percentile)
        .and_then(|(drawn, percentile)| {
            let ((_, base), (_, new)) = drawn;
            let fewest = base.iter().chain(new).map(|one| one.values.len()).min()?;
            Some(percentile.support(fewest as u64))
        });
    let within =
        drawn.and_then(|((statistic, base), (_, new))| resample(statistic, &base, &new, rounds));
    let between = Between::of(&of_base.values, &of_new.values);
    let certainty = Certainty::of((one, other), within, between);
    Some(Difference {
        figure: figure.clone(),
        is_headline: compared.is_headline,
        base: Some(one),
        new: Some(other),
        difference: Some(other - one),
        difference_interval: certainty.difference,
        change: (one > 0.0).then(|| other / one - 1.0),
        change_interval: certainty.change,
        spread: certainty.spread,
        // A sum or a price is no figure that comparisons stand or fall by, repeated or not.
        p_value: certainty.p_value.filter(|_| is_drawn),
        adjusted_p_value: None,
        block_length: within.map(|one| one.block_length),
        outcome: (is_drawn && compared.better != Better::Neither).then_some(Outcome::NotEnoughData),
        support: support.unwrap_or_else(|| {
            let runs = base.runs().iter().chain(new.runs());
            least_support(runs.map(|run| figure.support_in(&run.stats)))
        }),
        repeats: None,
        better: compared.better,
        is_rate: compared.is_rate(),
        is_listed: compared.is_listed,
        own_interval: own_interval(figure, base, new),
        least: compared.least,
    })
}

/// How sure a difference is.
#[derive(Debug, Default)]
struct Certainty {
    difference: Option<(f64, f64)>,
    change: Option<(f64, f64)>,
    p_value: Option<f64>,
    spread: Option<Spread>,
}

impl Certainty {
    /// Of the means of both, by what requests tell and by what repeats tell.
    fn of((one, other): (f64, f64), within: Option<Resampled>, between: Option<Between>) -> Self {
        let difference = other - one;
        let Some(between) = between else {
            return within.map_or_else(Self::default, |within| Self {
                difference: Some(within.difference),
                change: within.change,
                p_value: Some(within.p_value),
                spread: Some(Spread::Requests),
            });
        };
        let p_value = within.map_or(0.0, |one| one.p_value).max(between.p_value);
        let is_wider = |within: &Resampled| {
            let (low, high) = within.difference;
            (high - low) / 2.0 > between.half_width
        };
        match within {
            // The mean of the figures of several runs is a little beside that of all their requests.
            Some(within) if is_wider(&within) => {
                let (of_base, of_new) = within.observed;
                let about = |(low, high): (f64, f64), by: f64| (low + by, high + by);
                let by = difference - (of_new - of_base);
                let change_by = other / one - of_new / of_base;
                Self {
                    difference: Some(about(within.difference, by)),
                    change: within.change.map(|change| about(change, change_by)),
                    p_value: Some(p_value),
                    spread: Some(Spread::Requests),
                }
            }
            // Repeats that are all alike, of too few requests, show nothing.
            None if between.half_width == 0.0 => Self::default(),
            _ => {
                let about = |middle: f64, half: f64| (middle - half, middle + half);
                let change = between.change_half_width;
                Self {
                    difference: Some(about(difference, between.half_width)),
                    change: change.map(|half| about(other / one - 1.0, half)),
                    p_value: Some(p_value),
                    spread: Some(Spread::Repeats),
                }
            }
        }
    }
}

/// The interval of the change as the intervals that both runs have by themselves make it: relative errors of
/// independent figures add up by their squares (the delta method).
fn own_interval(figure: &Figure, base: &Level, new: &Level) -> Option<(f64, f64)> {
    let of = |level: &Level| {
        let spread = level.spread(figure)?;
        let interval = match level.runs() {
            [run] => Interval::read(&run.stats, &figure.key()),
            _ => spread.interval(),
        }?;
        (spread.mean > 0.0 && interval.low > 0.0).then_some((spread.mean, interval))
    };
    let ((one, of_one), (other, of_other)) = (of(base)?, of(new)?);
    let width = |low: f64, high: f64| (low.powi(2) + high.powi(2)).sqrt();
    let middle = (other / one).ln();
    let down = width((other / of_other.low).ln(), (of_one.high / one).ln());
    let up = width((of_other.high / other).ln(), (one / of_one.low).ln());
    Some(((middle - down).exp_m1(), (middle + up).exp_m1()))
}
