//! Amazon SageMaker's InvokeEndpoint, of a text generation container.

use serde_json::{Map, Value, json};

use super::prompt::Prompt;
use super::request::limit_in;
use super::{
    Api, ApiError, ApiInfo, ApiRequest, Completion, Delta, FrameBuffer, Route, Stream, aws, tgi,
};
use crate::conformance::Case;

#[derive(Debug)]
pub(super) struct SageMaker;

impl Api for SageMaker {
    fn about(&self) -> ApiInfo {
        ApiInfo {
            names: &["sagemaker"],
            finish_reason: Some("eos_token"),
            counts_input: false,
            frame: |out, event, data| {
                let data = format!("data:{data}\n\n");
                aws::event(out, event.unwrap_or("PayloadPart"), data.as_bytes());
            },
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
            limit: limit_in(request, "parameters", "max_new_tokens")?,
            ..ApiRequest::new(route, Prompt::of(Some(inputs)))
        })
    }

    fn body(&self, completion: &Completion) -> Value {
        json!({
            "generated_text": completion.text(0),
            "details": completion.usage.then(|| tgi::details(completion)),
        })
    }

    /// A container's first word is its first token: nothing opens the stream.
    fn content(&self, stream: &mut Stream, _: u32, delta: &Delta, out: &mut FrameBuffer) {
        let (Delta::Reasoning(tokens) | Delta::Visible(tokens)) = delta;
        let token = tgi::token(tokens.start, &stream.completion.words(delta));
        part(&json!({"token": token}), out);
    }

    fn closing(&self, stream: &mut Stream, out: &mut FrameBuffer) {
        let completion = &stream.completion;
        let last = json!({
            "token": tgi::end_token(""),
            "generated_text": completion.text(0),
            "details": completion.usage.then(|| tgi::details(completion)),
        });
        part(&last, out);
    }

    fn cannot(&self, case: Case, _: bool) -> Option<&'static str> {
        match case {
            Case::EarlyEnd => Some("containers need not mark the end of their streams"),
            _ => super::text_only(case),
        }
    }
}

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
