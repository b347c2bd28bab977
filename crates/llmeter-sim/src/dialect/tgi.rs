//! Text Generation Inference's own API. It knows no reasoning: such tokens are part of the text.

use serde_json::{Map, Value, json};

use super::events::{Event, Stream, words};
use super::{required_text, words_in};
use crate::openai::request::{count, flag, present};
use crate::openai::words::text;
use crate::openai::{Answer, ApiError, ChatRequest, Finish, Piece};

/// What the server generates if it is not told how much.
const USUAL_LIMIT: u32 = 100;

pub(super) fn parse(path: &str, request: &Map<String, Value>) -> Result<ChatRequest, ApiError> {
    let inputs = required_text(request, "inputs")?;
    let stream = path.ends_with("_stream");
    let parameters = match present(request, "parameters") {
        None => Map::new(),
        Some(Value::Object(parameters)) => parameters.clone(),
        Some(other) => return Err(ApiError::wrong_type("parameters", "an object", other)),
    };
    if stream
        && flag(
            &parameters,
            "decoder_input_details",
            "decoder_input_details",
        )?
    {
        return Err(ApiError::wrong_value(
            "decoder_input_details",
            "it is not supported when streaming tokens.",
        ));
    }
    Ok(ChatRequest {
        model: "tgi".to_owned(),
        stream,
        include_usage: flag(&parameters, "details", "details")?,
        limit: Some(count(&parameters, "max_new_tokens", u32::MAX)?.unwrap_or(USUAL_LIMIT)),
        choices: 1,
        prompt_tokens: words_in(Some(&Value::from(inputs))),
        tool: None,
    })
}

/// What is told to those who ask for it.
fn details(answer: &Answer, is_stream: bool) -> Value {
    if !answer.usage {
        return Value::Null;
    }
    let reason = match answer.finish {
        Finish::Length => "length",
        Finish::Stop | Finish::ToolCalls => "eos_token",
    };
    let mut details = json!({
        "finish_reason": reason,
        "generated_tokens": answer.completion_tokens(),
        "seed": null,
    });
    // Whole answers have it in a header.
    if is_stream {
        details["input_length"] = answer.prompt_tokens.into();
    }
    details
}

fn all_text(answer: &Answer) -> String {
    let seed = answer.seed(0);
    let mut all = text(!seed, answer.reasoning);
    all.push_str(&text(seed, answer.visible));
    all
}

/// The headers of a whole answer.
pub(super) fn headers(answer: &Answer) -> Vec<(&'static str, String)> {
    let (times, tokens) = (answer.times, answer.completion_tokens());
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
        ("x-prompt-tokens", answer.prompt_tokens.to_string()),
        ("x-generated-tokens", tokens.to_string()),
    ]
}

pub(super) fn whole(answer: &Answer) -> Value {
    json!({"generated_text": all_text(answer), "details": details(answer, false)})
}

#[derive(Debug, Default)]
pub(super) struct Events {
    index: u32,
}

impl Events {
    fn event(&mut self, token: Value) -> Value {
        self.index += 1;
        json!({"index": self.index, "token": token, "generated_text": null, "details": null})
    }
}

impl Stream for Events {
    fn opening(&mut self, _: &Answer) -> Vec<Event> {
        Vec::new()
    }

    fn content(&mut self, answer: &Answer, piece: Piece) -> Vec<Event> {
        let token = json!({
            "id": self.index, "text": words(answer, &piece), "logprob": -0.5, "special": false,
        });
        vec![(None, self.event(token))]
    }

    fn closing(&mut self, answer: &Answer) -> Vec<Event> {
        let token = json!({"id": 2, "text": "</s>", "logprob": -0.5, "special": true});
        let mut event = self.event(token);
        event["generated_text"] = all_text(answer).into();
        event["details"] = details(answer, true);
        vec![(None, event)]
    }
}

pub(super) fn error(error: &ApiError) -> Value {
    let kind = match error.status {
        500 => "generation",
        _ => "validation",
    };
    json!({"error": error.message, "error_type": kind})
}
