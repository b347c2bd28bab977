//! Amazon Bedrock's Converse and ConverseStream.

use serde_json::{Map, Value, json};

use super::anthropic_messages::stop_reason;
use super::prompt::Prompt;
use super::request::{Tool, limit_in};
use super::{
    Api, ApiError, ApiInfo, ApiRequest, Completion, Delta, FrameBuffer, Route, Stream, aws,
};

/// The event that has content.
const CONTENT: &str = "contentBlockDelta";

#[derive(Debug)]
pub(super) struct BedrockConverse;

impl Api for BedrockConverse {
    fn about(&self) -> ApiInfo {
        ApiInfo {
            names: &["bedrock-converse"],
            finish_reason: Some("end_turn"),
            frame: |out, event, data| {
                aws::event(out, event.unwrap_or(CONTENT), data.as_bytes());
            },
            ..aws::ABOUT
        }
    }

    fn route(&self, path: &str) -> Option<Route> {
        aws::operation(path, "/model/", ["converse", "converse-stream"], "bedrock")
    }

    fn parse(&self, route: &Route, request: &Map<String, Value>) -> Result<ApiRequest, ApiError> {
        let mut prompt = Prompt::of(request.get("system"));
        prompt.add_messages(request)?;
        Ok(ApiRequest {
            limit: limit_in(request, "inferenceConfig", "maxTokens")?,
            tool: tool(request),
            ..ApiRequest::new(route, prompt)
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

    fn opening(&self, _: &mut Stream, _: u32, out: &mut FrameBuffer) {
        out.frame(|out| event(out, "messageStart", &json!({"role": "assistant"})));
    }

    fn content(&self, stream: &mut Stream, _: u32, delta: &Delta, out: &mut FrameBuffer) {
        out.frame(|out| words(stream, out, delta));
    }

    fn closing(&self, stream: &mut Stream, out: &mut FrameBuffer) {
        out.frame(|out| {
            leave(stream, out);
            let completion = &stream.completion;
            let reason = stop_reason(completion);
            event(out, "messageStop", &json!({"stopReason": reason}));
            let usage = completion.usage.then(|| usage(completion));
            let metadata = json!({"usage": usage, "metrics": {"latencyMs": 0}});
            event(out, "metadata", &metadata);
        });
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
    let fields = ["/toolSpec/name", "/toolSpec/inputSchema/json"];
    Tool::pick(config.get("tools")?.as_array()?, fields, named)
}

fn usage(completion: &Completion) -> Value {
    json!({
        "inputTokens": completion.prompt_tokens - completion.cached_tokens,
        "outputTokens": completion.output_tokens(),
        "totalTokens": completion.total_tokens(),
        "cacheReadInputTokens": completion.cached_tokens,
        "cacheWriteInputTokens": 0,
    })
}

fn event(out: &mut Vec<u8>, kind: &str, payload: &Value) {
    aws::event(out, kind, payload.to_string().as_bytes());
}

/// Closes the open block unless it is this one, and opens this one.
fn enter(stream: &mut Stream, out: &mut Vec<u8>, block: u32, start: Option<Value>) {
    if stream.is_open && stream.number == block {
        return;
    }
    leave(stream, out);
    if let Some(start) = start {
        let payload = json!({"contentBlockIndex": block, "start": start});
        event(out, "contentBlockStart", &payload);
    }
    stream.number = block;
    stream.is_open = true;
}

fn leave(stream: &mut Stream, out: &mut Vec<u8>) {
    if std::mem::take(&mut stream.is_open) {
        let payload = json!({"contentBlockIndex": stream.number});
        event(out, "contentBlockStop", &payload);
    }
}

fn words(stream: &mut Stream, out: &mut Vec<u8>, delta: &Delta) {
    let completion = &stream.completion;
    let words = completion.words(delta);
    let visible = u32::from(completion.reasoning > 0);
    let (block, start, delta) = match (delta, &completion.tool) {
        (Delta::Reasoning(_), _) => (0, None, json!({"reasoningContent": {"text": words}})),
        (Delta::Visible(_), None) => (visible, None, json!({"text": words})),
        (Delta::Visible(tokens), Some(tool)) => {
            let id = completion.tool_call_id(0);
            let start = json!({"toolUse": {"toolUseId": id, "name": tool.name}});
            let Some(input) = completion.argument_delta(tool, 0, tokens) else {
                return enter(stream, out, visible, Some(start));
            };
            (visible, Some(start), json!({"toolUse": {"input": input}}))
        }
    };
    enter(stream, out, block, start);
    // Bedrock pads its events with `p`, so that their length tells nothing.
    let payload = json!({"contentBlockIndex": block, "delta": delta, "p": "abcdefgh"});
    event(out, CONTENT, &payload);
}
