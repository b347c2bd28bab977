//! An answer's fields by name.

use serde_json::{Map, Value};

use super::datetime;
use super::line_writer::response_to_json;
use crate::InvocationResponse;
use crate::base::failure::Failure;
use crate::stats::gap_seconds;
use llmeter_wire::Phase;

impl InvocationResponse {
    /// The names of the fields that every line of `responses.jsonl` has, in order.
    pub const FIELDS: [&str; 15] = [
        "response_text",
        "input_payload",
        "id",
        "input_prompt",
        "time_to_first_token",
        "time_to_last_token",
        "num_tokens_input",
        "num_tokens_output",
        "num_tokens_input_cached",
        "num_tokens_output_reasoning",
        "time_per_output_token",
        "error",
        "retries",
        "request_time",
        "annotations",
    ];

    /// The answer as a JSON object, as a line of `responses.jsonl` has it.
    pub fn to_map(&self) -> Map<String, Value> {
        serde_json::from_str(&response_to_json(self)).unwrap_or_default()
    }

    /// One field by its name on disk, null where unset; `None` if there is no such field.
    pub fn dimension(&self, name: &str) -> Option<Value> {
        let detail = &self.detail;
        Some(match name {
            "response_text" => text(self.response_text.as_deref()),
            "input_payload" => self
                .input_payload
                .as_ref()
                .map_or(Value::Null, |payload| Value::Object((**payload).clone())),
            "id" => text(self.id.as_deref()),
            "input_prompt" => self
                .input_prompt
                .as_ref()
                .map_or(Value::Null, |prompt| (**prompt).clone()),
            "time_to_first_token" => self.time_to_first_token.into(),
            "time_to_last_token" => self.time_to_last_token.into(),
            "num_tokens_input" => self.num_tokens_input.into(),
            "num_tokens_output" => self.num_tokens_output.into(),
            "num_tokens_input_cached" => self.num_tokens_input_cached.into(),
            "num_tokens_output_reasoning" => self.num_tokens_output_reasoning.into(),
            "time_per_output_token" => self.time_per_output_token.into(),
            "error" => text(self.error_text()),
            "retries" => self.retries.into(),
            "request_time" => self.request_time.map(datetime::to_text).into(),
            "annotations" => Value::Object(self.annotations.clone()),
            "error_kind" => text(self.error.as_ref().and_then(Failure::recorded_kind)),
            "error_phase" => text(
                self.error
                    .as_ref()
                    .and_then(Failure::phase)
                    .map(Phase::as_str),
            ),
            "time_to_first_answer_token" => detail.time_to_first_answer_token.into(),
            "inter_token_latencies" => detail
                .inter_token_latencies
                .iter()
                .map(|&gap| Value::from(gap_seconds(gap)))
                .collect(),
            "inter_token_latencies_dropped" => detail.inter_token_latencies_dropped.into(),
            "content_frames" => detail.content_frames.into(),
            "time_to_connect" => detail.time_to_connect.into(),
            "time_to_tls" => detail.time_to_tls.into(),
            "time_to_headers" => detail.time_to_headers.into(),
            "status" => detail.status.into(),
            "finish_reason" => text(detail.finish_reason.as_deref()),
            "reasoning_text" => text(detail.reasoning_text.as_deref()),
            "retry_wait" => detail.retry_wait.into(),
            "send_lateness" => detail.send_lateness.into(),
            "receive_delay" => detail.receive_delay.into(),
            "client" => detail.client.into(),
            _ => return None,
        })
    }
}

fn text(text: Option<&str>) -> Value {
    text.into()
}
