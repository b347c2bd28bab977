//! OpenAI's older Completions. They know no reasoning apart from the text: all tokens are in it.

use serde_json::{Map, Value, json};

use super::request::{count, flag, required_text};
use super::{
    About, Api, ApiError, ApiRequest, Completion, Delta, FrameBuffer, Frames, Route, openai, words,
};
use crate::conformance::Case;

#[derive(Debug)]
pub(super) struct OpenAiCompletions;

impl Api for OpenAiCompletions {
    fn about(&self) -> About {
        About {
            names: &["openai-completions"],
            id_prefix: "cmpl-",
            finish_reason: Some("stop"),
            ..openai::ABOUT
        }
    }

    fn route(&self, path: &str) -> Option<Route> {
        super::only(path, "/completions")
    }

    fn parse(&self, _: &Route, request: &Map<String, Value>) -> Result<ApiRequest, ApiError> {
        let stream = flag(request, "stream")?;
        let prompts = openai::prompts(request, "prompt")?;
        let each = count(request, "n", openai::MAX_CHOICES)?.unwrap_or(1);
        let all = u32::try_from(prompts.len()).unwrap_or(u32::MAX);
        Ok(ApiRequest {
            model: required_text(request, "model")?,
            stream,
            include_usage: openai::include_usage(request, stream)?,
            limit: count(request, "max_tokens", u32::MAX)?,
            choices: all.saturating_mul(each),
            prompt_tokens: prompts.iter().map(openai::tokens_in).sum(),
            tool: None,
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

    fn frames(&self, completion: Completion) -> Box<dyn Frames> {
        Box::new(Stream(completion))
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

struct Stream(Completion);

impl Stream {
    fn frame(&self, choice: Value, out: &mut FrameBuffer) {
        let mut frame = chunk(&self.0, json!([choice]));
        if self.0.usage {
            frame["usage"] = Value::Null;
        }
        out.sse(None, frame);
    }
}

impl Frames for Stream {
    fn content(&mut self, index: u32, delta: Delta, out: &mut FrameBuffer) {
        let tokens = match delta {
            Delta::Reasoning(tokens) => tokens,
            Delta::Visible(tokens) => {
                let before = self.0.reasoning;
                before + tokens.start..before + tokens.end
            }
        };
        let mut text = Vec::new();
        words::append(&mut text, self.0.seed(index), tokens);
        self.frame(choice(index, &String::from_utf8_lossy(&text), None), out);
    }

    fn closing(&mut self, out: &mut FrameBuffer) {
        for index in 0..self.0.choices {
            self.frame(choice(index, "", Some(openai::finish_reason(&self.0))), out);
        }
        if self.0.usage {
            let mut last = chunk(&self.0, json!([]));
            last["usage"] = openai::usage(&self.0);
            out.sse(None, last);
        }
        out.sse(None, "[DONE]");
    }
}
