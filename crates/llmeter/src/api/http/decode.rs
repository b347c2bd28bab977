//! What a frame or a non-streaming response says, found by JMESPath.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use crate::api::failure::error_text;
use crate::api::jmespath::{Path, is_true};
use crate::api::json_frames::{Decoded, Meaning};
use crate::api::{ResponseBuilder, Usage};
use crate::base::error::Result;
use crate::base::failure::FailureKind;
use crate::base::server_text::{excerpt, lenient_json};

/// The parts of a response whose place can be said, each with a line about it.
pub const RESPONSE_PARTS: [(&str, &str); 11] = [
    ("text", "the response's text, or the part of it in a frame"),
    ("reasoning", "the text of the model's reasoning"),
    ("tool-call", "the name or the arguments of a tool call"),
    ("id", "the response's id"),
    ("error", "what went wrong [default: error]"),
    (
        "end",
        "true, or why it ended, in the last frame of a stream",
    ),
    ("input-tokens", "the count of input tokens"),
    ("output-tokens", "the count of output tokens"),
    ("cached-tokens", "the count of input tokens from a cache"),
    ("reasoning-tokens", "the count of reasoning tokens"),
    (
        "prompt",
        "in the payload: the prompt's text [default: prompt]",
    ),
];

/// Where the parts of a response are, as [`RESPONSE_PARTS`] lists them. Cheap to clone: each response
/// has its own decoder.
#[derive(Debug, Clone, Default)]
pub(super) struct Places(Arc<[Option<Path>; RESPONSE_PARTS.len()]>);

impl Places {
    /// # Errors
    /// When an expression is none.
    pub(super) fn new(of: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let mut places = RESPONSE_PARTS.map(|_| None);
        for (place, (part, _)) in places.iter_mut().zip(RESPONSE_PARTS) {
            let text = of(part).or_else(|| (part == "error").then(|| part.to_owned()));
            *place = text.map(|text| Path::new(part, &text)).transpose()?;
        }
        Ok(Self(Arc::new(places)))
    }

    /// The expressions, by the names of their parts.
    pub(super) fn saved(&self) -> Map<String, Value> {
        let named = RESPONSE_PARTS.iter().zip(&*self.0);
        named
            .filter_map(|((name, _), path)| {
                Some(((*name).to_owned(), path.as_ref()?.text().into()))
            })
            .collect()
    }

    /// The expression for the prompt in a payload.
    pub(super) fn prompt(&self) -> Option<&Path> {
        let [.., prompt] = &*self.0;
        prompt.as_ref()
    }

    /// Where the text should be, if the response said nothing there or elsewhere.
    fn missing_text(&self, response: &ResponseBuilder) -> Option<&Path> {
        let [text, ..] = &*self.0;
        // A response without a word has its text, too: an empty one.
        let has_text = response.has_text || response.content_frames() > 0;
        text.as_ref().filter(|_| !has_text)
    }
}

impl Meaning for Places {
    const OBJECTS_ONLY: bool = false;
    const READS_LISTS: bool = false;

    fn error(&self, value: &Value, _: &[u8]) -> Option<String> {
        let [_, _, _, _, error, ..] = &*self.0;
        failure(&*error.as_ref()?.find(value)?)
    }

    fn frame(&mut self, _: Option<&str>, value: &Value, response: &mut ResponseBuilder) -> Decoded {
        match unwrapped(value) {
            Some(inner) => match self.error(&inner, &[]) {
                Some(error) => response.fail(FailureKind::ServerError, error),
                None => self.take(&inner, response),
            },
            None => self.take(value, response),
        }
        Ok(())
    }

    fn non_streaming(&mut self, value: &Value, response: &mut ResponseBuilder) -> Decoded {
        self.take(value, response);
        // The expressions may be meant for the elements of a list, which stand for frames.
        if let Value::Array(list) = value
            && self.missing_text(response).is_some()
        {
            for element in list {
                match self.error(element, &[]) {
                    Some(error) => response.fail(FailureKind::ServerError, error),
                    None => self.take(element, response),
                }
            }
        }
        match self
            .missing_text(response)
            .filter(|_| !response.is_failed())
        {
            Some(path) => Err(format!(
                "has no text at {} (`jmespath` text=…)",
                path.text()
            )),
            None => Ok(()),
        }
    }

    fn end(&mut self, response: &mut ResponseBuilder) {
        let [_, _, _, _, _, end, ..] = &*self.0;
        if let Some(end) = end.as_ref().filter(|_| !response.is_complete()) {
            response.fail(FailureKind::Truncated, format!(
                "the stream ended before it was finished (no frame has {} (`jmespath` end=…), and \
                 no [DONE])",
                end.text()
            ));
        } else if let Some(text) = self.missing_text(response) {
            let reason = format!("no frame had a text at {} (`jmespath` text=…)", text.text());
            response.fail(FailureKind::Malformed, reason);
        } else {
            // Nothing may say how this API ends; a connection that broke is noticed elsewhere.
            response.complete();
        }
    }

    /// Without a place of a text, nothing says that there is one.
    fn generates_content(&self) -> bool {
        let [text, ..] = &*self.0;
        text.is_some()
    }

    fn error_message(&self, body: &[u8]) -> Option<String> {
        let value = lenient_json(body).ok();
        let found = value.and_then(|value| self.error(&value, body));
        found.or_else(|| error_text(body))
    }
}

impl Places {
    /// What a frame or a response says that reports no failure.
    fn take(&self, value: &Value, response: &mut ResponseBuilder) {
        let [
            text,
            reasoning,
            tool_call,
            id,
            _,
            end,
            input,
            output,
            input_cached,
            output_reasoning,
            _,
        ] = &*self.0;
        let find = |path: &Option<Path>| path.as_ref()?.find(value);
        let find_text = |path: &Option<Path>| path.as_ref()?.find_text(value);
        let count = |path: &Option<Path>| path.as_ref()?.find_count(value);
        match find(id).as_deref() {
            Some(Value::String(id)) => response.id(id),
            Some(Value::Number(id)) => response.id(&id.to_string()),
            _ => {}
        }
        if let Some(text) = find_text(reasoning) {
            response.reasoning(&text);
        }
        if let Some(text) = find_text(text) {
            response.text(&text);
        }
        if let Some(text) = find_text(tool_call) {
            response.tool_call(&text);
        }
        response.usage(Usage {
            input: count(input),
            output: count(output),
            input_cached: count(input_cached),
            output_reasoning: count(output_reasoning),
            total: None,
        });
        match find(end).as_deref() {
            Some(Value::String(reason)) if !reason.is_empty() => response.finish_reason(reason),
            Some(end) if is_true(end) => response.complete(),
            _ => {}
        }
    }
}

/// What a message of an AWS event stream wraps in base64, as Bedrock's and others' do.
fn unwrapped(value: &Value) -> Option<Value> {
    let fields = value.as_object()?;
    let bytes = fields.get("bytes")?.as_str()?;
    // Beside it there is at most padding.
    if fields.keys().any(|name| name != "bytes" && name != "p") {
        return None;
    }
    lenient_json(&STANDARD.decode(bytes).ok()?).ok()
}

/// What is found where failures are reported; nothing if it says that there is none.
fn failure(found: &Value) -> Option<String> {
    if !is_true(found) {
        return None;
    }
    Some(match found {
        Value::String(text) => text.clone(),
        found => {
            let wrapped = serde_json::json!({ "error": found }).to_string();
            error_text(wrapped.as_bytes()).unwrap_or_else(|| excerpt(found.to_string().as_bytes()))
        }
    })
}
