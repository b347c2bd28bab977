//! Turns the lines of a container's stream, or a non-streaming response, into content.

use serde_json::Value;

use super::SageMaker;
use crate::api::aws::{CHAT_REASONING, is_filled, text_at};
use crate::api::json_frames::{Decoded, Decoder, Meaning, number};
use crate::api::outside::quote;
use crate::api::{Frame, FrameDecoder, ResponseBuilder, Usage};
use crate::base::failure::FailureKind;
use llmeter_wire::framing::Outside;

/// Where lines have a piece of the text: those of text generation containers, of chats, of completions.
const TEXT: &[&str] = &["/token/text", "/choices/0/delta/content", "/choices/0/text"];

/// Where chats call tools.
const TOOL_CALLS: &[&str] = &[
    "/choices/0/delta/tool_calls",
    "/choices/0/message/tool_calls",
];

/// The largest line that is accepted.
const MAX_LINE: usize = 16 << 20;

/// Bytes that are no frame of which no more are kept.
const MAX_OUTSIDE: usize = 4096;

/// Cuts a stream into lines: its frames are parts of whatever the container had written.
#[derive(Debug)]
pub(super) struct Lines {
    inner: Decoder<Container>,
    /// The beginning of a line whose end has not come yet.
    line: Vec<u8>,
    /// Lines that are no frames.
    outside: Outside,
}

impl FrameDecoder for Lines {
    fn frame(&mut self, frame: Frame<'_>, response: &mut ResponseBuilder) {
        if frame.event != Some("PayloadPart") {
            return;
        }
        self.line.extend_from_slice(frame.data);
        let bytes = std::mem::take(&mut self.line);
        let mut rest = bytes.as_slice();
        while let Some(end) = memchr::memchr(b'\n', rest) {
            self.take_line(&rest[..end], response);
            rest = &rest[end + 1..];
        }
        if rest.len() > MAX_LINE {
            let reason = format!("a line of the stream is longer than {MAX_LINE} bytes");
            response.fail(FailureKind::Malformed, reason);
            return;
        }
        self.line = rest.to_vec();
    }

    fn non_streaming(&mut self, body: &[u8], response: &mut ResponseBuilder) {
        self.inner.non_streaming(body, response);
    }

    fn end(&mut self, response: &mut ResponseBuilder) {
        let last = std::mem::take(&mut self.line);
        if !last.is_empty() {
            self.take_line(&last, response);
        }
        self.inner.end(response);
        if !self.outside.text.is_empty() {
            quote(&self.outside, response);
        }
    }

    fn error_message(&self, _: &[u8]) -> Option<String> {
        None
    }
}

impl Lines {
    pub(super) fn new(inner: Decoder<Container>) -> Self {
        Self {
            inner,
            line: Vec::new(),
            outside: Outside::default(),
        }
    }

    fn take_line(&mut self, line: &[u8], response: &mut ResponseBuilder) {
        let line = line.trim_ascii();
        let data = match line.strip_prefix(b"data:") {
            Some(data) => data.trim_ascii(),
            // Containers that write a value a line.
            None if line.is_empty() || line.starts_with(b"{") => line,
            None => return self.keep(line),
        };
        let frame = Frame {
            event: None,
            data,
            is_error: false,
        };
        self.inner.frame(frame, response);
    }

    /// Keeps the beginning of what is no frame: a container's own error, mostly.
    fn keep(&mut self, line: &[u8]) {
        let is_field = |name: &&[u8]| line.starts_with(name);
        if [&b":"[..], b"event:", b"id:", b"retry:"]
            .iter()
            .any(is_field)
        {
            return;
        }
        self.outside.is_garbage = true;
        if self.outside.text.len() < MAX_OUTSIDE {
            self.outside.text.extend_from_slice(line);
            self.outside.text.push(b'\n');
        }
    }
}

/// What of a response has been seen.
#[derive(Debug)]
pub(super) struct Container {
    pub(super) api: SageMaker,
    /// Lines with a token.
    pub(super) token_lines: u64,
}

impl Meaning for Container {
    const OBJECTS_ONLY: bool = false;
    const READS_LISTS: bool = false;

    fn knows(&self, _: Option<&str>, value: &Value) -> bool {
        ["token", "choices", "details", "usage", "generated_text"]
            .iter()
            .any(|name| value.get(name).is_some())
    }

    /// A container's own error.
    fn error(&self, value: &Value, _: &[u8]) -> Option<String> {
        let error = value.get("error").filter(|error| !error.is_null())?;
        let text = error.as_str().or_else(|| error.get("message")?.as_str());
        let text = text.map_or_else(|| error.to_string(), str::to_owned);
        Some(match value["error_type"].as_str() {
            Some(kind) => format!("SageMaker {kind}: {text}"),
            None => format!("SageMaker: {text}"),
        })
    }

    fn frame(&mut self, _: Option<&str>, value: &Value, response: &mut ResponseBuilder) -> Decoded {
        let reasoning = text_at(value, CHAT_REASONING);
        let visible = text_at(value, TEXT);
        if let Some(text) = reasoning {
            response.reasoning(text);
        }
        if let Some(text) = visible {
            response.text(text);
        }
        let calls_tool = is_filled(value, TOOL_CALLS);
        if calls_tool {
            response.other_content();
        }
        // A token may have no text; the opening of a chat is none.
        let mut texts = [reasoning, visible].into_iter().flatten();
        if calls_tool || texts.any(|text| !text.is_empty()) || value.get("token").is_some() {
            self.token_lines += 1;
        }
        self.details(value, response);
        Ok(())
    }

    fn non_streaming(&mut self, value: &Value, response: &mut ResponseBuilder) -> Decoded {
        // Some containers respond with a list: of responses, or of a stream's lines.
        let list = match value {
            Value::Array(list) if !list.is_empty() => list.as_slice(),
            value => std::slice::from_ref(value),
        };
        if list.len() > 1 && list.iter().any(|line| text_at(line, TEXT).is_some()) {
            for line in list {
                match self.error(line, &[]) {
                    Some(error) => response.fail(FailureKind::ServerError, error),
                    None => self.frame(None, line, response)?,
                }
            }
            self.end(response);
            return Ok(());
        }
        for (number, value) in list.iter().enumerate() {
            self.details(value, response);
            match self.api.generated_text.find_text(value) {
                Some(text) if number == 0 => response.text(&text),
                // Of several responses the first is kept, as of several choices.
                Some(text) if text.is_empty() => {}
                Some(_) => response.other_content(),
                None if is_filled(value, TOOL_CALLS) => response.other_content(),
                None => {
                    let place = self.api.generated_text.text();
                    return Err(format!("has no text at {place} (generated_text_jmespath)"));
                }
            }
        }
        Ok(())
    }

    fn end(&mut self, response: &mut ResponseBuilder) {
        if self.token_lines == 0 && !response.is_complete() {
            response.fail(FailureKind::Empty, "the stream ended without a token");
        }
        if response.usage.output.is_none() && self.token_lines > 0 {
            response.usage(Usage {
                output: Some(self.token_lines),
                ..Usage::default()
            });
        }
    }
}

impl Container {
    fn details(&self, value: &Value, response: &mut ResponseBuilder) {
        let count = |place| value.pointer(place).and_then(number);
        let output = self.api.token_count.find_count(value);
        response.usage(Usage {
            input: count("/details/prompt_tokens").or_else(|| count("/usage/prompt_tokens")),
            output: output.or_else(|| count("/usage/completion_tokens")),
            total: count("/usage/total_tokens"),
            ..Usage::default()
        });
        let places = ["/details/finish_reason", "/choices/0/finish_reason"];
        if let Some(reason) = text_at(value, &places) {
            response.finish_reason(reason);
        }
    }
}
