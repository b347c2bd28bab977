//! Google's Gemini API.

use serde_json::{Map, Value, json};

use super::prompt::Prompt;
use super::request::{Tool, limit_in, required_list};
use super::{
    Api, ApiError, ApiInfo, ApiRequest, Completion, Delta, FrameBuffer, Refusal, Route, Stream,
    openai,
};

#[derive(Debug)]
pub(super) struct Gemini;

impl Api for Gemini {
    fn about(&self) -> ApiInfo {
        ApiInfo {
            names: &["gemini"],
            calls_in_one_chunk: true,
            finish_reason: Some("STOP"),
            refusal,
            ..openai::ABOUT
        }
    }

    fn route(&self, path: &str) -> Option<Route> {
        let (_, rest) = path.split_once("/models/")?;
        let (model, method) = rest.rsplit_once(':')?;
        let stream = match method {
            "generateContent" => false,
            "streamGenerateContent" => true,
            _ => return None,
        };
        Some(Route {
            model: model.to_owned(),
            stream,
            service: None,
        })
    }

    fn parse(&self, route: &Route, request: &Map<String, Value>) -> Result<ApiRequest, ApiError> {
        let instruction = request.get("systemInstruction");
        let mut prompt = Prompt::of(instruction.and_then(|content| content.get("parts")));
        for content in required_list(request, "contents")? {
            prompt.add(content.get("parts"));
        }
        Ok(ApiRequest {
            limit: limit_in(request, "generationConfig", "maxOutputTokens")?,
            tool: tool(request),
            ..ApiRequest::new(route, prompt)
        })
    }

    fn body(&self, completion: &Completion) -> Value {
        let mut parts = Vec::new();
        if completion.reasoning > 0 {
            parts.push(json!({"text": completion.reasoning_text(0), "thought": true}));
        }
        match &completion.tool {
            _ if completion.visible == 0 => {}
            Some(tool) => parts.push(call(completion, tool)),
            None => parts.push(json!({"text": completion.text(0)})),
        }
        response(completion, parts.into(), true)
    }

    fn content(&self, stream: &mut Stream, _: u32, delta: &Delta, out: &mut FrameBuffer) {
        let completion = &stream.completion;
        let part = match (delta, &completion.tool) {
            (Delta::Visible(_), Some(tool)) => call(completion, tool),
            (Delta::Visible(_), None) => json!({"text": completion.words(delta)}),
            (Delta::Reasoning(_), _) => json!({"text": completion.words(delta), "thought": true}),
        };
        out.sse(None, response(completion, json!([part]), false));
    }

    fn closing(&self, stream: &mut Stream, out: &mut FrameBuffer) {
        let parts = json!([{"text": ""}]);
        out.sse(None, response(&stream.completion, parts, true));
    }
}

fn refusal(error: &ApiError) -> Refusal {
    let (message, status) = match error.status {
        401 => (
            "API key not valid. Please pass a valid API key.",
            "UNAUTHENTICATED",
        ),
        404 => (error.message.as_str(), "NOT_FOUND"),
        503 => (error.message.as_str(), "UNAVAILABLE"),
        500 => ("An internal error has occurred.", "INTERNAL"),
        _ => (error.message.as_str(), "INVALID_ARGUMENT"),
    };
    let object = json!({"code": error.status, "message": message, "status": status});
    Refusal::new(error.status, json!({"error": object}))
}

/// The function that the request insists on.
fn tool(request: &Map<String, Value>) -> Option<Tool> {
    let config = request.get("toolConfig")?.get("functionCallingConfig")?;
    if config.get("mode")?.as_str()? != "ANY" {
        return None;
    }
    let tools = request.get("tools")?.as_array()?;
    let mut functions = tools
        .iter()
        .filter_map(|tool| tool.get("functionDeclarations")?.as_array())
        .flatten();
    let function = functions.next()?;
    let schema = match function.get("parameters") {
        Some(_) => "/parameters",
        None => "/parametersJsonSchema",
    };
    Tool::pick([function], ["/name", schema], None)
}

/// What is not generated yet is not counted.
fn usage(completion: &Completion, is_last: bool) -> Value {
    let prompt = completion.prompt_tokens;
    if !is_last {
        return json!({"promptTokenCount": prompt, "totalTokenCount": prompt});
    }
    let mut usage = json!({
        "promptTokenCount": prompt,
        "candidatesTokenCount": completion.visible,
        "totalTokenCount": completion.total_tokens(),
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": prompt}],
    });
    if completion.cached_tokens > 0 {
        usage["cachedContentTokenCount"] = completion.cached_tokens.into();
    }
    if completion.reasoning > 0 {
        usage["thoughtsTokenCount"] = completion.reasoning.into();
    }
    usage
}

fn response(completion: &Completion, parts: Value, is_last: bool) -> Value {
    let mut candidate = json!({"content": {"parts": parts, "role": "model"}, "index": 0});
    if is_last {
        candidate["finishReason"] = match completion.is_truncated() {
            true => "MAX_TOKENS",
            false => "STOP",
        }
        .into();
    }
    json!({
        "candidates": [candidate],
        "usageMetadata": completion.usage.then(|| usage(completion, is_last)),
        "modelVersion": completion.model,
        "responseId": completion.id,
    })
}

fn call(completion: &Completion, tool: &Tool) -> Value {
    json!({"functionCall": {"name": tool.name, "args": completion.tool_input(tool)}})
}
