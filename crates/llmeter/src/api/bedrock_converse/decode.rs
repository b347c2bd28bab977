//! Turns the events of a Converse stream, or a whole answer, into content.

use serde_json::{Map, Value};

use crate::api::failure::{excerpt, whole_json};
use crate::api::lenient::lenient_json;
use crate::aws;
use crate::base::failure::FailureKind;
use crate::endpoint::{Answer, Frame, FrameDecoder, ResponseHead, Usage};

/// Decodes one answer.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    frames: u64,
    refusal: aws::Refusal,
    /// The sum of all reports.
    usage: Usage,
    cache_write: Option<u64>,
}

impl FrameDecoder for Decoder {
    fn head(&mut self, head: &ResponseHead, answer: &mut Answer) {
        if let Some(id) = aws::request_id(head) {
            answer.id(id);
        }
        self.refusal = aws::Refusal::of(head);
    }

    fn frame(&mut self, frame: Frame<'_>, answer: &mut Answer) {
        self.frames += 1;
        if frame.is_error {
            aws::take_exception("Bedrock", frame, answer);
            return;
        }
        let kind = frame.event.unwrap_or_default();
        let is_known = matches!(
            kind,
            "contentBlockStart" | "contentBlockDelta" | "messageStop" | "metadata"
        );
        if !is_known {
            return;
        }
        let value = match lenient_json(frame.data) {
            Ok(value) => value,
            Err(reason) => {
                answer.fail(
                    FailureKind::Malformed,
                    format!(
                        "event {} ({kind}) is not valid JSON: {reason}: {}",
                        self.frames,
                        excerpt(frame.data)
                    ),
                );
                return;
            }
        };
        let Value::Object(event) = &value else {
            answer.fail(
                FailureKind::Malformed,
                format!(
                    "event {} ({kind}) is not an object: {}",
                    self.frames,
                    excerpt(frame.data)
                ),
            );
            return;
        };
        match kind {
            "contentBlockStart" => {
                if let Some(start) = event.get("start").and_then(Value::as_object) {
                    take_block(start, answer);
                }
            }
            "contentBlockDelta" => match event.get("delta") {
                Some(Value::Object(delta)) => take_block(delta, answer),
                _ => answer.fail(
                    FailureKind::Malformed,
                    format!(
                        "event {} (contentBlockDelta) has no delta: {}",
                        self.frames,
                        excerpt(frame.data)
                    ),
                ),
            },
            "messageStop" => stop(event, answer),
            _ => self.take_metadata(event, answer),
        }
    }

    fn whole(&mut self, body: &[u8], answer: &mut Answer) {
        let Some(value) = whole_json(body, answer) else {
            return;
        };
        let content = value.pointer("/output/message/content");
        let (Some(fields), Some(Value::Array(content))) = (value.as_object(), content) else {
            answer.fail(FailureKind::Malformed, format!(
                "the server's answer is not one of Converse: it has no output.message.content: {}",
                excerpt(body)
            ));
            return;
        };
        for block in content.iter().filter_map(Value::as_object) {
            take_block(block, answer);
        }
        stop(fields, answer);
        self.take_metadata(fields, answer);
    }

    fn end(&mut self, answer: &mut Answer) {
        if answer.is_complete() {
            return;
        }
        answer.ended_early(self.frames, "no messageStop");
    }

    fn error_message(&self, body: &[u8]) -> Option<String> {
        self.refusal.message(body)
    }
}

impl Decoder {
    fn take_metadata(&mut self, event: &Map<String, Value>, answer: &mut Answer) {
        if let Some(report) = event.get("usage").and_then(Value::as_object) {
            let count = |name: &str| report.get(name).and_then(Value::as_u64);
            let cached = count("cacheReadInputTokens");
            let written = count("cacheWriteInputTokens");
            // Bedrock counts what the cache had and what it took apart from the rest.
            let input = count("inputTokens").map(|input| {
                let all = input.saturating_add(cached.unwrap_or(0));
                all.saturating_add(written.unwrap_or(0))
            });
            add(&mut self.usage.input, input);
            add(&mut self.usage.output, count("outputTokens"));
            add(&mut self.usage.input_cached, cached);
            add(&mut self.cache_write, written);
            answer.usage(self.usage);
            if let Some(written) = self.cache_write.filter(|written| *written > 0) {
                answer.annotate("num_tokens_input_cache_write", written);
            }
        }
        if let Some(metrics @ Value::Object(_)) = event.get("metrics") {
            answer.annotate("server_timings", metrics.clone());
        }
        if let Some(trace @ Value::Object(_)) = event.get("trace") {
            answer.annotate("bedrock_trace", trace.clone());
        }
    }
}

fn add(sum: &mut Option<u64>, count: Option<u64>) {
    if let Some(count) = count {
        *sum = Some(sum.unwrap_or(0).saturating_add(count));
    }
}

fn stop(event: &Map<String, Value>, answer: &mut Answer) {
    match event.get("stopReason").and_then(Value::as_str) {
        Some(reason) => answer.finish_reason(reason),
        None => answer.complete(),
    }
}

/// A content block, the beginning of one, or a piece of one: they differ little.
fn take_block(block: &Map<String, Value>, answer: &mut Answer) {
    for (kind, value) in block {
        match kind.as_str() {
            "text" => answer.text(value.as_str().unwrap_or_default()),
            "reasoningContent" => take_reasoning(value, answer),
            "toolUse" => {
                for field in ["name", "input"] {
                    match value.get(field) {
                        Some(Value::String(piece)) => answer.tool_call(piece),
                        Some(Value::Null) | None => {}
                        Some(input) => answer.tool_call(&input.to_string()),
                    }
                }
            }
            // A sign of where a text comes from, and marks for caches, are not generated.
            "citation" | "cachePoint" => {}
            "citationsContent" => {
                for piece in value["content"].as_array().into_iter().flatten() {
                    answer.text(piece["text"].as_str().unwrap_or_default());
                }
            }
            _ if is_empty(value) => {}
            _ => answer.other_content(),
        }
    }
}

fn take_reasoning(value: &Value, answer: &mut Answer) {
    // A whole block wraps the text once more.
    let text = value
        .get("text")
        .or_else(|| value.pointer("/reasoningText/text"));
    if let Some(text) = text.and_then(Value::as_str) {
        answer.reasoning(text);
    } else if !is_empty(&value["redactedContent"]) {
        answer.hidden_reasoning();
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Array(list) => list.is_empty(),
        _ => false,
    }
}
