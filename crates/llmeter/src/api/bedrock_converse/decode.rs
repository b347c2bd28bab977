//! Turns the events of a Converse stream, or a non-streaming response, into content.

use serde_json::Value;

use crate::api::json_frames::{Decoded, Meaning, add, count, list, text};
use crate::api::{Frame, ResponseBuilder, Usage};

/// What of a response has been seen.
#[derive(Debug, Default)]
pub(super) struct Converse {
    /// The sum of all reports.
    usage: Usage,
    cache_write: Option<u64>,
    /// Whether any event was one of this API.
    is_recognized: bool,
}

impl Meaning for Converse {
    const MISSING_END: &'static str = "no messageStop";

    /// Other events have nothing to read, unless all are unknown.
    fn try_fast_path(&mut self, frame: Frame<'_>, _: &mut ResponseBuilder) -> bool {
        let is_read = is_read(frame.event);
        self.is_recognized |= is_read || is_mark(frame.event);
        !is_read && (self.is_recognized || !frame.data.starts_with(b"{"))
    }

    fn knows(&self, event: Option<&str>, _: &Value) -> bool {
        is_read(event)
    }

    fn frame(
        &mut self,
        event: Option<&str>,
        value: &Value,
        response: &mut ResponseBuilder,
    ) -> Decoded {
        match event {
            Some("contentBlockStart") => take_block(&value["start"], response),
            Some("contentBlockDelta") if value["delta"].is_object() => {
                take_block(&value["delta"], response);
            }
            Some("contentBlockDelta") => return Err("(contentBlockDelta) has no delta".to_owned()),
            Some("messageStop") => stop(value, response),
            Some("metadata") => {
                self.take_metadata(value, response);
                // It is the last event.
                if response.is_complete() {
                    response.complete();
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn non_streaming(&mut self, value: &Value, response: &mut ResponseBuilder) -> Decoded {
        let Some(Value::Array(content)) = value.pointer("/output/message/content") else {
            return Err("is not one of Converse: it has no output.message.content".to_owned());
        };
        for block in content {
            take_block(block, response);
        }
        stop(value, response);
        self.take_metadata(value, response);
        Ok(())
    }
}

/// Whether there is something to read in events of this type.
fn is_read(event: Option<&str>) -> bool {
    matches!(
        event,
        Some("contentBlockStart" | "contentBlockDelta" | "messageStop" | "metadata")
    )
}

/// Whether events of this type only mark where something begins or ends.
fn is_mark(event: Option<&str>) -> bool {
    matches!(event, Some("messageStart" | "contentBlockStop"))
}

impl Converse {
    fn take_metadata(&mut self, event: &Value, response: &mut ResponseBuilder) {
        let report = &event["usage"];
        if report.is_object() {
            let count = |name: &str| count(report, name);
            let cached = count("cacheReadInputTokens");
            let written = count("cacheWriteInputTokens");
            // Bedrock counts what the cache had and what it took apart from the rest.
            let input =
                count("inputTokens").and_then(|input| add(add(Some(input), cached), written));
            let usage = &mut self.usage;
            usage.input = add(usage.input, input);
            usage.output = add(usage.output, count("outputTokens"));
            usage.input_cached = add(usage.input_cached, cached);
            // Whether it holds cached tokens is not documented.
            let is_plain = add(cached, written).unwrap_or(0) == 0;
            usage.total = add(usage.total, count("totalTokens").filter(|_| is_plain));
            self.cache_write = add(self.cache_write, written);
            response.usage(*usage);
            if let Some(written) = self.cache_write.filter(|written| *written > 0) {
                response.annotate("num_tokens_input_cache_write", written);
            }
        }
        for (field, name) in [("metrics", "server_timings"), ("trace", "bedrock_trace")] {
            if event[field].is_object() {
                response.annotate(name, event[field].clone());
            }
        }
    }
}

fn stop(event: &Value, response: &mut ResponseBuilder) {
    match event["stopReason"].as_str() {
        Some(reason) => response.finish_reason(reason),
        None => response.complete(),
    }
}

/// A content block, the beginning of one, or a piece of one: they differ little.
fn take_block(block: &Value, response: &mut ResponseBuilder) {
    for (kind, value) in block.as_object().into_iter().flatten() {
        match kind.as_str() {
            "text" => response.text(value.as_str().unwrap_or_default()),
            "reasoningContent" => take_reasoning(value, response),
            "toolUse" => {
                for field in ["name", "input"] {
                    match value.get(field) {
                        Some(Value::String(piece)) => response.tool_call(piece),
                        Some(Value::Null) | None => {}
                        Some(input) => response.tool_call(&input.to_string()),
                    }
                }
            }
            // A sign of where a text comes from, and marks for caches, are not generated.
            "citation" | "cachePoint" => {}
            "citationsContent" => {
                for piece in list(value, "content") {
                    response.text(text(piece, "text"));
                }
            }
            _ if is_empty(value) => {}
            _ => response.other_content(),
        }
    }
}

fn take_reasoning(value: &Value, response: &mut ResponseBuilder) {
    // A non-streaming response wraps the text once more.
    let text = value
        .get("text")
        .or_else(|| value.pointer("/reasoningText/text"));
    if let Some(text) = text.and_then(Value::as_str) {
        response.reasoning(text);
    } else if !is_empty(&value["redactedContent"]) {
        response.hidden_reasoning();
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
