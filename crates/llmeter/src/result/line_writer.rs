//! One response as one line of `responses.jsonl`.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::Write;
use std::sync::{Arc, Weak};

use serde::Serialize;
use serde_json::Value;

use super::datetime;
use super::json::write_inline;
use crate::InvocationResponse;
use crate::endpoint::FieldValue;
use crate::payload::{Payload, unmarked};
use crate::stats::gap_steps;

/// The key by which a line refers to the line that carries its payload.
pub(super) const PAYLOAD_OF: &str = "payload_of";
/// A payload whose JSON is longer than this is written once; later lines refer to it.
const LARGE: usize = 2048;

/// A response as JSON: the Python package's keys in its order, then llmeter's own where they are set.
pub fn response_to_json(response: &InvocationResponse) -> String {
    let mut line = Vec::new();
    LineWriter::default().write(response, &mut line);
    String::from_utf8(line).unwrap_or_default()
}

/// Writes responses as lines, each large payload in full only once.
///
/// A line that carries a large payload names its own id as `payload_of`; a later line with the
/// same payload names that id and carries none.
#[derive(Debug, Default)]
pub(crate) struct LineWriter {
    /// By the payload's address, which stays taken as long as a weak reference exists.
    heads: HashMap<usize, Head>,
    /// The address of the payload that a line's id stands for.
    by_id: HashMap<String, usize>,
    /// Drop forgotten payloads when there are this many.
    sweep_at: usize,
}

#[derive(Debug)]
struct Head {
    id: String,
    payload: Weak<Payload>,
    prompt: Option<Arc<Value>>,
}

impl LineWriter {
    /// Appends the response's JSON, without a newline.
    pub(crate) fn write(&mut self, response: &InvocationResponse, out: &mut Vec<u8>) {
        let known = self.known(response).map(str::to_owned);
        let mut is_large = false;
        out.push(b'{');
        for field in InvocationResponse::FIELDS {
            let value = field.get(response);
            if !field.is_contract && !value.is_set() {
                continue;
            }
            write_key(out, field.key);
            let before = out.len();
            match value {
                FieldValue::Payload(_) | FieldValue::Json(_) if known.is_some() => write_null(out),
                FieldValue::Payload(payload) => {
                    write_sent(out, &payload);
                    is_large = out.len() - before > LARGE;
                }
                FieldValue::Text(text) => write_inline(out, &text),
                // What is not finite becomes null.
                FieldValue::Seconds(seconds) => write_inline(out, &seconds),
                FieldValue::Count(count) => write_inline(out, &count),
                FieldValue::Gaps(gaps) => write_gaps(out, gaps),
                FieldValue::Time(time) => write_inline(out, &time.map(datetime::to_text)),
                FieldValue::Json(json) => write_sent(out, &json),
                FieldValue::Annotations(annotations) => write_inline(out, annotations),
            }
        }
        if let Some(id) = known.or_else(|| self.learn(response, is_large)) {
            write_key(out, PAYLOAD_OF);
            write_inline(out, &id);
        }
        out.push(b'}');
    }

    /// The id of the line that carries this response's payload and prompt.
    fn known(&self, response: &InvocationResponse) -> Option<&str> {
        let payload = response.input_payload.as_ref()?;
        let head = self.heads.get(&address(payload))?;
        let is_same_prompt = match (&head.prompt, &response.input_prompt) {
            (Some(known), Some(prompt)) => Arc::ptr_eq(known, prompt) || known == prompt,
            (None, None) => true,
            _ => false,
        };
        (is_same_prompt && self.by_id.get(&head.id) == Some(&address(payload)))
            .then_some(head.id.as_str())
    }

    /// Remembers that this response's line carries its large payload.
    fn learn(&mut self, response: &InvocationResponse, is_large: bool) -> Option<String> {
        let payload = response.input_payload.as_ref().filter(|_| is_large)?;
        let id = response.id.clone()?;
        if self.heads.len() >= self.sweep_at {
            self.heads.retain(|_, head| head.payload.strong_count() > 0);
            let heads = &self.heads;
            self.by_id.retain(|_, address| heads.contains_key(address));
            self.sweep_at = (2 * self.heads.len()).max(64);
        }
        self.by_id.insert(id.clone(), address(payload));
        self.heads.insert(
            address(payload),
            Head {
                id: id.clone(),
                payload: Arc::downgrade(payload),
                prompt: response.input_prompt.clone(),
            },
        );
        Some(id)
    }
}

/// What was sent, with its numbers as they were written.
pub(super) fn write_sent<T: Serialize + ?Sized>(out: &mut Vec<u8>, sent: &T) {
    let from = out.len();
    write_inline(out, sent);
    if let Ok(json) = std::str::from_utf8(&out[from..])
        && let Cow::Owned(plain) = unmarked(json)
    {
        out.truncate(from);
        out.extend_from_slice(plain.as_bytes());
    }
}

fn address(payload: &Arc<Payload>) -> usize {
    Arc::as_ptr(payload) as usize
}

fn write_key(out: &mut Vec<u8>, key: &str) {
    if out.last() != Some(&b'{') {
        out.extend_from_slice(b", ");
    }
    out.push(b'"');
    out.extend_from_slice(key.as_bytes());
    out.extend_from_slice(b"\": ");
}

fn write_null(out: &mut Vec<u8>) {
    out.extend_from_slice(b"null");
}

/// Seconds with up to seven decimals, without spaces: this is most of a line.
pub(crate) fn write_gaps(out: &mut Vec<u8>, gaps: &[f32]) {
    out.push(b'[');
    for (index, &gap) in gaps.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        if gap.is_finite() {
            write_gap(out, gap_steps(gap));
        } else {
            write_null(out);
        }
    }
    out.push(b']');
}

fn write_gap(out: &mut Vec<u8>, steps: i128) {
    const DECIMALS: usize = 7;
    let sign = if steps < 0 { "-" } else { "" };
    let (whole, mut rest) = (
        steps.unsigned_abs() / 10_000_000,
        steps.unsigned_abs() % 10_000_000,
    );
    // Writing to memory cannot fail.
    let _ = write!(out, "{sign}{whole}");
    if rest == 0 {
        return;
    }
    let mut digits = [b'0'; DECIMALS];
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    let used = digits.iter().rposition(|&digit| digit != b'0');
    out.push(b'.');
    out.extend_from_slice(&digits[..=used.unwrap_or(0)]);
}
