//! OpenAI's encodings.

mod vocabulary;

use serde_json::{Value, json};
use tiktoken_rs::CoreBPE;
use tiktoken_rs::tokenizer::{Tokenizer as Encoding, get_tokenizer};

use super::Tokenizer;
use crate::base::error::{Error, Result};
use crate::base::setting::Setting;

/// Counts with one of OpenAI's encodings. Its vocabulary is built at the first count, once in the
/// process.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tiktoken {
    name: &'static str,
    vocabulary: Vocabulary,
}

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
    fn count(&self, text: &str) -> usize {
        (self.vocabulary)().count_ordinary(text)
    }

    fn name(&self) -> Option<String> {
        Some(format!("tiktoken:{}", self.name))
    }

    fn saved(&self) -> Value {
        json!({"tokenizer_module": "tiktoken", "name": self.name})
    }
}
