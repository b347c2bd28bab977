//! What the APIs of Amazon Web Services share: paths, event streams, errors.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::error::{ApiError, Refusal};
use super::{ApiInfo, Route, openai, unescaped};

const JSON: &str = "application/json";

pub(super) const ABOUT: ApiInfo = ApiInfo {
    id_prefix: "chatcmpl-",
    id_header: Some("x-amzn-requestid"),
    stream_type: "application/vnd.amazon.eventstream",
    frame: |out, event, data| event_with_bytes(out, event.unwrap_or("chunk"), data),
    refusal,
    stream_error: Some(stream_error),
    ..openai::ABOUT
};

/// What a path like `/model/ID/converse` says, of which the last part is one of the two operations,
/// the second of which streams.
pub(super) fn operation(
    path: &str,
    prefix: &str,
    [non_streaming, streaming]: [&str; 2],
    service: &'static str,
) -> Option<Route> {
    let (model, operation) = path.strip_prefix(prefix)?.rsplit_once('/')?;
    (operation == non_streaming || operation == streaming).then(|| Route {
        model: unescaped(model),
        stream: operation == streaming,
        service: Some(service),
    })
}

/// What a path of InvokeModel says.
pub(super) fn invoke_model(path: &str) -> Option<Route> {
    let operations = ["invoke", "invoke-with-response-stream"];
    operation(path, "/model/", operations, "bedrock")
}

fn refusal(error: &ApiError) -> Refusal {
    let (status, kind) = match error.status {
        401 | 403 => (403, "AccessDeniedException"),
        404 => (404, "ResourceNotFoundException"),
        405 => (405, "UnknownOperationException"),
        429 => (429, "ThrottlingException"),
        status @ 500.. => (status, "InternalServerException"),
        status => (status, "ValidationException"),
    };
    let kind = error.kind.unwrap_or(kind).to_owned();
    Refusal {
        headers: vec![("x-amzn-errortype", kind)],
        ..Refusal::new(status, json!({"message": error.message}))
    }
}

/// Appends an event with JSON.
pub(super) fn event(out: &mut Vec<u8>, kind: &str, payload: &[u8]) {
    typed_event(out, kind, JSON, payload);
}

pub(super) fn typed_event(out: &mut Vec<u8>, kind: &str, media_type: &str, payload: &[u8]) {
    let headers = [
        (":event-type", kind),
        (":content-type", media_type),
        (":message-type", "event"),
    ];
    append(out, &headers, payload);
}

/// Appends a chunk of an InvokeModel stream.
pub(super) fn chunk(out: &mut Vec<u8>, value: &Value) {
    event_with_bytes(out, "chunk", &value.to_string());
}

/// Appends an event whose JSON holds any data in base64.
pub(super) fn event_with_bytes(out: &mut Vec<u8>, kind: &str, data: &str) {
    // Bedrock pads its events with `p`, so that their length tells nothing.
    let payload = json!({"bytes": STANDARD.encode(data), "p": "abcdefgh"}).to_string();
    event(out, kind, payload.as_bytes());
}

/// The message that ends a stream which fails.
fn stream_error(out: &mut Vec<u8>, error: &ApiError) {
    let headers = [
        (":exception-type", "modelStreamErrorException"),
        (":content-type", JSON),
        (":message-type", "exception"),
    ];
    append(out, &headers, refusal(error).body.to_string().as_bytes());
}

/// The type of a header whose value is a text.
const TEXT: u8 = 7;

/// Appends a message of an event stream with these headers, all of them texts, and this payload.
fn append(out: &mut Vec<u8>, headers: &[(&str, &str)], payload: &[u8]) {
    let start = out.len();
    let of_headers: usize = headers
        .iter()
        .map(|(name, value)| 1 + name.len() + 1 + 2 + value.len())
        .sum();
    let length = 12 + of_headers + payload.len() + 4;
    // Names, values and payloads of the simulator are far from these limits.
    out.extend_from_slice(&(length as u32).to_be_bytes());
    out.extend_from_slice(&(of_headers as u32).to_be_bytes());
    let checksum = crc32fast::hash(&out[start..]);
    out.extend_from_slice(&checksum.to_be_bytes());
    for (name, value) in headers {
        out.push(name.len() as u8);
        out.extend_from_slice(name.as_bytes());
        out.push(TEXT);
        out.extend_from_slice(&(value.len() as u16).to_be_bytes());
        out.extend_from_slice(value.as_bytes());
    }
    out.extend_from_slice(payload);
    let checksum = crc32fast::hash(&out[start..]);
    out.extend_from_slice(&checksum.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_the_protocols_own_example() {
        let mut out = Vec::new();
        append(&mut out, &[], b"");
        // The empty message of the AWS SDKs' test vectors.
        assert_eq!(
            out,
            [
                0, 0, 0, 16, 0, 0, 0, 0, 0x05, 0xc2, 0x48, 0xeb, 0x7d, 0x98, 0xc8, 0xff
            ]
        );
    }
}
