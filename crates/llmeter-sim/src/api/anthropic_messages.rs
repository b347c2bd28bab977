//! Anthropic Messages: Anthropic's own API, Vertex AI's, Foundry's, and Bedrock's InvokeModel.

use serde_json::{Map, Value, json};

use super::frames::sse;
use super::prompt::Prompt;
use super::request::{Tool, count, flag, present, required_list, required_text};
use super::{
    Api, ApiError, ApiInfo, ApiRequest, Completion, Delta, Finish, FrameBuffer, Refusal, Route,
    Stream, aws, openai,
};

#[derive(Debug)]
pub(super) struct AnthropicMessages {
    /// Whether the messages pass through Bedrock's InvokeModel.
    pub(super) on_bedrock: bool,
}

impl Api for AnthropicMessages {
    fn about(&self) -> ApiInfo {
        let about = ApiInfo {
            names: &["anthropic-messages"],
            id_prefix: "msg_",
            finish_reason: Some("end_turn"),
            refusal,
            stream_error: Some(|out, error| sse(out, Some("error"), refusal(error).body)),
            ..openai::ABOUT
        };
        match self.on_bedrock {
            false => about,
            true => ApiInfo {
                names: &["anthropic-messages-on-bedrock"],
                id_prefix: about.id_prefix,
                finish_reason: about.finish_reason,
                ..aws::ABOUT
            },
        }
    }

    fn route(&self, path: &str) -> Option<Route> {
        if self.on_bedrock {
            return aws::invoke_model(path).filter(|route| route.model.contains("anthropic"));
        }
        if let Some(model) = vertex_model(path) {
            return Some(Route {
                model: model.to_owned(),
                ..Route::default()
            });
        }
        let route = super::only(path, "/messages")?;
        Some(Route {
            // As on Bedrock's newer address.
            service: path.starts_with("/anthropic/").then_some("bedrock-mantle"),
            ..route
        })
    }

    fn parse(&self, route: &Route, request: &Map<String, Value>) -> Result<ApiRequest, ApiError> {
        // Clouds want the model in the path, and the API's version in the body.
        let is_cloud = !route.model.is_empty();
        if is_cloud {
            required_text(request, "anthropic_version")?;
        }
        if self.on_bedrock {
            for name in ["model", "stream"] {
                if request.contains_key(name) {
                    let message = format!("{name}: Extra inputs are not permitted");
                    return Err(ApiError::new(400, message));
                }
            }
        }
        let model = match is_cloud {
            true => route.model.clone(),
            false => required_text(request, "model")?,
        };
        let Some(limit) = count(request, "max_tokens", u32::MAX)? else {
            return Err(ApiError::missing("max_tokens"));
        };
        let mut prompt = Prompt::of(request.get("system"));
        add_messages(&mut prompt, request)?;
        Ok(ApiRequest {
            model,
            stream: route.stream || flag(request, "stream")?,
            limit: Some(limit),
            tool: tool(request)?,
            ..ApiRequest::new(route, prompt)
        })
    }

    fn body(&self, completion: &Completion) -> Value {
        let mut content = Vec::new();
        if completion.reasoning > 0 {
            content.push(json!({
                "type": "thinking",
                "thinking": completion.reasoning_text(0),
                "signature": signature(completion),
            }));
        }
        match &completion.tool {
            _ if completion.visible == 0 => {}
            Some(tool) => content.push(tool_use(completion, tool, completion.tool_input(tool))),
            None => content.push(json!({"type": "text", "text": completion.text(0)})),
        }
        let reason = Some(stop_reason(completion));
        message(completion, content, reason, completion.output_tokens())
    }

    fn opening(&self, stream: &mut Stream, _: u32, out: &mut FrameBuffer) {
        let message = message(&stream.completion, Vec::new(), None, 1);
        out.frame(|out| {
            let fields = json!({"type": "", "message": message});
            self.event(out, "message_start", fields);
            self.event(out, "ping", json!({"type": ""}));
        });
    }

    fn content(&self, stream: &mut Stream, _: u32, delta: &Delta, out: &mut FrameBuffer) {
        out.frame(|out| self.words(stream, out, delta));
    }

    fn closing(&self, stream: &mut Stream, out: &mut FrameBuffer) {
        let completion = &stream.completion;
        let fields = json!({
            "type": "",
            "delta": {"stop_reason": stop_reason(completion), "stop_sequence": null},
            "usage": usage(completion, completion.output_tokens()),
        });
        out.frame(|out| {
            self.stop(stream, out);
            self.event(out, "message_delta", fields);
            self.event(out, "message_stop", json!({"type": ""}));
        });
    }
}

fn refusal(error: &ApiError) -> Refusal {
    let kind = match error.status {
        401 => "authentication_error",
        403 => "permission_error",
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
    let body = json!({"type": "error", "error": {"type": kind, "message": message}});
    // What AWS itself refuses it names in the head.
    let kind = error.kind.map(|kind| ("x-amzn-errortype", kind.to_owned()));
    Refusal {
        headers: kind.into_iter().collect(),
        ..Refusal::new(error.status, body)
    }
}

/// The model in a path of Vertex AI's.
fn vertex_model(path: &str) -> Option<&str> {
    let (_, rest) = path.split_once("/publishers/anthropic/models/")?;
    let (model, method) = rest.rsplit_once(':')?;
    matches!(method, "rawPredict" | "streamRawPredict").then_some(model)
}

fn add_messages(prompt: &mut Prompt, request: &Map<String, Value>) -> Result<(), ApiError> {
    for message in required_list(request, "messages")? {
        match message.get("role").and_then(Value::as_str) {
            Some("user" | "assistant" | "system") => {}
            _ => {
                let reason = "Input should be 'user' or 'assistant'";
                return Err(ApiError::wrong_value("messages.role", reason));
            }
        }
        match message.get("content") {
            None | Some(Value::Null) => return Err(ApiError::missing("messages.content")),
            content @ Some(Value::String(_) | Value::Array(_)) => prompt.add(content),
            Some(other) => {
                let expected = "a string or an array of blocks";
                return Err(ApiError::wrong_type("messages.content", expected, other));
            }
        }
    }
    Ok(())
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
    match Tool::pick(tools, ["/name", "/input_schema"], wanted) {
        None => Err(ApiError::wrong_value(
            "tool_choice",
            "there is no such tool.",
        )),
        found => Ok(found),
    }
}

fn message(
    completion: &Completion,
    content: Vec<Value>,
    stop_reason: Option<&str>,
    output_tokens: u64,
) -> Value {
    json!({
        "id": completion.id,
        "type": "message",
        "role": "assistant",
        "model": completion.model,
        "content": content,
        "stop_reason": stop_reason,
        "stop_sequence": null,
        "usage": usage(completion, output_tokens),
    })
}

/// Converse calls them the same.
pub(super) fn stop_reason(completion: &Completion) -> &'static str {
    match (completion.finish, &completion.tool) {
        (Finish::Length, _) => "max_tokens",
        (_, Some(_)) => "tool_use",
        _ => "end_turn",
    }
}

fn usage(completion: &Completion, output_tokens: u64) -> Value {
    if !completion.usage {
        return Value::Null;
    }
    json!({
        "input_tokens": completion.prompt_tokens - completion.cached_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": completion.cached_tokens,
        "output_tokens": output_tokens,
        "service_tier": "standard",
    })
}

fn tool_use(completion: &Completion, tool: &Tool, input: Value) -> Value {
    let id = format!("toolu_{}", completion.unique_id());
    json!({"type": "tool_use", "id": id, "name": tool.name, "input": input})
}

/// Stands for the proof that thoughts are the model's own.
fn signature(completion: &Completion) -> String {
    format!("sig-{}", completion.id)
}

impl AnthropicMessages {
    fn event(&self, out: &mut Vec<u8>, name: &str, mut fields: Value) {
        fields["type"] = name.into();
        match self.on_bedrock {
            true => aws::chunk(out, &fields),
            false => sse(out, Some(name), fields),
        }
    }

    /// Opens a block unless one is open.
    fn start(&self, stream: &mut Stream, out: &mut Vec<u8>, block: Value) {
        if !std::mem::replace(&mut stream.is_open, true) {
            let fields = json!({"type": "", "index": stream.number, "content_block": block});
            self.event(out, "content_block_start", fields);
        }
    }

    fn delta(&self, stream: &Stream, out: &mut Vec<u8>, kind: &str, name: &str, value: &str) {
        let delta = json!({"type": kind, name: value});
        let fields = json!({"type": "", "index": stream.number, "delta": delta});
        self.event(out, "content_block_delta", fields);
    }

    /// Closes the block that is open.
    fn stop(&self, stream: &mut Stream, out: &mut Vec<u8>) {
        if std::mem::take(&mut stream.is_open) {
            let fields = json!({"type": "", "index": stream.number});
            self.event(out, "content_block_stop", fields);
            stream.number += 1;
        }
    }

    fn words(&self, stream: &mut Stream, out: &mut Vec<u8>, delta: &Delta) {
        let completion = &stream.completion;
        let words = completion.words(delta);
        match (delta, &completion.tool) {
            (Delta::Reasoning(tokens), _) => {
                let signature = (tokens.end == completion.reasoning).then(|| signature(completion));
                let block = json!({"type": "thinking", "thinking": "", "signature": ""});
                self.start(stream, out, block);
                self.delta(stream, out, "thinking_delta", "thinking", &words);
                if let Some(signature) = signature {
                    self.delta(stream, out, "signature_delta", "signature", &signature);
                    self.stop(stream, out);
                }
            }
            (Delta::Visible(_), None) => {
                self.start(stream, out, json!({"type": "text", "text": ""}));
                self.delta(stream, out, "text_delta", "text", &words);
            }
            (Delta::Visible(tokens), Some(tool)) => {
                let block = tool_use(completion, tool, json!({}));
                let input = completion.argument_delta(tool, 0, tokens);
                self.start(stream, out, block);
                if let Some(input) = input {
                    self.delta(stream, out, "input_json_delta", "partial_json", &input);
                }
            }
        }
    }
}
