//! Amazon SageMaker's InvokeEndpoint, of a text generation container.

use serde_json::{Map, Value, json};

use super::request::{limit_in, words_in};
use super::{
    About, Api, ApiError, ApiRequest, Completion, Delta, FrameBuffer, Frames, Route, aws, tgi,
};
use crate::conformance::Case;

#[derive(Debug)]
pub(super) struct SageMaker;

impl Api for SageMaker {
    fn about(&self) -> About {
        About {
            names: &["sagemaker"],
            finish_reason: Some("eos_token"),
            counts_input: false,
            ..aws::ABOUT
        }
    }

    fn route(&self, path: &str) -> Option<Route> {
        let operations = ["invocations", "invocations-response-stream"];
        aws::operation(path, "/endpoints/", operations, "sagemaker")
    }

    fn parse(&self, route: &Route, request: &Map<String, Value>) -> Result<ApiRequest, ApiError> {
        let Some(inputs) = request.get("inputs") else {
            return Err(ApiError::missing("inputs"));
        };
        Ok(ApiRequest {
            model: route.model.clone(),
            stream: route.stream,
            include_usage: true,
            limit: limit_in(request, "parameters", "max_new_tokens")?,
            choices: 1,
            prompt_tokens: words_in(Some(inputs)),
            tool: None,
        })
    }

    fn body(&self, completion: &Completion) -> Value {
        json!({
            "generated_text": completion.text(0),
            "details": completion.usage.then(|| tgi::details(completion)),
        })
    }

    fn frames(&self, completion: Completion) -> Box<dyn Frames> {
        Box::new(Stream(completion))
    }

    fn frame(&self, event: Option<&str>, data: &str) -> Vec<u8> {
        let mut out = Vec::new();
        let data = format!("data:{data}\n\n");
        aws::event(&mut out, event.unwrap_or("PayloadPart"), data.as_bytes());
        out
    }

    fn cannot(&self, case: Case, _: bool) -> Option<&'static str> {
        match case {
            Case::EarlyEnd => Some("containers need not mark the end of their streams"),
            _ => super::text_only(case),
        }
    }
}

struct Stream(Completion);

/// One part of a container's response.
fn part(data: &Value, out: &mut FrameBuffer) {
    let data = format!("data:{data}\n\n");
    out.frame(|out| {
        aws::typed_event(
            out,
            "PayloadPart",
            "application/octet-stream",
            data.as_bytes(),
        );
    });
}

/// A container's first word is its first token: nothing opens the stream.
impl Frames for Stream {
    fn content(&mut self, _: u32, delta: Delta, out: &mut FrameBuffer) {
        let text = self.0.words(&delta);
        let (Delta::Reasoning(tokens) | Delta::Visible(tokens)) = delta;
        let id = tokens.start;
        let token = json!({"id": id, "text": text, "logprob": -0.5, "special": false});
        part(&json!({"token": token}), out);
    }

    fn closing(&mut self, out: &mut FrameBuffer) {
        let last = json!({
            "token": {"id": 2, "text": "", "logprob": -0.5, "special": true},
            "generated_text": self.0.text(0),
            "details": self.0.usage.then(|| tgi::details(&self.0)),
        });
        part(&last, out);
    }
}
