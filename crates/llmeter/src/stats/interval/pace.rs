//! How evenly amounts come up in time.

use super::batches::Batches;
use super::dependence::MeanError;
use super::{Interval, MIN_VALUES};

/// Events in a slice of time, at least, on average.
const EVENTS_PER_SLICE: u64 = 4;
/// The narrowest slice, in seconds.
const NARROWEST: f64 = 1e-3;
/// There are so many slices at most; beyond, neighbours are joined.
const MAX_SLICES: usize = 512;

/// Sums of amounts in slices of time of the same width, in bounded memory: slices double in width
/// as time goes on. `N` amounts go along with each event.
#[derive(Debug, Clone)]
pub(crate) struct Pace<const N: usize> {
    width: f64,
    slices: Vec<[f64; N]>,
    events: u64,
}

impl<const N: usize> Default for Pace<N> {
    fn default() -> Self {
        Self {
            width: NARROWEST,
            slices: Vec::new(),
            events: 0,
        }
    }
}

impl<const N: usize> Pace<N> {
    /// Takes in an event at `time`, in seconds since some beginning; an earlier one counts as at the
    /// beginning.
    pub(crate) fn push(&mut self, time: f64, amounts: [f64; N]) {
        if !time.is_finite() {
            return;
        }
        self.events += 1;
        while time / self.width >= MAX_SLICES as f64 {
            self.slices = joined(&self.slices, 2);
            self.width *= 2.0;
        }
        let slice = (time / self.width).max(0.0) as usize;
        if self.slices.len() <= slice {
            self.slices.resize(slice + 1, [0.0; N]);
        }
        for (sum, amount) in self.slices[slice].iter_mut().zip(amounts) {
            *sum += amount;
        }
    }

    /// The interval of the rate, a second, of one of the amounts over a window of `window` seconds.
    pub(crate) fn interval(&self, amount: usize, window: f64, level: f64) -> Option<Interval> {
        if self.events < MIN_VALUES as u64 || !(window.is_finite() && window > 0.0) {
            return None;
        }
        // The last slice is not over.
        let (_, complete) = self.slices.split_last()?;
        let wanted = (self.events / EVENTS_PER_SLICE) as usize;
        let size = complete.len().div_ceil(wanted).max(1);
        let sums = joined(complete, size);
        let sums = &sums[..complete.len() / size];
        let sums: Vec<f64> = sums.iter().map(|sums| sums[amount]).collect();
        let error = MeanError::of(&sums)?;
        let (low, high) = error.interval(level);
        let scale = 1.0 / (self.width * size as f64);
        let total: f64 = self.slices.iter().map(|sums| sums[amount]).sum();
        let rate = total / window;
        let low = rate + (low - error.mean) * scale;
        let high = rate + (high - error.mean) * scale;
        // One that reaches down to nothing says nothing: too few slices for how they differ.
        (low > 0.0 || rate == 0.0).then_some(Interval { low, high, level })
    }
}

/// The sums of each `size` neighbours.
fn joined<const N: usize>(slices: &[[f64; N]], size: usize) -> Vec<[f64; N]> {
    let join = |slices: &[[f64; N]]| {
        let mut batch = Batches::default();
        slices.iter().for_each(|slice| batch.push(*slice));
        batch.total()
    };
    slices.chunks(size).map(join).collect()
}
