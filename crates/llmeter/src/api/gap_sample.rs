//! The gaps of one response: all of them, or a fair sample if there are many.

/// Gaps kept per response at most, an even number.
const MAX_GAPS: usize = 16_384;
/// Gaps that there is room for at first.
const GAPS_AT_FIRST: usize = 64;

/// The gaps of one response in order, in seconds: all of them up to a limit, beyond it a sample in
/// which every gap of the response has the same chance to be.
///
/// Of each block of 1, 2, 4, … gaps one is kept, at random: a sample at equal distances would meet
/// the rhythm of servers that send several tokens in one go.
#[derive(Debug, Default)]
pub(super) struct GapSample {
    kept: Vec<f32>,
    /// Gaps so far.
    seen: u64,
    /// Gaps per block, as a power of two.
    block_log2: u32,
    /// The place in the present block of the gap that is kept.
    chosen: u64,
    random: u64,
    longest: Option<f32>,
}

impl GapSample {
    pub(super) fn push(&mut self, gap: f32) {
        self.longest = Some(self.longest.map_or(gap, |longest| longest.max(gap)));
        // As long as all are kept nothing is drawn.
        if self.block_log2 == 0 && self.kept.len() < MAX_GAPS {
            self.seen += 1;
            if self.kept.capacity() == 0 {
                self.kept.reserve(GAPS_AT_FIRST);
            }
            self.kept.push(gap);
            return;
        }
        let place = self.seen & ((1 << self.block_log2) - 1);
        if place == 0 {
            if self.kept.len() == MAX_GAPS {
                self.halve();
            }
            self.chosen = self.draw() & ((1 << self.block_log2) - 1);
        }
        if place == self.chosen {
            self.kept.push(gap);
        }
        self.seen += 1;
    }

    /// The longest of all gaps; `None` without gaps.
    pub(super) fn longest(&self) -> Option<f32> {
        self.longest
    }

    /// The gaps that are kept, and how many they stand for beside themselves.
    pub(super) fn take(&mut self) -> (Vec<f32>, u32) {
        // A copy of its size, which leaves no hole behind it.
        let kept = std::mem::take(&mut self.kept).as_slice().to_vec();
        let dropped = self.seen.saturating_sub(kept.len() as u64);
        (kept, u32::try_from(dropped).unwrap_or(u32::MAX))
    }

    /// Keeps one of every two blocks' gaps. All blocks are complete.
    fn halve(&mut self) {
        for pair in 0..MAX_GAPS / 2 {
            let second = (self.draw() & 1) as usize;
            self.kept[pair] = self.kept[2 * pair + second];
        }
        self.kept.truncate(MAX_GAPS / 2);
        self.block_log2 += 1;
    }

    /// The next number of a SplitMix64 sequence, the same one for every response.
    fn draw(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(gaps: impl IntoIterator<Item = f32>) -> (Vec<f32>, u32) {
        let mut sample = GapSample::default();
        gaps.into_iter().for_each(|gap| sample.push(gap));
        sample.take()
    }

    #[test]
    fn all_are_kept_up_to_the_limit() {
        let gaps: Vec<f32> = (0..MAX_GAPS).map(|place| place as f32).collect();
        assert_eq!(sample(gaps.clone()), (gaps, 0));
    }

    #[test]
    fn beyond_it_a_fair_sample_is_kept_in_order() {
        for count in [MAX_GAPS + 1, 3 * MAX_GAPS, 1_000_003] {
            let (kept, dropped) = sample((0..count).map(|place| place as f32));
            assert_eq!(kept.len() + dropped as usize, count);
            assert!(
                kept.len() > MAX_GAPS / 2 - 2 && kept.len() <= MAX_GAPS,
                "{}",
                kept.len()
            );
            assert!(kept.is_sorted());
            // A tenth of the response is a tenth of the sample, wherever it lies.
            for tenth in 0..10 {
                let range = (tenth * count / 10) as f32..((tenth + 1) * count / 10) as f32;
                let share = kept.iter().filter(|gap| range.contains(gap)).count() as f64;
                let share = share / kept.len() as f64;
                assert!((share - 0.1).abs() < 0.001, "{count}: {share}");
            }
        }
    }

    #[test]
    fn a_rhythm_of_the_server_is_not_met() {
        // Of four gaps three are 0: sampled at equal distances, all or none would be.
        let count = 10 * MAX_GAPS;
        let (kept, _) = sample((0..count).map(|place| if place % 4 == 3 { 1.0 } else { 0.0 }));
        let share = kept.iter().sum::<f32>() / kept.len() as f32;
        assert!((share - 0.25).abs() < 0.02, "{share}");
    }
}
