//! Google's Gemini API.

use serde_json::{Map, Value, json};

use super::events::{Event, Stream, words};
use super::{required_list, text_argument, words_in};
use crate::openai::request::{count, present};
use crate::openai::words::text;
use crate::openai::{Answer, ApiError, ChatRequest, Finish, Piece, Tool, arguments};

/// The model in a path, and whether to stream.
pub(super) fn model(path: &str) -> Option<(&str, bool)> {
    let (_, rest) = path.split_once("/models/")?;
    let (model, method) = rest.rsplit_once(':')?;
    match method {
        "generateContent" => Some((model, false)),
        "streamGenerateContent" => Some((model, true)),
        _ => None,
    }
}

pub(super) fn parse(path: &str, request: &Map<String, Value>) -> Result<ChatRequest, ApiError> {
    let (model, stream) = model(path).unwrap_or_default();
    let parts = |content: &Value| words_in(content.get("parts"));
    let mut prompt_tokens = request.get("systemInstruction").map_or(0, parts);
    for content in required_list(request, "contents")? {
        prompt_tokens += words_in(content.get("parts"));
    }
    let limit = match present(request, "generationConfig") {
        None => None,
        Some(Value::Object(config)) => count(config, "maxOutputTokens", u32::MAX)?,
        Some(other) => {
            return Err(ApiError::wrong_type("generationConfig", "an object", other));
        }
    };
    Ok(ChatRequest {
        model: model.to_owned(),
        stream,
        include_usage: true,
        limit,
        choices: 1,
        prompt_tokens,
        tool: tool(request),
    })
}

/// The function that the request insists on.
fn tool(request: &Map<String, Value>) -> Option<Tool> {
    let config = request.get("toolConfig")?.get("functionCallingConfig")?;
    if config.get("mode")?.as_str()? != "ANY" {
        return None;
    }
    let tools = request.get("tools")?.as_array()?;
    let mut functions = tools
        .iter()
        .filter_map(|tool| tool.get("functionDeclarations")?.as_array())
        .flatten();
    let function = functions.next()?;
    let schema = ["parameters", "parametersJsonSchema"]
        .iter()
        .find_map(|name| function.get(*name));
    Some(Tool {
        name: function.get("name")?.as_str()?.to_owned(),
        argument: text_argument(schema),
        named: false,
        at_once: true,
    })
}

fn usage(answer: &Answer) -> Value {
    let mut usage = json!({
        "promptTokenCount": answer.prompt_tokens,
        "candidatesTokenCount": answer.visible,
        "totalTokenCount": answer.prompt_tokens + answer.completion_tokens(),
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": answer.prompt_tokens}],
    });
    if answer.reasoning > 0 {
        usage["thoughtsTokenCount"] = answer.reasoning.into();
    }
    usage
}

fn response(answer: &Answer, parts: Value, finish: bool) -> Value {
    let mut candidate = json!({"content": {"parts": parts, "role": "model"}, "index": 0});
    let mut usage = usage(answer);
    if finish {
        candidate["finishReason"] = match answer.finish {
            Finish::Length => "MAX_TOKENS",
            Finish::Stop | Finish::ToolCalls => "STOP",
        }
        .into();
    } else {
        // What is not generated yet is not counted.
        usage = json!({
            "promptTokenCount": answer.prompt_tokens,
            "totalTokenCount": answer.prompt_tokens,
        });
    }
    json!({
        "candidates": [candidate],
        "usageMetadata": answer.usage.then_some(usage),
        "modelVersion": answer.model,
        "responseId": answer.id,
    })
}

fn call(answer: &Answer, tool: &Tool) -> Value {
    let all = answer.visible;
    let args = arguments(tool, answer.seed(0), 1..all, all, true);
    let args = serde_json::from_str::<Value>(&args).unwrap_or_else(|_| json!({}));
    json!({"functionCall": {"name": tool.name, "args": args}})
}

pub(super) fn whole(answer: &Answer) -> Value {
    let seed = answer.seed(0);
    let mut parts = Vec::new();
    if answer.reasoning > 0 {
        parts.push(json!({"text": text(!seed, answer.reasoning), "thought": true}));
    }
    match &answer.tool {
        _ if answer.visible == 0 => {}
        Some(tool) => parts.push(call(answer, tool)),
        None => parts.push(json!({"text": text(seed, answer.visible)})),
    }
    response(answer, parts.into(), true)
}

#[derive(Debug, Default)]
pub(super) struct Events;

impl Stream for Events {
    fn opening(&mut self, _: &Answer) -> Vec<Event> {
        Vec::new()
    }

    fn content(&mut self, answer: &Answer, piece: Piece) -> Vec<Event> {
        let part = match (&piece, &answer.tool) {
            (Piece::Visible(_), Some(tool)) => call(answer, tool),
            (Piece::Visible(_), None) => json!({"text": words(answer, &piece)}),
            (Piece::Reasoning(_), _) => json!({"text": words(answer, &piece), "thought": true}),
        };
        vec![(None, response(answer, json!([part]), false))]
    }

    fn closing(&mut self, answer: &Answer) -> Vec<Event> {
        vec![(None, response(answer, json!([{"text": ""}]), true))]
    }
}

pub(super) fn error(error: &ApiError) -> Value {
    let (message, status) = match error.status {
        401 => (
            "API key not valid. Please pass a valid API key.",
            "UNAUTHENTICATED",
        ),
        404 => (error.message.as_str(), "NOT_FOUND"),
        503 => (error.message.as_str(), "UNAVAILABLE"),
        500 => ("An internal error has occurred.", "INTERNAL"),
        _ => (error.message.as_str(), "INVALID_ARGUMENT"),
    };
    json!({"error": {"code": error.status, "message": message, "status": status}})
}
