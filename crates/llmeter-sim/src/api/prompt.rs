//! The tokens of a prompt: one for each word, by which prompts with the same beginning are known.
//!
//! Does not belong here: what is kept of them, see `prefix_cache`.

use serde_json::{Map, Value};

use super::error::ApiError;
use super::request::required_list;

/// The tokens of a prompt in order. Equal words are equal tokens, whosever they are, so that what a
/// model said is found again where a later prompt quotes it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Prompt(Vec<u64>);

impl Prompt {
    /// A number that another prompt hardly has.
    pub(crate) fn digest(&self) -> u64 {
        let add = |sum: u64, token: &u64| {
            (sum ^ token)
                .wrapping_mul(0x9e37_79b9_7f4a_7c15)
                .rotate_left(29)
        };
        self.0.iter().fold(0, add)
    }

    /// The tokens of a content: a text, or a list of texts and of parts some of which have a `text`.
    pub(super) fn of(content: Option<&Value>) -> Self {
        let mut prompt = Self::default();
        prompt.add(content);
        prompt
    }

    /// Appends the tokens of a content.
    pub(super) fn add(&mut self, content: Option<&Value>) {
        match content {
            Some(Value::String(text)) => self.add_text(text),
            Some(Value::Array(parts)) => {
                for part in parts {
                    if let Some(text) = part.get("text").unwrap_or(part).as_str() {
                        self.add_text(text);
                    }
                }
            }
            _ => {}
        }
    }

    /// Appends the tokens of the contents of the messages, of which there must be some.
    pub(super) fn add_messages(&mut self, request: &Map<String, Value>) -> Result<(), ApiError> {
        for message in required_list(request, "messages")? {
            self.add(message.get("content"));
        }
        Ok(())
    }

    /// Appends the words of a text.
    pub(crate) fn add_text(&mut self, text: &str) {
        self.0.extend(text.split_whitespace().map(token));
    }

    /// Appends a token that came as a number.
    pub(super) fn add_id(&mut self, id: u64) {
        self.0.push(id);
    }

    /// How many there are.
    pub(crate) fn len(&self) -> u64 {
        self.0.len() as u64
    }

    pub(crate) fn tokens(&self) -> &[u64] {
        &self.0
    }
}

/// A word as a number. Two words are one by chance only.
pub(crate) fn token(word: &str) -> u64 {
    let mut hash = word.len() as u64;
    for bytes in word.as_bytes().chunks(8) {
        let mut eight = [0; 8];
        eight[..bytes.len()].copy_from_slice(bytes);
        hash = scatter(hash ^ u64::from_le_bytes(eight));
    }
    hash
}

/// Scatters a number, so that what is made of several depends on all of them.
#[inline]
pub(crate) fn scatter(number: u64) -> u64 {
    let product = u128::from(number ^ 0x9e37_79b9_7f4a_7c15) * 0xd6e8_feb8_6659_fd93;
    // Both halves, since either alone has few bits that depend on the others.
    (product as u64) ^ ((product >> 64) as u64)
}
