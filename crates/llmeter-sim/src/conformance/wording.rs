//! How an API says what a case asks for.

use super::{Case, Request};
use crate::api::words;

/// What a response says. A wording puts it into the API's bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Says {
    /// Chunks of the reasoning, one frame each.
    pub reasoning: Vec<String>,
    /// Chunks of the text, one frame each.
    pub text: Vec<String>,
    /// The tool that is called instead of a text.
    pub tool: Option<ToolCall>,
    /// The token counts that are told; `None` if the server keeps them to itself.
    pub usage: Option<TokenCounts>,
}

/// A call of a tool.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ToolCall {
    /// The tool's name.
    pub name: String,
    /// The arguments, as JSON.
    pub arguments: String,
}

/// What a server counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct TokenCounts {
    /// Tokens of the prompt.
    pub input: u64,
    /// Generated tokens, reasoning included.
    pub output: u64,
}

/// A streaming response in an API's bytes, without the framing of HTTP.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StreamingResponse {
    /// What comes before the first content.
    pub opening: Vec<u8>,
    /// The frames with content, one for each chunk.
    pub content: Vec<Vec<u8>>,
    /// What comes after the last content: the reason for the end, token counts, an end mark.
    pub closing: Vec<u8>,
}

/// What carries an API.
#[derive(Debug, Clone, Copy)]
pub enum Transport {
    /// HTTP/1.1.
    Http,
    /// Bytes over TCP. A request is complete when the function says so of what has come.
    Tcp(fn(&[u8]) -> bool),
}

impl Transport {
    pub(super) fn is_http(self) -> bool {
        matches!(self, Self::Http)
    }
}

/// How an API's servers say things.
///
/// What an API cannot say is `None`, and its cases are skipped with a reason: by
/// [`cannot`](Self::cannot), or by [`Suite::skip`](super::Suite::skip).
#[expect(unused_variables, reason = "the defaults say the same for all")]
pub trait Wording: Send + Sync {
    /// A streaming response.
    fn streaming(&self, says: &Says) -> Option<StreamingResponse> {
        None
    }

    /// The body of a non-streaming response.
    fn non_streaming(&self, says: &Says) -> Option<Vec<u8>> {
        None
    }

    /// What ends a stream that fails with this message.
    fn stream_error(&self, message: &str) -> Option<Vec<u8>> {
        None
    }

    /// The body of a refusal with this status and message.
    fn refusal(&self, status: u16, message: &str) -> Option<Vec<u8>> {
        None
    }

    /// A frame of a stream with this data in it, and with the name of an event if the API has such
    /// names; without a name it looks like a chunk of the response.
    fn frame(&self, event: Option<&str>, data: &str) -> Option<Vec<u8>> {
        let event = event.map(|name| format!("event: {name}\n"));
        Some(format!("{}data: {data}\n\n", event.unwrap_or_default()).into_bytes())
    }

    /// The media type of a stream.
    fn stream_type(&self) -> &str {
        "text/event-stream"
    }

    /// Further headers of a response that succeeds, streaming or not.
    fn headers(&self, says: &Says, streaming: bool) -> Vec<(String, String)> {
        Vec::new()
    }

    /// The id that every response bears; `None` if responses have none.
    fn id(&self) -> Option<&str> {
        None
    }

    /// What responses with token counts give as the reason for their end; `None` if they give none.
    fn finish_reason(&self) -> Option<&str> {
        None
    }

    /// Whether the API generates text. Embeddings, for one, have none.
    fn generates_text(&self) -> bool {
        true
    }

    /// Whether usage has the tokens of the prompt.
    fn counts_input(&self) -> bool {
        true
    }

    /// What carries the API.
    fn transport(&self) -> Transport {
        Transport::Http
    }

    /// Whether a request is what the API takes.
    ///
    /// # Errors
    /// What is wrong with it.
    fn check_request(&self, request: &Request, streaming: bool) -> Result<(), String> {
        Ok(())
    }

    /// Why a case cannot be asked of this API; `None` if it can.
    fn cannot(&self, case: Case, streaming: bool) -> Option<&'static str> {
        None
    }
}

/// Words of the prompt, as the server counts them.
const INPUT: u64 = 7;
/// Bytes in the text of a huge frame, at least.
const HUGE: usize = 1 << 20;

impl Says {
    /// These chunks of so many words each, with token counts.
    fn new(reasoning: &[u32], text: &[u32]) -> Self {
        let output = reasoning.iter().chain(text).sum::<u32>().into();
        Self {
            // The simulator's words, so that its dialects say the same.
            reasoning: chunks(!0, reasoning),
            text: chunks(0, text),
            tool: None,
            usage: Some(TokenCounts {
                input: INPUT,
                output,
            }),
        }
    }

    /// What the response to a case says.
    pub(super) fn of(case: Case) -> Self {
        match case {
            Case::NoUsage => Self {
                usage: None,
                ..Self::plain()
            },
            Case::Reasoning => Self::new(&[2, 1], &[1, 1]),
            Case::ToolCall => Self::call(),
            Case::EmptyResponse => Self::new(&[], &[]),
            Case::HugeFrame => Self::huge(),
            _ => Self::plain(),
        }
    }

    /// A few chunks of text.
    pub(super) fn plain() -> Self {
        Self::new(&[], &[1, 1, 1, 1])
    }

    fn call() -> Self {
        Self {
            tool: Some(ToolCall {
                name: "look_up".to_owned(),
                arguments: format!("{{\"query\":\"{}\"}}", words::text(0, 2)),
            }),
            usage: Some(TokenCounts {
                input: INPUT,
                // The name, and the words of the argument.
                output: 3,
            }),
            ..Self::default()
        }
    }

    fn huge() -> Self {
        // No word has fewer bytes than one, and a space before it.
        let mut tokens = (HUGE / 2) as u32;
        while let shorter = tokens / 2
            && words::text(0, shorter).len() >= HUGE
        {
            tokens = shorter;
        }
        Self::new(&[], &[1, tokens, 1])
    }
}

fn chunks(seed: u64, sizes: &[u32]) -> Vec<String> {
    let mut from = 0;
    let chunk = |size: &u32| {
        let start = from;
        from += size;
        words::run(seed, start..from)
    };
    sizes.iter().map(chunk).collect()
}
