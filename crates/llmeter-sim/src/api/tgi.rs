//! Text Generation Inference's own API. It knows no reasoning: such tokens are part of the text.

use serde_json::{Map, Value, json};

use super::prompt::Prompt;
use super::request::{count, flag, required_text, section};
use super::{
    Api, ApiError, ApiInfo, ApiRequest, Completion, Delta, FrameBuffer, Refusal, Route, Stream,
    openai,
};
use crate::conformance::Case;

/// What the server generates if it is not told how much.
const DEFAULT_LIMIT: u32 = 100;

#[derive(Debug)]
pub(super) struct Tgi;

impl Api for Tgi {
    fn about(&self) -> ApiInfo {
        ApiInfo {
            names: &["tgi"],
            id_header: Some("x-request-id"),
            tells_times: true,
            finish_reason: Some("eos_token"),
            has_id: false,
            refusal,
            ..openai::ABOUT
        }
    }

    fn route(&self, path: &str) -> Option<Route> {
        let stream = match super::local(path) {
            "/generate" => false,
            "/generate_stream" => true,
            _ => return None,
        };
        Some(Route {
            stream,
            ..Route::default()
        })
    }

    fn parse(&self, route: &Route, request: &Map<String, Value>) -> Result<ApiRequest, ApiError> {
        let inputs = required_text(request, "inputs")?;
        let none = Map::new();
        let parameters = section(request, "parameters")?.unwrap_or(&none);
        if route.stream && flag(parameters, "decoder_input_details")? {
            let reason = "it is not supported when streaming tokens.";
            return Err(ApiError::wrong_value("decoder_input_details", reason));
        }
        Ok(ApiRequest {
            model: "tgi".to_owned(),
            include_usage: flag(parameters, "details")?,
            limit: Some(count(parameters, "max_new_tokens", u32::MAX)?.unwrap_or(DEFAULT_LIMIT)),
            ..ApiRequest::new(route, Prompt::of(Some(&inputs.into())))
        })
    }

    fn body(&self, completion: &Completion) -> Value {
        json!({
            "generated_text": all_text(completion),
            "details": completion.usage.then(|| details(completion)),
        })
    }

    fn content(&self, stream: &mut Stream, _: u32, delta: &Delta, out: &mut FrameBuffer) {
        let token = token(stream.number, &stream.completion.words(delta));
        out.sse(None, event(stream, token));
    }

    fn closing(&self, stream: &mut Stream, out: &mut FrameBuffer) {
        let mut event = event(stream, end_token("</s>"));
        let completion = &stream.completion;
        event["generated_text"] = all_text(completion).into();
        if completion.usage {
            let mut details = details(completion);
            // A non-streaming response has it in a header.
            details["input_length"] = completion.prompt_tokens.into();
            event["details"] = details;
        }
        out.sse(None, event);
    }

    fn headers(&self, completion: &Completion) -> Vec<(&'static str, String)> {
        let (times, tokens) = (completion.times, completion.output_tokens());
        let inference = times.first + times.rest;
        let milliseconds = |nanoseconds: i64| (nanoseconds / 1_000_000).to_string();
        let each = inference / i64::try_from(tokens.max(1)).unwrap_or(i64::MAX);
        vec![
            ("x-compute-type", "cpu".to_owned()),
            ("x-total-time", milliseconds(times.queue + inference)),
            ("x-validation-time", "0".to_owned()),
            ("x-queue-time", milliseconds(times.queue)),
            ("x-inference-time", milliseconds(inference)),
            ("x-time-per-token", milliseconds(each)),
            ("x-prompt-tokens", completion.prompt_tokens.to_string()),
            ("x-generated-tokens", tokens.to_string()),
        ]
    }

    fn cannot(&self, case: Case, _: bool) -> Option<&'static str> {
        super::text_only(case)
    }
}

fn refusal(error: &ApiError) -> Refusal {
    let kind = match error.status {
        500 => "generation",
        _ => "validation",
    };
    let body = json!({"error": error.message, "error_type": kind});
    Refusal::new(error.status, body)
}

/// What is told to those who ask for it. SageMaker's containers tell the same.
pub(super) fn details(completion: &Completion) -> Value {
    let reason = match completion.is_truncated() {
        true => "length",
        false => "eos_token",
    };
    json!({
        "finish_reason": reason,
        "generated_tokens": completion.output_tokens(),
        "seed": null,
    })
}

fn all_text(completion: &Completion) -> String {
    completion.reasoning_text(0) + &completion.text(0)
}

/// A token of a stream. SageMaker's containers word it the same.
pub(super) fn token(id: u32, text: &str) -> Value {
    json!({"id": id, "text": text, "logprob": -0.5, "special": false})
}

/// The token that ends a stream.
pub(super) fn end_token(text: &str) -> Value {
    json!({"id": 2, "text": text, "logprob": -0.5, "special": true})
}

fn event(stream: &mut Stream, token: Value) -> Value {
    stream.number += 1;
    json!({"index": stream.number, "token": token, "generated_text": null, "details": null})
}
