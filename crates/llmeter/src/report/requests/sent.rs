//! What was sent, as text for a cell.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;

use crate::InvocationResponse;
use crate::payload::{Payload, plain_numbers};

/// Texts of payloads and prompts, made once for all requests that share them.
#[derive(Debug, Default)]
pub(super) struct SentTexts {
    by_address: HashMap<usize, Bytes>,
    /// Whose addresses are known. They stay taken as long as they are here.
    payloads: Vec<Arc<Payload>>,
    prompts: Vec<Arc<Value>>,
    bytes: usize,
}

impl SentTexts {
    pub(super) fn payload(&mut self, response: &InvocationResponse) -> Option<Bytes> {
        let payload = response.input_payload.as_ref()?;
        let address = Arc::as_ptr(payload) as usize;
        if let Some(text) = self.by_address.get(&address) {
            return Some(text.clone());
        }
        self.payloads.push(payload.clone());
        Some(self.keep(address, json_text(&**payload)))
    }

    /// A prompt that is a text is that text.
    pub(super) fn prompt(&mut self, response: &InvocationResponse) -> Option<Bytes> {
        let prompt = response.input_prompt.as_ref()?;
        let address = Arc::as_ptr(prompt) as usize;
        if let Some(text) = self.by_address.get(&address) {
            return Some(text.clone());
        }
        self.prompts.push(prompt.clone());
        let text = match &**prompt {
            Value::String(text) => text.clone(),
            other => json_text(other),
        };
        Some(self.keep(address, text))
    }

    fn keep(&mut self, address: usize, text: String) -> Bytes {
        let text = Bytes::from(text);
        self.bytes += text.len();
        self.by_address.insert(address, text.clone());
        text
    }

    /// Bytes of the texts.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

/// JSON with numbers as they were written.
pub(super) fn json_text<T: Serialize + ?Sized>(value: &T) -> String {
    plain_numbers(serde_json::to_string(value).unwrap_or_default())
}
