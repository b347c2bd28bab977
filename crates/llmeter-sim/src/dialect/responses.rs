//! OpenAI Responses.

use serde_json::{Map, Value, json};

use super::events::{Event, Stream, words};
use super::{required_text, text_argument, words_in};
use crate::openai::request::{count, flag, present};
use crate::openai::words::text;
use crate::openai::{Answer, ApiError, ChatRequest, Finish, Piece, Tool, arguments};

pub(super) fn parse(_: &str, request: &Map<String, Value>) -> Result<ChatRequest, ApiError> {
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
    Ok(ChatRequest {
        model: required_text(request, "model")?,
        stream: flag(request, "stream", "stream")?,
        include_usage: true,
        limit: count(request, "max_output_tokens", u32::MAX)?,
        choices: 1,
        prompt_tokens,
        tool: tool(request)?,
    })
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
        at_once: false,
    }))
}

fn item_id(answer: &Answer, kind: &str) -> String {
    let unique = answer.id.strip_prefix("resp_").unwrap_or(&answer.id);
    format!("{kind}_{unique}")
}

/// The items of an answer in progress or, if `whole`, at its end.
fn reasoning_item(answer: &Answer, whole: bool) -> Value {
    let summary = if whole {
        json!([summary_part(&text(!answer.seed(0), answer.reasoning))])
    } else {
        json!([])
    };
    json!({"id": item_id(answer, "rs"), "type": "reasoning", "summary": summary})
}

fn summary_part(text: &str) -> Value {
    json!({"type": "summary_text", "text": text})
}

fn text_part(text: &str) -> Value {
    json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []})
}

fn status(answer: &Answer, whole: bool) -> &'static str {
    match answer.finish {
        _ if !whole => "in_progress",
        Finish::Length => "incomplete",
        Finish::Stop | Finish::ToolCalls => "completed",
    }
}

fn message_item(answer: &Answer, whole: bool) -> Value {
    let content = if whole {
        json!([text_part(&text(answer.seed(0), answer.visible))])
    } else {
        json!([])
    };
    json!({
        "id": item_id(answer, "msg"),
        "type": "message",
        "role": "assistant",
        "status": status(answer, whole),
        "content": content,
    })
}

/// All arguments of a call that is whole, or none yet.
fn call_item(answer: &Answer, tool: &Tool, whole: bool) -> Value {
    json!({
        "id": item_id(answer, "fc"),
        "type": "function_call",
        "call_id": item_id(answer, "call"),
        "name": tool.name,
        "arguments": if whole { all_arguments(answer, tool) } else { String::new() },
        "status": status(answer, whole),
    })
}

fn all_arguments(answer: &Answer, tool: &Tool) -> String {
    let all = answer.visible;
    let is_cut = answer.finish == Finish::Length;
    arguments(tool, answer.seed(0), 1..all, all, !is_cut)
}

fn visible_item(answer: &Answer, whole: bool) -> Value {
    match &answer.tool {
        Some(tool) => call_item(answer, tool, whole),
        None => message_item(answer, whole),
    }
}

pub(super) fn whole(answer: &Answer) -> Value {
    let mut output = Vec::new();
    if answer.reasoning > 0 {
        output.push(reasoning_item(answer, true));
    }
    if answer.visible > 0 {
        output.push(visible_item(answer, true));
    }
    let mut response = response(answer, status(answer, true));
    response["output"] = output.into();
    if answer.finish == Finish::Length {
        response["incomplete_details"] = json!({"reason": "max_output_tokens"});
    }
    if !answer.usage {
        return response;
    }
    let completion = answer.completion_tokens();
    response["usage"] = json!({
        "input_tokens": answer.prompt_tokens,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": completion,
        "output_tokens_details": {"reasoning_tokens": answer.reasoning},
        "total_tokens": answer.prompt_tokens + completion,
    });
    response
}

/// A response without output.
fn response(answer: &Answer, status: &str) -> Value {
    json!({
        "id": answer.id,
        "object": "response",
        "created_at": answer.created,
        "status": status,
        "error": null,
        "incomplete_details": null,
        "instructions": null,
        "metadata": {},
        "model": answer.model,
        "output": [],
        "parallel_tool_calls": true,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "usage": null,
    })
}

/// Makes the events of a stream.
#[derive(Debug, Default)]
pub(super) struct Events {
    sequence: u64,
}

impl Events {
    /// An event with its number.
    fn event(&mut self, kind: &'static str, fields: Value) -> Event {
        let mut event = json!({"type": kind, "sequence_number": self.sequence});
        self.sequence += 1;
        if let (Value::Object(event), Value::Object(fields)) = (&mut event, fields) {
            event.extend(fields);
        }
        (Some(kind), event)
    }

    fn reasoning(&mut self, answer: &Answer, kind: &'static str, fields: Value) -> Event {
        let mut event = self.event(
            kind,
            json!({"item_id": item_id(answer, "rs"), "output_index": 0, "summary_index": 0}),
        );
        extend(&mut event.1, fields);
        event
    }

    /// An event of the message or the call.
    fn visible(&mut self, answer: &Answer, kind: &'static str, fields: Value) -> Event {
        let place = u32::from(answer.reasoning > 0);
        let own = match answer.tool {
            Some(_) => json!({"item_id": item_id(answer, "fc"), "output_index": place}),
            None => json!({
                "item_id": item_id(answer, "msg"), "output_index": place, "content_index": 0,
            }),
        };
        let mut event = self.event(kind, own);
        extend(&mut event.1, fields);
        event
    }

    fn item(&mut self, kind: &'static str, place: u32, item: Value) -> Event {
        self.event(kind, json!({"output_index": place, "item": item}))
    }

    /// What ends the reasoning.
    fn reasoning_done(&mut self, answer: &Answer) -> Vec<Event> {
        let text = text(!answer.seed(0), answer.reasoning);
        let part = summary_part(&text);
        let item = reasoning_item(answer, true);
        vec![
            self.reasoning(
                answer,
                "response.reasoning_summary_text.done",
                json!({"text": text}),
            ),
            self.reasoning(
                answer,
                "response.reasoning_summary_part.done",
                json!({"part": part}),
            ),
            self.item("response.output_item.done", 0, item),
        ]
    }
}

fn extend(event: &mut Value, fields: Value) {
    if let (Value::Object(event), Value::Object(fields)) = (event, fields) {
        event.extend(fields);
    }
}

impl Stream for Events {
    fn opening(&mut self, answer: &Answer) -> Vec<Event> {
        let response = response(answer, "in_progress");
        let fields = json!({"response": response});
        vec![
            self.event("response.created", fields.clone()),
            self.event("response.in_progress", fields),
        ]
    }

    fn content(&mut self, answer: &Answer, piece: Piece) -> Vec<Event> {
        let mut events = Vec::new();
        match (&piece, &answer.tool) {
            (Piece::Reasoning(tokens), _) => {
                if tokens.start == 0 {
                    let item = reasoning_item(answer, false);
                    events.push(self.item("response.output_item.added", 0, item));
                    events.push(self.reasoning(
                        answer,
                        "response.reasoning_summary_part.added",
                        json!({"part": summary_part("")}),
                    ));
                }
                events.push(self.reasoning(
                    answer,
                    "response.reasoning_summary_text.delta",
                    json!({"delta": words(answer, &piece)}),
                ));
            }
            (Piece::Visible(tokens), tool) => {
                if tokens.start == 0 {
                    if answer.reasoning > 0 {
                        events.extend(self.reasoning_done(answer));
                    }
                    let place = u32::from(answer.reasoning > 0);
                    let item = visible_item(answer, false);
                    events.push(self.item("response.output_item.added", place, item));
                }
                match tool {
                    None => {
                        if tokens.start == 0 {
                            events.push(self.visible(
                                answer,
                                "response.content_part.added",
                                json!({"part": text_part("")}),
                            ));
                        }
                        events.push(self.visible(
                            answer,
                            "response.output_text.delta",
                            json!({"delta": words(answer, &piece), "logprobs": []}),
                        ));
                    }
                    // A call's first token is its name, which came with the item.
                    Some(tool) => {
                        let all = answer.visible;
                        let is_whole = answer.finish != Finish::Length;
                        let range = tokens.start.max(1)..tokens.end;
                        let delta = if tokens.end > 1 || all == 1 {
                            arguments(tool, answer.seed(0), range, all, is_whole)
                        } else {
                            String::new()
                        };
                        if !delta.is_empty() {
                            events.push(self.visible(
                                answer,
                                "response.function_call_arguments.delta",
                                json!({"delta": delta}),
                            ));
                        }
                    }
                }
            }
        }
        events
    }

    fn closing(&mut self, answer: &Answer) -> Vec<Event> {
        let mut events = Vec::new();
        let place = u32::from(answer.reasoning > 0);
        if answer.visible == 0 {
            if answer.reasoning > 0 {
                events.extend(self.reasoning_done(answer));
            }
        } else {
            match &answer.tool {
                Some(tool) => events.push(self.visible(
                    answer,
                    "response.function_call_arguments.done",
                    json!({"name": tool.name, "arguments": all_arguments(answer, tool)}),
                )),
                None => {
                    let text = text(answer.seed(0), answer.visible);
                    let part = text_part(&text);
                    events.push(self.visible(
                        answer,
                        "response.output_text.done",
                        json!({"text": text, "logprobs": []}),
                    ));
                    events.push(self.visible(
                        answer,
                        "response.content_part.done",
                        json!({"part": part}),
                    ));
                }
            }
            let item = visible_item(answer, true);
            events.push(self.item("response.output_item.done", place, item));
        }
        let kind = match answer.finish {
            Finish::Length => "response.incomplete",
            Finish::Stop | Finish::ToolCalls => "response.completed",
        };
        let response = whole(answer);
        events.push(self.event(kind, json!({"response": response})));
        events
    }
}

/// The event that ends a stream which fails.
pub(super) fn error_event(error: &ApiError) -> Value {
    json!({
        "type": "error",
        "code": "server_error",
        "message": error.message,
        "param": error.param,
        "sequence_number": 0,
    })
}
