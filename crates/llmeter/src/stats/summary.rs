//! The summary of a list of numbers: its average and some percentiles.

use serde_json::Value;

use super::measure::Measure;
use super::percentile::{Percentile, select};

/// The percentiles that every metric has.
pub const STANDARD_PERCENTILES: [Percentile; 3] =
    [Percentile::P50, Percentile::P90, Percentile::P99];

/// A number that stays whole if it is whole.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Number {
    /// A whole number.
    Int(i64),
    /// Any other.
    Float(f64),
}

impl Number {
    /// As a float.
    pub fn as_f64(self) -> f64 {
        match self {
            Self::Int(int) => int as f64,
            Self::Float(float) => float,
        }
    }
}

impl From<Number> for Value {
    /// What is not finite has no JSON form and becomes null.
    fn from(number: Number) -> Self {
        match number {
            Number::Int(int) => int.into(),
            Number::Float(float) => float.into(),
        }
    }
}

/// The average and percentiles of a list, under the keys `average`, `p50`, …
///
/// NaN is removed; an empty list gives nothing. The average is the exactly rounded mean, whole if
/// whole numbers divide evenly. Percentiles follow the "exclusive" method, but never leave the
/// range of the data.
pub fn summarize(data: &[Number], percentiles: &[Percentile]) -> Vec<(String, Number)> {
    let usable = data.iter().filter(|number| number.as_f64().is_usable());
    let whole: Option<Vec<i64>> = usable
        .clone()
        .map(|number| match number {
            Number::Int(int) => Some(*int),
            Number::Float(_) => None,
        })
        .collect();
    match whole {
        Some(mut whole) => summarize_kind(&mut whole, percentiles),
        None => {
            let mut floats: Vec<f64> = usable.map(|number| number.as_f64()).collect();
            summarize_kind(&mut floats, percentiles)
        }
    }
}

/// [`summarize`] for one kind of usable values. Reorders them.
pub(crate) fn summarize_kind<M: Measure>(
    data: &mut [M],
    percentiles: &[Percentile],
) -> Vec<(String, Number)> {
    let Some(first) = data.first().copied() else {
        return Vec::new();
    };
    let mut sum = M::Sum::default();
    for value in &*data {
        value.add_to(&mut sum);
    }
    let average = M::mean(&sum, data.len() as u64);
    let mut summary = vec![("average".to_owned(), average)];
    if data.len() == 1 {
        summary.extend(percentiles.iter().map(|p| (p.to_string(), first.number())));
        return summary;
    }

    let last = data.len() - 1;
    let mut ranks = vec![0, last];
    for percentile in percentiles {
        let lower = percentile.place(data.len()).lower;
        ranks.extend([lower, (lower + 1).min(last)]);
    }
    ranks.sort_unstable();
    ranks.dedup();
    select(data, &ranks, &M::compare);

    let (min, max) = (data[0].number().as_f64(), data[last].number().as_f64());
    for percentile in percentiles {
        let place = percentile.place(data.len());
        let value = match place.weights {
            None => data[place.lower].number(),
            Some(weights) => {
                let value = M::between(data[place.lower], data[place.lower + 1], weights);
                // Not `clamp`, which panics if the bounds are NaN.
                Number::Float(value.max(min).min(max))
            }
        };
        summary.push((percentile.to_string(), value));
    }
    summary
}

#[cfg(test)]
mod tests {
    use super::*;

    fn floats(data: &[f64]) -> Vec<Number> {
        data.iter().copied().map(Number::Float).collect()
    }

    #[test]
    fn nothing_gives_nothing() {
        assert_eq!(summarize(&[], &STANDARD_PERCENTILES), []);
        assert_eq!(summarize(&floats(&[f64::NAN]), &STANDARD_PERCENTILES), []);
    }

    #[test]
    fn one_value_is_all() {
        let summary = summarize(&[Number::Int(3)], &[Percentile::P99_9]);
        assert_eq!(
            summary,
            [
                ("average".to_owned(), Number::Int(3)),
                ("p99.9".to_owned(), Number::Int(3))
            ]
        );
    }

    #[test]
    fn percentiles_stay_within_the_data() {
        let summary = summarize(&floats(&[1.0, 2.0]), &STANDARD_PERCENTILES);
        let values: Vec<f64> = summary.iter().map(|(_, value)| value.as_f64()).collect();
        assert_eq!(values, [1.5, 1.5, 2.0, 2.0]);
    }
}
