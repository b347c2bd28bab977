//! What one request gave: its text, its times, its counts, its failure.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::base::failure::Failure;
use crate::payload::Payload;

/// The record of one request, as it is kept in memory and written to `responses.jsonl`.
///
/// All durations are seconds. The clock starts at the system call that hands the first byte of the
/// request to the kernel on a ready connection.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct InvocationResponse {
    /// The visible answer; kept as far as it came when the request failed.
    pub response_text: Option<String>,
    /// The payload as it was sent. Requests with the same payload share it.
    pub input_payload: Option<Arc<Payload>>,
    /// The server's id for the answer, else one made by llmeter.
    pub id: Option<String>,
    /// The prompt's text, or the part of the payload that stands for it.
    pub input_prompt: Option<Arc<Value>>,
    /// Time to the first frame with generated content of any kind. `None` when not streaming.
    pub time_to_first_token: Option<f64>,
    /// Time to the last frame with generated content.
    pub time_to_last_token: Option<f64>,
    /// Input tokens, reported by the server or else estimated.
    pub num_tokens_input: Option<u64>,
    /// Output tokens (reasoning included), reported by the server or else estimated.
    pub num_tokens_output: Option<u64>,
    /// The part of the input tokens that came from the server's cache.
    pub num_tokens_input_cached: Option<u64>,
    /// The part of the output tokens that was reasoning.
    pub num_tokens_output_reasoning: Option<u64>,
    /// (time to last token − time to first token) / (output tokens − 1).
    pub time_per_output_token: Option<f64>,
    /// Why the request failed; `None` is success.
    pub error: Option<Failure>,
    /// How often the request was sent again.
    pub retries: Option<u32>,
    /// When the request was sent.
    pub request_time: Option<Timestamp>,
    /// Free data: what callbacks add, and what the server says beyond its API (`server_timings`:
    /// how long the server took by its own clock, with the names that it gives).
    pub annotations: Map<String, Value>,
    /// What llmeter measures beyond the fields above.
    pub detail: ResponseDetail,
}

impl InvocationResponse {
    /// Why the request failed, in words.
    pub fn error_text(&self) -> Option<&str> {
        self.error.as_ref().map(Failure::message)
    }
}

/// Measurements that the Python system's format has no field for.
///
/// On disk they are further top-level keys of the response's line, each left out when unset.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ResponseDetail {
    /// The client that sent the request, counted from 0.
    pub client: Option<u32>,
    /// Time to the first frame with *answer* content: reasoning does not count.
    pub time_to_first_answer_token: Option<f64>,
    /// Gaps between consecutive content frames, in seconds and in order.
    pub inter_token_latencies: Vec<f32>,
    /// Gaps that were measured but not kept, because the stream was very long.
    pub inter_token_latencies_dropped: u32,
    /// Frames with generated content.
    pub content_frames: Option<u32>,
    /// Time to open the connection, if this request had to open one.
    pub time_to_connect: Option<f64>,
    /// Time of the TLS handshake, if this request had to make one.
    pub time_to_tls: Option<f64>,
    /// Time to the end of the answer's head (status line and headers).
    pub time_to_headers: Option<f64>,
    /// The HTTP status.
    pub status: Option<u16>,
    /// Why generation ended, as the server said (`stop`, `length`, …).
    pub finish_reason: Option<String>,
    /// The reasoning text.
    pub reasoning_text: Option<String>,
    /// Time that was waited before the request was sent again.
    pub retry_wait: Option<f64>,
    /// How long after its intended time the request was sent.
    pub send_lateness: Option<f64>,
    /// The largest time that a byte of this answer waited in the kernel for llmeter to read it.
    pub receive_delay: Option<f64>,
}
