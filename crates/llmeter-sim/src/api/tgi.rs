//! Text Generation Inference's own API. It knows no reasoning: such tokens are part of the text.

use serde_json::{Map, Value, json};

use super::request::{count, flag, required_text, section, words_in};
use super::{
    About, Api, ApiError, ApiRequest, Completion, Delta, FrameBuffer, Frames, Refusal, Route,
    openai,
};
use crate::conformance::Case;

/// What the server generates if it is not told how much.
const DEFAULT_LIMIT: u32 = 100;

#[derive(Debug)]
pub(super) struct Tgi;

impl Api for Tgi {
    fn about(&self) -> About {
        About {
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
            stream: route.stream,
            include_usage: flag(parameters, "details")?,
            limit: Some(count(parameters, "max_new_tokens", u32::MAX)?.unwrap_or(DEFAULT_LIMIT)),
            choices: 1,
            prompt_tokens: words_in(Some(&inputs.into())),
            tool: None,
        })
    }

    fn body(&self, completion: &Completion) -> Value {
        json!({
            "generated_text": all_text(completion),
            "details": completion.usage.then(|| details(completion)),
        })
    }

    fn frames(&self, completion: Completion) -> Box<dyn Frames> {
        Box::new(Stream {
            completion,
            index: 0,
        })
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

struct Stream {
    completion: Completion,
    index: u32,
}

impl Stream {
    fn event(&mut self, token: Value) -> Value {
        self.index += 1;
        json!({"index": self.index, "token": token, "generated_text": null, "details": null})
    }
}

impl Frames for Stream {
    fn content(&mut self, _: u32, delta: Delta, out: &mut FrameBuffer) {
        let text = self.completion.words(&delta);
        let id = self.index;
        let token = json!({"id": id, "text": text, "logprob": -0.5, "special": false});
        out.sse(None, self.event(token));
    }

    fn closing(&mut self, out: &mut FrameBuffer) {
        let token = json!({"id": 2, "text": "</s>", "logprob": -0.5, "special": true});
        let mut event = self.event(token);
        event["generated_text"] = all_text(&self.completion).into();
        if self.completion.usage {
            let mut details = details(&self.completion);
            // A non-streaming response has it in a header.
            details["input_length"] = self.completion.prompt_tokens.into();
            event["details"] = details;
        }
        out.sse(None, event);
    }
}
