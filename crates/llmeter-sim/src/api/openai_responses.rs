//! OpenAI Responses.

use serde_json::{Map, Value, json};

use super::request::{Tool, count, flag, present, required_text, text_argument, words_in};
use super::{
    About, Api, ApiError, ApiRequest, Completion, Delta, Finish, FrameBuffer, Frames, Route, openai,
};

#[derive(Debug)]
pub(super) struct OpenAiResponses;

impl Api for OpenAiResponses {
    fn about(&self) -> About {
        About {
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

    fn parse(&self, _: &Route, request: &Map<String, Value>) -> Result<ApiRequest, ApiError> {
        let mut prompt_tokens = words_in(request.get("instructions"));
        match present(request, "input") {
            None => return Err(ApiError::missing("input")),
            Some(input @ Value::String(_)) => prompt_tokens += words_in(Some(input)),
            Some(Value::Array(items)) => {
                for (index, item) in items.iter().enumerate() {
                    if !item.is_object() {
                        let param = format!("input[{index}]");
                        return Err(ApiError::wrong_type(&param, "an object", item));
                    }
                    prompt_tokens += words_in(item.get("content"));
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
            include_usage: true,
            limit: count(request, "max_output_tokens", u32::MAX)?,
            choices: 1,
            prompt_tokens,
            tool: tool(request)?,
        })
    }

    fn body(&self, completion: &Completion) -> Value {
        let mut output = Vec::new();
        if completion.reasoning > 0 {
            output.push(reasoning_item(completion, true));
        }
        if completion.visible > 0 {
            output.push(visible_item(completion, true));
        }
        let mut response = response(completion, status(completion, true));
        response["output"] = output.into();
        if completion.is_truncated() {
            response["incomplete_details"] = json!({"reason": "max_output_tokens"});
        }
        if completion.usage {
            response["usage"] = json!({
                "input_tokens": completion.prompt_tokens,
                "input_tokens_details": {"cached_tokens": 0},
                "output_tokens": completion.output_tokens(),
                "output_tokens_details": {"reasoning_tokens": completion.reasoning},
                "total_tokens": completion.total_tokens(),
            });
        }
        response
    }

    fn frames(&self, completion: Completion) -> Box<dyn Frames> {
        Box::new(Stream {
            completion,
            sequence: 0,
        })
    }
}

fn stream_error(error: &ApiError) -> Vec<u8> {
    let event = json!({
        "type": "error",
        "code": "server_error",
        "message": error.message,
        "param": error.param,
        "sequence_number": 0,
    });
    OpenAiResponses.frame(Some("error"), &event.to_string())
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
    let name_of = |tool: &Value| Some(tool.get("name")?.as_str()?.to_owned());
    let mut tools = present(request, "tools")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|tool| Some((name_of(tool)?, tool)));
    let found = tools.find(|(name, _)| wanted.is_none_or(|wanted| wanted == name));
    let Some((name, tool)) = found else {
        let reason = "no such function in 'tools'.";
        return Err(ApiError::wrong_value("tool_choice", reason));
    };
    Ok(Some(Tool {
        name,
        argument: text_argument(tool.get("parameters")),
        named: wanted.is_some(),
    }))
}

fn item_id(completion: &Completion, kind: &str) -> String {
    format!("{kind}_{}", completion.unique_id())
}

/// Items are empty until they are `done`.
fn reasoning_item(completion: &Completion, done: bool) -> Value {
    let summary = done.then(|| summary_part(&completion.reasoning_text(0)));
    let summary = Vec::from_iter(summary);
    json!({"id": item_id(completion, "rs"), "type": "reasoning", "summary": summary})
}

fn summary_part(text: &str) -> Value {
    json!({"type": "summary_text", "text": text})
}

fn text_part(text: &str) -> Value {
    json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []})
}

fn status(completion: &Completion, done: bool) -> &'static str {
    match completion.finish {
        _ if !done => "in_progress",
        Finish::Length => "incomplete",
        Finish::Stop | Finish::ToolCalls => "completed",
    }
}

fn visible_item(completion: &Completion, done: bool) -> Value {
    let status = status(completion, done);
    let Some(tool) = &completion.tool else {
        let content = Vec::from_iter(done.then(|| text_part(&completion.text(0))));
        return json!({
            "id": item_id(completion, "msg"),
            "type": "message",
            "role": "assistant",
            "status": status,
            "content": content,
        });
    };
    let arguments = done.then(|| completion.arguments(tool, 0));
    json!({
        "id": item_id(completion, "fc"),
        "type": "function_call",
        "call_id": item_id(completion, "call"),
        "name": tool.name,
        "arguments": arguments.unwrap_or_default(),
        "status": status,
    })
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

struct Stream {
    completion: Completion,
    /// The number of the next event.
    sequence: u64,
}

impl Stream {
    /// Appends an event with its number and with the fields of both objects.
    fn event(&mut self, out: &mut Vec<u8>, kind: &str, own: Value, fields: Value) {
        let mut event = json!({"type": kind, "sequence_number": self.sequence});
        self.sequence += 1;
        if let Value::Object(event) = &mut event {
            for fields in [own, fields] {
                event.extend(fields.as_object().cloned().unwrap_or_default());
            }
        }
        super::frames::sse(out, Some(kind), event);
    }

    fn reasoning(&mut self, out: &mut Vec<u8>, kind: &str, fields: Value) {
        let id = item_id(&self.completion, "rs");
        let own = json!({"item_id": id, "output_index": 0, "summary_index": 0});
        self.event(out, kind, own, fields);
    }

    /// The place of the message or the call.
    fn index(&self) -> u32 {
        u32::from(self.completion.reasoning > 0)
    }

    /// An event of the message or the call.
    fn visible(&mut self, out: &mut Vec<u8>, kind: &str, fields: Value) {
        let index = self.index();
        let own = match self.completion.tool {
            Some(_) => {
                json!({"item_id": item_id(&self.completion, "fc"), "output_index": index})
            }
            None => json!({
                "item_id": item_id(&self.completion, "msg"),
                "output_index": index,
                "content_index": 0,
            }),
        };
        self.event(out, kind, own, fields);
    }

    fn item(&mut self, out: &mut Vec<u8>, kind: &str, index: u32, item: Value) {
        self.event(
            out,
            kind,
            json!({"output_index": index}),
            json!({"item": item}),
        );
    }

    /// What ends the reasoning.
    fn reasoning_done(&mut self, out: &mut Vec<u8>) {
        let text = self.completion.reasoning_text(0);
        let part = json!({"part": summary_part(&text)});
        let item = reasoning_item(&self.completion, true);
        self.reasoning(
            out,
            "response.reasoning_summary_text.done",
            json!({"text": text}),
        );
        self.reasoning(out, "response.reasoning_summary_part.done", part);
        self.item(out, "response.output_item.done", 0, item);
    }

    fn reasoning_delta(&mut self, out: &mut Vec<u8>, is_first: bool, words: String) {
        if is_first {
            let item = reasoning_item(&self.completion, false);
            self.item(out, "response.output_item.added", 0, item);
            let part = json!({"part": summary_part("")});
            self.reasoning(out, "response.reasoning_summary_part.added", part);
        }
        let kind = "response.reasoning_summary_text.delta";
        self.reasoning(out, kind, json!({"delta": words}));
    }

    fn visible_delta(&mut self, out: &mut Vec<u8>, tokens: std::ops::Range<u32>, words: String) {
        let is_first = tokens.start == 0;
        if is_first {
            if self.completion.reasoning > 0 {
                self.reasoning_done(out);
            }
            let item = visible_item(&self.completion, false);
            self.item(out, "response.output_item.added", self.index(), item);
        }
        match &self.completion.tool {
            None => {
                if is_first {
                    let part = json!({"part": text_part("")});
                    self.visible(out, "response.content_part.added", part);
                }
                let fields = json!({"delta": words, "logprobs": []});
                self.visible(out, "response.output_text.delta", fields);
            }
            // A call's name came with the item.
            Some(tool) => {
                let delta = self.completion.argument_delta(tool, 0, &tokens);
                if let Some(delta) = delta.filter(|delta| !delta.is_empty()) {
                    let kind = "response.function_call_arguments.delta";
                    self.visible(out, kind, json!({"delta": delta}));
                }
            }
        }
    }

    fn visible_done(&mut self, out: &mut Vec<u8>) {
        match &self.completion.tool {
            Some(tool) => {
                let arguments = self.completion.arguments(tool, 0);
                let fields = json!({"name": tool.name, "arguments": arguments});
                self.visible(out, "response.function_call_arguments.done", fields);
            }
            None => {
                let text = self.completion.text(0);
                let part = json!({"part": text_part(&text)});
                let fields = json!({"text": text, "logprobs": []});
                self.visible(out, "response.output_text.done", fields);
                self.visible(out, "response.content_part.done", part);
            }
        }
        let item = visible_item(&self.completion, true);
        self.item(out, "response.output_item.done", self.index(), item);
    }
}

impl Frames for Stream {
    fn opening(&mut self, _: u32, out: &mut FrameBuffer) {
        let fields = json!({"response": response(&self.completion, "in_progress")});
        out.frame(|out| {
            for kind in ["response.created", "response.in_progress"] {
                self.event(out, kind, Value::Null, fields.clone());
            }
        });
    }

    fn content(&mut self, _: u32, delta: Delta, out: &mut FrameBuffer) {
        let words = self.completion.words(&delta);
        out.frame(|out| match delta {
            Delta::Reasoning(tokens) => self.reasoning_delta(out, tokens.start == 0, words),
            Delta::Visible(tokens) => self.visible_delta(out, tokens, words),
        });
    }

    fn closing(&mut self, out: &mut FrameBuffer) {
        let kind = match self.completion.finish {
            Finish::Length => "response.incomplete",
            Finish::Stop | Finish::ToolCalls => "response.completed",
        };
        out.frame(|out| {
            if self.completion.visible > 0 {
                self.visible_done(out);
            } else if self.completion.reasoning > 0 {
                self.reasoning_done(out);
            }
            let response = OpenAiResponses.body(&self.completion);
            self.event(out, kind, Value::Null, json!({"response": response}));
        });
    }
}
