//! What a response says, whatever API words it.

use std::ops::Range;

use serde_json::{Map, Value};

use super::frames::Delta;
use super::prompt::Prompt;
use super::request::Tool;
use super::words;

/// The content of a response, decided before its first byte is sent.
#[derive(Debug, Clone)]
pub(crate) struct Completion {
    pub(crate) id: String,
    /// When it was made, in seconds of the wall clock.
    pub(crate) created: i64,
    pub(crate) model: String,
    pub(crate) choices: u32,
    pub(crate) prompt_tokens: u64,
    /// How many of these the prefix cache had.
    pub(crate) cached_tokens: u64,
    /// Reasoning tokens of each choice.
    pub(crate) reasoning: u32,
    /// Visible tokens of each choice.
    pub(crate) visible: u32,
    pub(crate) finish: Finish,
    pub(crate) tool: Option<Tool>,
    /// Where in the story the text begins.
    pub(crate) words: u64,
    /// Whether the response tells its token counts.
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

impl Completion {
    /// Tokens generated for all choices together.
    pub(crate) fn output_tokens(&self) -> u64 {
        u64::from(self.choices) * (u64::from(self.reasoning) + u64::from(self.visible))
    }

    pub(super) fn total_tokens(&self) -> u64 {
        self.prompt_tokens + self.output_tokens()
    }

    pub(super) fn is_truncated(&self) -> bool {
        self.finish == Finish::Length
    }

    /// The seed of a choice's words.
    pub(super) fn seed(&self, choice: u32) -> u64 {
        self.words.wrapping_add(u64::from(choice) * 17)
    }

    /// All visible words of a choice.
    pub(super) fn text(&self, choice: u32) -> String {
        words::text(self.seed(choice), self.visible)
    }

    /// All words of a choice's reasoning.
    pub(super) fn reasoning_text(&self, choice: u32) -> String {
        words::text(!self.seed(choice), self.reasoning)
    }

    /// Appends the words of a delta, as they stand in the text.
    pub(super) fn append(&self, out: &mut Vec<u8>, choice: u32, delta: &Delta) {
        let seed = self.seed(choice);
        match delta {
            Delta::Reasoning(tokens) => words::append(out, !seed, tokens.clone()),
            Delta::Visible(tokens) => words::append(out, seed, tokens.clone()),
        }
    }

    /// The words of a delta of the first choice.
    pub(super) fn words(&self, delta: &Delta) -> String {
        match delta {
            Delta::Reasoning(tokens) => words::run(!self.seed(0), tokens.clone()),
            Delta::Visible(tokens) => words::run(self.seed(0), tokens.clone()),
        }
    }

    /// A prompt and what a choice says after it, as a later prompt that quotes it has it.
    pub(crate) fn with_answer(&self, prompt: &Prompt, choice: u32) -> Prompt {
        let mut all = prompt.clone();
        all.add_text(&self.reasoning_text(choice));
        if self.tool.is_none() {
            all.add_text(&self.text(choice));
        }
        all
    }

    /// The id without the API's prefix.
    pub(super) fn unique_id(&self) -> &str {
        self.id.rsplit_once(['-', '_']).map_or(&self.id, |id| id.1)
    }

    /// The first tool that is called, unless the limit leaves no token for it.
    pub(super) fn call(&self) -> Option<&Tool> {
        self.tool.as_ref().filter(|_| self.visible > 0)
    }

    pub(super) fn tool_call_id(&self, choice: u32) -> String {
        format!("call_{}{choice}", self.unique_id())
    }

    /// The arguments of a tool call as JSON text, which a limit may cut off.
    pub(super) fn arguments(&self, tool: &Tool, choice: u32) -> String {
        let (all, complete) = (self.visible, !self.is_truncated());
        arguments(tool, self.seed(choice), 1..all, all, complete)
    }

    /// The part of the arguments that some tokens of a call make up; `None` for the token that is
    /// the tool's name, which is the first.
    pub(super) fn argument_delta(
        &self,
        tool: &Tool,
        choice: u32,
        tokens: &Range<u32>,
    ) -> Option<String> {
        let (all, complete) = (self.visible, !self.is_truncated());
        if tokens.end == 1 && all > 1 {
            return None;
        }
        let tokens = tokens.start.max(1)..tokens.end;
        Some(arguments(tool, self.seed(choice), tokens, all, complete))
    }

    /// The arguments as an object, for APIs that send no cut ones.
    pub(super) fn tool_input(&self, tool: &Tool) -> Value {
        let all = self.visible;
        let text = arguments(tool, self.seed(0), 1..all, all, true);
        serde_json::from_str(&text).unwrap_or_else(|_| Map::new().into())
    }
}

/// The part of a tool call's arguments that some of its tokens make up. Token 0 is the tool's
/// name; the others are one word each of the only argument.
fn arguments(tool: &Tool, seed: u64, tokens: Range<u32>, all: u32, complete: bool) -> String {
    if all == 1 {
        return if complete { "{}" } else { "" }.to_owned();
    }
    let mut out = match tokens.start {
        1 => format!("{{{}:\"", Value::from(tool.argument.as_str())),
        _ => String::new(),
    };
    out += &words::run(seed, tokens.start - 1..tokens.end - 1);
    if tokens.end == all && complete {
        out += "\"}";
    }
    out
}
