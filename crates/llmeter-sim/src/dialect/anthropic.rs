//! Anthropic Messages.

use serde_json::{Map, Value, json};

use super::events::{Event, Stream, words};
use super::{required_list, required_text, text_argument, words_in};
use crate::aws::error as error_of_aws;
use crate::openai::request::{count, flag, present};
use crate::openai::words::text;
use crate::openai::{Answer, ApiError, ChatRequest, Finish, Piece, Tool, arguments};

/// The model in a path of Vertex AI's.
pub(super) fn vertex_model(path: &str) -> Option<&str> {
    let (_, rest) = path.split_once("/publishers/anthropic/models/")?;
    let (model, method) = rest.rsplit_once(':')?;
    matches!(method, "rawPredict" | "streamRawPredict").then_some(model)
}

/// Reads a request of InvokeModel, whose path says the model and whether to stream.
pub(super) fn parse_on_bedrock(
    model: String,
    stream: bool,
    body: &[u8],
) -> Result<ChatRequest, ApiError> {
    let invalid = |message: String| error_of_aws(400, "ValidationException", message);
    let mut value: Value = serde_json::from_slice(body)
        .map_err(|reason| invalid(format!("The request body is not valid JSON: {reason}")))?;
    let Value::Object(request) = &mut value else {
        return Err(invalid("The request body is not an object".to_owned()));
    };
    for extraneous in ["model", "stream"] {
        if request.contains_key(extraneous) {
            let message = format!("{extraneous}: Extra inputs are not permitted");
            return Err(invalid(message));
        }
    }
    request.insert("model".to_owned(), model.into());
    request.insert("stream".to_owned(), stream.into());
    version(request)?;
    read(request)
}

/// Other clouds than Anthropic want the API's version in the body.
fn version(request: &Map<String, Value>) -> Result<(), ApiError> {
    required_text(request, "anthropic_version").map(|_| ())
}

pub(super) fn parse(path: &str, request: &Map<String, Value>) -> Result<ChatRequest, ApiError> {
    let Some(model) = vertex_model(path) else {
        return read(request);
    };
    version(request)?;
    let mut request = request.clone();
    request.insert("model".to_owned(), model.into());
    read(&request)
}

fn read(request: &Map<String, Value>) -> Result<ChatRequest, ApiError> {
    let model = required_text(request, "model")?;
    let Some(limit) = count(request, "max_tokens", u32::MAX)? else {
        return Err(ApiError::missing("max_tokens"));
    };
    let mut prompt_tokens = words_in(request.get("system"));
    for message in required_list(request, "messages")? {
        match present(message, "role").and_then(Value::as_str) {
            Some("user" | "assistant" | "system") => {}
            _ => {
                return Err(ApiError::wrong_value(
                    "messages.role",
                    "Input should be 'user' or 'assistant'",
                ));
            }
        }
        match present(message, "content") {
            Some(content @ (Value::String(_) | Value::Array(_))) => {
                prompt_tokens += words_in(Some(content));
            }
            Some(other) => {
                let expected = "a string or an array of blocks";
                return Err(ApiError::wrong_type("messages.content", expected, other));
            }
            None => return Err(ApiError::missing("messages.content")),
        }
    }
    Ok(ChatRequest {
        model,
        stream: flag(request, "stream", "stream")?,
        include_usage: true,
        limit: Some(limit),
        choices: 1,
        prompt_tokens,
        tool: tool(request)?,
    })
}

/// The tool that the request insists on.
fn tool(request: &Map<String, Value>) -> Result<Option<Tool>, ApiError> {
    let Some(choice) = present(request, "tool_choice") else {
        return Ok(None);
    };
    let wanted = match choice.get("type").and_then(Value::as_str) {
        Some("auto" | "none") => return Ok(None),
        Some("any") => None,
        Some("tool") => choice.get("name").and_then(Value::as_str),
        _ => {
            let reason = "the type must be 'auto', 'any', 'tool' or 'none'.";
            return Err(ApiError::wrong_value("tool_choice", reason));
        }
    };
    let tools = required_list(request, "tools")?;
    let mut named = tools
        .iter()
        .filter_map(|tool| Some((tool, tool.get("name")?.as_str()?)));
    let found = named.find(|(_, name)| wanted.is_none_or(|wanted| wanted == *name));
    let Some((tool, name)) = found else {
        return Err(ApiError::wrong_value(
            "tool_choice",
            "there is no such tool.",
        ));
    };
    Ok(Some(Tool {
        name: name.to_owned(),
        argument: text_argument(tool.get("input_schema")),
        named: wanted.is_some(),
        at_once: false,
    }))
}

fn stop_reason(answer: &Answer) -> &'static str {
    match (answer.finish, &answer.tool) {
        (Finish::Length, _) => "max_tokens",
        (_, Some(_)) => "tool_use",
        _ => "end_turn",
    }
}

fn usage(answer: &Answer, output: u64) -> Value {
    if !answer.usage {
        return Value::Null;
    }
    json!({
        "input_tokens": answer.prompt_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": output,
        "service_tier": "standard",
    })
}

fn tool_id(answer: &Answer) -> String {
    let unique = answer.id.strip_prefix("msg_").unwrap_or(&answer.id);
    format!("toolu_{unique}")
}

/// Stands for the proof that thoughts are the model's own.
fn signature(answer: &Answer) -> String {
    format!("sig-{}", answer.id)
}

pub(super) fn whole(answer: &Answer) -> Value {
    let seed = answer.seed(0);
    let mut content = Vec::new();
    if answer.reasoning > 0 {
        content.push(json!({
            "type": "thinking",
            "thinking": text(!seed, answer.reasoning),
            "signature": signature(answer),
        }));
    }
    match &answer.tool {
        _ if answer.visible == 0 => {}
        Some(tool) => {
            let input = arguments(tool, seed, 1..answer.visible, answer.visible, true);
            content.push(json!({
                "type": "tool_use",
                "id": tool_id(answer),
                "name": tool.name,
                "input": serde_json::from_str::<Value>(&input).unwrap_or_else(|_| json!({})),
            }));
        }
        None => content.push(json!({"type": "text", "text": text(seed, answer.visible)})),
    }
    json!({
        "id": answer.id,
        "type": "message",
        "role": "assistant",
        "model": answer.model,
        "content": content,
        "stop_reason": stop_reason(answer),
        "stop_sequence": null,
        "usage": usage(answer, answer.completion_tokens()),
    })
}

/// Where in the message a stream is.
#[derive(Debug, Default)]
pub(super) struct Events {
    /// The number of the open block, or of the next one.
    index: u32,
    is_open: bool,
}

fn event(name: &'static str, mut fields: Value) -> Event {
    fields["type"] = name.into();
    (Some(name), fields)
}

impl Events {
    fn start(&mut self, block: Value, events: &mut Vec<Event>) {
        if !self.is_open {
            self.is_open = true;
            let fields = json!({"type": "", "index": self.index, "content_block": block});
            events.push(event("content_block_start", fields));
        }
    }

    fn delta(&self, delta: Value) -> Event {
        let fields = json!({"type": "", "index": self.index, "delta": delta});
        event("content_block_delta", fields)
    }

    fn stop(&mut self, events: &mut Vec<Event>) {
        if self.is_open {
            self.is_open = false;
            let fields = json!({"type": "", "index": self.index});
            events.push(event("content_block_stop", fields));
            self.index += 1;
        }
    }
}

impl Stream for Events {
    fn opening(&mut self, answer: &Answer) -> Vec<Event> {
        let message = json!({
            "id": answer.id,
            "type": "message",
            "role": "assistant",
            "model": answer.model,
            "content": [],
            "stop_reason": null,
            "stop_sequence": null,
            "usage": usage(answer, 1),
        });
        let start = json!({"type": "", "message": message});
        vec![
            event("message_start", start),
            event("ping", json!({"type": ""})),
        ]
    }

    fn content(&mut self, answer: &Answer, piece: Piece) -> Vec<Event> {
        let mut events = Vec::new();
        let words = words(answer, &piece);
        match (piece, &answer.tool) {
            (Piece::Reasoning(tokens), _) => {
                let block = json!({"type": "thinking", "thinking": "", "signature": ""});
                self.start(block, &mut events);
                events.push(self.delta(json!({"type": "thinking_delta", "thinking": words})));
                if tokens.end == answer.reasoning {
                    let signature = signature(answer);
                    let delta = json!({"type": "signature_delta", "signature": signature});
                    events.push(self.delta(delta));
                    self.stop(&mut events);
                }
            }
            (Piece::Visible(_), None) => {
                self.start(json!({"type": "text", "text": ""}), &mut events);
                events.push(self.delta(json!({"type": "text_delta", "text": words})));
            }
            (Piece::Visible(tokens), Some(tool)) => {
                let all = answer.visible;
                if tokens.start == 0 {
                    let id = tool_id(answer);
                    let block =
                        json!({"type": "tool_use", "id": id, "name": tool.name, "input": {}});
                    self.start(block, &mut events);
                }
                if tokens.start > 0 || all == 1 {
                    let whole = answer.finish != Finish::Length;
                    let tokens = tokens.start.max(1)..tokens.end;
                    let input = arguments(tool, answer.seed(0), tokens, all, whole);
                    let delta = json!({"type": "input_json_delta", "partial_json": input});
                    events.push(self.delta(delta));
                }
            }
        }
        events
    }

    fn closing(&mut self, answer: &Answer) -> Vec<Event> {
        let mut events = Vec::new();
        self.stop(&mut events);
        let delta = json!({"stop_reason": stop_reason(answer), "stop_sequence": null});
        let usage = usage(answer, answer.completion_tokens());
        let fields = json!({"type": "", "delta": delta, "usage": usage});
        events.push(event("message_delta", fields));
        events.push(event("message_stop", json!({"type": ""})));
        events
    }
}

pub(super) fn error(error: &ApiError) -> Value {
    let kind = match error.status {
        401 => "authentication_error",
        404 => "not_found_error",
        413 => "request_too_large",
        500.. => "api_error",
        _ => "invalid_request_error",
    };
    let message = match error.status {
        401 => "invalid x-api-key",
        500 => "Internal server error",
        _ => &error.message,
    };
    json!({"type": "error", "error": {"type": kind, "message": message}})
}
