//! Ollama's own chat API, whose streams are lines of JSON.

use std::fmt::Display;

use serde_json::{Map, Value, json};

use super::prompt::Prompt;
use super::request::{Tool, count, flag, present, required_text, section};
use super::{
    Api, ApiError, ApiInfo, ApiRequest, Completion, Delta, FrameBuffer, Refusal, Route, Stream,
    openai,
};
use crate::conformance::Case;

#[derive(Debug)]
pub(super) struct Ollama;

impl Api for Ollama {
    fn about(&self) -> ApiInfo {
        ApiInfo {
            names: &["ollama"],
            id_header: Some("x-request-id"),
            tells_times: true,
            calls_in_one_chunk: true,
            stream_type: "application/x-ndjson",
            finish_reason: Some("stop"),
            has_id: false,
            frame: |out, _, data| line(out, data),
            refusal,
            ..openai::ABOUT
        }
    }

    fn route(&self, path: &str) -> Option<Route> {
        super::only(path, "/api/chat")
    }

    fn parse(&self, route: &Route, request: &Map<String, Value>) -> Result<ApiRequest, ApiError> {
        let mut prompt = Prompt::default();
        prompt.add_messages(request)?;
        let limit = match section(request, "options")? {
            // Numbers below zero mean that there is no limit.
            Some(options) if options.get("num_predict").and_then(Value::as_i64) >= Some(0) => {
                count(options, "num_predict", u32::MAX)?
            }
            _ => None,
        };
        Ok(ApiRequest {
            model: required_text(request, "model")?,
            stream: present(request, "stream").is_none() || flag(request, "stream")?,
            limit,
            // The API cannot insist on a tool.
            ..ApiRequest::new(route, prompt)
        })
    }

    fn body(&self, completion: &Completion) -> Value {
        let mut message = match &completion.tool {
            Some(tool) => call(completion, tool),
            None => json!({"role": "assistant", "content": completion.text(0)}),
        };
        if completion.reasoning > 0 {
            message["thinking"] = completion.reasoning_text(0).into();
        }
        last(completion, message)
    }

    fn content(&self, stream: &mut Stream, _: u32, delta: &Delta, out: &mut FrameBuffer) {
        let completion = &stream.completion;
        let words = completion.words(delta);
        let message = match (delta, &completion.tool) {
            (Delta::Reasoning(_), _) => {
                json!({"role": "assistant", "content": "", "thinking": words})
            }
            (Delta::Visible(_), Some(tool)) => call(completion, tool),
            (Delta::Visible(_), None) => json!({"role": "assistant", "content": words}),
        };
        out.frame(|out| line(out, response(completion, message)));
    }

    fn closing(&self, stream: &mut Stream, out: &mut FrameBuffer) {
        let message = json!({"role": "assistant", "content": ""});
        out.frame(|out| line(out, last(&stream.completion, message)));
    }

    fn cannot(&self, case: Case, streaming: bool) -> Option<&'static str> {
        (case == Case::NonStreaming && streaming)
            .then_some("a non-streaming response is a stream of one line")
    }
}

fn refusal(error: &ApiError) -> Refusal {
    Refusal::new(error.status, json!({"error": error.message}))
}

fn response(completion: &Completion, message: Value) -> Value {
    json!({
        "model": completion.model,
        "created_at": "2026-01-01T00:00:00.000000Z",
        "message": message,
        "done": false,
    })
}

fn last(completion: &Completion, message: Value) -> Value {
    let mut response = response(completion, message);
    response["done"] = true.into();
    response["done_reason"] = match completion.is_truncated() {
        true => "length",
        false => "stop",
    }
    .into();
    if completion.usage {
        response["prompt_eval_count"] = completion.prompt_tokens.into();
        response["eval_count"] = completion.output_tokens().into();
    }
    let times = completion.times;
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

fn call(completion: &Completion, tool: &Tool) -> Value {
    let function = json!({"name": tool.name, "arguments": completion.tool_input(tool)});
    json!({"role": "assistant", "content": "", "tool_calls": [{"function": function}]})
}

fn line(out: &mut Vec<u8>, data: impl Display) {
    out.extend_from_slice(format!("{data}\n").as_bytes());
}
