//! Amazon Bedrock's InvokeModel, of a model that speaks chat completions.

use serde_json::{Map, Value, json};

use super::request::{count, words_in, words_in_messages};
use super::{
    About, Api, ApiError, ApiRequest, Completion, Delta, FrameBuffer, Frames, Route, aws, openai,
    openai_chat,
};
use crate::conformance::Case;

#[derive(Debug)]
pub(super) struct BedrockInvoke;

impl Api for BedrockInvoke {
    fn about(&self) -> About {
        About {
            names: &["bedrock-invoke"],
            finish_reason: Some("stop"),
            ..aws::ABOUT
        }
    }

    fn route(&self, path: &str) -> Option<Route> {
        aws::invoke_model(path)
    }

    fn parse(&self, route: &Route, request: &Map<String, Value>) -> Result<ApiRequest, ApiError> {
        let prompt_tokens = words_in(request.get("system")) + words_in_messages(request)?;
        Ok(ApiRequest {
            model: route.model.clone(),
            stream: route.stream,
            include_usage: true,
            limit: count(request, "max_tokens", u32::MAX)?,
            choices: 1,
            prompt_tokens,
            tool: None,
        })
    }

    fn body(&self, completion: &Completion) -> Value {
        openai_chat::OpenAiChat.body(completion)
    }

    fn frames(&self, completion: Completion) -> Box<dyn Frames> {
        Box::new(Stream(completion))
    }

    fn frame(&self, event: Option<&str>, data: &str) -> Vec<u8> {
        let mut out = Vec::new();
        aws::event_with_bytes(&mut out, event.unwrap_or("chunk"), data);
        out
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

struct Stream(Completion);

impl Stream {
    fn chunk(&self, delta: &Value, finish: Option<&str>) -> Value {
        json!({
            "id": self.0.id,
            "object": "chat.completion.chunk",
            "created": self.0.created,
            "model": self.0.model,
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
        })
    }
}

impl Frames for Stream {
    fn opening(&mut self, _: u32, out: &mut FrameBuffer) {
        let chunk = self.chunk(&json!({"role": "assistant", "content": ""}), None);
        out.frame(|out| aws::chunk(out, &chunk));
    }

    fn content(&mut self, choice: u32, delta: Delta, out: &mut FrameBuffer) {
        let words = self.0.words(&delta);
        let delta = match (&delta, &self.0.tool) {
            (Delta::Reasoning(_), _) => json!({"reasoning_content": words}),
            (Delta::Visible(_), None) => json!({"content": words}),
            (Delta::Visible(tokens), Some(tool)) => {
                let call = openai_chat::call_delta(&self.0, tool, choice, tokens);
                json!({"tool_calls": call})
            }
        };
        let chunk = self.chunk(&delta, None);
        out.frame(|out| aws::chunk(out, &chunk));
    }

    fn closing(&mut self, out: &mut FrameBuffer) {
        let mut chunk = self.chunk(&json!({}), Some(openai::finish_reason(&self.0)));
        if self.0.usage {
            chunk["amazon-bedrock-invocationMetrics"] = json!({
                "inputTokenCount": self.0.prompt_tokens,
                "outputTokenCount": self.0.output_tokens(),
                "invocationLatency": 0,
                "firstByteLatency": 0,
            });
        }
        out.frame(|out| aws::chunk(out, &chunk));
    }
}
