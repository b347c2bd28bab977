//! Hugging Face tokenizers, from a local `tokenizer.json`.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use super::Tokenizer;
use crate::base::error::{Cause, Error, Result};
use crate::base::file::{self, MAX_DATA_FILE};

/// Counts with a Hugging Face tokenizer.
pub(super) struct HuggingFace {
    file: String,
    tokenizer: tokenizers::Tokenizer,
    has_failed: AtomicBool,
}

impl HuggingFace {
    /// From a `tokenizer.json`, or a folder that holds one.
    pub(super) fn from_file(file: &str) -> Result<Self> {
        let mut path = Path::new(file).to_path_buf();
        if path.is_dir() {
            path.push("tokenizer.json");
        }
        let bytes = file::read(&path, MAX_DATA_FILE).map_err(Error::io("reading", &path))?;
        let content = |reason: Cause| Error::Content {
            path: path.clone(),
            line: None,
            column: None,
            reason: format!("not a tokenizer.json: {reason}"),
            source: Some(reason),
        };
        let mut tokenizer = tokenizers::Tokenizer::from_bytes(bytes).map_err(content)?;
        // A count is of the whole text, and of nothing else.
        tokenizer.with_truncation(None).map_err(content)?;
        tokenizer.with_padding(None);
        Ok(Self {
            file: file.to_owned(),
            tokenizer,
            has_failed: AtomicBool::new(false),
        })
    }
}

impl Tokenizer for HuggingFace {
    fn count(&self, text: &str) -> usize {
        match self.tokenizer.encode_fast(text, false) {
            Ok(encoding) => encoding.len(),
            Err(error) => {
                // For example a vocabulary without a token for what it does not know.
                if !self.has_failed.swap(true, Ordering::Relaxed) {
                    tracing::warn!(
                        tokenizer = self.file,
                        %error,
                        "a text cannot be tokenized; its words are counted instead"
                    );
                }
                super::Whitespace.count(text)
            }
        }
    }

    fn name(&self) -> Option<String> {
        Some(format!("hf:{}", self.file))
    }

    fn saved(&self) -> Value {
        json!({"tokenizer_module": "transformers", "name": self.file})
    }
}
