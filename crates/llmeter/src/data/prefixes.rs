//! Beginnings that several prompts have in common.

use std::sync::{Arc, OnceLock};

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::base::error::Result;
use crate::payload::{Tokenizer, WordPool};

/// Bytes of prefixes that are kept; those beyond are made anew each time.
const MAX_KEPT: usize = 32 << 20;
/// Bytes that a token is supposed to have.
const TOKEN_BYTES: usize = 8;
/// The streams of the generator from here on are those of prefixes; those below are requests'.
const STREAMS: u64 = 1 << 63;

/// How often each of several prefixes comes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum PrefixSkew {
    /// All as often.
    Uniform,
    /// The n-th comes as often as 1 / n to this power.
    Zipf(f64),
}

/// Prefixes of so many tokens, the same for the same seed.
#[derive(Debug)]
pub(super) struct Prefixes {
    tokens: usize,
    seed: u64,
    /// The share of each and all before it.
    cumulative: Vec<f64>,
    kept: Vec<OnceLock<Arc<str>>>,
}

impl Prefixes {
    pub(super) fn new(tokens: usize, count: usize, skew: PrefixSkew, seed: u64) -> Self {
        let weight = |number: usize| match skew {
            PrefixSkew::Uniform => 1.0,
            PrefixSkew::Zipf(exponent) => ((number + 1) as f64).powf(-exponent),
        };
        let total: f64 = (0..count).map(weight).sum();
        let mut sum = 0.0;
        let cumulative = (0..count).map(|number| {
            sum += weight(number) / total;
            sum
        });
        let kept = (MAX_KEPT / (tokens * TOKEN_BYTES).max(1)).clamp(1, count.max(1));
        Self {
            tokens,
            seed,
            cumulative: cumulative.collect(),
            kept: (0..kept).map(|_| OnceLock::new()).collect(),
        }
    }

    /// How many tokens each has.
    pub(super) fn tokens(&self) -> usize {
        self.tokens
    }

    /// Which one a request has.
    pub(super) fn choose(&self, random: &mut impl Rng) -> usize {
        let at: f64 = random.random();
        let place = self.cumulative.partition_point(|share| *share <= at);
        place.min(self.cumulative.len().saturating_sub(1))
    }

    /// The text of one.
    pub(super) fn text(
        &self,
        number: usize,
        pool: &WordPool,
        tokenizer: &dyn Tokenizer,
    ) -> Result<Arc<str>> {
        if let Some(text) = self.kept.get(number).and_then(OnceLock::get) {
            return Ok(text.clone());
        }
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        random.set_stream(STREAMS + number as u64);
        let text: Arc<str> = pool.text(tokenizer, self.tokens, &mut random)?.into();
        Ok(match self.kept.get(number) {
            Some(place) => place.get_or_init(|| text).clone(),
            None => text,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skew_decides_how_often_each_comes() {
        for (skew, first) in [(PrefixSkew::Uniform, 0.25), (PrefixSkew::Zipf(1.0), 0.48)] {
            let prefixes = Prefixes::new(10, 4, skew, 0);
            let mut random = ChaCha8Rng::seed_from_u64(1);
            let mut counts = [0; 4];
            for _ in 0..10_000 {
                counts[prefixes.choose(&mut random)] += 1;
            }
            let share = f64::from(counts[0]) / 10_000.0;
            assert!((share - first).abs() < 0.02, "{skew:?}: {counts:?}");
            assert!(counts.iter().all(|count| *count > 1_000));
        }
    }
}
