//! Turns the chunks of an InvokeModel stream, or a whole answer, into content.

use serde_json::Value;

use super::super::aws::chunk_bytes;
use super::super::jmespath::Path;
use crate::api::failure::{excerpt, whole_json};
use crate::api::lenient::lenient_json;
use crate::aws;
use crate::base::failure::FailureKind;
use crate::endpoint::{Answer, Frame, FrameDecoder, ResponseHead, Usage};

/// Decodes one answer.
#[derive(Debug)]
pub(super) struct Decoder {
    pub(super) generated_text: Path,
    pub(super) generated_token_count: Path,
    pub(super) input_token_count: Path,
    pub(super) chunks: u64,
    pub(super) refusal: aws::Refusal,
}

/// Where models of several families say why they ended.
const FINISH_REASONS: [&str; 6] = [
    "/choices/0/finish_reason",
    "/choices/0/stop_reason",
    "/stop_reason",
    "/delta/stop_reason",
    "/completionReason",
    "/outputs/0/stop_reason",
];

/// Where Claude's chunks have what stands for thoughts that are kept back.
const HIDDEN_REASONING: &[&str] = &["/delta/signature", "/content_block/data"];

/// Where models of several families call tools.
const TOOL_CALLS: &[&str] = &[
    "/choices/0/delta/tool_calls",
    "/choices/0/message/tool_calls",
    "/content_block/name",
    "/delta/partial_json",
];

/// Where chunks of several families have reasoning.
const REASONING: [&str; 3] = [
    "/choices/0/delta/reasoning_content",
    "/choices/0/delta/reasoning",
    "/delta/thinking",
];

impl FrameDecoder for Decoder {
    fn head(&mut self, head: &ResponseHead, answer: &mut Answer) {
        // An id in the body replaces it.
        if let Some(id) = aws::request_id(head) {
            answer.id(id);
        }
        self.refusal = aws::Refusal::of(head);
    }

    fn frame(&mut self, frame: Frame<'_>, answer: &mut Answer) {
        if frame.is_error {
            aws::take_exception("Bedrock", frame, answer);
            return;
        }
        if frame.event != Some("chunk") {
            return;
        }
        self.chunks += 1;
        let number = self.chunks;
        let bytes = match chunk_bytes(frame.data) {
            Ok(bytes) => bytes,
            Err(reason) => {
                answer.fail(FailureKind::Malformed, format!("chunk {number} {reason}"));
                return;
            }
        };
        match lenient_json(&bytes) {
            Ok(chunk) => {
                for place in REASONING {
                    if let Some(Value::String(text)) = chunk.pointer(place) {
                        answer.reasoning(text);
                        break;
                    }
                }
                // Thoughts whose text is kept back count by what stands for them.
                if answer.reasoning.is_empty() && is_filled(&chunk, HIDDEN_REASONING) {
                    answer.hidden_reasoning();
                }
                self.take(&chunk, answer);
            }
            Err(reason) => answer.fail(
                FailureKind::Malformed,
                format!(
                    "chunk {number} is not valid JSON: {reason}: {}",
                    excerpt(&bytes)
                ),
            ),
        }
    }

    fn whole(&mut self, body: &[u8], answer: &mut Answer) {
        let Some(value) = whole_json(body, answer) else {
            return;
        };
        if let Some(Value::String(text)) = value.pointer("/choices/0/message/reasoning_content") {
            answer.reasoning(text);
        }
        self.take(&value, answer);
        if !answer.has_text && !is_filled(&value, TOOL_CALLS) {
            answer.fail(
                FailureKind::Malformed,
                format!(
                    "the answer has no text at {} (generated_text_jmespath): {}",
                    self.generated_text.text(),
                    excerpt(body)
                ),
            );
        }
        answer.complete();
    }

    fn end(&mut self, answer: &mut Answer) {
        // Models end in ways of their own; a stream that was cut is noticed by its framing.
        if self.chunks == 0 {
            answer.fail(
                FailureKind::Empty,
                "the stream ended without a single chunk",
            );
        } else if !answer.has_text && answer.content_frames() == 0 && !answer.is_complete() {
            answer.fail(
                FailureKind::Malformed,
                format!(
                    "no chunk had a text at {} (generated_text_jmespath)",
                    self.generated_text.text()
                ),
            );
        } else {
            answer.complete();
        }
    }

    fn error_message(&self, body: &[u8]) -> Option<String> {
        self.refusal.message(body)
    }
}

impl Decoder {
    fn take(&self, value: &Value, answer: &mut Answer) {
        if let Some(Value::String(id)) = value.get("id") {
            answer.own_id(id);
        }
        if let Some(text) = self.generated_text.find_text(value) {
            answer.text(&text);
        }
        if is_filled(value, TOOL_CALLS) {
            answer.other_content();
        }
        answer.usage(Usage {
            input: self.input_token_count.find_count(value),
            output: self.generated_token_count.find_count(value),
            ..Usage::default()
        });
        for place in FINISH_REASONS {
            if let Some(Value::String(reason)) = value.pointer(place) {
                answer.finish_reason(reason);
                break;
            }
        }
        if value.get("amazon-bedrock-invocationMetrics").is_some() {
            answer.complete();
        }
    }
}

/// Whether there is something at one of these places.
fn is_filled(value: &Value, places: &[&str]) -> bool {
    places.iter().any(|place| match value.pointer(place) {
        Some(Value::Array(list)) => !list.is_empty(),
        Some(Value::String(text)) => !text.is_empty(),
        _ => false,
    })
}
