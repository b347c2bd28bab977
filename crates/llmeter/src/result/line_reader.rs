//! A line of `responses.jsonl` as an answer.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::{datetime, json};
use crate::InvocationResponse;
use crate::base::failure::Failure;
use crate::payload::Payload;

/// An answer from one line of `responses.jsonl`, of this or an older format.
///
/// Keys that are not known go into `annotations`, where keys that are already there win.
///
/// # Errors
/// If the line is not a JSON object, or a known key holds what it cannot hold.
pub fn response_from_json(line: &str) -> serde_json::Result<InvocationResponse> {
    LineReader::keeping_all().read(line.as_bytes())
}

/// A payload and its prompt.
type Sent = (Option<Arc<Payload>>, Option<Arc<Value>>);

/// Reads lines in order: finds the payloads that lines refer to, and shares equal ones.
#[derive(Debug, Default)]
pub(crate) struct LineReader {
    /// Whether only what enters statistics is wanted.
    is_measuring: bool,
    /// What a line's id stands for as `payload_of`.
    heads: HashMap<String, Sent>,
    payloads: HashSet<Arc<Payload>>,
    prompts: HashSet<Arc<Value>>,
    unresolved: usize,
}

impl LineReader {
    /// A reader that keeps everything.
    pub(crate) fn keeping_all() -> Self {
        Self::default()
    }

    /// A reader that leaves out texts and payloads.
    pub(crate) fn measuring() -> Self {
        Self {
            is_measuring: true,
            ..Self::default()
        }
    }

    /// How many lines referred to a payload that no line before them had.
    pub(crate) fn unresolved(&self) -> usize {
        self.unresolved
    }

    pub(crate) fn read(&mut self, line: &[u8]) -> serde_json::Result<InvocationResponse> {
        let seed = LineSeed {
            is_measuring: self.is_measuring,
        };
        let read = json::read_with(line, |text| {
            let mut deserializer = serde_json::Deserializer::from_slice(text);
            let read = seed.deserialize(&mut deserializer)?;
            deserializer.end()?;
            Ok(read)
        })?;
        let ReadLine {
            mut response,
            payload,
            prompt,
            payload_of,
        } = read;
        if self.is_measuring {
            return Ok(response);
        }
        response.input_payload = payload.map(|payload| share(&mut self.payloads, payload));
        response.input_prompt = prompt.map(|prompt| share(&mut self.prompts, prompt));
        if let Some(id) = payload_of {
            if response.input_payload.is_some() {
                let head = (
                    response.input_payload.clone(),
                    response.input_prompt.clone(),
                );
                self.heads.insert(id, head);
            } else if let Some((payload, prompt)) = self.heads.get(&id) {
                response.input_payload.clone_from(payload);
                response.input_prompt.clone_from(prompt);
            } else {
                self.unresolved += 1;
            }
        }
        Ok(response)
    }
}

/// The one that is already there, or else this one.
fn share<T: Eq + std::hash::Hash>(known: &mut HashSet<Arc<T>>, value: T) -> Arc<T> {
    if let Some(shared) = known.get(&value) {
        return shared.clone();
    }
    let value = Arc::new(value);
    known.insert(value.clone());
    value
}

struct ReadLine {
    response: InvocationResponse,
    payload: Option<Payload>,
    prompt: Option<Value>,
    payload_of: Option<String>,
}

#[derive(Clone, Copy)]
struct LineSeed {
    is_measuring: bool,
}

impl<'de> DeserializeSeed<'de> for LineSeed {
    type Value = ReadLine;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<ReadLine, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for LineSeed {
    type Value = ReadLine;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an answer as a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ReadLine, A::Error> {
        let mut response = InvocationResponse::default();
        let (mut payload, mut prompt, mut payload_of) = (None, None, None);
        let mut error: Option<String> = None;
        let (mut error_kind, mut error_phase): (Option<String>, Option<String>) = (None, None);
        let mut extras = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            let detail = &mut response.detail;
            match key.as_str() {
                "response_text" | "input_payload" | "input_prompt" | "reasoning_text"
                | "annotations" | "id"
                    if self.is_measuring =>
                {
                    map.next_value::<IgnoredAny>()?;
                }
                "response_text" => response.response_text = map.next_value()?,
                "input_payload" => payload = map.next_value()?,
                "id" => response.id = map.next_value()?,
                "input_prompt" => prompt = map.next_value()?,
                "time_to_first_token" => response.time_to_first_token = map.next_value()?,
                "time_to_last_token" => response.time_to_last_token = map.next_value()?,
                "num_tokens_input" => response.num_tokens_input = whole(&mut map)?,
                "num_tokens_output" => response.num_tokens_output = whole(&mut map)?,
                "num_tokens_input_cached" => response.num_tokens_input_cached = whole(&mut map)?,
                "num_tokens_output_reasoning" => {
                    response.num_tokens_output_reasoning = whole(&mut map)?;
                }
                "time_per_output_token" => response.time_per_output_token = map.next_value()?,
                "error" => error = map.next_value()?,
                "error_kind" => error_kind = map.next_value()?,
                "error_phase" => error_phase = map.next_value()?,
                "retries" => response.retries = whole(&mut map)?,
                "request_time" => {
                    let text: Option<String> = map.next_value()?;
                    response.request_time = text.as_deref().and_then(datetime::from_text);
                }
                "annotations" => {
                    response.annotations = map.next_value::<Option<_>>()?.unwrap_or_default();
                }
                "time_to_first_answer_token" => {
                    detail.time_to_first_answer_token = map.next_value()?;
                }
                "inter_token_latencies" => {
                    let gaps: Vec<Option<f32>> = map.next_value()?;
                    detail.inter_token_latencies = gaps
                        .into_iter()
                        .map(|gap| gap.unwrap_or(f32::NAN))
                        .collect();
                    // Reading leaves room for more.
                    detail.inter_token_latencies.shrink_to_fit();
                }
                "inter_token_latencies_dropped" => {
                    detail.inter_token_latencies_dropped = whole(&mut map)?.unwrap_or(0);
                }
                "content_frames" => detail.content_frames = whole(&mut map)?,
                "time_to_connect" => detail.time_to_connect = map.next_value()?,
                "time_to_tls" => detail.time_to_tls = map.next_value()?,
                "time_to_headers" => detail.time_to_headers = map.next_value()?,
                "status" => detail.status = whole(&mut map)?,
                "finish_reason" => detail.finish_reason = map.next_value()?,
                "reasoning_text" => detail.reasoning_text = map.next_value()?,
                "retry_wait" => detail.retry_wait = map.next_value()?,
                "send_lateness" => detail.send_lateness = map.next_value()?,
                "receive_delay" => detail.receive_delay = map.next_value()?,
                "client" => detail.client = whole(&mut map)?,
                "payload_of" => payload_of = map.next_value()?,
                _ if self.is_measuring => {
                    map.next_value::<IgnoredAny>()?;
                }
                _ => {
                    extras.insert(key, map.next_value()?);
                }
            }
        }
        let (kind, phase, status) = (&error_kind, &error_phase, response.detail.status);
        response.error = error
            .map(|message| Failure::from_file(message, kind.as_deref(), phase.as_deref(), status));
        if !extras.is_empty() {
            extras.append(&mut response.annotations);
            response.annotations = extras;
        }
        if let Some(text) = &mut response.response_text {
            text.shrink_to_fit();
        }
        Ok(ReadLine {
            response,
            payload,
            prompt,
            payload_of,
        })
    }
}

/// A whole number or null; `12.0` is whole.
fn whole<'de, A: MapAccess<'de>, T: TryFrom<u64>>(map: &mut A) -> Result<Option<T>, A::Error> {
    let Some(number) = map.next_value::<Option<Number>>()? else {
        return Ok(None);
    };
    let whole = number.as_u64().or_else(|| {
        let float = number.as_f64()?;
        (float >= 0.0 && float.fract() == 0.0).then_some(float as u64)
    });
    match whole.and_then(|whole| T::try_from(whole).ok()) {
        Some(whole) => Ok(Some(whole)),
        None => Err(A::Error::custom(format_args!("{number} is no count"))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn unknown_keys_become_annotations_and_annotations_win() {
        let response = response_from_json(
            r#"{"response_text": "a", "cost_total": 0.5, "x": 1, "annotations": {"x": 2}}"#,
        )
        .unwrap();
        assert_eq!(
            Value::Object(response.annotations),
            json!({"cost_total": 0.5, "x": 2})
        );
    }

    #[test]
    fn a_line_that_is_no_answer_is_an_error() {
        for line in [
            "",
            "[]",
            "{\"id\": \"a\"",
            "{} {}",
            "{\"num_tokens_input\": -1}",
        ] {
            assert!(response_from_json(line).is_err(), "{line}");
        }
    }

    #[test]
    fn counts_may_be_written_as_floats_and_times_as_bare_nan() {
        let response = response_from_json(
            r#"{"num_tokens_input": 12.0, "time_to_last_token": NaN, "annotations": null}"#,
        )
        .unwrap();
        assert_eq!(response.num_tokens_input, Some(12));
        assert_eq!(response.time_to_last_token, None);
    }

    #[test]
    fn equal_payloads_and_prompts_are_shared() {
        let mut reader = LineReader::keeping_all();
        let line = br#"{"input_payload": {"a": [1]}, "input_prompt": "p"}"#;
        let first = reader.read(line).unwrap();
        let second = reader.read(line).unwrap();
        let payloads = [first.input_payload.unwrap(), second.input_payload.unwrap()];
        assert!(Arc::ptr_eq(&payloads[0], &payloads[1]));
        let prompts = [first.input_prompt.unwrap(), second.input_prompt.unwrap()];
        assert!(Arc::ptr_eq(&prompts[0], &prompts[1]));
    }

    #[test]
    fn a_payload_whose_line_is_lost_is_counted() {
        let mut reader = LineReader::keeping_all();
        let response = reader.read(br#"{"payload_of": "gone"}"#).unwrap();
        assert_eq!(response.input_payload, None);
        assert_eq!(reader.unresolved(), 1);
    }
}
