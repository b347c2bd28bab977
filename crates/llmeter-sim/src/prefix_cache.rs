//! The prefix cache of a simulated model: which beginnings of prompts it need not read again.
//!
//! As in vLLM and SGLang, tokens are kept in blocks, and a block is known by its tokens and all
//! before them. Belongs here: which blocks are kept. When they are asked for and kept is
//! `generate`'s to say.

use std::collections::HashMap;

use crate::api::scatter;

/// The blocks that are kept. Whatever was used least recently goes first, of one prompt its end.
#[derive(Debug)]
pub(crate) struct PrefixCache {
    /// Tokens of a block.
    block: usize,
    /// Blocks that can be kept, at least one.
    capacity: usize,
    /// Where each block is in `blocks`.
    places: HashMap<u64, usize>,
    /// A ring in order of use: `blocks[0]` is no block, its next is the one used last.
    blocks: Vec<Block>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Block {
    key: u64,
    previous: usize,
    next: usize,
}

impl PrefixCache {
    /// A cache of so many tokens, in blocks of so many.
    pub(crate) fn new(tokens: u64, block: u32) -> Self {
        let block = block.max(1) as usize;
        let capacity = usize::try_from(tokens).unwrap_or(usize::MAX) / block;
        Self {
            block,
            capacity: capacity.max(1),
            places: HashMap::new(),
            blocks: vec![Block::default()],
        }
    }

    /// How many of a prompt's first tokens are kept. The last token is always read anew, since the
    /// first one to generate follows from it.
    pub(crate) fn find(&mut self, prompt: &[u64]) -> u64 {
        let all_but_last = &prompt[..prompt.len().saturating_sub(1)];
        let keys = self.keys(all_but_last);
        let kept = keys.iter().map_while(|key| self.places.get(key).copied());
        let kept: Vec<usize> = kept.collect();
        // From the end, so that the beginning is used last: it is worth more.
        for place in kept.iter().rev() {
            self.unlink(*place);
            self.link_first(*place);
        }
        (kept.len() * self.block) as u64
    }

    /// Keeps the whole blocks of what was read or generated.
    pub(crate) fn keep(&mut self, tokens: &[u64]) {
        let mut keys = self.keys(tokens);
        keys.truncate(self.capacity);
        for key in keys.into_iter().rev() {
            let place = match self.places.get(&key).copied() {
                Some(place) => {
                    self.unlink(place);
                    place
                }
                None => self.place_for(key),
            };
            self.link_first(place);
        }
    }

    /// A place for a new block, if need be that of the block used least recently.
    fn place_for(&mut self, key: u64) -> usize {
        let place = if self.places.len() < self.capacity {
            self.blocks.push(Block::default());
            self.blocks.len() - 1
        } else {
            let last = self.blocks[0].previous;
            self.unlink(last);
            self.places.remove(&self.blocks[last].key);
            last
        };
        self.blocks[place].key = key;
        self.places.insert(key, place);
        place
    }

    fn unlink(&mut self, place: usize) {
        let Block { previous, next, .. } = self.blocks[place];
        self.blocks[previous].next = next;
        self.blocks[next].previous = previous;
    }

    fn link_first(&mut self, place: usize) {
        let next = self.blocks[0].next;
        self.blocks[place].previous = 0;
        self.blocks[place].next = next;
        self.blocks[next].previous = place;
        self.blocks[0].next = place;
    }

    /// What the whole blocks of a text are known by.
    fn keys(&self, tokens: &[u64]) -> Vec<u64> {
        let mut key = 0;
        let blocks = tokens.chunks_exact(self.block);
        blocks
            .map(|block| {
                key = block.iter().fold(key, |key, token| scatter(key ^ token));
                key
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The rule, told by lists: blocks by all tokens up to their end, the one used last first.
    struct Plain {
        block: usize,
        capacity: usize,
        used: Vec<Vec<u64>>,
    }

    impl Plain {
        fn blocks(&self, tokens: &[u64]) -> Vec<Vec<u64>> {
            let whole = tokens.len() / self.block;
            (1..=whole)
                .map(|count| tokens[..count * self.block].to_vec())
                .collect()
        }

        fn use_again(&mut self, blocks: Vec<Vec<u64>>) {
            for block in blocks.into_iter().rev() {
                self.used.retain(|kept| *kept != block);
                self.used.insert(0, block);
                self.used.truncate(self.capacity);
            }
        }

        fn find(&mut self, prompt: &[u64]) -> u64 {
            let blocks = self.blocks(&prompt[..prompt.len().saturating_sub(1)]);
            let kept = blocks
                .into_iter()
                .take_while(|block| self.used.contains(block));
            let kept: Vec<_> = kept.collect();
            let tokens = kept.len() * self.block;
            self.use_again(kept);
            tokens as u64
        }

        fn keep(&mut self, tokens: &[u64]) {
            let mut blocks = self.blocks(tokens);
            blocks.truncate(self.capacity);
            self.use_again(blocks);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn it_keeps_what_the_rule_says(
            block in 1_usize..4,
            capacity in 1_usize..8,
            prompts in prop::collection::vec(prop::collection::vec(0_u64..2, 0..12), 1..40),
        ) {
            let tokens = (capacity * block) as u64;
            let mut cache = PrefixCache::new(tokens, block as u32);
            let mut plain = Plain { block, capacity, used: Vec::new() };
            for prompt in &prompts {
                prop_assert_eq!(cache.find(prompt), plain.find(prompt));
                cache.keep(prompt);
                plain.keep(prompt);
            }
        }
    }

    #[test]
    fn the_last_token_is_always_read() {
        let mut cache = PrefixCache::new(100, 4);
        cache.keep(&[1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(cache.find(&[1, 2, 3, 4, 5, 6, 7, 8]), 4);
        assert_eq!(cache.find(&[1, 2, 3, 4, 5, 6, 7, 8, 9]), 8);
        assert_eq!(cache.find(&[1, 2, 3, 9, 5, 6, 7, 8, 9]), 0);
        assert_eq!(cache.find(&[]), 0);
    }
}
