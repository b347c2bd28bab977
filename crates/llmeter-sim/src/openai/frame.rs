//! Stream frames, formatted into one buffer that is used again and again.
//!
//! All frames of a choice have their beginning and their end in common; these are made once per
//! request.

use std::ops::Range;

use serde_json::{Value, json};

use crate::dialect::Frames;

use super::{
    answer::{self, Answer, FINGERPRINT, Finish},
    words,
};

/// How frames travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wrap {
    /// Each frame is one chunk of the chunked transfer encoding.
    Chunk,
    /// Frames follow one another and the connection's end ends them.
    Bare,
}

/// What a frame carries: tokens of one kind, numbered from 0 within their kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece {
    Reasoning(Range<u32>),
    Visible(Range<u32>),
}

/// Room for a chunk's size line.
const SIZE_LINE: usize = 10;

/// Makes the frames of one answer.
#[derive(Debug)]
pub(crate) struct FrameWriter {
    wrap: Wrap,
    answer: Answer,
    include_usage: bool,
    buffer: Vec<u8>,
    /// Up to the choice's index.
    head: Vec<u8>,
    /// From behind the delta to the frame's end, for a frame that is not the last.
    tail: &'static [u8],
}

const TAIL: &[u8] = b"},\"logprobs\":null,\"finish_reason\":null}]}\n\n";
const TAIL_WITH_USAGE: &[u8] = b"},\"logprobs\":null,\"finish_reason\":null}],\"usage\":null}\n\n";

impl FrameWriter {
    pub(crate) fn new(answer: Answer, wrap: Wrap, include_usage: bool) -> Self {
        let head = format!(
            "data: {{\"id\":{},\"object\":\"chat.completion.chunk\",\"created\":{},\"model\":{},\
             \"service_tier\":\"default\",\"system_fingerprint\":\"{FINGERPRINT}\",\
             \"choices\":[{{\"index\":",
            Value::from(answer.id.as_str()),
            answer.created,
            Value::from(answer.model.as_str()),
        )
        .into_bytes();
        Self {
            wrap,
            answer,
            include_usage,
            buffer: Vec::with_capacity(512),
            head,
            tail: if include_usage { TAIL_WITH_USAGE } else { TAIL },
        }
    }

    fn begin(&mut self, choice: u32) {
        self.buffer.clear();
        self.buffer.extend_from_slice(&[0; SIZE_LINE]);
        self.buffer.extend_from_slice(&self.head);
        match u8::try_from(choice) {
            Ok(digit @ 0..10) => self.buffer.push(b'0' + digit),
            _ => self.buffer.extend_from_slice(choice.to_string().as_bytes()),
        }
        self.buffer.extend_from_slice(b",\"delta\":{");
    }

    /// Completes the frame and, in front of it, its size line.
    fn end(&mut self) -> &[u8] {
        self.buffer.extend_from_slice(self.tail);
        if self.wrap == Wrap::Bare {
            return &self.buffer[SIZE_LINE..];
        }
        let mut size = self.buffer.len() - SIZE_LINE;
        self.buffer.extend_from_slice(b"\r\n");
        let mut start = SIZE_LINE - 2;
        self.buffer[start..SIZE_LINE].copy_from_slice(b"\r\n");
        while size > 0 {
            start -= 1;
            self.buffer[start] = b"0123456789abcdef"[size & 15];
            size >>= 4;
        }
        &self.buffer[start..]
    }
}

impl Frames for FrameWriter {
    fn opening(&mut self, choice: u32, out: &mut Vec<u8>) {
        let delta: &[u8] = if self.answer.tool.is_some() {
            b"\"role\":\"assistant\",\"content\":null,\"refusal\":null"
        } else {
            b"\"role\":\"assistant\",\"content\":\"\",\"refusal\":null"
        };
        self.begin(choice);
        self.buffer.extend_from_slice(delta);
        out.extend_from_slice(self.end());
    }

    fn content(&mut self, choice: u32, piece: Piece) -> &[u8] {
        self.begin(choice);
        let seed = self.answer.seed(choice);
        match (piece, &self.answer.tool) {
            (Piece::Reasoning(tokens), _) => {
                self.buffer.extend_from_slice(b"\"reasoning_content\":\"");
                words::append(&mut self.buffer, !seed, tokens);
                self.buffer.push(b'"');
            }
            (Piece::Visible(tokens), None) => {
                self.buffer.extend_from_slice(b"\"content\":\"");
                words::append(&mut self.buffer, seed, tokens);
                self.buffer.push(b'"');
            }
            (Piece::Visible(tokens), Some(tool)) => {
                let all = self.answer.visible;
                let whole = self.answer.finish != Finish::Length;
                let call = if tokens.start == 0 {
                    let arguments = match all {
                        1 => answer::arguments(tool, seed, 1..1, 1, whole),
                        _ => String::new(),
                    };
                    json!([{
                        "index": 0,
                        "id": self.answer.tool_call_id(choice),
                        "type": "function",
                        "function": {"name": tool.name, "arguments": arguments},
                    }])
                } else {
                    let arguments = answer::arguments(tool, seed, tokens, all, whole);
                    json!([{"index": 0, "function": {"arguments": arguments}}])
                };
                self.buffer
                    .extend_from_slice(format!("\"tool_calls\":{call}").as_bytes());
            }
        }
        self.end()
    }

    fn closing(&mut self) -> Vec<u8> {
        let mut out = Vec::with_capacity(1024);
        let mut frame = |body: &Value| {
            let text = format!("data: {body}\n\n");
            match self.wrap {
                Wrap::Chunk => {
                    out.extend_from_slice(format!("{:x}\r\n{text}\r\n", text.len()).as_bytes());
                }
                Wrap::Bare => out.extend_from_slice(text.as_bytes()),
            }
        };
        let chunk = |choices: Value| {
            json!({
                "id": self.answer.id,
                "object": "chat.completion.chunk",
                "created": self.answer.created,
                "model": self.answer.model,
                "service_tier": "default",
                "system_fingerprint": FINGERPRINT,
                "choices": choices,
            })
        };
        for choice in 0..self.answer.choices {
            let mut last = chunk(json!([{
                "index": choice,
                "delta": {},
                "logprobs": null,
                "finish_reason": self.answer.finish.name(),
            }]));
            if self.include_usage {
                last["usage"] = Value::Null;
            }
            frame(&last);
        }
        if self.include_usage {
            let mut usage = chunk(json!([]));
            usage["usage"] = answer::usage(&self.answer);
            frame(&usage);
        }
        out.extend_from_slice(match self.wrap {
            Wrap::Chunk => b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n",
            Wrap::Bare => b"data: [DONE]\n\n",
        });
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::openai::request::Tool;

    fn answer(tool: Option<Tool>) -> Answer {
        Answer {
            id: "chatcmpl-1".into(),
            created: 5,
            model: "a \"model\"".into(),
            choices: 1,
            prompt_tokens: 3,
            reasoning: 0,
            visible: 4,
            finish: Finish::Stop,
            tool,
            words: 0,
            usage: true,
            times: answer::Times::default(),
        }
    }

    fn json_of(chunk: &[u8]) -> Value {
        let text = std::str::from_utf8(chunk).unwrap();
        let (size, rest) = text.split_once("\r\n").unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        assert_eq!(&rest[size..], "\r\n");
        let data = rest[..size].strip_prefix("data: ").unwrap();
        serde_json::from_str(data.strip_suffix("\n\n").unwrap()).unwrap()
    }

    #[test]
    fn a_frame_is_one_whole_chunk() {
        let mut writer = FrameWriter::new(answer(None), Wrap::Chunk, true);
        assert_eq!(
            json_of(writer.content(0, Piece::Visible(1..3))),
            json!({
                "id": "chatcmpl-1",
                "object": "chat.completion.chunk",
                "created": 5,
                "model": "a \"model\"",
                "service_tier": "default",
                "system_fingerprint": FINGERPRINT,
                "choices": [{
                    "index": 0,
                    "delta": {"content": " river keeps"},
                    "logprobs": null,
                    "finish_reason": null,
                }],
                "usage": null,
            })
        );
    }

    #[test]
    fn the_pieces_of_a_tool_call_make_valid_arguments() {
        let tool = Tool {
            name: "f".into(),
            argument: "a\"b".into(),
            named: false,
            at_once: false,
        };
        let mut writer = FrameWriter::new(answer(Some(tool)), Wrap::Chunk, false);
        let mut arguments = String::new();
        for tokens in [0..1, 1..3, 3..4] {
            let frame = json_of(writer.content(0, Piece::Visible(tokens)));
            let call = &frame["choices"][0]["delta"]["tool_calls"][0];
            arguments += call["function"]["arguments"].as_str().unwrap();
        }
        let arguments: Value = serde_json::from_str(&arguments).unwrap();
        assert_eq!(arguments, json!({"a\"b": "the river keeps"}));
    }

    #[test]
    fn bare_frames_have_no_sizes() {
        let mut writer = FrameWriter::new(answer(None), Wrap::Bare, false);
        let frame = writer.content(0, Piece::Reasoning(0..1)).to_vec();
        assert!(frame.starts_with(b"data: {") && frame.ends_with(b"}\n\n"));
        assert!(writer.closing().ends_with(b"}\n\ndata: [DONE]\n\n"));
    }
}
