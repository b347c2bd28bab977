//! Sums of consecutive values in bounded memory.

/// There are so many batches at most; one more, and neighbours are joined.
const MAX_BATCHES: usize = 512;

/// Sums of batches of consecutive values, all of the same size but for the last.
///
/// Batches double in size as values come, so that a run of any length has some hundreds of them.
/// `N` amounts go along with each value.
#[derive(Debug, Clone)]
pub(crate) struct Batches<const N: usize> {
    size: u64,
    sums: Vec<[f64; N]>,
    open: [f64; N],
    in_open: u64,
    total: [f64; N],
    count: u64,
    /// The smallest and the largest of the values whose mean is wanted.
    range: [f64; 2],
}

impl<const N: usize> Default for Batches<N> {
    fn default() -> Self {
        Self {
            size: 1,
            sums: Vec::new(),
            open: [0.0; N],
            in_open: 0,
            total: [0.0; N],
            count: 0,
            range: [f64::INFINITY, f64::NEG_INFINITY],
        }
    }
}

impl Batches<1> {
    /// Takes in the next value.
    pub(crate) fn push_value(&mut self, value: f64) {
        self.extend_range(value);
        self.push([value]);
    }
}

impl<const N: usize> Batches<N> {
    /// Takes in what comes next.
    pub(crate) fn push(&mut self, amounts: [f64; N]) {
        add(&mut self.open, &amounts);
        add(&mut self.total, &amounts);
        self.count += 1;
        self.in_open += 1;
        if self.in_open < self.size {
            return;
        }
        self.sums.push(std::mem::replace(&mut self.open, [0.0; N]));
        self.in_open = 0;
        if self.sums.len() == MAX_BATCHES {
            self.join();
        }
    }

    /// Takes in a value for the range that their mean cannot leave.
    pub(crate) fn extend_range(&mut self, value: f64) {
        self.range = [self.range[0].min(value), self.range[1].max(value)];
    }

    /// Joins each two neighbours.
    pub(super) fn join(&mut self) {
        let joined = self.sums.chunks_exact(2).map(|pair| {
            let mut sum = pair[0];
            add(&mut sum, &pair[1]);
            sum
        });
        let rest = match self.sums.len() % 2 {
            1 => self.sums.last().copied(),
            _ => None,
        };
        self.sums = joined.collect();
        if let Some(rest) = rest {
            add(&mut self.open, &rest);
            self.in_open += self.size;
        }
        self.size *= 2;
    }

    /// The same batches with amounts that follow linearly from these.
    pub(super) fn map<const M: usize>(&self, map: impl Fn(&[f64; N]) -> [f64; M]) -> Batches<M> {
        Batches {
            size: self.size,
            sums: self.sums.iter().map(&map).collect(),
            open: map(&self.open),
            in_open: self.in_open,
            total: map(&self.total),
            count: self.count,
            range: self.range,
        }
    }

    /// The smallest and the largest value.
    pub(super) fn range(&self) -> [f64; 2] {
        self.range
    }

    /// How many values there were.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// Values in a batch.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// The sums over all values.
    pub(super) fn total(&self) -> [f64; N] {
        self.total
    }

    /// The sums of the complete batches.
    pub(super) fn complete(&self) -> &[[f64; N]] {
        &self.sums
    }
}

fn add<const N: usize>(sum: &mut [f64; N], amounts: &[f64; N]) {
    for (sum, amount) in sum.iter_mut().zip(amounts) {
        *sum += amount;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_are_of_one_size_and_bounded() {
        let mut batches = Batches::default();
        for value in 0..5_000_u32 {
            batches.push([f64::from(value)]);
        }
        assert_eq!((batches.count(), batches.size()), (5_000, 16));
        assert_eq!(batches.complete().len(), 5_000 / 16);
        assert_eq!(batches.complete()[1], [f64::from((16..32).sum::<u32>())]);
        assert_eq!(batches.total(), [f64::from(4_999 * 2_500)]);
        batches.join();
        assert_eq!((batches.size(), batches.complete().len()), (32, 156));
    }
}
