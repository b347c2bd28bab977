//! Hugging Face tokenizers, from a local `tokenizer.json`.

use std::path::Path;

use serde_json::{Value, json};

use super::{Tokenizer, Whitespace, counted};
use crate::base::error::{Cause, Error, Result};
use crate::base::file;
use crate::base::foreign::Panic;
use crate::base::runtime::on_stack;

/// Bytes of a `tokenizer.json`.
const MAX_FILE: u64 = 256 << 20;
/// Stack of the thread that loads one, whose patterns may be nested.
const LOADER_STACK: usize = 256 << 20;

/// Counts with a Hugging Face tokenizer.
pub(super) struct HuggingFace {
    file: String,
    tokenizer: tokenizers::Tokenizer,
}

impl HuggingFace {
    /// From a `tokenizer.json`, or a folder that holds one.
    pub(super) fn from_file(file: &str) -> Result<Self> {
        let mut path = Path::new(file).to_path_buf();
        if path.is_dir() {
            path.push("tokenizer.json");
        }
        let bytes = file::read(&path, MAX_FILE).map_err(Error::io("reading", &path))?;
        let content = |reason: Cause| Error::Content {
            path: path.clone(),
            line: None,
            column: None,
            reason: format!("not a tokenizer.json: {reason}"),
            source: Some(reason),
        };
        let loaded = on_stack(LOADER_STACK, || tokenizers::Tokenizer::from_bytes(bytes))?;
        let mut tokenizer = loaded
            .map_err(|Panic(reason)| content(format!("reading it panicked: {reason}").into()))?
            .map_err(content)?;
        // A count is of the whole text, and of nothing else.
        tokenizer.with_truncation(None).map_err(content)?;
        tokenizer.with_padding(None);
        Ok(Self {
            file: file.to_owned(),
            tokenizer,
        })
    }
}

impl Tokenizer for HuggingFace {
    /// Words where there is no count.
    fn count(&self, text: &str) -> usize {
        counted(self, text).unwrap_or_else(|| Whitespace.count(text))
    }

    /// Nothing for a text that cannot be encoded, for example for want of a token for what the
    /// vocabulary does not know.
    fn try_count(&self, text: &str) -> Option<usize> {
        let encoding = self.tokenizer.encode_fast(text, false);
        encoding.ok().map(|encoding| encoding.len())
    }

    fn name(&self) -> Option<String> {
        Some(format!("hf:{}", self.file))
    }

    fn saved(&self) -> Value {
        json!({"tokenizer_module": "transformers", "name": self.file})
    }
}
