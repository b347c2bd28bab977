//! OpenAI chat completions, by whatever server.
//!
//! All frames of a choice have their beginning and their end in common; these are made once per
//! request.

use serde_json::{Map, Value, json};

use super::prompt::Prompt;
use super::request::{Tool, count, flag, present, required_text};
use super::{
    Api, ApiError, ApiInfo, ApiRequest, Completion, Delta, FrameBuffer, Route, Stream, openai,
};

#[derive(Debug)]
pub(super) struct OpenAiChat;

/// The fingerprint of the simulated system.
const FINGERPRINT: &str = "fp_llmeter_sim";

impl Api for OpenAiChat {
    fn about(&self) -> ApiInfo {
        ApiInfo {
            names: &["openai-chat", "azure-openai-chat"],
            id_prefix: "chatcmpl-",
            finish_reason: Some("stop"),
            ..openai::ABOUT
        }
    }

    fn route(&self, path: &str) -> Option<Route> {
        super::only(path, "/chat/completions")
    }

    fn parse(&self, route: &Route, request: &Map<String, Value>) -> Result<ApiRequest, ApiError> {
        if present(request, "model").is_none() {
            return Err(ApiError::new(400, "you must provide a model parameter"));
        }
        let model = required_text(request, "model")?;
        let prompt = prompt(request)?;
        let stream = flag(request, "stream")?;
        Ok(ApiRequest {
            model,
            stream,
            include_usage: openai::include_usage(request, stream)?,
            limit: match count(request, "max_completion_tokens", u32::MAX)? {
                None => count(request, "max_tokens", u32::MAX)?,
                limit => limit,
            },
            choices: count(request, "n", openai::MAX_CHOICES)?.unwrap_or(1),
            tool: tool(request)?,
            ..ApiRequest::new(route, prompt)
        })
    }

    fn body(&self, completion: &Completion) -> Value {
        let choices = (0..completion.choices).map(|index| choice(completion, index));
        json!({
            "id": completion.id,
            "object": "chat.completion",
            "created": completion.created,
            "model": completion.model,
            "choices": choices.collect::<Vec<_>>(),
            "usage": completion.usage.then(|| usage(completion)),
            "service_tier": "default",
            "system_fingerprint": FINGERPRINT,
        })
    }

    fn opening(&self, stream: &mut Stream, choice: u32, out: &mut FrameBuffer) {
        if stream.head.is_empty() {
            stream.head = head(&stream.completion);
        }
        let delta: &[u8] = match stream.completion.tool {
            Some(_) => b"\"role\":\"assistant\",\"content\":null,\"refusal\":null",
            None => b"\"role\":\"assistant\",\"content\":\"\",\"refusal\":null",
        };
        frame(stream, choice, out, |out| out.extend_from_slice(delta));
    }

    fn content(&self, stream: &mut Stream, choice: u32, delta: &Delta, out: &mut FrameBuffer) {
        let completion = &stream.completion;
        let name: &[u8] = match (delta, &completion.tool) {
            (Delta::Visible(tokens), Some(tool)) => {
                let call = call_delta(completion, tool, choice, tokens);
                let member = format!("\"tool_calls\":{call}");
                return frame(stream, choice, out, |out| {
                    out.extend_from_slice(member.as_bytes());
                });
            }
            (Delta::Reasoning(_), _) => b"\"reasoning_content\":\"",
            (Delta::Visible(_), None) => b"\"content\":\"",
        };
        frame(stream, choice, out, |out| {
            out.extend_from_slice(name);
            completion.append(out, choice, delta);
            out.push(b'"');
        });
    }

    fn closing(&self, stream: &mut Stream, out: &mut FrameBuffer) {
        let completion = &stream.completion;
        for choice in 0..completion.choices {
            let mut last = chunk(
                completion,
                json!([{
                    "index": choice,
                    "delta": {},
                    "logprobs": null,
                    "finish_reason": openai::finish_reason(completion),
                }]),
            );
            if completion.usage {
                last["usage"] = Value::Null;
            }
            out.sse(None, last);
        }
        if completion.usage {
            let mut last = chunk(completion, json!([]));
            last["usage"] = usage(completion);
            out.sse(None, last);
        }
        out.sse(None, "[DONE]");
    }
}

/// Whitespace-separated words in all texts of all messages.
fn prompt(request: &Map<String, Value>) -> Result<Prompt, ApiError> {
    let messages = match present(request, "messages") {
        None => return Err(ApiError::missing("messages")),
        Some(Value::Array(messages)) => messages,
        Some(other) => {
            let expected = "an array of objects";
            return Err(ApiError::wrong_type("messages", expected, other));
        }
    };
    if messages.is_empty() {
        return Err(ApiError::new(
            400,
            "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an \
             empty array instead.",
        )
        .param("messages")
        .code("empty_array"));
    }
    let mut prompt = Prompt::default();
    for (index, message) in messages.iter().enumerate() {
        let Value::Object(message) = message else {
            let param = format!("messages[{index}]");
            return Err(ApiError::wrong_type(&param, "an object", message));
        };
        check_role(message, index)?;
        let param = || format!("messages[{index}].content");
        match present(message, "content") {
            Some(Value::String(text)) => prompt.add_text(text),
            Some(Value::Array(parts)) => {
                for part in parts {
                    if !part.is_object() {
                        return Err(ApiError::wrong_type(&param(), "an array of objects", part));
                    }
                    if let Some(text) = part.get("text").and_then(Value::as_str) {
                        prompt.add_text(text);
                    }
                }
            }
            // A message that calls a tool has none.
            None if message.get("role").is_some_and(|role| role == "assistant") => {}
            None => return Err(ApiError::missing(&param())),
            Some(other) => {
                let expected = "one of a string or array of objects";
                return Err(ApiError::wrong_type(&param(), expected, other));
            }
        }
    }
    Ok(prompt)
}

fn check_role(message: &Map<String, Value>, index: usize) -> Result<(), ApiError> {
    const ROLES: [&str; 6] = [
        "system",
        "assistant",
        "user",
        "function",
        "tool",
        "developer",
    ];
    let param = format!("messages[{index}].role");
    match present(message, "role") {
        None => Err(ApiError::missing(&param)),
        Some(Value::String(role)) if ROLES.contains(&role.as_str()) => Ok(()),
        Some(Value::String(role)) => {
            let reason = format!("'{role}'. Supported values are: '{}'.", ROLES.join("', '"));
            Err(ApiError::wrong_value(&param, &reason))
        }
        Some(other) => Err(ApiError::wrong_type(&param, "a string", other)),
    }
}

/// The tool that the request insists on. A tool that may be called is not.
fn tool(request: &Map<String, Value>) -> Result<Option<Tool>, ApiError> {
    let tools = match present(request, "tools") {
        None => &[][..],
        Some(Value::Array(tools)) => tools,
        Some(other) => return Err(ApiError::wrong_type("tools", "an array of objects", other)),
    };
    let is_named = |tool: &Value| tool.pointer("/function/name").is_some_and(Value::is_string);
    if let Some(index) = tools.iter().position(|tool| !is_named(tool)) {
        return Err(ApiError::missing(&format!("tools[{index}].function.name")));
    }
    let wanted = match present(request, "tool_choice") {
        None => return Ok(None),
        Some(Value::String(mode)) if mode == "none" || mode == "auto" => return Ok(None),
        Some(Value::String(mode)) if mode == "required" => None,
        Some(choice @ Value::Object(_)) => match choice.pointer("/function/name") {
            Some(Value::String(name)) => Some(name.as_str()),
            _ => return Err(ApiError::missing("tool_choice.function.name")),
        },
        Some(Value::String(mode)) => {
            let reason = format!("'{mode}'. Supported values are: 'none', 'auto', and 'required'.");
            return Err(ApiError::wrong_value("tool_choice", &reason));
        }
        Some(other) => {
            let expected = "one of a string or an object";
            return Err(ApiError::wrong_type("tool_choice", expected, other));
        }
    };
    if tools.is_empty() {
        let reason = "'tool_choice' is only allowed when 'tools' are specified.";
        return Err(ApiError::wrong_value("tool_choice", reason));
    }
    match Tool::pick(tools, ["/function/name", "/function/parameters"], wanted) {
        None => {
            let missing = wanted.unwrap_or_default();
            let reason = format!("Tool choice '{missing}' not found in 'tools' parameter.");
            Err(ApiError::wrong_value("tool_choice", &reason))
        }
        found => Ok(found),
    }
}

fn usage(completion: &Completion) -> Value {
    let reasoning = u64::from(completion.choices) * u64::from(completion.reasoning);
    let mut usage = openai::usage(completion);
    usage["prompt_tokens_details"] =
        json!({"cached_tokens": completion.cached_tokens, "audio_tokens": 0});
    usage["completion_tokens_details"] = json!({
        "reasoning_tokens": reasoning,
        "audio_tokens": 0,
        "accepted_prediction_tokens": 0,
        "rejected_prediction_tokens": 0,
    });
    usage
}

fn choice(completion: &Completion, index: u32) -> Value {
    let mut message = json!({
        "role": "assistant",
        "content": null,
        "refusal": null,
        "annotations": [],
    });
    if completion.reasoning > 0 {
        message["reasoning_content"] = completion.reasoning_text(index).into();
    }
    match completion.call() {
        Some(tool) => {
            message["tool_calls"] = json!([{
                "id": completion.tool_call_id(index),
                "type": "function",
                "function": {
                    "name": tool.name,
                    "arguments": completion.arguments(tool, index),
                },
            }]);
        }
        None => message["content"] = completion.text(index).into(),
    }
    json!({
        "index": index,
        "message": message,
        "logprobs": null,
        "finish_reason": openai::finish_reason(completion),
    })
}

/// The delta of a chunk that carries some of a tool call.
pub(super) fn call_delta(
    completion: &Completion,
    tool: &Tool,
    choice: u32,
    tokens: &std::ops::Range<u32>,
) -> Value {
    let arguments = completion.argument_delta(tool, choice, tokens);
    let arguments = arguments.unwrap_or_default();
    match tokens.start {
        0 => json!([{
            "index": 0,
            "id": completion.tool_call_id(choice),
            "type": "function",
            "function": {"name": tool.name, "arguments": arguments},
        }]),
        _ => json!([{"index": 0, "function": {"arguments": arguments}}]),
    }
}

/// From behind the delta to the end of a frame that is not the last, without and with usage.
const TAILS: [&[u8]; 2] = [
    b"},\"logprobs\":null,\"finish_reason\":null}]}\n\n",
    b"},\"logprobs\":null,\"finish_reason\":null}],\"usage\":null}\n\n",
];

/// A frame up to the choice's index.
fn head(completion: &Completion) -> Vec<u8> {
    format!(
        "data: {{\"id\":{},\"object\":\"chat.completion.chunk\",\"created\":{},\"model\":{},\
         \"service_tier\":\"default\",\"system_fingerprint\":\"{FINGERPRINT}\",\
         \"choices\":[{{\"index\":",
        Value::from(completion.id.as_str()),
        completion.created,
        Value::from(completion.model.as_str()),
    )
    .into_bytes()
}

/// Appends a frame whose delta has the members that `delta` appends.
fn frame(stream: &Stream, choice: u32, out: &mut FrameBuffer, delta: impl FnOnce(&mut Vec<u8>)) {
    out.frame(|out| {
        out.extend_from_slice(&stream.head);
        match u8::try_from(choice) {
            Ok(digit @ 0..10) => out.push(b'0' + digit),
            _ => out.extend_from_slice(choice.to_string().as_bytes()),
        }
        out.extend_from_slice(b",\"delta\":{");
        delta(out);
        out.extend_from_slice(TAILS[usize::from(stream.completion.usage)]);
    });
}

fn chunk(completion: &Completion, choices: Value) -> Value {
    json!({
        "id": completion.id,
        "object": "chat.completion.chunk",
        "created": completion.created,
        "model": completion.model,
        "service_tier": "default",
        "system_fingerprint": FINGERPRINT,
        "choices": choices,
    })
}

#[cfg(test)]
mod tests;
