//! Prompts of a given number of tokens, cut from a text.

use super::{Tokenizer, counted};
use crate::base::error::{Error, Result};

/// Chapters 1 to 3 of Jules Verne, Around the World in Eighty Days, in the translation by G. M. Towle of
/// 1873, which is in the public domain.
const BUILT_IN: &str = include_str!("prompt_source.txt");

/// Bytes of a token that are supposed at first.
const TOKEN_BYTES: usize = 6;
/// Places in the source from which a sample is tried.
const MAX_TRIES: usize = 64;
/// The longest sample, in bytes.
const MAX_SAMPLE: usize = 256 << 20;

/// A text from which prompts are cut.
///
/// ```
/// use llmeter::payload::{PromptSource, tokenizer_from_spec};
///
/// let tokenizer = tokenizer_from_spec("whitespace")?;
/// let prompt = PromptSource::built_in().sample(&*tokenizer, 100, 7)?;
/// assert_eq!(tokenizer.count(&prompt), 100);
/// # Ok::<(), llmeter::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct PromptSource {
    text: String,
    /// Where its words begin.
    words: Vec<usize>,
}

impl PromptSource {
    /// A text of some 4,600 words in English.
    pub fn built_in() -> Self {
        Self::of_text(BUILT_IN)
    }

    /// This text.
    ///
    /// # Errors
    /// If it has no words.
    pub fn new(text: &str) -> Result<Self> {
        let source = Self::of_text(text);
        match source.words.is_empty() {
            true => Err(Error::refused("source text", "it has no words")),
            false => Ok(source),
        }
    }

    fn of_text(text: &str) -> Self {
        let text = text.trim().to_owned();
        let mut words = Vec::new();
        let mut is_between = true;
        for (at, character) in text.char_indices() {
            let is_space = character.is_whitespace();
            if is_between && !is_space {
                words.push(at);
            }
            is_between = is_space;
        }
        Self { text, words }
    }

    /// The text.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// How many words it has. Samples that begin at different words differ.
    pub fn words(&self) -> usize {
        self.words.len()
    }

    /// A part of the text of exactly so many tokens, from a word on, counted from 0 and in a circle. A
    /// text that is too short is repeated. It ends with a word where that gives the number, else within one.
    ///
    /// # Errors
    /// If the tokenizer cannot tell the number of tokens, or no part has this number.
    pub fn sample(&self, tokenizer: &dyn Tokenizer, tokens: usize, word: usize) -> Result<String> {
        let count = |text: &str| {
            let unknown = "the tokenizer cannot count the source text";
            counted(tokenizer, text).ok_or_else(|| Error::refused("source text", unknown))
        };
        for try_ in 0..MAX_TRIES {
            let start = self.words[(word + try_) % self.words.len()];
            let text = self.text_of(start, tokens, &count)?;
            if let Some(sample) = cut(&text, tokens, &count)? {
                return Ok(sample.to_owned());
            }
        }
        let reason = format!("no part of it has exactly {tokens} tokens");
        Err(Error::refused("source text", reason))
    }

    /// The text from a place on, with so many tokens or more.
    fn text_of(
        &self,
        start: usize,
        tokens: usize,
        count: &impl Fn(&str) -> Result<usize>,
    ) -> Result<String> {
        let mut bytes = tokens.saturating_mul(TOKEN_BYTES) + 64;
        loop {
            if bytes > MAX_SAMPLE {
                let reason = format!("{tokens} tokens of it are more than 256 MiB");
                return Err(Error::refused("source text", reason));
            }
            let mut text = self.text[start..].to_owned();
            while text.len() < bytes {
                text.push_str("\n\n");
                text.push_str(&self.text);
            }
            // The end of a word, so that the count is that of a sample.
            let mut rest = text.char_indices().skip_while(|(at, _)| *at < bytes);
            let end = rest.find(|(_, c)| c.is_whitespace());
            text.truncate(end.map_or(text.len(), |(at, _)| at));
            if count(&text)? >= tokens {
                return Ok(text);
            }
            bytes *= 2;
        }
    }
}

/// The beginning of a text that has exactly so many tokens, if one has. The text must not have fewer.
pub(super) fn cut<'a>(
    text: &'a str,
    tokens: usize,
    count: &impl Fn(&str) -> Result<usize>,
) -> Result<Option<&'a str>> {
    let ends = word_ends(text);
    let upto = |words: usize| words.checked_sub(1).map_or("", |last| &text[..ends[last]]);
    // Words with too few tokens, and with enough.
    let (mut few, mut enough) = (0, ends.len());
    let (mut few_count, mut enough_count) = (0, count(text)?);
    let mut is_guessed = true;
    while enough - few > 1 {
        // By the slope, which is next to the truth, in turn with the middle, which always converges.
        let middle = (enough - few) / 2;
        let share = (tokens - few_count) as f64 / (enough_count - few_count).max(1) as f64;
        let step = ((enough - few) as f64 * share) as usize;
        let step = if is_guessed { step } else { middle }.clamp(1, enough - few - 1);
        is_guessed = !is_guessed;
        let found = count(upto(few + step))?;
        match found >= tokens {
            true => (enough, enough_count) = (few + step, found),
            false => (few, few_count) = (few + step, found),
        }
    }
    if enough_count == tokens {
        return Ok(Some(upto(enough)));
    }
    // Within the word that has too much.
    let from = upto(few).len();
    let within = text[from..upto(enough).len()].char_indices().skip(1);
    for (at, _) in within {
        let part = &text[..from + at];
        if !part.ends_with(char::is_whitespace) && count(part)? == tokens {
            return Ok(Some(part));
        }
    }
    Ok(None)
}

/// Where words end.
fn word_ends(text: &str) -> Vec<usize> {
    let mut ends = Vec::new();
    let mut is_word = false;
    for (at, character) in text.char_indices() {
        if is_word && character.is_whitespace() {
            ends.push(at);
        }
        is_word = !character.is_whitespace();
    }
    if is_word {
        ends.push(text.len());
    }
    ends
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::payload::Whitespace;

    /// Three characters each, over the ends of words.
    struct Thirds;

    impl Tokenizer for Thirds {
        fn count(&self, text: &str) -> usize {
            text.chars().count().div_ceil(3)
        }

        fn saved(&self) -> Value {
            Value::Null
        }
    }

    #[test]
    fn samples_have_exactly_the_number_of_tokens() {
        let sources = [
            PromptSource::built_in(),
            PromptSource::new("  Für w1 w2\n\nlangeswortmitümläüten x ").unwrap(),
            PromptSource::new("one").unwrap(),
        ];
        for source in sources {
            for tokens in [1, 2, 3, 10, 64, 257, 1000] {
                for word in [0, 1, 3, 5000] {
                    for tokenizer in [&Whitespace as &dyn Tokenizer, &Thirds] {
                        let sample = source.sample(tokenizer, tokens, word).unwrap();
                        assert_eq!(tokenizer.count(&sample), tokens, "{sample:?}");
                        assert_eq!(sample.trim(), sample);
                    }
                }
            }
        }
    }

    #[test]
    fn samples_from_different_words_differ() {
        let source = PromptSource::built_in();
        let samples: std::collections::HashSet<_> = (0..100)
            .map(|word| source.sample(&Whitespace, 32, word).unwrap())
            .collect();
        assert_eq!(samples.len(), 100);
    }

    #[test]
    fn what_cannot_be_cut_is_refused() {
        assert!(PromptSource::new(" \n ").is_err());
        /// Counts pairs of tokens.
        struct Even;
        impl Tokenizer for Even {
            fn count(&self, text: &str) -> usize {
                2 * Whitespace.count(text)
            }
            fn saved(&self) -> Value {
                Value::Null
            }
        }
        let source = PromptSource::built_in();
        let error = source.sample(&Even, 5, 0).unwrap_err().to_string();
        assert!(error.contains("exactly 5 tokens"), "{error}");
        let unspaced = PromptSource::new(&"東京".repeat(100)).unwrap();
        assert!(unspaced.sample(&Whitespace, 5, 0).is_err());
    }
}
