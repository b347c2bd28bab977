//! Prompts from the names of their blocks.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rustc_hash::FxHasher;

use crate::base::error::{Error, Result};
use crate::payload::{PromptSource, Tokenizer, WordPool, counted};

/// Parts of the space of streams of the generator: blocks by id, and what is a request's own by its index.
const OWN: u64 = 1 << 63;

/// Makes the text of every block: always the same for an id, and unlike that of any other.
pub(super) struct BlockTexts {
    tokenizer: Arc<dyn Tokenizer>,
    pool: WordPool,
    block: u64,
    seed: u64,
}

impl BlockTexts {
    /// Texts of blocks with so many tokens.
    ///
    /// # Errors
    /// If the tokenizer cannot count words.
    pub(super) fn new(tokenizer: Arc<dyn Tokenizer>, block: u64, seed: u64) -> Result<Self> {
        Ok(Self {
            pool: WordPool::new(&PromptSource::built_in(), &*tokenizer)?,
            tokenizer,
            block: block.max(1),
            seed,
        })
    }

    /// Whether tokens are those of a tokenizer, and not words.
    pub(super) fn is_exact(&self) -> bool {
        self.tokenizer.name().is_some()
    }

    pub(super) fn tokenizer(&self) -> Arc<dyn Tokenizer> {
        self.tokenizer.clone()
    }

    pub(super) fn tokens(&self) -> u64 {
        self.block
    }

    fn random(&self, stream: u64) -> ChaCha8Rng {
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        random.set_stream(stream);
        random
    }

    /// A prompt of so many tokens that consists of these blocks. Of the last block it has a part if it is too
    /// long; what is left beyond the blocks is the request's own.
    ///
    /// # Errors
    /// If no such text is found.
    pub(super) fn prompt(&self, index: u64, tokens: u64, ids: &[u64]) -> Result<String> {
        let mut text = String::with_capacity(tokens as usize * 6);
        let mut left = tokens;
        for id in ids {
            if left == 0 {
                break;
            }
            let of_block = left.min(self.block);
            let mut hasher = FxHasher::default();
            id.hash(&mut hasher);
            let mut random = self.random(hasher.finish() & !OWN);
            self.pool
                .push_block(&mut text, of_block as usize, &mut random);
            left -= of_block;
        }
        let mut random = self.random(OWN | index);
        if ids.is_empty() {
            return self
                .pool
                .text(&*self.tokenizer, tokens as usize, &mut random);
        }
        if left > 0 {
            self.pool.push_block(&mut text, left as usize, &mut random);
        }
        let unknown = || Error::refused("replay", "the tokenizer cannot count its prompts");
        let count = counted(&*self.tokenizer, &text).ok_or_else(unknown)? as u64;
        match count == tokens {
            true => Ok(text),
            // A tokenizer that joins words.
            false => self
                .pool
                .fitted(&*self.tokenizer, text, tokens as usize, &mut random),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payload::tokenizer_from_spec;

    #[test]
    fn blocks_are_equal_exactly_where_ids_are() {
        for name in ["whitespace", "tiktoken:o200k_base"] {
            let tokenizer = tokenizer_from_spec(name).unwrap();
            let texts = BlockTexts::new(tokenizer.clone(), 16, 1).unwrap();
            let one = texts.prompt(0, 16 * 3 + 5, &[7, 8, 9, 10]).unwrap();
            let other = texts.prompt(1, 16 * 3, &[7, 8, 11]).unwrap();
            let own = texts.prompt(2, 16 * 2 + 9, &[7, 8]).unwrap();
            for (text, tokens) in [(&one, 53), (&other, 48), (&own, 41)] {
                assert_eq!(tokenizer.count(text), tokens, "{name}");
            }
            // The two blocks in common have 32 tokens, after which nothing is equal.
            let common = |one: &str, other: &str| {
                let pairs = one.split(' ').zip(other.split(' '));
                let equal: Vec<_> = pairs.take_while(|(one, other)| one == other).collect();
                equal
                    .iter()
                    .map(|(one, _)| *one)
                    .collect::<Vec<_>>()
                    .join(" ")
            };
            for other in [&other, &own] {
                assert_eq!(tokenizer.count(&common(&one, other)), 32, "{name}");
            }
            // A part of a block begins as the whole one does.
            let part = texts.prompt(3, 16 * 2 + 8, &[7, 8, 9]).unwrap();
            assert!(tokenizer.count(&common(&one, &part)) >= 38, "{name}");
            // Wherever a block is, it has the same text.
            let moved = texts.prompt(4, 32, &[9, 7]).unwrap();
            let block: Vec<_> = moved.split(' ').collect();
            assert!(one.contains(&block[..8].join(" ")), "{name}");
        }
    }
}
