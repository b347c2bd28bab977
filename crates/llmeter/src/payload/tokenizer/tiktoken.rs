//! OpenAI's encodings.

mod vocabulary;

use serde_json::{Value, json};
use tiktoken_rs::CoreBPE;
use tiktoken_rs::tokenizer::{Tokenizer as Encoding, get_tokenizer};

use super::{ENCODINGS, Tokenizer};
use crate::base::error::{Error, Result};
use crate::base::setting::Setting;

/// Counts with one of OpenAI's encodings. Its vocabulary is built at the first count, once in the
/// process.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tiktoken {
    name: &'static str,
    vocabulary: fn() -> &'static CoreBPE,
}

impl Tiktoken {
    /// By the name of an encoding, or of a model that uses one.
    pub(super) fn new(name: &str) -> Result<Self> {
        let is_known = |known: &&str| *known == name;
        ENCODINGS
            .into_iter()
            .find(is_known)
            .or_else(|| encoding_of_model(name))
            .and_then(|name| {
                let vocabulary = vocabulary(name)?;
                Some(Self { name, vocabulary })
            })
            .ok_or_else(|| {
                Error::invalid(
                    Setting::Tokenizer,
                    format!("tiktoken:{name}"),
                    format!(
                        "one of {}, or the name of an OpenAI model such as gpt-4o",
                        ENCODINGS.join(", ")
                    ),
                )
            })
    }
}

fn encoding_of_model(model: &str) -> Option<&'static str> {
    Some(match get_tokenizer(model)? {
        Encoding::Cl100kBase => "cl100k_base",
        Encoding::Gpt2 => "gpt2",
        Encoding::O200kBase => "o200k_base",
        Encoding::O200kHarmony => "o200k_harmony",
        Encoding::P50kBase => "p50k_base",
        Encoding::P50kEdit => "p50k_edit",
        Encoding::R50kBase => "r50k_base",
    })
}

/// Where an encoding's vocabulary is. Encodings that differ in special tokens alone share one:
/// special tokens are not counted.
fn vocabulary(name: &str) -> Option<fn() -> &'static CoreBPE> {
    Some(match name {
        "cl100k_base" => vocabulary::cl100k,
        "o200k_base" | "o200k_harmony" => vocabulary::o200k,
        "p50k_base" | "p50k_edit" => vocabulary::p50k,
        "r50k_base" | "gpt2" => vocabulary::r50k,
        _ => return None,
    })
}

impl Tokenizer for Tiktoken {
    fn count(&self, text: &str) -> usize {
        (self.vocabulary)().count_ordinary(text)
    }

    fn saved(&self) -> Value {
        json!({"tokenizer_module": "tiktoken", "name": self.name})
    }
}
