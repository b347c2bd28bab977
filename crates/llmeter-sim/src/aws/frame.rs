//! The messages of a stream, each one chunk and one write.

use base64::Engine as _;
use serde_json::{Value, json};

use super::{Operation, event_stream, whole};
use crate::dialect::Frames;
use crate::openai::{Answer, Piece, Tool, Wrap, arguments, words};

/// Makes the messages of one answer.
#[derive(Debug)]
pub(crate) struct EventWriter {
    operation: Operation,
    wrap: Wrap,
    answer: Answer,
    buffer: Vec<u8>,
    /// The content block that is open, in Converse.
    block: Option<u32>,
    latency_ms: u64,
}

impl EventWriter {
    pub(crate) fn new(operation: Operation, answer: Answer, wrap: Wrap) -> Self {
        Self {
            operation,
            wrap,
            answer,
            buffer: Vec::with_capacity(512),
            block: None,
            latency_ms: 0,
        }
    }

    fn event(&mut self, kind: &str, payload: &Value) {
        let payload = payload.to_string();
        event_stream::event(&mut self.buffer, kind, super::JSON, payload.as_bytes());
    }

    /// Closes the open block unless it is this one, and opens this one.
    fn enter(&mut self, block: u32, start: Option<Value>) {
        if self.block == Some(block) {
            return;
        }
        self.leave();
        if let Some(start) = start {
            let payload = json!({"contentBlockIndex": block, "start": start});
            self.event("contentBlockStart", &payload);
        }
        self.block = Some(block);
    }

    fn leave(&mut self) {
        if let Some(block) = self.block.take() {
            self.event("contentBlockStop", &json!({"contentBlockIndex": block}));
        }
    }

    fn converse(&mut self, piece: &Piece) {
        let seed = self.answer.seed(0);
        let visible_block = u32::from(self.answer.reasoning > 0);
        let (block, delta) = match (piece, &self.answer.tool) {
            (Piece::Reasoning(tokens), _) => {
                self.enter(0, None);
                let text = some_words(!seed, tokens.clone());
                (0, json!({"reasoningContent": {"text": text}}))
            }
            (Piece::Visible(tokens), None) => {
                self.enter(visible_block, None);
                (
                    visible_block,
                    json!({"text": some_words(seed, tokens.clone())}),
                )
            }
            (Piece::Visible(tokens), Some(tool)) => {
                let (all, is_whole) = (self.answer.visible, self.answer.is_whole());
                let start = json!({"toolUse": {
                    "toolUseId": self.answer.tool_call_id(0),
                    "name": tool.name,
                }});
                let range = if all == 1 { 1..1 } else { tokens.clone() };
                let input = match tokens.start {
                    0 if all > 1 => None,
                    _ => Some(arguments(tool, seed, range, all, is_whole)),
                };
                self.enter(visible_block, Some(start));
                match input {
                    None => return,
                    Some(input) => (visible_block, json!({"toolUse": {"input": input}})),
                }
            }
        };
        // Bedrock pads its events with `p`, so that their length tells nothing.
        let payload = json!({"contentBlockIndex": block, "delta": delta, "p": "abcdefgh"});
        self.event("contentBlockDelta", &payload);
    }

    fn invoke(&mut self, delta: &Value, finish: Option<&str>, metrics: bool) {
        let mut chunk = json!({
            "id": self.answer.id,
            "object": "chat.completion.chunk",
            "created": self.answer.created,
            "model": self.answer.model,
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
        });
        if metrics {
            chunk["amazon-bedrock-invocationMetrics"] = json!({
                "inputTokenCount": self.answer.prompt_tokens,
                "outputTokenCount": self.answer.completion_tokens(),
                "invocationLatency": self.latency_ms,
                "firstByteLatency": self.latency_ms,
            });
        }
        super::chunk(&mut self.buffer, &chunk);
    }

    /// One part of a SageMaker container's answer.
    fn part(&mut self, data: &Value) {
        let data = format!("data:{data}\n\n");
        event_stream::event(
            &mut self.buffer,
            "PayloadPart",
            "application/octet-stream",
            data.as_bytes(),
        );
    }

    /// What the buffer holds, as one chunk.
    fn chunk(&self) -> Vec<u8> {
        match self.wrap {
            Wrap::Bare => self.buffer.clone(),
            Wrap::Chunk => {
                let mut out = format!("{:x}\r\n", self.buffer.len()).into_bytes();
                out.extend_from_slice(&self.buffer);
                out.extend_from_slice(b"\r\n");
                out
            }
        }
    }
}

impl Frames for EventWriter {
    fn opening(&mut self, _choice: u32, out: &mut Vec<u8>) {
        self.buffer.clear();
        match self.operation {
            Operation::Converse { .. } => self.event("messageStart", &json!({"role": "assistant"})),
            Operation::Invoke { .. } => {
                self.invoke(&json!({"role": "assistant", "content": ""}), None, false);
            }
            // A container's first word is its first token.
            Operation::SageMaker { .. } => return,
        }
        out.extend_from_slice(&self.chunk());
    }

    fn content(&mut self, _choice: u32, piece: Piece) -> &[u8] {
        self.buffer.clear();
        let seed = self.answer.seed(0);
        match self.operation {
            Operation::Converse { .. } => self.converse(&piece),
            Operation::Invoke { .. } => {
                let delta = match (piece, &self.answer.tool) {
                    (Piece::Reasoning(tokens), _) => {
                        json!({"reasoning_content": some_words(!seed, tokens)})
                    }
                    (Piece::Visible(tokens), None) => {
                        json!({"content": some_words(seed, tokens)})
                    }
                    (Piece::Visible(tokens), Some(tool)) => {
                        tool_delta(tool, &self.answer, seed, tokens)
                    }
                };
                self.invoke(&delta, None, false);
            }
            Operation::SageMaker { .. } => {
                let (tokens, seed) = match piece {
                    Piece::Reasoning(tokens) => (tokens, !seed),
                    Piece::Visible(tokens) => (tokens, seed),
                };
                let id = tokens.start;
                let text = some_words(seed, tokens);
                self.part(&json!({"token": {
                    "id": id, "text": text, "logprob": -0.5, "special": false,
                }}));
            }
        }
        self.buffer = self.chunk();
        &self.buffer
    }

    fn closing(&mut self) -> Vec<u8> {
        self.buffer.clear();
        match self.operation {
            Operation::Converse { .. } => {
                self.leave();
                let reason = whole::stop_reason(&self.answer);
                self.event("messageStop", &json!({"stopReason": reason}));
                let metadata = json!({
                    "usage": self.answer.usage.then(|| whole::usage(&self.answer)),
                    "metrics": {"latencyMs": self.latency_ms},
                });
                self.event("metadata", &metadata);
            }
            Operation::Invoke { .. } => {
                let finish = self.answer.finish.name();
                self.invoke(&json!({}), Some(finish), self.answer.usage);
            }
            Operation::SageMaker { .. } => {
                let text = some_words(self.answer.seed(0), 0..self.answer.visible);
                let last = json!({
                    "token": {"id": 2, "text": "", "logprob": -0.5, "special": true},
                    "generated_text": text,
                    "details": self.answer.usage.then(|| whole::details(&self.answer)),
                });
                self.part(&last);
            }
        }
        let mut out = self.chunk();
        if self.wrap == Wrap::Chunk {
            out.extend_from_slice(b"0\r\n\r\n");
        }
        out
    }
}

/// A message with any data where an answer's content would be, unless another event is named.
pub(crate) fn frame(operation: Operation, event: Option<&str>, data: &str) -> Vec<u8> {
    let (content, payload) = match operation {
        Operation::Converse { .. } => ("contentBlockDelta", data.to_owned()),
        Operation::Invoke { .. } => {
            let bytes = base64::engine::general_purpose::STANDARD.encode(data);
            ("chunk", json!({ "bytes": bytes }).to_string())
        }
        Operation::SageMaker { .. } => ("PayloadPart", format!("data:{data}\n\n")),
    };
    let mut out = Vec::new();
    event_stream::event(
        &mut out,
        event.unwrap_or(content),
        super::JSON,
        payload.as_bytes(),
    );
    out
}

/// A piece of a tool call in the shape of chat completions. The first has the name.
fn tool_delta(tool: &Tool, answer: &Answer, seed: u64, tokens: std::ops::Range<u32>) -> Value {
    let function = match tokens.start {
        0 => json!({"name": tool.name, "arguments": ""}),
        _ => {
            let pieces = arguments(tool, seed, tokens, answer.visible, answer.is_whole());
            json!({"arguments": pieces})
        }
    };
    json!({"tool_calls": [{"index": 0, "function": function}]})
}

pub(super) fn some_words(seed: u64, tokens: std::ops::Range<u32>) -> String {
    let mut out = Vec::new();
    words::append(&mut out, seed, tokens);
    String::from_utf8_lossy(&out).into_owned()
}
