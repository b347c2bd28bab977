//! OpenAI's older Completions. They know no reasoning apart from the text: all tokens are in it.

use serde_json::{Map, Value, json};

use super::request::{count, flag, required_text};
use super::{
    Api, ApiError, ApiInfo, ApiRequest, Completion, Delta, FrameBuffer, Route, Stream, openai,
    words,
};
use crate::conformance::Case;

#[derive(Debug)]
pub(super) struct OpenAiCompletions;

impl Api for OpenAiCompletions {
    fn about(&self) -> ApiInfo {
        ApiInfo {
            names: &["openai-completions"],
            id_prefix: "cmpl-",
            finish_reason: Some("stop"),
            ..openai::ABOUT
        }
    }

    fn route(&self, path: &str) -> Option<Route> {
        super::only(path, "/completions")
    }

    fn parse(&self, route: &Route, request: &Map<String, Value>) -> Result<ApiRequest, ApiError> {
        let stream = flag(request, "stream")?;
        let prompts = openai::prompts(request, "prompt")?;
        let each = count(request, "n", openai::MAX_CHOICES)?.unwrap_or(1);
        let all = u32::try_from(prompts.len()).unwrap_or(u32::MAX);
        let choices = all.saturating_mul(each);
        if choices > openai::MAX_INPUTS {
            let reason = format!(
                "{each} completions of {all} prompts are more than {}.",
                openai::MAX_INPUTS
            );
            return Err(ApiError::wrong_value("n", &reason));
        }
        Ok(ApiRequest {
            model: required_text(request, "model")?,
            stream,
            include_usage: openai::include_usage(request, stream)?,
            limit: count(request, "max_tokens", u32::MAX)?,
            choices,
            ..ApiRequest::new(route, openai::prompt(prompts))
        })
    }

    fn body(&self, completion: &Completion) -> Value {
        let tokens = completion.reasoning + completion.visible;
        let choices = (0..completion.choices).map(|index| {
            let text = words::text(completion.seed(index), tokens);
            choice(index, &text, Some(openai::finish_reason(completion)))
        });
        let mut body = chunk(completion, choices.collect());
        body["usage"] = completion.usage.then(|| openai::usage(completion)).into();
        body
    }

    fn content(&self, stream: &mut Stream, index: u32, delta: &Delta, out: &mut FrameBuffer) {
        let completion = &stream.completion;
        let tokens = match delta {
            Delta::Reasoning(tokens) => tokens.clone(),
            Delta::Visible(tokens) => {
                let before = completion.reasoning;
                before + tokens.start..before + tokens.end
            }
        };
        let text = words::run(completion.seed(index), tokens);
        frame(completion, choice(index, &text, None), out);
    }

    fn closing(&self, stream: &mut Stream, out: &mut FrameBuffer) {
        let completion = &stream.completion;
        for index in 0..completion.choices {
            let last = choice(index, "", Some(openai::finish_reason(completion)));
            frame(completion, last, out);
        }
        if completion.usage {
            let mut last = chunk(completion, json!([]));
            last["usage"] = openai::usage(completion);
            out.sse(None, last);
        }
        out.sse(None, "[DONE]");
    }

    fn cannot(&self, case: Case, _: bool) -> Option<&'static str> {
        super::text_only(case)
    }
}

fn chunk(completion: &Completion, choices: Value) -> Value {
    json!({
        "id": completion.id,
        "object": "text_completion",
        "created": completion.created,
        "model": completion.model,
        "choices": choices,
    })
}

fn choice(index: u32, text: &str, finish: Option<&str>) -> Value {
    json!({"text": text, "index": index, "logprobs": null, "finish_reason": finish})
}

fn frame(completion: &Completion, choice: Value, out: &mut FrameBuffer) {
    let mut frame = chunk(completion, json!([choice]));
    if completion.usage {
        frame["usage"] = Value::Null;
    }
    out.sse(None, frame);
}
