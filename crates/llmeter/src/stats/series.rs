//! The values of one metric over a run.

use super::accumulator::Keep;
use super::measure::Measure;
use super::percentile::Percentile;
use super::sketch::Sketch;
use super::summary::{Number, summarize_kind};

/// Up to this many kept values, a snapshot sorts them; beyond, it uses a sketch.
const SNAPSHOT_EXACT: u64 = 4096;

/// The values of one metric: kept, or counted in a sketch.
#[derive(Debug, Clone)]
pub(crate) struct Series<M: Measure> {
    /// `None` in low memory.
    kept: Option<Vec<M>>,
    sketch: Option<Sketch<M>>,
    /// How many of the kept values the sketch has seen: always the first ones.
    sketched: usize,
}

impl<M: Measure> Series<M> {
    pub(crate) fn new(keep: Keep) -> Self {
        let is_sketched = keep == Keep::Sketches;
        Self {
            kept: (!is_sketched).then(Vec::new),
            sketch: is_sketched.then(Sketch::new),
            sketched: 0,
        }
    }

    #[inline]
    pub(crate) fn push(&mut self, value: M) {
        self.push_times(value, 1);
    }

    /// Takes in a value that stands for `times` values.
    #[inline]
    pub(crate) fn push_times(&mut self, value: M, times: u64) {
        if !value.is_usable() {
            return;
        }
        match (&mut self.kept, &mut self.sketch) {
            (Some(kept), _) if times == 1 => kept.push(value),
            (Some(kept), _) => kept.extend((0..times).map(|_| value)),
            (None, Some(sketch)) => sketch.record_times(value, times),
            (None, None) => {}
        }
    }

    pub(crate) fn len(&self) -> u64 {
        match (&self.kept, &self.sketch) {
            (Some(kept), _) => kept.len() as u64,
            (None, Some(sketch)) => sketch.count(),
            (None, None) => 0,
        }
    }

    /// The values in time order; `None` in low memory.
    pub(crate) fn kept(&self) -> Option<&[M]> {
        self.kept.as_deref()
    }

    /// The summary: at the end exact if the values were kept, for a snapshot at a cost that depends
    /// on what came since the last one.
    pub(crate) fn summary(
        &mut self,
        percentiles: &[Percentile],
        is_snapshot: bool,
    ) -> Vec<(String, Number)> {
        let is_short = self.sketch.is_none() && self.len() <= SNAPSHOT_EXACT;
        let is_exact = !is_snapshot || is_short;
        if !is_exact {
            self.sketch.get_or_insert_with(Sketch::new);
        }
        if let (Some(kept), Some(sketch)) = (&self.kept, &mut self.sketch) {
            for &value in &kept[self.sketched..] {
                sketch.record(value);
            }
            self.sketched = kept.len();
        }
        match (&self.kept, &self.sketch) {
            // They stay in time order, which intervals need.
            (Some(kept), _) if is_exact => summarize_kind(&mut kept.clone(), percentiles),
            (_, Some(sketch)) => sketch.summarize(percentiles),
            _ => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snapshots_and_reordering_do_not_disturb_the_end() {
        let mut series = Series::new(Keep::Values);
        let mut plain = Vec::new();
        for step in 0..20_000_u32 {
            let value = f64::from(step.wrapping_mul(2_654_435_761) % 10_000) * 1e-4 + 0.001;
            series.push(value);
            plain.push(value);
            if step % 3000 == 0 {
                let snapshot = series.summary(&[Percentile::P50], true);
                let exact = summarize_kind(&mut plain.clone(), &[Percentile::P50]);
                assert_eq!(snapshot[0], exact[0], "the average is exact");
                let (snapshot, exact) = (snapshot[1].1.as_f64(), exact[1].1.as_f64());
                assert!(
                    (snapshot - exact).abs() <= exact * 2e-3 + 1e-4,
                    "{snapshot} {exact}"
                );
                series.summary(&[Percentile::P99], false);
            }
        }
        let percentiles = [Percentile::P50, Percentile::P99_9];
        assert_eq!(
            series.summary(&percentiles, false),
            summarize_kind(&mut plain, &percentiles)
        );
    }

    #[test]
    fn a_sketch_is_good_to_three_digits() {
        let mut sketched = Series::new(Keep::Sketches);
        let mut kept = Series::new(Keep::Values);
        for step in 1..100_000_u32 {
            let value = f64::from(step).sqrt() * 1e-3;
            sketched.push(value);
            kept.push(value);
        }
        let percentiles = [Percentile::P50, Percentile::P90, Percentile::P99_9];
        let (sketched, kept) = (
            sketched.summary(&percentiles, false),
            kept.summary(&percentiles, false),
        );
        assert_eq!(sketched[0], kept[0], "the average is exact");
        for ((name, sketched), (_, kept)) in sketched.iter().zip(&kept) {
            let error = (sketched.as_f64() / kept.as_f64() - 1.0).abs();
            assert!(error < 1e-3, "{name}: {error}");
        }
    }
}
