//! OpenAI's older Completions.

use serde_json::{Map, Value, json};

use super::{Frames, required_text};
use crate::openai::request::{count, flag, include_usage, present};
use crate::openai::words::{append, text};
use crate::openai::{Answer, ApiError, ChatRequest, Piece, Wrap};

/// As on the real API.
const MAX_CHOICES: u32 = 128;

pub(super) fn parse(_: &str, request: &Map<String, Value>) -> Result<ChatRequest, ApiError> {
    let stream = flag(request, "stream", "stream")?;
    let prompts = prompts(request, "prompt")?;
    let each = count(request, "n", MAX_CHOICES)?.unwrap_or(1);
    let all = u32::try_from(prompts.len()).unwrap_or(u32::MAX);
    Ok(ChatRequest {
        model: required_text(request, "model")?,
        stream,
        include_usage: include_usage(request, stream)?,
        limit: count(request, "max_tokens", u32::MAX)?,
        choices: all.saturating_mul(each),
        prompt_tokens: prompts.iter().map(tokens_in).sum(),
        tool: None,
    })
}

/// The prompts in a field: one text or list of token ids, or a list of such.
pub(super) fn prompts(
    request: &Map<String, Value>,
    name: &'static str,
) -> Result<Vec<Value>, ApiError> {
    let expected = "a string, an array of strings, an array of integers, or an array of those";
    let is_tokens = |value: &Value| {
        let list = value.as_array();
        list.is_some_and(|list| !list.is_empty() && list.iter().all(Value::is_u64))
    };
    match present(request, name) {
        None => Err(ApiError::missing(name)),
        Some(prompt @ Value::String(_)) => Ok(vec![prompt.clone()]),
        Some(prompt) if is_tokens(prompt) => Ok(vec![prompt.clone()]),
        Some(Value::Array(list)) if list.is_empty() => Err(ApiError::wrong_value(
            name,
            "input cannot be an empty array.",
        )),
        Some(Value::Array(list)) if list.iter().all(|one| one.is_string() || is_tokens(one)) => {
            Ok(list.clone())
        }
        Some(other) => Err(ApiError::wrong_type(name, expected, other)),
    }
}

/// Words of a text, or token ids.
pub(super) fn tokens_in(prompt: &Value) -> u64 {
    match prompt {
        Value::String(text) => text.split_whitespace().count() as u64,
        Value::Array(tokens) => tokens.len() as u64,
        _ => 0,
    }
}

fn usage(answer: &Answer) -> Value {
    let completion = answer.completion_tokens();
    json!({
        "prompt_tokens": answer.prompt_tokens,
        "completion_tokens": completion,
        "total_tokens": answer.prompt_tokens + completion,
    })
}

fn chunk(answer: &Answer, choices: Value) -> Value {
    json!({
        "id": answer.id,
        "object": "text_completion",
        "created": answer.created,
        "model": answer.model,
        "choices": choices,
    })
}

fn choice(index: u32, text: &str, finish: Option<&str>) -> Value {
    json!({"text": text, "index": index, "logprobs": null, "finish_reason": finish})
}

/// This API knows no reasoning apart from the text: all tokens are in it.
pub(super) fn whole(answer: &Answer) -> Value {
    let tokens = answer.reasoning + answer.visible;
    let choices = (0..answer.choices).map(|index| {
        let text = text(answer.seed(index), tokens);
        choice(index, &text, Some(answer.finish.name()))
    });
    let mut body = chunk(answer, choices.collect());
    body["usage"] = answer.usage.then(|| usage(answer)).into();
    body
}

/// Makes the frames of a stream.
#[derive(Debug)]
pub(super) struct TextWriter {
    answer: Answer,
    wrap: Wrap,
    include_usage: bool,
    buffer: Vec<u8>,
}

impl TextWriter {
    pub(super) fn new(answer: Answer, wrap: Wrap, include_usage: bool) -> Self {
        Self {
            answer,
            wrap,
            include_usage,
            buffer: Vec::with_capacity(512),
        }
    }

    fn append(&self, data: &str, out: &mut Vec<u8>) {
        let text = format!("data: {data}\n\n");
        match self.wrap {
            Wrap::Chunk => {
                out.extend_from_slice(format!("{:x}\r\n{text}\r\n", text.len()).as_bytes());
            }
            Wrap::Bare => out.extend_from_slice(text.as_bytes()),
        }
    }

    fn append_choice(&self, choice: Value, out: &mut Vec<u8>) {
        let mut frame = chunk(&self.answer, json!([choice]));
        if self.include_usage {
            frame["usage"] = Value::Null;
        }
        self.append(&frame.to_string(), out);
    }
}

impl Frames for TextWriter {
    /// Nothing comes before the text.
    fn opening(&mut self, _: u32, _: &mut Vec<u8>) {}

    fn content(&mut self, index: u32, piece: Piece) -> &[u8] {
        let tokens = match piece {
            Piece::Reasoning(tokens) => tokens,
            Piece::Visible(tokens) => {
                let before = self.answer.reasoning;
                before + tokens.start..before + tokens.end
            }
        };
        let mut words = Vec::new();
        append(&mut words, self.answer.seed(index), tokens);
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        let text = String::from_utf8_lossy(&words);
        self.append_choice(choice(index, &text, None), &mut buffer);
        self.buffer = buffer;
        &self.buffer
    }

    fn closing(&mut self) -> Vec<u8> {
        let mut out = Vec::with_capacity(512);
        for index in 0..self.answer.choices {
            let last = choice(index, "", Some(self.answer.finish.name()));
            self.append_choice(last, &mut out);
        }
        if self.include_usage {
            let mut last = chunk(&self.answer, json!([]));
            last["usage"] = usage(&self.answer);
            self.append(&last.to_string(), &mut out);
        }
        self.append("[DONE]", &mut out);
        if self.wrap == Wrap::Chunk {
            out.extend_from_slice(b"0\r\n\r\n");
        }
        out
    }
}
