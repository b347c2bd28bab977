//! Events that close a part, an item or the response, and repeat its content. Some servers send it only
//! there. It is taken as far as no event before had it.

use serde_json::Value;

use super::decode::{take_new_item, take_output};
use crate::api::ResponseBuilder;
use crate::api::json_frames::{count, list, text};
use llmeter_wire::clock::Stamp;

/// Events that close a part: what it is, and the field that repeats it.
const PART_EVENTS: [(&str, Slot, &str); 9] = [
    ("response.output_text.done", Slot::Text, "text"),
    ("response.refusal.done", Slot::Text, "refusal"),
    ("response.reasoning_text.done", Slot::Reasoning, "text"),
    (
        "response.reasoning_summary_text.done",
        Slot::Summary,
        "text",
    ),
    (
        "response.function_call_arguments.done",
        Slot::Call,
        "arguments",
    ),
    ("response.mcp_call_arguments.done", Slot::Call, "arguments"),
    ("response.mcp_call.arguments.done", Slot::Call, "arguments"),
    ("response.custom_tool_call_input.done", Slot::Call, "input"),
    (
        "response.code_interpreter_call_code.done",
        Slot::Call,
        "code",
    ),
];

/// What a part is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Slot {
    Text,
    Reasoning,
    Summary,
    /// The name of a called tool, or that it is called.
    Name,
    /// What a tool is called with.
    Call,
}

/// Where a response builder keeps content.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Text,
    Reasoning,
    Call,
}

impl Slot {
    fn kind(self) -> Kind {
        match self {
            Self::Text => Kind::Text,
            Self::Reasoning | Self::Summary => Kind::Reasoning,
            Self::Name | Self::Call => Kind::Call,
        }
    }
}

impl Kind {
    fn of(self, response: &ResponseBuilder) -> &str {
        match self {
            Self::Text => &response.text,
            Self::Reasoning => &response.reasoning,
            Self::Call => &response.tool_calls,
        }
    }

    fn put(self, text: &str, response: &mut ResponseBuilder) {
        match self {
            _ if text.is_empty() => {}
            Self::Text => response.text(text),
            Self::Reasoning => response.reasoning(text),
            Self::Call => response.tool_call(text),
        }
    }
}

/// What of a response's content is known to be whole.
#[derive(Debug, Default)]
pub(super) struct Closed {
    /// For each [`Kind`], the bytes that belong to closed parts.
    bytes: [usize; 3],
    /// The parts: what they are, and the numbers of the item and the part.
    parts: Vec<(Slot, u64, u64)>,
    /// Items so far, for servers that do not number them.
    items: u64,
}

impl Closed {
    /// The beginning of an output item. The call of a tool is content, and its name comes with it.
    pub(super) fn begin_item(&mut self, event: &Value, response: &mut ResponseBuilder) {
        let item = self.item_of(event);
        self.name(item, &event["item"], response);
    }

    /// An event of this type that closes something; `false` if it is none.
    pub(super) fn event(
        &mut self,
        kind: &str,
        event: &Value,
        response: &mut ResponseBuilder,
    ) -> bool {
        let item = self.item_of(event);
        let known = PART_EVENTS.iter().find(|(name, ..)| *name == kind);
        if let Some(&(_, slot, field)) = known {
            let part = part_of(slot, event);
            self.close((slot, item, part), text(event, field), false, response);
            return true;
        }
        match kind {
            "response.content_part.done" => {
                let part = count(event, "content_index").unwrap_or(0);
                self.close_content(item, part, &event["part"], response);
            }
            "response.reasoning_summary_part.done" => {
                let place = (Slot::Summary, item, part_of(Slot::Summary, event));
                self.close(place, text(&event["part"], "text"), true, response);
            }
            "response.output_item.done" => {
                self.close_item(item, &event["item"], response);
                self.items = item + 1;
            }
            _ => return false,
        }
        true
    }

    /// The whole response, with all of its content.
    pub(super) fn response(value: &Value, response: &mut ResponseBuilder) {
        if response.content_frames() == 0 {
            return take_output(value, response);
        }
        let mut whole = ResponseBuilder::default();
        whole.begin_frame(Stamp::default());
        take_output(value, &mut whole);
        for kind in [Kind::Reasoning, Kind::Text, Kind::Call] {
            // Whatever is told otherwise than before was told.
            let missing = kind.of(&whole).strip_prefix(kind.of(response));
            kind.put(missing.unwrap_or_default(), response);
        }
    }

    fn item_of(&self, event: &Value) -> u64 {
        count(event, "output_index").unwrap_or(self.items)
    }

    fn close_item(&mut self, item: u64, value: &Value, response: &mut ResponseBuilder) {
        match text(value, "type") {
            "message" => {
                if let Some(text) = value["content"].as_str() {
                    self.close((Slot::Text, item, 0), text, true, response);
                }
                for (part, content) in (0..).zip(list(value, "content")) {
                    self.close_content(item, part, content, response);
                }
            }
            "reasoning" => {
                let is_thought = |slot| matches!(slot, Slot::Reasoning | Slot::Summary);
                let mut known = self.parts.iter();
                if known.any(|&(slot, of, _)| of == item && is_thought(slot)) {
                    return;
                }
                // A summary and the reasoning itself are the same thought told twice.
                let (slot, field) = match list(value, "content").next() {
                    Some(_) => (Slot::Reasoning, "content"),
                    None => (Slot::Summary, "summary"),
                };
                for (part, thought) in (0..).zip(list(value, field)) {
                    self.close((slot, item, part), text(thought, "text"), true, response);
                }
            }
            kind if kind.ends_with("_call") => {
                self.name(item, value, response);
                for field in ["arguments", "input", "code"] {
                    if let Some(input) = value[field].as_str() {
                        self.close((Slot::Call, item, 0), input, true, response);
                    }
                }
            }
            _ => {}
        }
    }

    fn close_content(
        &mut self,
        item: u64,
        part: u64,
        value: &Value,
        response: &mut ResponseBuilder,
    ) {
        let slot = match text(value, "type") {
            "reasoning_text" => Slot::Reasoning,
            _ => Slot::Text,
        };
        for field in ["text", "refusal"] {
            if let Some(whole) = value[field].as_str() {
                self.close((slot, item, part), whole, true, response);
            }
        }
    }

    /// The name of a tool that an item calls, if it calls one.
    fn name(&mut self, item: u64, value: &Value, response: &mut ResponseBuilder) {
        let place = (Slot::Name, item, 0);
        if text(value, "type").ends_with("_call") && !self.parts.contains(&place) {
            self.parts.push(place);
            take_new_item(value, response);
            self.bytes[Kind::Call as usize] = response.tool_calls.len();
        }
    }

    /// A part is whole. Takes what is missing of it. `is_container`: the event repeats what a smaller
    /// part's end may have said under other numbers.
    fn close(
        &mut self,
        place: (Slot, u64, u64),
        whole: &str,
        is_container: bool,
        response: &mut ResponseBuilder,
    ) {
        if self.parts.contains(&place) {
            return;
        }
        self.parts.push(place);
        let kind = place.0.kind();
        let known = kind.of(response);
        let closed = &mut self.bytes[kind as usize];
        let open = &known[*closed..];
        if open.is_empty() && is_container && known.ends_with(whole) {
            return;
        }
        if open.starts_with(whole) {
            *closed += whole.len();
            return;
        }
        // What was told otherwise was told.
        kind.put(whole.strip_prefix(open).unwrap_or_default(), response);
        *closed = kind.of(response).len();
    }
}

fn part_of(slot: Slot, event: &Value) -> u64 {
    let field = match slot {
        Slot::Text | Slot::Reasoning => "content_index",
        Slot::Summary => "summary_index",
        Slot::Name | Slot::Call => return 0,
    };
    count(event, field).unwrap_or(0)
}

#[cfg(test)]
mod tests;
