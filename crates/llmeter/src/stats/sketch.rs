//! A distribution in constant memory.

use hdrhistogram::Histogram;

use super::measure::Measure;
use super::percentile::Percentile;
use super::summary::Number;

/// Digits that a percentile from a sketch is good for.
const DIGITS: u8 = 3;

/// Counts values by size, to three digits; sum, count, min and max are exact.
#[derive(Clone)]
pub(crate) struct Sketch<M: Measure> {
    /// `None` only if the histogram could not be made, which no valid setting does.
    counts: Option<Histogram<u64>>,
    sum: M::Sum,
    count: u64,
    range: Option<(M, M)>,
}

impl<M: Measure> Sketch<M> {
    pub(crate) fn new() -> Self {
        let mut counts = Histogram::new(DIGITS).ok();
        if let Some(counts) = &mut counts {
            counts.auto(true);
        }
        Self {
            counts,
            sum: M::Sum::default(),
            count: 0,
            range: None,
        }
    }

    #[inline]
    pub(crate) fn record(&mut self, value: M) {
        self.record_times(value, 1);
    }

    /// Counts a value `times` times.
    #[inline]
    pub(crate) fn record_times(&mut self, value: M, times: u64) {
        self.count += times;
        value.add_times_to(&mut self.sum, times);
        let (min, max) = self.range.get_or_insert((value, value));
        if value.compare(min).is_lt() {
            *min = value;
        } else if value.compare(max).is_gt() {
            *max = value;
        }
        if let Some(counts) = &mut self.counts {
            // Values beyond 2^62 units (a century of nanoseconds) count as that.
            let units = value.to_units().min(1 << 62);
            if counts.record_n(units, times).is_err() {
                counts.saturating_record_n(units, times);
            }
        }
    }

    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    pub(crate) fn summarize(&self, percentiles: &[Percentile]) -> Vec<(String, Number)> {
        let Some((min, max)) = self.range else {
            return Vec::new();
        };
        let mut summary = vec![("average".to_owned(), M::mean(&self.sum, self.count))];
        let Some(counts) = &self.counts else {
            return summary;
        };
        let (min, max) = (min.number().as_f64(), max.number().as_f64());
        for percentile in percentiles {
            let units = counts.value_at_quantile(percentile.fraction());
            let value = M::from_units(counts.median_equivalent(units));
            summary.push((
                percentile.to_string(),
                Number::Float(value.max(min).min(max)),
            ));
        }
        summary
    }
}

impl<M: Measure> std::fmt::Debug for Sketch<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sketch")
            .field("count", &self.count)
            .finish_non_exhaustive()
    }
}
