//! One answer as one line of `responses.jsonl`.

use std::collections::HashMap;
use std::io::Write;
use std::sync::{Arc, Weak};

use serde_json::Value;

use super::datetime;
use super::json::write_inline;
use crate::InvocationResponse;
use crate::payload::Payload;
use crate::stats::gap_steps;
use llmeter_wire::Phase;

/// A payload whose JSON is longer than this is written once; later lines refer to it.
const LARGE: usize = 2048;

/// An answer as JSON: the Python system's keys in its order, then llmeter's own where they are set.
pub fn response_to_json(response: &InvocationResponse) -> String {
    let mut line = Vec::new();
    LineWriter::default().write(response, &mut line);
    String::from_utf8(line).unwrap_or_default()
}

/// Writes answers as lines, each large payload in full only once.
///
/// A line that carries a large payload names its own id as `payload_of`; a later line with the
/// same payload names that id and carries none.
#[derive(Debug, Default)]
pub(crate) struct LineWriter {
    /// By the payload's address, which stays taken as long as a weak reference exists.
    heads: HashMap<usize, Head>,
    /// The address of the payload that a line's id stands for.
    by_id: HashMap<String, usize>,
    /// Clear away forgotten payloads when there are this many.
    sweep_at: usize,
}

#[derive(Debug)]
struct Head {
    id: String,
    payload: Weak<Payload>,
    prompt: Option<Arc<Value>>,
}

impl LineWriter {
    /// Appends the answer's JSON, without a newline.
    pub(crate) fn write(&mut self, response: &InvocationResponse, out: &mut Vec<u8>) {
        let known = self.known(response).map(str::to_owned);
        let is_known = known.is_some();
        let prompt = response.input_prompt.as_deref();
        let mut line = Line { out };
        line.out.push(b'{');
        line.text("response_text", response.response_text.as_deref());
        line.key("input_payload");
        let before = line.out.len();
        match &response.input_payload {
            Some(payload) if !is_known => write_inline(line.out, &**payload),
            _ => line.null(),
        }
        let is_large = line.out.len() - before > LARGE;
        line.text("id", response.id.as_deref());
        line.json("input_prompt", prompt.filter(|_| !is_known));
        line.float("time_to_first_token", response.time_to_first_token);
        line.float("time_to_last_token", response.time_to_last_token);
        line.int("num_tokens_input", response.num_tokens_input);
        line.int("num_tokens_output", response.num_tokens_output);
        line.int("num_tokens_input_cached", response.num_tokens_input_cached);
        line.int(
            "num_tokens_output_reasoning",
            response.num_tokens_output_reasoning,
        );
        line.float("time_per_output_token", response.time_per_output_token);
        line.text("error", response.error_text());
        line.int("retries", response.retries.map(u64::from));
        let time = response.request_time.map(datetime::to_text);
        line.text("request_time", time.as_deref());
        line.key("annotations");
        write_inline(line.out, &response.annotations);
        line.detail(response);
        if let Some(id) = known.or_else(|| self.learn(response, is_large)) {
            line.text("payload_of", Some(&id));
        }
        line.out.push(b'}');
    }

    /// The id of the line that carries this answer's payload and prompt.
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

    /// Remembers that this answer's line carries its large payload.
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

fn address(payload: &Arc<Payload>) -> usize {
    Arc::as_ptr(payload) as usize
}

/// A line under way.
struct Line<'a> {
    out: &'a mut Vec<u8>,
}

impl Line<'_> {
    fn key(&mut self, key: &str) {
        if self.out.last() != Some(&b'{') {
            self.out.extend_from_slice(b", ");
        }
        self.out.push(b'"');
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(b"\": ");
    }

    fn null(&mut self) {
        self.out.extend_from_slice(b"null");
    }

    fn text(&mut self, key: &str, value: Option<&str>) {
        self.key(key);
        match value {
            Some(value) => write_inline(self.out, value),
            None => self.null(),
        }
    }

    fn json(&mut self, key: &str, value: Option<&Value>) {
        self.key(key);
        match value {
            Some(value) => write_inline(self.out, value),
            None => self.null(),
        }
    }

    /// What is not finite becomes null.
    fn float(&mut self, key: &str, value: Option<f64>) {
        self.key(key);
        match value {
            Some(value) => write_inline(self.out, &value),
            None => self.null(),
        }
    }

    fn int(&mut self, key: &str, value: Option<u64>) {
        self.key(key);
        match value {
            Some(value) => write_inline(self.out, &value),
            None => self.null(),
        }
    }

    /// What the Python system has no keys for, where it is set.
    fn detail(&mut self, response: &InvocationResponse) {
        let detail = &response.detail;
        if let Some(failure) = &response.error {
            self.set_text("error_kind", failure.recorded_kind());
            self.set_text("error_phase", failure.phase().map(Phase::as_str));
        }
        self.set_float(
            "time_to_first_answer_token",
            detail.time_to_first_answer_token,
        );
        if !detail.inter_token_latencies.is_empty() {
            self.key("inter_token_latencies");
            self.gaps(&detail.inter_token_latencies);
        }
        let dropped = detail.inter_token_latencies_dropped;
        self.set_int(
            "inter_token_latencies_dropped",
            (dropped > 0).then_some(dropped),
        );
        self.set_int("content_frames", detail.content_frames);
        self.set_float("time_to_connect", detail.time_to_connect);
        self.set_float("time_to_tls", detail.time_to_tls);
        self.set_float("time_to_headers", detail.time_to_headers);
        self.set_int("status", detail.status);
        self.set_text("finish_reason", detail.finish_reason.as_deref());
        self.set_text("reasoning_text", detail.reasoning_text.as_deref());
        self.set_float("retry_wait", detail.retry_wait);
        self.set_float("send_lateness", detail.send_lateness);
        self.set_float("receive_delay", detail.receive_delay);
        self.set_int("client", detail.client);
    }

    fn set_float(&mut self, key: &str, value: Option<f64>) {
        if value.is_some() {
            self.float(key, value);
        }
    }

    fn set_int(&mut self, key: &str, value: Option<impl Into<u64>>) {
        if let Some(value) = value {
            self.int(key, Some(value.into()));
        }
    }

    fn set_text(&mut self, key: &str, value: Option<&str>) {
        if value.is_some() {
            self.text(key, value);
        }
    }

    /// Seconds with up to seven decimals, without spaces: this is most of a line.
    fn gaps(&mut self, gaps: &[f32]) {
        self.out.push(b'[');
        for (index, &gap) in gaps.iter().enumerate() {
            if index > 0 {
                self.out.push(b',');
            }
            if gap.is_finite() {
                write_gap(self.out, gap_steps(gap));
            } else {
                self.null();
            }
        }
        self.out.push(b']');
    }
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
