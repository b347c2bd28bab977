//! Turns events of a Responses stream, or a non-streaming response, into content.

use serde::Deserialize;
use serde_json::Value;

use super::closing::Closed;
use crate::api::failure::{ErrorReport, error_text};
use crate::api::json_frames::{Decoded, Element, Meaning, list, text};
use crate::api::lenient::{Count, Object, Text};
use crate::api::{Frame, ResponseBuilder, Usage};
use crate::base::failure::FailureKind;
use crate::base::server_text::{excerpt, lenient_json};

/// What of a response has been seen.
#[derive(Debug, Default)]
pub(super) struct Events {
    /// The event that ends the stream was seen.
    is_done: bool,
    closed: Closed,
}

/// What the many small events consist of.
#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct Event<'a> {
    #[serde(rename = "type")]
    kind: Text<'a>,
    delta: Text<'a>,
}

impl Meaning for Events {
    const MISSING_END: &'static str = "no response.completed";

    fn try_fast_path(&mut self, frame: Frame<'_>, response: &mut ResponseBuilder) -> bool {
        if self.is_done {
            return true;
        }
        if frame.event == Some("error")
            && let Ok(value @ Value::Object(_)) = lenient_json(frame.data)
        {
            self.fail(&value, response);
            return true;
        }
        let small = std::str::from_utf8(frame.data)
            .ok()
            .and_then(|text| serde_json::from_str::<Object<Event<'_>>>(text).ok());
        let Some(Object(Event { kind, delta })) = &small else {
            return false;
        };
        let kind = kind.as_str().filter(|kind| kind.ends_with(".delta"));
        kind.inspect(|kind| take_delta(kind, delta, response))
            .is_some()
    }

    fn knows(&self, event: Option<&str>, value: &Value) -> bool {
        let kind = value["type"].as_str().or(event).unwrap_or_default();
        kind.starts_with("response.") || kind == "error" || value["output"].is_array()
    }

    /// Events that fail name their type, and responses say their errors beside the rest.
    fn error(&self, _: &Value, _: &[u8]) -> Option<String> {
        None
    }

    /// An event that is no delta, or one in an odd form.
    fn frame(
        &mut self,
        event: Option<&str>,
        value: &Value,
        builder: &mut ResponseBuilder,
    ) -> Decoded {
        let response = &value["response"];
        match value["type"].as_str().or(event).unwrap_or_default() {
            "response.created" | "response.queued" | "response.in_progress" => {
                builder.id(text(response, "id"));
            }
            "response.output_item.added" => self.closed.begin_item(value, builder),
            kind @ ("response.completed"
            | "response.incomplete"
            | "response.failed"
            | "response.cancelled") => {
                self.is_done = true;
                // Some servers send no deltas and all of the content here.
                Closed::response(response, builder);
                builder.id(text(response, "id"));
                take_end(kind, response, builder);
            }
            // A picture under way.
            "response.image_generation_call.partial_image" => builder.other_content(),
            kind if kind.ends_with(".delta") => {
                let delta = &value["delta"];
                // The text may be wrapped in an object.
                let text = Text::deserialize(delta.get("text").unwrap_or(delta));
                take_delta(kind, &text.unwrap_or(Text::Other), builder);
            }
            "error" => self.fail(value, builder),
            "" if !value["error"].is_null() => self.fail(value, builder),
            // A whole response as the one event.
            "" if value["output"].is_array() => return self.non_streaming(value, builder),
            // What repeats the content, what frames it, and what is not known yet.
            kind => _ = self.closed.event(kind, value, builder),
        }
        Ok(())
    }

    fn element(&self, value: &Value) -> Element {
        match value["output"].is_array() || value["object"] == "response" {
            true => Element::Response,
            false => Element::Frame,
        }
    }

    fn non_streaming(&mut self, value: &Value, response: &mut ResponseBuilder) -> Decoded {
        if value["output"].is_array() || value["status"].is_string() {
            take_output(value, response);
            match value["status"].as_str().unwrap_or("completed") {
                kind @ ("completed" | "incomplete" | "failed" | "cancelled") => {
                    take_end(&format!("response.{kind}"), value, response);
                }
                status => {
                    let status = excerpt(status.as_bytes());
                    let reason = format!("the response is not finished: its status is {status:?}");
                    response.fail(FailureKind::Truncated, reason);
                }
            }
        } else if let Some(reason) = error_text(value.to_string().as_bytes()) {
            response.fail(FailureKind::ServerError, reason);
        } else {
            return Err("is not a response: it has no output".to_owned());
        }
        Ok(())
    }
}

impl Events {
    /// An event that reports a failure.
    fn fail(&mut self, event: &Value, response: &mut ResponseBuilder) {
        self.is_done = true;
        let is_wrapped = !event["error"].is_null();
        let words = is_wrapped.then(|| error_text(event.to_string().as_bytes()));
        let words = words.flatten();
        response.fail(
            FailureKind::ServerError,
            words.unwrap_or_else(|| failure(event)),
        );
    }
}

/// A chunk of content; the event's name says of what kind.
fn take_delta(kind: &str, delta: &Text<'_>, response: &mut ResponseBuilder) {
    let text = match delta {
        Text::Is(text) => text.as_ref(),
        Text::Absent => return,
        Text::Other => return response.other_content(),
    };
    match kind {
        "response.output_text.delta" | "response.refusal.delta" => response.text(text),
        _ if kind.starts_with("response.reasoning") => response.reasoning(text),
        "response.function_call_arguments.delta"
        | "response.custom_tool_call_input.delta"
        | "response.mcp_call_arguments.delta"
        | "response.mcp_call.arguments.delta"
        | "response.code_interpreter_call_code.delta"
        | "response.code_interpreter_call.code.delta" => response.tool_call(text),
        // Audio, and what else a model may generate.
        _ if !text.is_empty() => response.other_content(),
        _ => {}
    }
}

/// The beginning of an output item. The call of a tool is content; its name comes only here.
pub(super) fn take_new_item(item: &Value, response: &mut ResponseBuilder) {
    if !text(item, "type").ends_with("_call") {
        return;
    }
    match item["name"].as_str() {
        Some(name) => response.tool_call(name),
        None => response.other_content(),
    }
}

/// The content of a complete response.
pub(super) fn take_output(value: &Value, response: &mut ResponseBuilder) {
    response.id(text(value, "id"));
    for item in list(value, "output") {
        match text(item, "type") {
            "message" => {
                if let Some(text) = item["content"].as_str() {
                    response.text(text);
                }
                for part in list(item, "content") {
                    match [text(part, "text"), text(part, "refusal")] {
                        ["", ""] if part["text"].is_null() && part["refusal"].is_null() => {
                            response.other_content();
                        }
                        ["", text] | [text, _] => response.text(text),
                    }
                }
            }
            "reasoning" => {
                // A summary and the reasoning itself are the same thought told twice.
                let is_empty = |field: &Value| match field {
                    Value::String(_) => false,
                    parts => parts.as_array().is_none_or(Vec::is_empty),
                };
                let field = match is_empty(&item["content"]) {
                    true => "summary",
                    false => "content",
                };
                response.reasoning(text(item, field));
                for part in list(item, field) {
                    response.reasoning(text(part, "text"));
                }
            }
            kind if kind.ends_with("_call") => {
                take_new_item(item, response);
                for field in ["arguments", "input", "code"] {
                    response.tool_call(text(item, field));
                }
            }
            _ => {}
        }
    }
}

/// Usage and outcome of a response whose last event is `kind`.
fn take_end(kind: &str, value: &Value, response: &mut ResponseBuilder) {
    let usage = &value["usage"];
    let count = |path: &str| Count::deserialize(usage.pointer(path)?).ok()?.0;
    response.usage(Usage {
        input: count("/input_tokens"),
        output: count("/output_tokens"),
        input_cached: count("/input_tokens_details/cached_tokens"),
        output_reasoning: count("/output_tokens_details/reasoning_tokens"),
        total: count("/total_tokens"),
    });
    if value["timings"].is_object() {
        response.annotate("server_timings", value["timings"].clone());
    }
    let has_error = value["error"].is_object();
    match kind {
        "response.completed" if !has_error => {
            response.finish_reason("completed");
            response.complete();
        }
        "response.incomplete" if !has_error => {
            let reason = value.pointer("/incomplete_details/reason");
            let reason = reason.and_then(Value::as_str);
            response.finish_reason(reason.unwrap_or("incomplete"));
            response.complete();
        }
        "response.cancelled" if !has_error => {
            response.fail(FailureKind::ServerError, "the response was cancelled");
        }
        _ => response.fail(FailureKind::ServerError, failure(value)),
    }
}

/// A failure as the Python system tells it: "code: message".
fn failure(value: &Value) -> String {
    let report = ErrorReport::deserialize(value.get("error").unwrap_or(value));
    let report = report.unwrap_or_default();
    match (report.code.non_empty(), report.message.non_empty()) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(text), None) | (None, Some(text)) => text.to_owned(),
        (None, None) => "the response failed without a reason".to_owned(),
    }
}
