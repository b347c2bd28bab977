//! OpenAI Responses.

use serde_json::{Map, Value, json};

use super::frames::sse;
use super::prompt::Prompt;
use super::request::{Tool, count, flag, present, required_text};
use super::{
    Api, ApiError, ApiInfo, ApiRequest, Completion, Delta, Finish, FrameBuffer, Route, Stream,
    openai,
};

#[derive(Debug)]
pub(super) struct OpenAiResponses;

impl Api for OpenAiResponses {
    fn about(&self) -> ApiInfo {
        ApiInfo {
            names: &["openai-responses"],
            id_prefix: "resp_",
            finish_reason: Some("completed"),
            stream_error: Some(stream_error),
            ..openai::ABOUT
        }
    }

    fn route(&self, path: &str) -> Option<Route> {
        super::only(path, "/responses")
    }

    fn parse(&self, route: &Route, request: &Map<String, Value>) -> Result<ApiRequest, ApiError> {
        let mut prompt = Prompt::of(request.get("instructions"));
        match present(request, "input") {
            None => return Err(ApiError::missing("input")),
            Some(input @ Value::String(_)) => prompt.add(Some(input)),
            Some(Value::Array(items)) => {
                for (index, item) in items.iter().enumerate() {
                    if !item.is_object() {
                        let param = format!("input[{index}]");
                        return Err(ApiError::wrong_type(&param, "an object", item));
                    }
                    prompt.add(item.get("content"));
                }
            }
            Some(other) => {
                let expected = "one of a string or array of input items";
                return Err(ApiError::wrong_type("input", expected, other));
            }
        }
        Ok(ApiRequest {
            model: required_text(request, "model")?,
            stream: flag(request, "stream")?,
            limit: count(request, "max_output_tokens", u32::MAX)?,
            tool: tool(request)?,
            ..ApiRequest::new(route, prompt)
        })
    }

    fn body(&self, completion: &Completion) -> Value {
        let mut output = Vec::new();
        if completion.reasoning > 0 {
            output.push(Item::Reasoning.value(completion, true));
        }
        if completion.visible > 0 {
            output.push(Item::visible(completion).value(completion, true));
        }
        let mut response = response(completion, status(completion, true));
        response["output"] = output.into();
        if completion.is_truncated() {
            response["incomplete_details"] = json!({"reason": "max_output_tokens"});
        }
        if completion.usage {
            response["usage"] = json!({
                "input_tokens": completion.prompt_tokens,
                "input_tokens_details": {"cached_tokens": completion.cached_tokens},
                "output_tokens": completion.output_tokens(),
                "output_tokens_details": {"reasoning_tokens": completion.reasoning},
                "total_tokens": completion.total_tokens(),
            });
        }
        response
    }

    fn opening(&self, stream: &mut Stream, _: u32, out: &mut FrameBuffer) {
        let fields = json!({"response": response(&stream.completion, "in_progress")});
        out.frame(|out| {
            for kind in ["response.created", "response.in_progress"] {
                event(stream, out, kind, fields.clone());
            }
        });
    }

    fn content(&self, stream: &mut Stream, _: u32, delta: &Delta, out: &mut FrameBuffer) {
        let words = stream.completion.words(delta);
        out.frame(|out| match delta {
            Delta::Reasoning(tokens) => {
                if tokens.start == 0 {
                    Item::Reasoning.start(stream, out);
                }
                Item::Reasoning.delta(stream, out, words);
            }
            Delta::Visible(tokens) => {
                let item = Item::visible(&stream.completion);
                if tokens.start == 0 {
                    if stream.completion.reasoning > 0 {
                        Item::Reasoning.finish(stream, out);
                    }
                    item.start(stream, out);
                }
                let completion = &stream.completion;
                let words = match &completion.tool {
                    // A call's name came with the item.
                    Some(tool) => completion.argument_delta(tool, 0, tokens),
                    None => Some(words),
                };
                if let Some(words) = words.filter(|words| !words.is_empty()) {
                    item.delta(stream, out, words);
                }
            }
        });
    }

    fn closing(&self, stream: &mut Stream, out: &mut FrameBuffer) {
        let kind = match stream.completion.finish {
            Finish::Length => "response.incomplete",
            Finish::Stop | Finish::ToolCalls => "response.completed",
        };
        out.frame(|out| {
            if stream.completion.visible > 0 {
                Item::visible(&stream.completion).finish(stream, out);
            } else if stream.completion.reasoning > 0 {
                Item::Reasoning.finish(stream, out);
            }
            let response = self.body(&stream.completion);
            event(stream, out, kind, json!({"response": response}));
        });
    }
}

fn stream_error(out: &mut Vec<u8>, error: &ApiError) {
    let event = json!({
        "type": "error",
        "code": "server_error",
        "message": error.message,
        "param": error.param,
        "sequence_number": 0,
    });
    sse(out, Some("error"), event);
}

/// The function that the request insists on.
fn tool(request: &Map<String, Value>) -> Result<Option<Tool>, ApiError> {
    let wanted = match present(request, "tool_choice") {
        None => return Ok(None),
        Some(Value::String(mode)) if mode == "required" => None,
        Some(Value::String(_)) => return Ok(None),
        Some(choice) => match choice.get("name").and_then(Value::as_str) {
            Some(name) => Some(name),
            None => return Err(ApiError::missing("tool_choice.name")),
        },
    };
    let tools = request.get("tools").and_then(Value::as_array);
    let tools = tools.into_iter().flatten();
    match Tool::pick(tools, ["/name", "/parameters"], wanted) {
        None => Err(ApiError::wrong_value(
            "tool_choice",
            "no such function in 'tools'.",
        )),
        found => Ok(found),
    }
}

fn item_id(completion: &Completion, kind: &str) -> String {
    format!("{kind}_{}", completion.unique_id())
}

fn status(completion: &Completion, done: bool) -> &'static str {
    match completion.finish {
        _ if !done => "in_progress",
        Finish::Length => "incomplete",
        Finish::Stop | Finish::ToolCalls => "completed",
    }
}

/// A response without output.
fn response(completion: &Completion, status: &str) -> Value {
    json!({
        "id": completion.id,
        "object": "response",
        "created_at": completion.created,
        "status": status,
        "error": null,
        "incomplete_details": null,
        "instructions": null,
        "metadata": {},
        "model": completion.model,
        "output": [],
        "parallel_tool_calls": true,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "usage": null,
    })
}

/// Appends an event with its number.
fn event(stream: &mut Stream, out: &mut Vec<u8>, kind: &str, fields: Value) {
    let mut event = json!({"type": kind, "sequence_number": stream.number});
    stream.number += 1;
    extend(&mut event, fields);
    sse(out, Some(kind), event);
}

fn extend(object: &mut Value, fields: Value) {
    if let (Value::Object(object), Value::Object(fields)) = (object, fields) {
        object.extend(fields);
    }
}

/// An item of a response's output.
#[derive(Debug, Clone, Copy)]
enum Item {
    Reasoning,
    Message,
    Call,
}

impl Item {
    /// The item with what is visible.
    fn visible(completion: &Completion) -> Self {
        match completion.tool {
            Some(_) => Self::Call,
            None => Self::Message,
        }
    }

    fn id(self, completion: &Completion) -> String {
        let kind = match self {
            Self::Reasoning => "rs",
            Self::Message => "msg",
            Self::Call => "fc",
        };
        item_id(completion, kind)
    }

    /// Its place in the output.
    fn index(self, completion: &Completion) -> u32 {
        match self {
            Self::Reasoning => 0,
            Self::Message | Self::Call => u32::from(completion.reasoning > 0),
        }
    }

    /// How the names of its events begin: those of its text and, if it has parts, of its part.
    fn events(self) -> (&'static str, Option<&'static str>) {
        match self {
            Self::Reasoning => (
                "response.reasoning_summary_text",
                Some("response.reasoning_summary_part"),
            ),
            Self::Message => ("response.output_text", Some("response.content_part")),
            Self::Call => ("response.function_call_arguments", None),
        }
    }

    fn part(self, text: &str) -> Value {
        match self {
            Self::Reasoning => json!({"type": "summary_text", "text": text}),
            _ => json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []}),
        }
    }

    fn text(self, completion: &Completion) -> String {
        match (self, &completion.tool) {
            (Self::Reasoning, _) => completion.reasoning_text(0),
            (_, Some(tool)) => completion.arguments(tool, 0),
            (_, None) => completion.text(0),
        }
    }

    /// The item as a member of the output, which is empty until it is `done`.
    fn value(self, completion: &Completion, done: bool) -> Value {
        let id = self.id(completion);
        let status = status(completion, done);
        let text = done.then(|| self.text(completion));
        let parts = || Vec::from_iter(text.as_deref().map(|text| self.part(text)));
        match self {
            Self::Reasoning => json!({"id": id, "type": "reasoning", "summary": parts()}),
            Self::Message => json!({
                "id": id,
                "type": "message",
                "role": "assistant",
                "status": status,
                "content": parts(),
            }),
            Self::Call => json!({
                "id": id,
                "type": "function_call",
                "call_id": item_id(completion, "call"),
                "name": completion.tool.as_ref().map(|tool| &tool.name),
                "arguments": text.unwrap_or_default(),
                "status": status,
            }),
        }
    }

    /// Appends an event of this item.
    fn event(self, stream: &mut Stream, out: &mut Vec<u8>, kind: &str, fields: Value) {
        let completion = &stream.completion;
        let mut own =
            json!({"item_id": self.id(completion), "output_index": self.index(completion)});
        match self {
            Self::Reasoning => own["summary_index"] = 0.into(),
            Self::Message => own["content_index"] = 0.into(),
            Self::Call => {}
        }
        extend(&mut own, fields);
        event(stream, out, kind, own);
    }

    /// Appends an event with the item itself.
    fn whole(self, stream: &mut Stream, out: &mut Vec<u8>, kind: &str, done: bool) {
        let completion = &stream.completion;
        let (index, item) = (self.index(completion), self.value(completion, done));
        event(
            stream,
            out,
            kind,
            json!({"output_index": index, "item": item}),
        );
    }

    fn start(self, stream: &mut Stream, out: &mut Vec<u8>) {
        self.whole(stream, out, "response.output_item.added", false);
        if let (_, Some(part)) = self.events() {
            let fields = json!({"part": self.part("")});
            self.event(stream, out, &format!("{part}.added"), fields);
        }
    }

    fn delta(self, stream: &mut Stream, out: &mut Vec<u8>, words: String) {
        let fields = match self {
            Self::Message => json!({"delta": words, "logprobs": []}),
            _ => json!({"delta": words}),
        };
        self.event(stream, out, &format!("{}.delta", self.events().0), fields);
    }

    fn finish(self, stream: &mut Stream, out: &mut Vec<u8>) {
        let text = self.text(&stream.completion);
        let (kind, part) = self.events();
        let part = part.map(|kind| (format!("{kind}.done"), json!({"part": self.part(&text)})));
        let fields = match (self, &stream.completion.tool) {
            (Self::Message, _) => json!({"text": text, "logprobs": []}),
            (Self::Call, Some(tool)) => json!({"name": tool.name, "arguments": text}),
            _ => json!({"text": text}),
        };
        self.event(stream, out, &format!("{kind}.done"), fields);
        if let Some((kind, fields)) = part {
            self.event(stream, out, &kind, fields);
        }
        self.whole(stream, out, "response.output_item.done", true);
    }
}
