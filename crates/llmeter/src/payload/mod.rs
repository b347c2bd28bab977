//! What is sent: payloads, where they come from, and how their tokens are counted.
//!
//! Belongs here: reading payload files, payload values, media, tokenizers.
//! Does not belong here: the shape that one API wants (that is its endpoint's file).

/// One request's JSON body, before the endpoint adds its own fields.
///
/// Keys keep their order. Bytes at any depth are objects with the one key `__llmeter_bytes__`, and
/// numbers that Rust's own types cannot hold as they are written ([`number_value`]) are objects with the
/// one key `__llmeter_number__`.
pub type Payload = serde_json::Map<String, serde_json::Value>;

mod bytes;
mod extra;
mod load;
mod media;
mod media_type;
mod numbers;
mod prompt;
mod prompt_source;
mod tokenizer;
mod word_pool;

pub(crate) use bytes::bytes_within;
pub use bytes::{bytes_of, bytes_value};
pub use extra::ExtraFields;
pub(crate) use load::kind;
pub use load::{PayloadSource, load_payloads, load_payloads_with_sources};
pub use media::{Media, MediaKind};
pub(crate) use media_type::{DOCX, PPTX, XLSX};
pub use media_type::{media_type_by_content, media_type_by_extension};
pub(crate) use numbers::{end_of_value, marked, marked_within, unmarked};
pub use numbers::{number_of, number_value, plain_numbers, read_json};
pub use prompt::{ContentItem, Message, Prompt, Role};
pub use prompt_source::PromptSource;
pub(crate) use tokenizer::counted;
pub use tokenizer::{
    Tokenizer, Whitespace, register_tokenizer, tokenizer_from_saved, tokenizer_from_spec,
};
pub use word_pool::WordPool;
