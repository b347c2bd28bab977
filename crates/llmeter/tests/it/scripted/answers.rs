//! Bytes of answers.

use serde_json::{Value, json};

pub(crate) const STREAM_HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
    Transfer-Encoding: chunked\r\n\r\n";
pub(crate) const DONE: &str = "data: [DONE]\n\n";

/// A chunk object with this delta.
pub(crate) fn object(delta: Value, finish: Option<&str>) -> Value {
    json!({
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
    })
}

pub(crate) fn event(value: &Value) -> String {
    format!("data: {value}\n\n")
}

/// The frame that only opens an answer.
pub(crate) fn role() -> String {
    event(&object(json!({"role": "assistant", "content": ""}), None))
}

pub(crate) fn text(piece: &str) -> String {
    event(&object(json!({"content": piece}), None))
}

pub(crate) fn stop() -> String {
    event(&object(json!({}), Some("stop")))
}

pub(crate) fn usage(input: u64, output: u64) -> String {
    event(&json!({
        "id": "chatcmpl-1",
        "choices": [],
        "usage": {"prompt_tokens": input, "completion_tokens": output},
    }))
}

/// Frames with these pieces, and everything that a whole stream has around them.
pub(crate) fn whole_stream(pieces: &[&str]) -> String {
    let mut body = role();
    for piece in pieces {
        body.push_str(&text(piece));
    }
    body + &stop() + &usage(7, pieces.len() as u64) + DONE
}

/// One chunk of the chunked encoding.
pub(crate) fn chunk(body: &str) -> Vec<u8> {
    chunk_of(body.as_bytes())
}

pub(crate) fn chunk_of(body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("{:x}\r\n", body.len()).into_bytes();
    bytes.extend_from_slice(body);
    bytes.extend_from_slice(b"\r\n");
    bytes
}

pub(crate) const LAST_CHUNK: &str = "0\r\n\r\n";

/// A whole chunked answer whose body is one chunk.
pub(crate) fn chunked(body: &str) -> Vec<u8> {
    let mut bytes = STREAM_HEAD.as_bytes().to_vec();
    bytes.extend(chunk(body));
    bytes.extend_from_slice(LAST_CHUNK.as_bytes());
    bytes
}

/// A chunked answer without its last chunk.
pub(crate) fn unfinished(body: &str) -> Vec<u8> {
    let mut bytes = STREAM_HEAD.as_bytes().to_vec();
    bytes.extend(chunk(body));
    bytes
}

/// An answer with a `Content-Length`.
pub(crate) fn sized(status: &str, content_type: &str, body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// A chat completion that is no stream.
pub(crate) fn completion(text: &str) -> String {
    json!({
        "id": "chatcmpl-2",
        "object": "chat.completion",
        "choices": [{
            "index": 0,
            "message": {"role": "assistant", "content": text},
            "finish_reason": "stop",
        }],
        "usage": {"prompt_tokens": 5, "completion_tokens": 2},
    })
    .to_string()
}
