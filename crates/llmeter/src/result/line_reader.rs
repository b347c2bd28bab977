//! A line of `responses.jsonl` as a response.

mod plain;

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::line_writer::PAYLOAD_OF;
use super::{datetime, json};
use crate::InvocationResponse;
use crate::api::{CountSlot, Delivery, FieldSlot, ResponseField};
use crate::base::failure::Failure;
use crate::payload::{Payload, marked_within};

const FIELDS: &[ResponseField] = InvocationResponse::FIELDS;

/// A response from one line of `responses.jsonl`, of this or an older format.
///
/// Keys that are not known go into `annotations`, where keys that are already there win.
///
/// # Errors
/// If the line is not a JSON object, or a known key holds what it cannot hold.
pub fn response_from_json(line: &str) -> serde_json::Result<InvocationResponse> {
    LineReader::keeping_all().read(line.as_bytes())
}

/// The keys that hold what was sent, in the order of a line.
const SENT: [&str; 2] = ["input_payload", "input_prompt"];

/// A payload and its prompt.
type Sent = (Option<Arc<Payload>>, Option<Arc<Value>>);

/// Reads lines in order: finds the payloads that lines refer to, and shares equal ones.
#[derive(Debug, Default)]
pub(crate) struct LineReader {
    /// Whether only what enters statistics is wanted.
    is_measuring: bool,
    /// Whether annotations are wanted all the same.
    keeps_annotations: bool,
    /// What a line's id stands for as `payload_of`.
    heads: HashMap<String, Sent>,
    payloads: Sharing<Payload>,
    prompts: Sharing<Value>,
    plain: plain::Memory,
    unresolved: usize,
}

impl LineReader {
    /// A reader that keeps everything.
    pub(crate) fn keeping_all() -> Self {
        Self::default()
    }

    /// A reader for responses that are not kept: it remembers of payloads only what lines refer to.
    pub(crate) fn passing_on() -> Self {
        Self {
            payloads: Sharing::off(),
            prompts: Sharing::off(),
            ..Self::default()
        }
    }

    /// A reader that leaves out texts and payloads.
    pub(crate) fn measuring() -> Self {
        Self {
            is_measuring: true,
            ..Self::default()
        }
    }

    /// A reader that leaves out texts and payloads, but keeps annotations.
    pub(crate) fn merging() -> Self {
        Self {
            is_measuring: true,
            keeps_annotations: true,
            ..Self::default()
        }
    }

    /// How many lines referred to a payload that no line before them had.
    pub(crate) fn unresolved(&self) -> usize {
        self.unresolved
    }

    pub(crate) fn read(&mut self, line: &[u8]) -> serde_json::Result<InvocationResponse> {
        self.read_with_head(line).map(|(response, _)| response)
    }

    /// A response, and, of a reader that measures, the id of the line that carries its payload.
    pub(super) fn read_with_head(
        &mut self,
        line: &[u8],
    ) -> serde_json::Result<(InvocationResponse, Option<String>)> {
        let kept = match self.is_measuring {
            true => None,
            false => Some((&mut self.payloads, &mut self.prompts)),
        };
        let mut parts = match plain::read(line, &mut self.plain, kept, self.keeps_annotations) {
            Some(parts) => parts,
            None => self.parse(line)?,
        };
        let payload_of = parts.payload_of.take();
        let mut response = parts.finished();
        if self.is_measuring {
            return Ok((response, payload_of));
        }
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
        Ok((response, None))
    }

    /// Reads any line.
    fn parse(&mut self, line: &[u8]) -> serde_json::Result<LineParts> {
        let seed = LineSeed {
            is_measuring: self.is_measuring,
            keeps_annotations: self.keeps_annotations,
        };
        let mut parts = json::read_with(line, |text| {
            // Numbers of a payload may be none that Rust has.
            let marked = match std::str::from_utf8(text) {
                Ok(text) if !seed.is_measuring => marked_within(text, &SENT),
                _ => Cow::Borrowed(""),
            };
            let text = match &marked {
                Cow::Owned(marked) => marked.as_bytes(),
                Cow::Borrowed(_) => text,
            };
            let mut deserializer = serde_json::Deserializer::from_slice(text);
            let read = seed.deserialize(&mut deserializer)?;
            deserializer.end()?;
            Ok(read)
        })?;
        self.payloads.share(&mut parts.response.input_payload);
        self.prompts.share(&mut parts.response.input_prompt);
        Ok(parts)
    }
}

/// Values of which equal ones are kept once.
#[derive(Debug)]
struct Sharing<T> {
    known: HashSet<Arc<T>>,
    is_off: bool,
}

impl<T> Default for Sharing<T> {
    fn default() -> Self {
        Self {
            known: HashSet::new(),
            is_off: false,
        }
    }
}

impl<T: Eq + std::hash::Hash> Sharing<T> {
    fn off() -> Self {
        Self {
            is_off: true,
            ..Self::default()
        }
    }

    /// Replaces a value by an equal one that was there before.
    fn share(&mut self, value: &mut Option<Arc<T>>) {
        if let Some(value) = value.as_mut().filter(|_| !self.is_off) {
            match self.known.get(value) {
                Some(shared) => value.clone_from(shared),
                None => _ = self.known.insert(value.clone()),
            }
        }
    }
}

/// What a line says, before it is put together.
#[derive(Debug, Default)]
struct LineParts {
    response: InvocationResponse,
    /// Message, kind and phase.
    failure: [Option<String>; 3],
    extras: Map<String, Value>,
    /// The id of the line that carries the payload.
    payload_of: Option<String>,
}

impl LineParts {
    fn finished(self) -> InvocationResponse {
        let mut response = self.response;
        let [message, kind, phase] = self.failure;
        let status = response.detail.status;
        response.error = message
            .map(|message| Failure::from_file(message, kind.as_deref(), phase.as_deref(), status));
        let mut extras = self.extras;
        if !extras.is_empty() {
            extras.extend(response.annotations.into_map());
            response.annotations = extras.into();
        }
        if let Some(text) = &mut response.response_text {
            text.shrink_to_fit();
        }
        response
    }
}

#[derive(Clone, Copy)]
struct LineSeed {
    is_measuring: bool,
    keeps_annotations: bool,
}

impl<'de> DeserializeSeed<'de> for LineSeed {
    type Value = LineParts;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<LineParts, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for LineSeed {
    type Value = LineParts;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a response as a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<LineParts, A::Error> {
        let mut parts = LineParts::default();
        let mut expected = 0;
        while let Some(key) = map.next_key_seed(KeySeed { expected })? {
            match key {
                Key::Field(index) => {
                    expected = index + 1;
                    let slot = FIELDS[index].slot(&mut parts.response);
                    self.read_field(slot, &mut parts.failure, &mut map)?;
                }
                Key::PayloadOf => parts.payload_of = map.next_value()?,
                Key::Other(_) if self.is_measuring && !self.keeps_annotations => {
                    _ = map.next_value::<IgnoredAny>()?
                }
                Key::Other(key) => _ = parts.extras.insert(key, map.next_value()?),
            }
        }
        Ok(parts)
    }
}

impl LineSeed {
    fn read_field<'de, A: MapAccess<'de>>(
        self,
        slot: FieldSlot<'_>,
        failure: &mut [Option<String>; 3],
        map: &mut A,
    ) -> Result<(), A::Error> {
        match slot {
            FieldSlot::Text(_) | FieldSlot::Json(_) | FieldSlot::Payload(_)
                if self.is_measuring =>
            {
                map.next_value::<IgnoredAny>()?;
            }
            FieldSlot::Annotations(_) if self.is_measuring && !self.keeps_annotations => {
                map.next_value::<IgnoredAny>()?;
            }
            FieldSlot::Text(text) => text.set(map.next_value()?),
            FieldSlot::Seconds(seconds) => *seconds = map.next_value()?,
            FieldSlot::Schedule(place) => place.set(map.next_value()?),
            FieldSlot::Count(count) => read_count(count, map)?,
            FieldSlot::Gaps(kept) => {
                let gaps: Vec<Option<f32>> = map.next_value()?;
                *kept = gaps
                    .into_iter()
                    .map(|gap| gap.unwrap_or(f32::NAN))
                    .collect();
                // Reading leaves room for more.
                kept.shrink_to_fit();
            }
            FieldSlot::Time(time) => {
                let text: Option<String> = map.next_value()?;
                *time = text.as_deref().and_then(datetime::from_text);
            }
            FieldSlot::Json(json) => *json = map.next_value::<Option<_>>()?.map(Arc::new),
            FieldSlot::Payload(payload) => *payload = map.next_value::<Option<_>>()?.map(Arc::new),
            FieldSlot::Annotations(annotations) => {
                let read: Option<Map<String, Value>> = map.next_value()?;
                *annotations = read.unwrap_or_default().into();
            }
            FieldSlot::Delivery(delivery) => {
                let name: Option<String> = map.next_value()?;
                *delivery = name.as_deref().and_then(Delivery::from_name);
            }
            FieldSlot::Failure(part) => failure[part as usize] = map.next_value()?,
        }
        Ok(())
    }
}

enum Key {
    /// The place of a field in the table.
    Field(usize),
    PayloadOf,
    Other(String),
}

/// Recognises a key without copying it. Lines mostly have fields in the table's order.
struct KeySeed {
    /// The place of the field that may come next.
    expected: usize,
}

impl<'de> DeserializeSeed<'de> for KeySeed {
    type Value = Key;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Key, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for KeySeed {
    type Value = Key;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Key, E> {
        let mut places = (self.expected..FIELDS.len()).chain(0..self.expected);
        Ok(match places.find(|&place| FIELDS[place].key == key) {
            Some(place) => Key::Field(place),
            None if key == PAYLOAD_OF => Key::PayloadOf,
            None => Key::Other(key.to_owned()),
        })
    }
}

/// Reads a count or null; `12.0` is a count.
fn read_count<'de, A: MapAccess<'de>>(
    slot: &mut dyn CountSlot,
    map: &mut A,
) -> Result<(), A::Error> {
    let Some(number) = map.next_value::<Option<Number>>()? else {
        slot.set(None);
        return Ok(());
    };
    let count = number.as_u64().or_else(|| {
        let float = number.as_f64()?;
        (float >= 0.0 && float.fract() == 0.0).then_some(float as u64)
    });
    match count {
        Some(count) if slot.set(Some(count)) => Ok(()),
        _ => Err(A::Error::custom(format_args!("{number} is no count"))),
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
            Value::Object(response.annotations.into_map()),
            json!({"cost_total": 0.5, "x": 2})
        );
    }

    #[test]
    fn a_line_that_is_no_response_is_an_error() {
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
