//! Texts of random words that have exactly a number of tokens.

use rand::seq::IndexedRandom;
use rand::{Rng, RngExt};
use rustc_hash::FxHashSet;

use super::prompt_source::cut;
use super::{PromptSource, Tokenizer, counted};
use crate::base::error::{Error, Result};

/// Tokens of the longest word that is used, so that texts come near their length in few words.
const MAX_WORD_TOKENS: usize = 8;
/// Texts that are tried before one is cut to its length.
const MAX_TRIES: usize = 4;
/// The word before which others are counted.
const ANCHOR: &str = "the";

/// Words of a text with the number of tokens that each adds to what stands before it.
///
/// Unlike a part of a text ([`PromptSource::sample`]), a text of random words has no long beginning in common
/// with another, so that no cache of prefixes hits by accident. Most tokenizers never join two words, so that
/// the tokens of the words add up; each text is counted as a whole all the same.
#[derive(Debug, Clone)]
pub struct WordPool {
    words: Vec<Word>,
    /// Where the words with so many tokens begin; they are ordered by their tokens.
    begins: [usize; MAX_WORD_TOKENS + 2],
    /// Words that have as many tokens at the start of a text as within one.
    starters: Vec<usize>,
}

#[derive(Debug, Clone)]
struct Word {
    text: Box<str>,
    tokens: usize,
}

impl WordPool {
    /// The different words of a text, counted by a tokenizer.
    ///
    /// # Errors
    /// If the tokenizer cannot count them, or no word is a single token.
    pub fn new(source: &PromptSource, tokenizer: &dyn Tokenizer) -> Result<Self> {
        // A word that cannot be counted is none that texts are made of.
        let anchor = counted(tokenizer, ANCHOR);
        let unknown = || Error::refused("source text", "the tokenizer cannot count its words");
        let anchor = anchor.ok_or_else(unknown)?;
        let mut seen = FxHashSet::default();
        let mut words = Vec::new();
        for text in source.text().split_whitespace() {
            if seen.insert(text) {
                let both = counted(tokenizer, &format!("{ANCHOR} {text}"));
                let tokens = both.map_or(0, |both| both.saturating_sub(anchor));
                if (1..=MAX_WORD_TOKENS).contains(&tokens) {
                    let text = text.into();
                    words.push(Word { text, tokens });
                }
            }
        }
        words.sort_by(|one, other| (one.tokens, &one.text).cmp(&(other.tokens, &other.text)));
        let begins =
            std::array::from_fn(|tokens| words.partition_point(|word| word.tokens < tokens));
        let is_starter =
            |word: &Word| counted(tokenizer, &word.text).is_some_and(|alone| alone == word.tokens);
        let places = words.iter().enumerate();
        let starters = places.filter(|(_, word)| is_starter(word));
        let starters = starters.map(|(place, _)| place).collect();
        let pool = Self {
            words,
            begins,
            starters,
        };
        match pool.of_tokens(1).is_empty() || pool.starters.is_empty() {
            true => Err(Error::refused(
                "source text",
                "none of its words is a single token",
            )),
            false => Ok(pool),
        }
    }

    /// How many different words it has.
    pub fn words(&self) -> usize {
        self.words.len()
    }

    /// The words of so many tokens.
    fn of_tokens(&self, tokens: usize) -> &[Word] {
        &self.words[self.begins[tokens]..self.begins[tokens + 1]]
    }

    /// The words of so many tokens or fewer.
    fn up_to(&self, tokens: usize) -> &[Word] {
        &self.words[..self.begins[tokens.min(MAX_WORD_TOKENS) + 1]]
    }

    /// Adds random words whose tokens add up to this number. What is there must end with a word.
    fn push_words(&self, text: &mut String, tokens: usize, random: &mut impl Rng) {
        let mut left = tokens;
        if text.is_empty() {
            let fit = self
                .starters
                .partition_point(|&place| self.words[place].tokens <= left);
            if let Some(&place) = self.starters[..fit].choose(random) {
                let word = &self.words[place];
                text.push_str(&word.text);
                left -= word.tokens;
            }
        }
        while left > 0 {
            // There is a word of one token.
            let Some(word) = self.up_to(left).choose(random) else {
                return;
            };
            text.push(' ');
            text.push_str(&word.text);
            left -= word.tokens;
        }
    }

    /// Random words after a text, so that the whole has exactly so many tokens.
    ///
    /// `before` is empty, or a text of this pool with fewer tokens (`before_tokens`).
    ///
    /// # Errors
    /// If the tokenizer cannot count, or no such text is found.
    pub fn continued(
        &self,
        tokenizer: &dyn Tokenizer,
        before: &str,
        before_tokens: usize,
        tokens: usize,
        random: &mut impl Rng,
    ) -> Result<String> {
        let count = |text: &str| {
            counted(tokenizer, text).ok_or_else(|| {
                Error::refused("source text", "the tokenizer cannot count its words")
            })
        };
        let wanted = tokens.saturating_sub(before_tokens);
        let mut text = String::with_capacity(before.len() + wanted * 6);
        for _ in 0..MAX_TRIES {
            text.clear();
            text.push_str(before);
            self.push_words(&mut text, wanted, random);
            if count(&text)? == tokens {
                return Ok(text);
            }
        }
        // A tokenizer that joins words: one text that is surely too long is cut.
        let mut more = wanted + wanted / 8 + 8;
        for _ in 0..MAX_TRIES {
            text.clear();
            text.push_str(before);
            self.push_words(&mut text, more, random);
            if count(&text)? >= tokens
                && let Some(part) = cut(&text, tokens, &count)?
                && part.len() >= before.len()
            {
                return Ok(part.to_owned());
            }
            more *= 2;
        }
        let reason = format!("no text of its words has exactly {tokens} tokens");
        Err(Error::refused("source text", reason))
    }

    /// Adds a text whose tokens add up to this number and that begins with a word that has as many at the start
    /// of a text. The words of a longer text follow from the same random numbers, as far as they fit.
    pub(crate) fn push_block(&self, text: &mut String, tokens: usize, random: &mut impl Rng) {
        let mut left = tokens;
        let mut is_first = true;
        while left > 0 {
            let word = match is_first {
                true => &self.words[self.starters[random.random_range(0..self.starters.len())]],
                false => &self.words[random.random_range(0..self.words.len())],
            };
            // What does not fit gives way to a word of one token.
            let word = match word.tokens <= left {
                true => word,
                false => {
                    let singles = self.of_tokens(1);
                    &singles[random.random_range(0..singles.len())]
                }
            };
            if !text.is_empty() {
                text.push(' ');
            }
            text.push_str(&word.text);
            left -= word.tokens;
            is_first = false;
        }
    }

    /// A text with its end changed so that the whole has exactly so many tokens.
    ///
    /// # Errors
    /// As [`continued`](Self::continued).
    pub(crate) fn fitted(
        &self,
        tokenizer: &dyn Tokenizer,
        mut text: String,
        tokens: usize,
        random: &mut impl Rng,
    ) -> Result<String> {
        let count = |text: &str| {
            counted(tokenizer, text).ok_or_else(|| {
                Error::refused("source text", "the tokenizer cannot count its words")
            })
        };
        for _ in 0..MAX_TRIES {
            if count(&text)? >= tokens
                && let Some(part) = cut(&text, tokens, &count)?
            {
                return Ok(part.to_owned());
            }
            self.push_words(&mut text, tokens / 8 + 8, random);
        }
        let reason = format!("no text of its words has exactly {tokens} tokens");
        Err(Error::refused("source text", reason))
    }

    /// Random words with exactly so many tokens.
    ///
    /// ```
    /// use llmeter::payload::{PromptSource, WordPool, tokenizer_from_spec};
    /// use rand::SeedableRng;
    ///
    /// let tokenizer = tokenizer_from_spec("whitespace")?;
    /// let pool = WordPool::new(&PromptSource::built_in(), &*tokenizer)?;
    /// let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(7);
    /// assert_eq!(tokenizer.count(&pool.text(&*tokenizer, 100, &mut random)?), 100);
    /// # Ok::<(), llmeter::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`continued`](Self::continued).
    pub fn text(
        &self,
        tokenizer: &dyn Tokenizer,
        tokens: usize,
        random: &mut impl Rng,
    ) -> Result<String> {
        self.continued(tokenizer, "", 0, tokens, random)
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;
    use serde_json::Value;

    use super::*;
    use crate::payload::{Whitespace, tokenizer_from_spec};

    /// Joins words: pairs of characters, wherever words end.
    struct Pairs;

    impl Tokenizer for Pairs {
        fn count(&self, text: &str) -> usize {
            text.chars().count().div_ceil(2)
        }

        fn saved(&self) -> Value {
            Value::Null
        }
    }

    fn random(seed: u64) -> ChaCha8Rng {
        ChaCha8Rng::seed_from_u64(seed)
    }

    #[test]
    fn texts_have_exactly_the_number_of_tokens_by_every_tokenizer() {
        let tiktoken = tokenizer_from_spec("tiktoken:o200k_base").unwrap();
        let source = PromptSource::built_in();
        for tokenizer in [&Whitespace as &dyn Tokenizer, &*tiktoken] {
            let pool = WordPool::new(&source, tokenizer).unwrap();
            let prefix = pool.text(tokenizer, 20, &mut random(1)).unwrap();
            for tokens in [1, 2, 3, 17, 256] {
                let text = pool
                    .text(tokenizer, tokens, &mut random(tokens as u64))
                    .unwrap();
                assert_eq!(tokenizer.count(&text), tokens, "{text:?}");
                let whole = 20 + tokens;
                let text = pool
                    .continued(tokenizer, &prefix, 20, whole, &mut random(3))
                    .unwrap();
                assert!(text.starts_with(&prefix));
                assert_eq!(tokenizer.count(&text), whole, "{text:?}");
            }
        }
    }

    #[test]
    fn a_tokenizer_that_joins_words_gets_a_text_that_is_cut() {
        let words = "a an the of to by in on at we he she it is was be do go up so no";
        let source = PromptSource::new(words).unwrap();
        let pool = WordPool::new(&source, &Pairs).unwrap();
        for tokens in 1..60 {
            let text = pool.text(&Pairs, tokens, &mut random(5)).unwrap();
            assert_eq!(Pairs.count(&text), tokens, "{text:?}");
        }
    }

    #[test]
    fn texts_have_no_beginning_in_common() {
        let pool = WordPool::new(&PromptSource::built_in(), &Whitespace).unwrap();
        let begin = |seed| {
            let text = pool.text(&Whitespace, 50, &mut random(seed)).unwrap();
            text.split(' ').take(3).collect::<Vec<_>>().join(" ")
        };
        let different: FxHashSet<_> = (0..500).map(begin).collect();
        assert_eq!(different.len(), 500);
        assert_eq!(begin(7), begin(7), "the seed repeats it");
    }

    #[test]
    fn a_source_without_a_word_of_one_token_is_refused() {
        let source = PromptSource::new("extraordinary circumstances notwithstanding").unwrap();
        let error = WordPool::new(&source, &Pairs).unwrap_err().to_string();
        assert!(error.contains("single token"), "{error}");
    }
}
