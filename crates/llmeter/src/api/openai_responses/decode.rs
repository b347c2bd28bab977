//! Turns events of a Responses stream, or a whole response, into content.

use serde::Deserialize;
use serde_json::Value;

use crate::api::failure::{ErrorReport, error_text, excerpt, whole_json};
use crate::api::lenient::{Count, Object, Text, lenient_json};
use crate::base::failure::FailureKind;
use crate::endpoint::{Answer, Frame, FrameDecoder, Usage};

/// Decodes one answer.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    /// Frames so far, those without a meaning included.
    frames: u64,
    /// The event that ends the stream was seen, or `[DONE]`, which some servers add.
    is_done: bool,
}

/// What the many small events consist of.
#[derive(Debug, Default, Deserialize)]
struct Event<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Text<'a>,
    #[serde(borrow, default)]
    delta: Text<'a>,
}

impl FrameDecoder for Decoder {
    fn frame(&mut self, Frame { event, data, .. }: Frame<'_>, answer: &mut Answer) {
        self.frames += 1;
        // Some servers keep a connection alive with empty events.
        if self.is_done || data.trim_ascii().is_empty() && event != Some("error") {
            return;
        }
        if data.starts_with(b"[DONE]") {
            self.is_done = true;
            answer.complete();
            return;
        }
        let small = std::str::from_utf8(data)
            .ok()
            .and_then(|text| serde_json::from_str::<Object<Event<'_>>>(text).ok());
        if let Some(Object(Event { kind, delta })) = &small
            && let Some(kind) = kind.as_str().filter(|kind| kind.ends_with(".delta"))
        {
            return take_delta(kind, delta, answer);
        }
        match lenient_json(data) {
            Ok(Value::Object(fields)) => {
                let value = Value::Object(fields);
                let kind = match event {
                    Some("error") => event,
                    _ => value.get("type").and_then(Value::as_str).or(event),
                };
                self.take_event(kind.unwrap_or_default(), &value, data, answer);
            }
            _ if event == Some("error") => answer.fail(
                FailureKind::ServerError,
                match excerpt(data) {
                    text if text.is_empty() => {
                        "the server sent an error event without a text".into()
                    }
                    text => text,
                },
            ),
            Ok(_) => answer.fail(
                FailureKind::Malformed,
                format!(
                    "frame {} is not an event of a response: {}",
                    self.frames,
                    excerpt(data)
                ),
            ),
            Err(reason) => answer.fail(
                FailureKind::Malformed,
                format!(
                    "frame {} is not valid JSON: {reason}: {}",
                    self.frames,
                    excerpt(data)
                ),
            ),
        }
    }

    fn whole(&mut self, body: &[u8], answer: &mut Answer) {
        self.is_done = true;
        let Some(response) = whole_json(body, answer) else {
            return;
        };
        let is_response = response.get("output").is_some_and(Value::is_array)
            || response.get("status").is_some_and(Value::is_string);
        if is_response {
            take_output(&response, answer);
            take_end(&response, answer);
        } else {
            match error_text(body) {
                Some(reason) => answer.fail(FailureKind::ServerError, reason),
                None => answer.fail(
                    FailureKind::Malformed,
                    format!(
                        "the server's answer is not a response: it has no output: {}",
                        excerpt(body)
                    ),
                ),
            }
        }
    }

    fn end(&mut self, answer: &mut Answer) {
        if self.is_done || answer.is_complete() {
            return;
        }
        answer.ended_early(self.frames, "no response.completed");
    }

    fn error_message(&self, body: &[u8]) -> Option<String> {
        error_text(body)
    }
}

impl Decoder {
    /// An event that is no delta, or one in an odd form.
    fn take_event(&mut self, kind: &str, event: &Value, data: &[u8], answer: &mut Answer) {
        let response = event.get("response").unwrap_or(&Value::Null);
        match kind {
            "response.created" | "response.queued" | "response.in_progress" => {
                take_id(response, answer);
            }
            "response.output_item.added" => {
                if let Some(item) = event.get("item") {
                    take_new_item(item, answer);
                }
            }
            "response.completed"
            | "response.incomplete"
            | "response.failed"
            | "response.cancelled" => {
                self.is_done = true;
                // Some servers send no deltas and all of the content here.
                if answer.content_frames() == 0 {
                    take_output(response, answer);
                }
                take_id(response, answer);
                take_end_of(kind, response, answer);
            }
            "error" => {
                self.is_done = true;
                let is_wrapped = event.get("error").is_some_and(|error| !error.is_null());
                let words = is_wrapped.then(|| error_text(data)).flatten();
                answer.fail(
                    FailureKind::ServerError,
                    words.unwrap_or_else(|| failure(event)),
                );
            }
            // A picture under way.
            "response.image_generation_call.partial_image" => answer.other_content(),
            kind if kind.ends_with(".delta") => {
                let delta = event.get("delta").unwrap_or(&Value::Null);
                // The text may be wrapped in an object.
                let text = delta.get("text").unwrap_or(delta);
                let text = Text::deserialize(text).unwrap_or(Text::Other);
                take_delta(kind, &text, answer);
            }
            "" if event.get("error").is_some_and(|error| !error.is_null()) => {
                self.is_done = true;
                answer.fail(
                    FailureKind::ServerError,
                    error_text(data).unwrap_or_else(|| failure(event)),
                );
            }
            // What repeats or frames the content, and what is not known yet.
            _ => {}
        }
    }
}

/// A piece of content; the event's name says of what kind.
fn take_delta(kind: &str, delta: &Text<'_>, answer: &mut Answer) {
    let text = match delta {
        Text::Is(text) => text.as_ref(),
        Text::Absent => return,
        Text::Other => return answer.other_content(),
    };
    match kind {
        "response.output_text.delta" | "response.refusal.delta" => answer.text(text),
        _ if kind.starts_with("response.reasoning") => answer.reasoning(text),
        "response.function_call_arguments.delta"
        | "response.custom_tool_call_input.delta"
        | "response.mcp_call_arguments.delta"
        | "response.mcp_call.arguments.delta"
        | "response.code_interpreter_call_code.delta"
        | "response.code_interpreter_call.code.delta" => answer.tool_call(text),
        // Audio, and what else a model may generate.
        _ if !text.is_empty() => answer.other_content(),
        _ => {}
    }
}

/// The beginning of an output item. The call of a tool is content; its name comes only here.
fn take_new_item(item: &Value, answer: &mut Answer) {
    let kind = item.get("type").and_then(Value::as_str).unwrap_or_default();
    if !kind.ends_with("_call") {
        return;
    }
    match item.get("name").and_then(Value::as_str) {
        Some(name) => answer.tool_call(name),
        None => answer.other_content(),
    }
}

/// The content of a response that came in one piece.
fn take_output(response: &Value, answer: &mut Answer) {
    take_id(response, answer);
    let text_of = |part: &Value, field: &str| {
        let text = part.get(field)?.as_str()?;
        (!text.is_empty()).then(|| text.to_owned())
    };
    let parts = |item: &Value, field: &str| match item.get(field) {
        Some(Value::Array(parts)) => parts.clone(),
        Some(text @ Value::String(_)) => vec![serde_json::json!({"text": text})],
        _ => Vec::new(),
    };
    for item in response
        .get("output")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        match item.get("type").and_then(Value::as_str).unwrap_or_default() {
            "message" => {
                for part in parts(item, "content") {
                    match text_of(&part, "text").or_else(|| text_of(&part, "refusal")) {
                        Some(text) => answer.text(&text),
                        None if part.get("text").is_none_or(Value::is_null)
                            && part.get("refusal").is_none_or(Value::is_null) =>
                        {
                            answer.other_content();
                        }
                        None => answer.text(""),
                    }
                }
            }
            "reasoning" => {
                // A summary and the reasoning itself are the same thought told twice.
                let mut thoughts = parts(item, "content");
                if thoughts.is_empty() {
                    thoughts = parts(item, "summary");
                }
                for part in thoughts {
                    answer.reasoning(&text_of(&part, "text").unwrap_or_default());
                }
            }
            kind if kind.ends_with("_call") => {
                take_new_item(item, answer);
                for field in ["arguments", "input", "code"] {
                    if let Some(text) = text_of(item, field) {
                        answer.tool_call(&text);
                    }
                }
            }
            _ => {}
        }
    }
}

fn take_id(response: &Value, answer: &mut Answer) {
    if let Some(id) = response.get("id").and_then(Value::as_str) {
        answer.id(id);
    }
}

/// Usage and outcome of a response that came in one piece.
fn take_end(response: &Value, answer: &mut Answer) {
    let kind = match response.get("status").and_then(Value::as_str) {
        Some("incomplete") => "response.incomplete",
        Some("failed") => "response.failed",
        Some("cancelled") => "response.cancelled",
        Some("completed") | None => "response.completed",
        Some(status) => {
            answer.fail(
                FailureKind::Truncated,
                format!(
                    "the response is not finished: its status is {:?}",
                    excerpt(status.as_bytes())
                ),
            );
            return;
        }
    };
    take_end_of(kind, response, answer);
}

/// Usage and outcome of a response whose last event is `kind`.
fn take_end_of(kind: &str, response: &Value, answer: &mut Answer) {
    if let Some(usage) = response.get("usage").filter(|usage| usage.is_object()) {
        let count = |path: &str| {
            let value = usage.pointer(path)?;
            Count::deserialize(value).ok()?.0
        };
        answer.usage(Usage {
            input: count("/input_tokens"),
            output: count("/output_tokens"),
            input_cached: count("/input_tokens_details/cached_tokens"),
            output_reasoning: count("/output_tokens_details/reasoning_tokens"),
        });
    }
    if let Some(timings @ Value::Object(_)) = response.get("timings") {
        answer.annotate("server_timings", timings.clone());
    }
    let has_error = response.get("error").is_some_and(Value::is_object);
    match kind {
        "response.completed" if !has_error => answer.finish_reason("completed"),
        "response.incomplete" if !has_error => {
            let reason = response.pointer("/incomplete_details/reason");
            let reason = reason.and_then(Value::as_str);
            answer.finish_reason(reason.unwrap_or("incomplete"));
        }
        "response.cancelled" if !has_error => {
            answer.fail(FailureKind::ServerError, "the response was cancelled")
        }
        _ => answer.fail(FailureKind::ServerError, failure(response)),
    }
}

/// A failure as the Python system tells it: "code: message".
fn failure(response: &Value) -> String {
    let report = response.get("error").unwrap_or(response);
    let Ok(report) = ErrorReport::deserialize(report) else {
        return "the response failed without a reason".to_owned();
    };
    match (report.code.non_empty(), report.message.non_empty()) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(text), None) | (None, Some(text)) => text.to_owned(),
        (None, None) => "the response failed without a reason".to_owned(),
    }
}
