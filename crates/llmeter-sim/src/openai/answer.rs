//! What an answer consists of, and its shape when it is sent in one piece.

use serde_json::{Value, json};

use super::{request::Tool, words};

/// The content of an answer, decided before its first byte is sent.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) id: String,
    pub(crate) created: i64,
    pub(crate) model: String,
    pub(crate) choices: u32,
    pub(crate) prompt_tokens: u64,
    /// Reasoning tokens of each choice.
    pub(crate) reasoning: u32,
    /// Visible tokens of each choice.
    pub(crate) visible: u32,
    pub(crate) finish: Finish,
    pub(crate) tool: Option<Tool>,
    /// Where in the story the text begins.
    pub(crate) words: u64,
    /// Whether the answer tells its token counts.
    pub(crate) usage: bool,
    /// What the server says of its own times.
    pub(crate) times: Times,
}

/// How long a server took by its own account, in nanoseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Times {
    /// Until work began.
    pub(crate) queue: i64,
    /// From there to the first token.
    pub(crate) first: i64,
    /// From there to the last one.
    pub(crate) rest: i64,
}

/// Why generation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Finish {
    Stop,
    Length,
    ToolCalls,
}

impl Finish {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
            Self::ToolCalls => "tool_calls",
        }
    }
}

/// The fingerprint of the simulated system.
pub(super) const FINGERPRINT: &str = "fp_llmeter_sim";

impl Answer {
    /// Tokens generated for all choices together.
    pub(crate) fn completion_tokens(&self) -> u64 {
        u64::from(self.choices) * (u64::from(self.reasoning) + u64::from(self.visible))
    }

    /// Whether the answer ends where it should, and not at a limit.
    pub(crate) fn is_whole(&self) -> bool {
        self.finish != Finish::Length
    }

    /// The seed of a choice's words.
    pub(crate) fn seed(&self, choice: u32) -> u64 {
        self.words.wrapping_add(u64::from(choice) * 17)
    }

    pub(crate) fn tool_call_id(&self, choice: u32) -> String {
        let unique = self.id.strip_prefix("chatcmpl-").unwrap_or(&self.id);
        format!("call_{unique}{choice}")
    }
}

/// The usage object.
pub(super) fn usage(answer: &Answer) -> Value {
    let completion = answer.completion_tokens();
    json!({
        "prompt_tokens": answer.prompt_tokens,
        "completion_tokens": completion,
        "total_tokens": answer.prompt_tokens + completion,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": u64::from(answer.choices) * u64::from(answer.reasoning),
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    })
}

/// The body of a plain answer.
pub(crate) fn completion(answer: &Answer) -> Vec<u8> {
    let choices: Vec<Value> = (0..answer.choices).map(|n| choice(answer, n)).collect();
    json!({
        "id": answer.id,
        "object": "chat.completion",
        "created": answer.created,
        "model": answer.model,
        "choices": choices,
        "usage": answer.usage.then(|| usage(answer)),
        "service_tier": "default",
        "system_fingerprint": FINGERPRINT,
    })
    .to_string()
    .into_bytes()
}

fn choice(answer: &Answer, number: u32) -> Value {
    let seed = answer.seed(number);
    let mut message = json!({
        "role": "assistant",
        "content": null,
        "refusal": null,
        "annotations": [],
    });
    if answer.reasoning > 0 {
        message["reasoning_content"] = words::text(!seed, answer.reasoning).into();
    }
    match &answer.tool {
        Some(tool) if answer.visible > 0 => {
            let whole = answer.finish != Finish::Length;
            message["tool_calls"] = json!([{
                "id": answer.tool_call_id(number),
                "type": "function",
                "function": {
                    "name": tool.name,
                    "arguments": arguments(tool, seed, 1..answer.visible, answer.visible, whole),
                },
            }]);
        }
        _ => message["content"] = words::text(seed, answer.visible).into(),
    }
    json!({
        "index": number,
        "message": message,
        "logprobs": null,
        "finish_reason": answer.finish.name(),
    })
}

/// The part of a tool call's arguments that some of its tokens make up. Token 0 is the tool's
/// name; the others are one word each of the only argument.
pub(crate) fn arguments(
    tool: &Tool,
    seed: u64,
    tokens: std::ops::Range<u32>,
    all: u32,
    whole: bool,
) -> String {
    if all == 1 {
        return if whole { "{}" } else { "" }.to_owned();
    }
    let mut out = Vec::new();
    if tokens.start == 1 {
        out.extend_from_slice(format!("{{{}:\"", Value::from(tool.argument.as_str())).as_bytes());
    }
    let last = tokens.end == all;
    words::append(&mut out, seed, tokens.start - 1..tokens.end - 1);
    if last && whole {
        out.extend_from_slice(b"\"}");
    }
    String::from_utf8_lossy(&out).into_owned()
}
