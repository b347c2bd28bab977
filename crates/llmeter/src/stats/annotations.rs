//! Sums and distributions of the numbers that responses carry as annotations.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::accumulator::Keep;
use super::exact_sum::ExactSum;
use super::percentile::Percentile;
use super::summary::{STANDARD_PERCENTILES, summarize_kind};

/// Names that are told apart; what further names say is not kept.
const MAX_NAMES: usize = 100;
/// Bits of a float that a sketch leaves out: 11 of its mantissa stay, good for three digits.
const DROPPED_BITS: u32 = f64::MANTISSA_DIGITS - 1 - 11;

/// One numeric annotation over all responses that have it, failed ones included.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AnnotationSummary {
    /// Responses that have it.
    pub count: u64,
    /// Their exact sum, rounded once or twice.
    pub sum: f64,
    /// Their mean.
    pub average: f64,
    /// The median.
    pub p50: f64,
    /// The 90th percentile.
    pub p90: f64,
    /// The 99th percentile.
    pub p99: f64,
}

impl AnnotationSummary {
    /// The summary of these numbers, `None` without any. What is not finite is left out.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut series = AnnotationSeries::new(Keep::Values);
        values
            .into_iter()
            .filter(|value| value.is_finite())
            .for_each(|value| series.push(value));
        series.summary()
    }

    /// Mean and percentiles with the names that statistics give them.
    pub fn named(&self) -> [(&'static str, f64); 4] {
        [
            ("average", self.average),
            ("p50", self.p50),
            ("p90", self.p90),
            ("p99", self.p99),
        ]
    }
}

/// The numeric annotations of a run's responses, by name.
#[derive(Debug, Clone, Default)]
pub(crate) struct Annotations {
    keep: Keep,
    by_name: BTreeMap<String, AnnotationSeries>,
}

impl Annotations {
    pub(crate) fn new(keep: Keep) -> Self {
        Self {
            keep,
            by_name: BTreeMap::new(),
        }
    }

    pub(crate) fn record(&mut self, annotations: &Map<String, Value>) {
        for (name, value) in annotations {
            let Some(value) = value.as_f64().filter(|value| value.is_finite()) else {
                continue;
            };
            if let Some(series) = self.by_name.get_mut(name) {
                series.push(value);
            } else if self.by_name.len() < MAX_NAMES {
                let mut series = AnnotationSeries::new(self.keep);
                series.push(value);
                self.by_name.insert(name.clone(), series);
            }
        }
    }

    pub(crate) fn summaries(&mut self) -> BTreeMap<String, AnnotationSummary> {
        self.by_name
            .iter_mut()
            .filter_map(|(name, series)| Some((name.clone(), series.summary()?)))
            .collect()
    }
}

/// The values of one annotation. Unlike a time they may be of any size and sign.
#[derive(Debug, Clone)]
struct AnnotationSeries {
    keep: Keep,
    count: u64,
    sum: ExactSum,
    /// The smallest and the largest value.
    range: (f64, f64),
    /// The values, if they are kept.
    values: Vec<f64>,
    /// In a sketch: how many values there are of each size, by the leading bits of the float.
    counts: BTreeMap<i64, u64>,
}

impl AnnotationSeries {
    fn new(keep: Keep) -> Self {
        Self {
            keep,
            count: 0,
            sum: ExactSum::default(),
            range: (f64::INFINITY, f64::NEG_INFINITY),
            values: Vec::new(),
            counts: BTreeMap::new(),
        }
    }

    fn push(&mut self, value: f64) {
        self.count += 1;
        self.sum.add(value);
        self.range = (self.range.0.min(value), self.range.1.max(value));
        match self.keep {
            Keep::Values => self.values.push(value),
            Keep::Sketches => *self.counts.entry(size_class(value)).or_default() += 1,
        }
    }

    fn summary(&mut self) -> Option<AnnotationSummary> {
        let average = self.sum.mean(self.count)?;
        let (min, max) = self.range;
        let [p50, p90, p99] = match self.keep {
            Keep::Values => {
                // The average comes first.
                let summary = summarize_kind(&mut self.values, &STANDARD_PERCENTILES);
                [1, 2, 3].map(|place| summary.get(place).map_or(average, |(_, at)| at.as_f64()))
            }
            Keep::Sketches => STANDARD_PERCENTILES
                .map(|percentile| at(&self.counts, self.count, percentile).max(min).min(max)),
        };
        Some(AnnotationSummary {
            count: self.count,
            sum: self.sum.value(),
            average,
            p50,
            p90,
            p99,
        })
    }
}

/// The class of a value: in the order of the values, each as wide as three digits allow.
fn size_class(value: f64) -> i64 {
    let size = (value.abs().to_bits() >> DROPPED_BITS) as i64;
    if value < 0.0 { -size - 1 } else { size }
}

/// The value in the middle of a class.
fn middle(class: i64) -> f64 {
    let size = if class < 0 { -class - 1 } else { class } as u64;
    let bits = (size << DROPPED_BITS) | (1 << (DROPPED_BITS - 1));
    let value = f64::from_bits(bits);
    if class < 0 { -value } else { value }
}

fn at(counts: &BTreeMap<i64, u64>, count: u64, percentile: Percentile) -> f64 {
    let rank = (percentile.fraction() * count as f64).ceil() as u64;
    let mut seen = 0;
    for (&class, &of_class) in counts {
        seen += of_class;
        if seen >= rank {
            return if class == 0 { 0.0 } else { middle(class) };
        }
    }
    f64::NAN
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn recorded(keep: Keep, values: impl IntoIterator<Item = f64>) -> AnnotationSummary {
        let mut annotations = Annotations::new(keep);
        for value in values {
            annotations.record(json!({"x": value}).as_object().unwrap());
        }
        annotations.summaries()["x"]
    }

    #[test]
    fn only_finite_numbers_count() {
        let mut annotations = Annotations::default();
        annotations.record(
            json!({"a": 1, "b": "1", "c": true, "d": null, "e": {"f": 1}})
                .as_object()
                .unwrap(),
        );
        let names: Vec<_> = annotations.summaries().into_keys().collect();
        assert_eq!(names, ["a"]);
        assert_eq!(AnnotationSummary::of([]), None);
        assert_eq!(AnnotationSummary::of([f64::NAN, 2.0]).unwrap().count, 1);
    }

    #[test]
    fn names_are_bounded() {
        let mut annotations = Annotations::default();
        for number in 0..1000 {
            let one = json!({format!("n{number}"): 1});
            annotations.record(one.as_object().unwrap());
        }
        assert_eq!(annotations.summaries().len(), MAX_NAMES);
    }

    #[test]
    fn sketches_have_exact_sums_and_three_digits_at_any_size() {
        for scale in [1e-12, 1e-5, 1.0, 1e15, -1e-7] {
            let values = || (1..2000).map(move |step| f64::from(step).sqrt() * scale);
            let exact = recorded(Keep::Values, values());
            let sketch = recorded(Keep::Sketches, values());
            assert_eq!(
                (sketch.count, sketch.sum, sketch.average),
                (exact.count, exact.sum, exact.average)
            );
            for ((name, exact), (_, sketch)) in exact.named().into_iter().zip(sketch.named()) {
                let error = (sketch / exact - 1.0).abs();
                assert!(error < 1e-3, "{name} at {scale}: {error}");
            }
        }
        assert_eq!(recorded(Keep::Sketches, [0.0, 0.0, 0.0]).p99, 0.0);
    }
}
