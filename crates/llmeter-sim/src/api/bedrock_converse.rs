//! Amazon Bedrock's Converse and ConverseStream.

use serde_json::{Map, Value, json};

use super::anthropic_messages::stop_reason;
use super::request::{Tool, limit_in, text_argument, words_in, words_in_messages};
use super::{About, Api, ApiError, ApiRequest, Completion, Delta, FrameBuffer, Frames, Route, aws};

#[derive(Debug)]
pub(super) struct BedrockConverse;

impl Api for BedrockConverse {
    fn about(&self) -> About {
        About {
            names: &["bedrock-converse"],
            finish_reason: Some("end_turn"),
            ..aws::ABOUT
        }
    }

    fn route(&self, path: &str) -> Option<Route> {
        aws::operation(path, "/model/", ["converse", "converse-stream"], "bedrock")
    }

    fn parse(&self, route: &Route, request: &Map<String, Value>) -> Result<ApiRequest, ApiError> {
        let prompt_tokens = words_in(request.get("system")) + words_in_messages(request)?;
        Ok(ApiRequest {
            model: route.model.clone(),
            stream: route.stream,
            include_usage: true,
            limit: limit_in(request, "inferenceConfig", "maxTokens")?,
            choices: 1,
            prompt_tokens,
            tool: tool(request),
        })
    }

    fn body(&self, completion: &Completion) -> Value {
        let mut content = Vec::new();
        if completion.reasoning > 0 {
            let text = completion.reasoning_text(0);
            content.push(json!({"reasoningContent": {"reasoningText": {"text": text}}}));
        }
        match completion.call() {
            Some(tool) => content.push(json!({"toolUse": {
                "toolUseId": completion.tool_call_id(0),
                "name": tool.name,
                "input": completion.tool_input(tool),
            }})),
            None => content.push(json!({"text": completion.text(0)})),
        }
        json!({
            "output": {"message": {"role": "assistant", "content": content}},
            "stopReason": stop_reason(completion),
            "usage": completion.usage.then(|| usage(completion)),
            "metrics": {"latencyMs": 0},
        })
    }

    fn frames(&self, completion: Completion) -> Box<dyn Frames> {
        Box::new(Stream {
            completion,
            block: None,
        })
    }

    fn frame(&self, event: Option<&str>, data: &str) -> Vec<u8> {
        let mut out = Vec::new();
        let event = event.unwrap_or("contentBlockDelta");
        aws::event(&mut out, event, data.as_bytes());
        out
    }
}

/// The tool that must be called.
fn tool(request: &Map<String, Value>) -> Option<Tool> {
    let config = request.get("toolConfig")?;
    let choice = config.get("toolChoice")?;
    let named = choice.pointer("/tool/name").and_then(Value::as_str);
    if named.is_none() && choice.get("any").is_none() {
        return None;
    }
    let tools = config.get("tools")?.as_array()?.iter();
    let mut specs = tools.filter_map(|tool| tool.get("toolSpec"));
    let spec = specs.find(|spec| named.is_none_or(|name| spec["name"] == name))?;
    Some(Tool {
        name: spec.get("name")?.as_str()?.to_owned(),
        argument: text_argument(spec.pointer("/inputSchema/json")),
        named: named.is_some(),
    })
}

fn usage(completion: &Completion) -> Value {
    json!({
        "inputTokens": completion.prompt_tokens,
        "outputTokens": completion.output_tokens(),
        "totalTokens": completion.total_tokens(),
        "cacheReadInputTokens": 0,
        "cacheWriteInputTokens": 0,
    })
}

struct Stream {
    completion: Completion,
    /// The content block that is open.
    block: Option<u32>,
}

fn event(out: &mut Vec<u8>, kind: &str, payload: &Value) {
    aws::event(out, kind, payload.to_string().as_bytes());
}

impl Stream {
    /// Closes the open block unless it is this one, and opens this one.
    fn enter(&mut self, out: &mut Vec<u8>, block: u32, start: Option<Value>) {
        if self.block == Some(block) {
            return;
        }
        self.leave(out);
        if let Some(start) = start {
            let payload = json!({"contentBlockIndex": block, "start": start});
            event(out, "contentBlockStart", &payload);
        }
        self.block = Some(block);
    }

    fn leave(&mut self, out: &mut Vec<u8>) {
        if let Some(block) = self.block.take() {
            event(
                out,
                "contentBlockStop",
                &json!({"contentBlockIndex": block}),
            );
        }
    }

    fn delta(&mut self, out: &mut Vec<u8>, delta: &Delta) {
        let words = self.completion.words(delta);
        let visible = u32::from(self.completion.reasoning > 0);
        let (block, start, delta) = match (delta, &self.completion.tool) {
            (Delta::Reasoning(_), _) => (0, None, json!({"reasoningContent": {"text": words}})),
            (Delta::Visible(_), None) => (visible, None, json!({"text": words})),
            (Delta::Visible(tokens), Some(tool)) => {
                let id = self.completion.tool_call_id(0);
                let start = json!({"toolUse": {"toolUseId": id, "name": tool.name}});
                let input = self.completion.argument_delta(tool, 0, tokens);
                let Some(input) = input else {
                    return self.enter(out, visible, Some(start));
                };
                (visible, Some(start), json!({"toolUse": {"input": input}}))
            }
        };
        self.enter(out, block, start);
        // Bedrock pads its events with `p`, so that their length tells nothing.
        let payload = json!({"contentBlockIndex": block, "delta": delta, "p": "abcdefgh"});
        event(out, "contentBlockDelta", &payload);
    }
}

impl Frames for Stream {
    fn opening(&mut self, _: u32, out: &mut FrameBuffer) {
        out.frame(|out| event(out, "messageStart", &json!({"role": "assistant"})));
    }

    fn content(&mut self, _: u32, delta: Delta, out: &mut FrameBuffer) {
        out.frame(|out| self.delta(out, &delta));
    }

    fn closing(&mut self, out: &mut FrameBuffer) {
        let reason = stop_reason(&self.completion);
        let usage = self.completion.usage.then(|| usage(&self.completion));
        out.frame(|out| {
            self.leave(out);
            event(out, "messageStop", &json!({"stopReason": reason}));
            let metadata = json!({"usage": usage, "metrics": {"latencyMs": 0}});
            event(out, "metadata", &metadata);
        });
    }
}
