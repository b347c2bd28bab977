//! Conditions on a comparison.

use super::{Comparison, Difference, Pair};
use crate::experiment::of_clients;
use crate::stats::{Condition, ConditionError, Support};

/// What there is of the figure that a condition is about.
enum Known {
    Interval(f64, f64),
    Value(f64),
    TooLittle,
    Nothing,
}

impl Comparison {
    /// What to say of the pairs that fulfil a condition which must not hold, or of which that cannot be told.
    ///
    /// A change (`ttft-p90 > +10%`) holds if its whole 95 % interval does: the figure is worse by more than
    /// that, whatever chance did. Without an interval the figure itself counts if it is a sum or a price, and
    /// otherwise it cannot be told. Any other condition is one on the new run.
    ///
    /// # Errors
    /// If the condition is about each request.
    pub fn findings(&self, condition: &Condition) -> Result<Vec<String>, ConditionError> {
        condition.check_of_run(true)?;
        let findings = self.pairs.iter().filter_map(|pair| {
            let finding = finding(pair, condition)?;
            let level = pair
                .clients
                .map(|clients| format!(" with {}", of_clients(clients)));
            let which = match self.pairs.iter().any(|other| other.new != pair.new) {
                true => format!(" in {}", pair.new),
                false => String::new(),
            };
            Some(format!(
                "{condition}: {finding}{}{which}",
                level.unwrap_or_default()
            ))
        });
        Ok(findings.collect())
    }
}

fn finding(pair: &Pair, condition: &Condition) -> Option<String> {
    let mut differences = pair.differences.iter();
    let one = differences.find(|one| one.figure == *condition.figure());
    if !condition.is_change() {
        return match one.and_then(|one| one.new) {
            None => Some("the new run has no such figure".to_owned()),
            Some(value) if condition.holds(value) => {
                let support = one.map_or(Support::Full, |one| one.support);
                Some(format!("it is {}", condition.shown_with(value, support)))
            }
            Some(_) => None,
        };
    }
    match known(one) {
        Known::Nothing => Some("the runs do not share this figure".to_owned()),
        Known::TooLittle => Some("there is not enough data to tell".to_owned()),
        Known::Value(change) => condition
            .holds(change)
            .then(|| format!("it changed by {}", percent(change))),
        Known::Interval(low, high) => (condition.holds(low) && condition.holds(high)).then(|| {
            let change = one.and_then(|one| one.change).unwrap_or(f64::NAN);
            let (change, low, high) = (percent(change), percent(low), percent(high));
            format!("it changed by {change} (95 % interval {low} to {high})")
        }),
    }
}

fn known(one: Option<&Difference>) -> Known {
    let Some(one) = one else {
        return Known::Nothing;
    };
    match (one.change_interval, one.change) {
        (Some((low, high)), _) => Known::Interval(low, high),
        (None, Some(change)) => match one.own_interval {
            Some((low, high)) => Known::Interval(low, high),
            // What was asked for and what it cost is one number, and varies with nothing that is known.
            None if one.outcome.is_none() && (one.figure.is_sum() || one.is_listed) => {
                Known::Value(change)
            }
            None => Known::TooLittle,
        },
        // From nothing to nothing is no change, from nothing to something is any.
        (None, None) if one.base == Some(0.0) => match one.difference_interval {
            Some((low, _)) if low > 0.0 => Known::Interval(f64::INFINITY, f64::INFINITY),
            Some(_) => Known::Interval(0.0, 0.0),
            None => Known::TooLittle,
        },
        _ => Known::TooLittle,
    }
}

/// A change with its sign.
fn percent(change: f64) -> String {
    format!("{:+.1} %", change * 100.0)
}
