//! Ollama's own chat API.

use serde_json::{Map, Value, json};

use super::events::{Event, Stream, words};
use super::{required_list, required_text, words_in};
use crate::openai::request::{count, flag, present};
use crate::openai::words::text;
use crate::openai::{Answer, ApiError, ChatRequest, Finish, Piece, Tool, arguments};

pub(super) fn parse(_: &str, request: &Map<String, Value>) -> Result<ChatRequest, ApiError> {
    let mut prompt_tokens = 0;
    for message in required_list(request, "messages")? {
        prompt_tokens += words_in(message.get("content"));
    }
    let limit = match present(request, "options") {
        None => None,
        // Numbers below zero mean that there is no limit.
        Some(Value::Object(options))
            if options.get("num_predict").and_then(Value::as_i64) < Some(0) =>
        {
            None
        }
        Some(Value::Object(options)) => count(options, "num_predict", u32::MAX)?,
        Some(other) => return Err(ApiError::wrong_type("options", "an object", other)),
    };
    Ok(ChatRequest {
        model: required_text(request, "model")?,
        stream: present(request, "stream").is_none() || flag(request, "stream", "stream")?,
        include_usage: true,
        limit,
        choices: 1,
        prompt_tokens,
        // The API cannot insist on a tool.
        tool: None,
    })
}

fn response(answer: &Answer, message: Value) -> Value {
    json!({
        "model": answer.model,
        "created_at": "2026-01-01T00:00:00.000000Z",
        "message": message,
        "done": false,
    })
}

fn finish(answer: &Answer, mut response: Value) -> Value {
    let reason = match answer.finish {
        Finish::Length => "length",
        Finish::Stop | Finish::ToolCalls => "stop",
    };
    response["done"] = true.into();
    response["done_reason"] = reason.into();
    if answer.usage {
        response["prompt_eval_count"] = answer.prompt_tokens.into();
        response["eval_count"] = answer.completion_tokens().into();
    }
    let times = answer.times;
    for (name, value) in [
        ("total_duration", times.queue + times.first + times.rest),
        ("load_duration", 0),
        ("prompt_eval_duration", times.first),
        ("eval_duration", times.rest),
    ] {
        response[name] = value.into();
    }
    response
}

/// A call, which comes in one piece.
fn call(answer: &Answer, tool: &Tool) -> Value {
    let all = answer.visible;
    let input = arguments(tool, answer.seed(0), 1..all, all, true);
    let input = serde_json::from_str::<Value>(&input).unwrap_or_else(|_| json!({}));
    let function = json!({"name": tool.name, "arguments": input});
    json!({"role": "assistant", "content": "", "tool_calls": [{"function": function}]})
}

pub(super) fn whole(answer: &Answer) -> Value {
    let seed = answer.seed(0);
    let mut message = match &answer.tool {
        Some(tool) => call(answer, tool),
        None => json!({"role": "assistant", "content": text(seed, answer.visible)}),
    };
    if answer.reasoning > 0 {
        message["thinking"] = text(!seed, answer.reasoning).into();
    }
    finish(answer, response(answer, message))
}

#[derive(Debug, Default)]
pub(super) struct Events;

impl Stream for Events {
    const IS_LINES: bool = true;

    fn opening(&mut self, _: &Answer) -> Vec<Event> {
        Vec::new()
    }

    fn content(&mut self, answer: &Answer, piece: Piece) -> Vec<Event> {
        let words = words(answer, &piece);
        let message = match piece {
            Piece::Reasoning(_) => {
                json!({"role": "assistant", "content": "", "thinking": words})
            }
            Piece::Visible(_) => match &answer.tool {
                Some(tool) => call(answer, tool),
                None => json!({"role": "assistant", "content": words}),
            },
        };
        vec![(None, response(answer, message))]
    }

    fn closing(&mut self, answer: &Answer) -> Vec<Event> {
        let message = json!({"role": "assistant", "content": ""});
        vec![(None, finish(answer, response(answer, message)))]
    }
}

pub(super) fn error(error: &ApiError) -> Value {
    json!({"error": error.message})
}
