//! OpenAI's encodings.

mod vocabulary;

use serde_json::{Value, json};
use tiktoken_rs::CoreBPE;
use tiktoken_rs::tokenizer::{Tokenizer as Encoding, get_tokenizer};

use super::{Tokenizer, Whitespace, counted};
use crate::base::error::{Error, Result};
use crate::base::setting::Setting;

/// Counts with one of OpenAI's encodings. Its vocabulary is built at the first count, once in the
/// process.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tiktoken {
    name: &'static str,
    vocabulary: Vocabulary,
}

/// Bytes of white space, or of anything else, in a row up to which a text is encoded: splitting more
/// takes the square of it, or exceeds what the regular expressions may try.
const MAX_RUN: usize = 64 << 10;

/// Where an encoding's vocabulary is.
type Vocabulary = fn() -> &'static CoreBPE;

/// The encodings that `tiktoken:NAME` takes. Those that differ in special tokens alone share a
/// vocabulary: special tokens are not counted.
const ENCODINGS: [(&str, Encoding, Vocabulary); 7] = [
    ("cl100k_base", Encoding::Cl100kBase, vocabulary::cl100k),
    ("gpt2", Encoding::Gpt2, vocabulary::r50k),
    ("o200k_base", Encoding::O200kBase, vocabulary::o200k),
    ("o200k_harmony", Encoding::O200kHarmony, vocabulary::o200k),
    ("p50k_base", Encoding::P50kBase, vocabulary::p50k),
    ("p50k_edit", Encoding::P50kEdit, vocabulary::p50k),
    ("r50k_base", Encoding::R50kBase, vocabulary::r50k),
];

impl Tiktoken {
    /// By the name of an encoding, or of a model that uses one.
    pub(super) fn new(name: &str) -> Result<Self> {
        let mut encodings = ENCODINGS.into_iter();
        let found = encodings.find(|(known, ..)| *known == name).or_else(|| {
            let encoding = get_tokenizer(name)?;
            ENCODINGS
                .into_iter()
                .find(|(_, known, _)| *known == encoding)
        });
        match found {
            Some((name, _, vocabulary)) => Ok(Self { name, vocabulary }),
            None => Err(Error::invalid(
                Setting::Tokenizer,
                format!("tiktoken:{name}"),
                format!(
                    "one of {}, or the name of an OpenAI model such as gpt-4o",
                    ENCODINGS.map(|(name, ..)| name).join(", ")
                ),
            )),
        }
    }
}

impl Tokenizer for Tiktoken {
    /// Words where there is no count.
    fn count(&self, text: &str) -> usize {
        counted(self, text).unwrap_or_else(|| Whitespace.count(text))
    }

    /// Nothing for a text with a run of more than [`MAX_RUN`].
    fn try_count(&self, text: &str) -> Option<usize> {
        (longest_run(text) <= MAX_RUN).then(|| (self.vocabulary)().count_ordinary(text))
    }

    fn name(&self) -> Option<String> {
        Some(format!("tiktoken:{}", self.name))
    }

    fn saved(&self) -> Value {
        json!({"tokenizer_module": "tiktoken", "name": self.name})
    }
}

/// Bytes of the longest run of white space, or of anything else.
fn longest_run(text: &str) -> usize {
    let (mut longest, mut begin, mut was_space) = (0, 0, false);
    for (at, character) in text.char_indices() {
        if character.is_whitespace() != was_space {
            longest = longest.max(at - begin);
            (begin, was_space) = (at, !was_space);
        }
    }
    longest.max(text.len() - begin)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_runs_are_not_counted() {
        assert_eq!(longest_run(""), 0);
        assert_eq!(longest_run("one  three\n"), 5);
        for (name, ..) in ENCODINGS {
            let tokenizer = Tiktoken::new(name).unwrap();
            for piece in [" ", "a", "1", "\n", "\r\n", "é", "!", "'", "A"] {
                let longest = piece.repeat(MAX_RUN / piece.len());
                let count = counted(&tokenizer, &longest);
                assert_ne!(count, Some(0), "{name} {piece:?}");
                assert_eq!(tokenizer.try_count(&piece.repeat(1_000_000)), None);
            }
            assert_eq!(tokenizer.count(&" ".repeat(1_000_000)), 0);
        }
    }
}
