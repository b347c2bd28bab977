//! Amazon Bedrock's InvokeModel, of a model that speaks chat completions.

use serde_json::{Map, Value, json};

use super::prompt::Prompt;
use super::request::count;
use super::{
    Api, ApiError, ApiInfo, ApiRequest, Completion, Delta, FrameBuffer, Route, Stream, aws, openai,
    openai_chat,
};
use crate::conformance::Case;

#[derive(Debug)]
pub(super) struct BedrockInvoke;

impl Api for BedrockInvoke {
    fn about(&self) -> ApiInfo {
        ApiInfo {
            names: &["bedrock-invoke"],
            finish_reason: Some("stop"),
            ..aws::ABOUT
        }
    }

    fn route(&self, path: &str) -> Option<Route> {
        aws::invoke_model(path)
    }

    fn parse(&self, route: &Route, request: &Map<String, Value>) -> Result<ApiRequest, ApiError> {
        let mut prompt = Prompt::of(request.get("system"));
        prompt.add_messages(request)?;
        Ok(ApiRequest {
            limit: count(request, "max_tokens", u32::MAX)?,
            ..ApiRequest::new(route, prompt)
        })
    }

    fn body(&self, completion: &Completion) -> Value {
        openai_chat::OpenAiChat.body(completion)
    }

    fn opening(&self, stream: &mut Stream, _: u32, out: &mut FrameBuffer) {
        let delta = json!({"role": "assistant", "content": ""});
        let chunk = chunk(&stream.completion, &delta, None);
        out.frame(|out| aws::chunk(out, &chunk));
    }

    fn content(&self, stream: &mut Stream, choice: u32, delta: &Delta, out: &mut FrameBuffer) {
        let completion = &stream.completion;
        let delta = match (delta, &completion.tool) {
            (Delta::Reasoning(_), _) => json!({"reasoning_content": completion.words(delta)}),
            (Delta::Visible(_), None) => json!({"content": completion.words(delta)}),
            (Delta::Visible(tokens), Some(tool)) => {
                let call = openai_chat::call_delta(completion, tool, choice, tokens);
                json!({"tool_calls": call})
            }
        };
        let chunk = chunk(completion, &delta, None);
        out.frame(|out| aws::chunk(out, &chunk));
    }

    fn closing(&self, stream: &mut Stream, out: &mut FrameBuffer) {
        let completion = &stream.completion;
        let finish = openai::finish_reason(completion);
        let mut chunk = chunk(completion, &json!({}), Some(finish));
        if completion.usage {
            chunk["amazon-bedrock-invocationMetrics"] = json!({
                "inputTokenCount": completion.prompt_tokens,
                "outputTokenCount": completion.output_tokens(),
                "invocationLatency": 0,
                "firstByteLatency": 0,
            });
        }
        out.frame(|out| aws::chunk(out, &chunk));
    }

    fn cannot(&self, case: Case, streaming: bool) -> Option<&'static str> {
        match case {
            Case::NonStreaming if streaming => Some(
                "what a stream holds is found by other paths than what a non-streaming response \
                 holds",
            ),
            Case::EarlyEnd => Some("each model ends its streams in its own way"),
            _ => None,
        }
    }
}

fn chunk(completion: &Completion, delta: &Value, finish: Option<&str>) -> Value {
    json!({
        "id": completion.id,
        "object": "chat.completion.chunk",
        "created": completion.created,
        "model": completion.model,
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
    })
}
