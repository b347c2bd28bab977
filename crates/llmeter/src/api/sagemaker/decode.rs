//! Turns the parts of a container's stream, or a whole answer, into content.
//!
//! A part is whatever the container had written; lines may be split over parts.

use serde_json::Value;

use super::super::jmespath::Path;
use crate::api::failure::{excerpt, whole_json};
use crate::api::lenient::lenient_json;
use crate::aws;
use crate::base::failure::FailureKind;
use crate::endpoint::{Answer, Frame, FrameDecoder, ResponseHead, Usage};

/// Where lines have a piece of the text: those of text generation containers, of chats, of completions.
const TEXT: &[&str] = &["/token/text", "/choices/0/delta/content", "/choices/0/text"];

/// Where lines of chats have a piece of the reasoning.
const REASONING: &[&str] = &[
    "/choices/0/delta/reasoning_content",
    "/choices/0/delta/reasoning",
];

/// The largest line that is accepted.
const MAX_LINE: usize = 16 << 20;

/// Decodes one answer.
#[derive(Debug)]
pub(super) struct Decoder {
    pub(super) generated_text: Path,
    pub(super) token_count: Path,
    /// The beginning of a line whose end has not come yet.
    pub(super) line: Vec<u8>,
    pub(super) parts: u64,
    /// Lines with a token.
    pub(super) token_lines: u64,
    pub(super) refusal: aws::Refusal,
}

impl FrameDecoder for Decoder {
    fn head(&mut self, head: &ResponseHead, answer: &mut Answer) {
        if let Some(id) = aws::request_id(head) {
            answer.id(id);
        }
        self.refusal = aws::Refusal::of(head);
    }

    fn frame(&mut self, frame: Frame<'_>, answer: &mut Answer) {
        if frame.is_error {
            aws::take_exception("SageMaker", frame, answer);
            return;
        }
        if frame.event != Some("PayloadPart") {
            return;
        }
        self.parts += 1;
        self.line.extend_from_slice(frame.data);
        let bytes = std::mem::take(&mut self.line);
        let mut rest = bytes.as_slice();
        while let Some(end) = memchr::memchr(b'\n', rest) {
            self.take_line(&rest[..end], answer);
            rest = &rest[end + 1..];
        }
        if rest.len() > MAX_LINE {
            answer.fail(
                FailureKind::Malformed,
                format!("a line of the stream is longer than {MAX_LINE} bytes"),
            );
            return;
        }
        self.line = rest.to_vec();
    }

    fn whole(&mut self, body: &[u8], answer: &mut Answer) {
        let value = match whole_json(body, answer) {
            // Some containers answer with a list of answers.
            Some(Value::Array(mut list)) if !list.is_empty() => list.swap_remove(0),
            Some(value) => value,
            None => return,
        };
        match self.generated_text.find_text(&value) {
            Some(text) => answer.text(&text),
            None if has_tool_calls(&value) => answer.other_content(),
            None => match error_of(&value) {
                Some(reason) => answer.fail(FailureKind::ServerError, reason),
                None => answer.fail(
                    FailureKind::Malformed,
                    format!(
                        "the answer has no text at {} (generated_text_jmespath): {}",
                        self.generated_text.text(),
                        excerpt(body)
                    ),
                ),
            },
        }
        self.details(&value, answer);
        answer.complete();
    }

    fn end(&mut self, answer: &mut Answer) {
        let last = std::mem::take(&mut self.line);
        self.take_line(&last, answer);
        if self.parts == 0 {
            answer.fail(FailureKind::Empty, "the stream ended without a single part");
        } else if self.token_lines == 0 && !answer.is_complete() {
            answer.fail(FailureKind::Empty, "the stream ended without a token");
        }
        if answer.usage.output.is_none() && self.token_lines > 0 {
            answer.usage(Usage {
                output: Some(self.token_lines),
                ..Usage::default()
            });
        }
    }

    fn error_message(&self, body: &[u8]) -> Option<String> {
        self.refusal.message(body)
    }
}

impl Decoder {
    fn take_line(&mut self, line: &[u8], answer: &mut Answer) {
        let line = line.trim_ascii();
        let data = match line.strip_prefix(b"data:") {
            Some(data) => data.trim_ascii(),
            // Containers that write a value a line.
            None if line.starts_with(b"{") => line,
            None => return,
        };
        if data.is_empty() {
            return;
        }
        if data == b"[DONE]" {
            answer.complete();
            return;
        }
        let value = match lenient_json(data) {
            Ok(value) => value,
            Err(reason) => {
                answer.fail(
                    FailureKind::Malformed,
                    format!(
                        "a line of the stream is not valid JSON: {reason}: {}",
                        excerpt(data)
                    ),
                );
                return;
            }
        };
        if let Some(error) = error_of(&value) {
            answer.fail(FailureKind::ServerError, error);
            return;
        }
        let text = |places: &[&str]| {
            let mut found = places
                .iter()
                .filter_map(|place| value.pointer(place)?.as_str());
            found.next().map(str::to_owned)
        };
        let (reasoning, visible) = (text(REASONING), text(TEXT));
        if let Some(piece) = &reasoning {
            answer.reasoning(piece);
        }
        if let Some(piece) = &visible {
            answer.text(piece);
        }
        let calls_tool = has_tool_calls(&value);
        if calls_tool {
            answer.other_content();
        }
        // A token may have no text; the opening of a chat is none.
        let is_piece = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
        let has_content = calls_tool || is_piece(&reasoning) || is_piece(&visible);
        if has_content || value.get("token").is_some() {
            self.token_lines += 1;
        }
        self.details(&value, answer);
    }

    fn details(&self, value: &Value, answer: &mut Answer) {
        answer.usage(Usage {
            input: ["/details/prompt_tokens", "/usage/prompt_tokens"]
                .iter()
                .find_map(|place| value.pointer(place)?.as_u64()),
            output: self.token_count.find_count(value).or_else(|| {
                let count = value.pointer("/usage/completion_tokens")?;
                count.as_u64()
            }),
            ..Usage::default()
        });
        let reason = ["/details/finish_reason", "/choices/0/finish_reason"]
            .iter()
            .find_map(|place| value.pointer(place)?.as_str());
        if let Some(reason) = reason {
            answer.finish_reason(reason);
        }
    }
}

/// Whether a chat calls a tool.
fn has_tool_calls(value: &Value) -> bool {
    let places = [
        "/choices/0/delta/tool_calls",
        "/choices/0/message/tool_calls",
    ];
    let mut lists = places
        .iter()
        .filter_map(|place| value.pointer(place)?.as_array());
    lists.any(|list| !list.is_empty())
}

/// A container's own error.
fn error_of(value: &Value) -> Option<String> {
    let error = value.get("error").filter(|error| !error.is_null())?;
    let text = error
        .as_str()
        .or_else(|| error.get("message")?.as_str())
        .map_or_else(|| error.to_string(), str::to_owned);
    Some(match value.get("error_type").and_then(Value::as_str) {
        Some(kind) => format!("SageMaker {kind}: {text}"),
        None => format!("SageMaker: {text}"),
    })
}
