//! A response's fields by name.

use serde_json::{Map, Value};

use super::datetime;
use crate::InvocationResponse;
use crate::endpoint::{FieldValue, ResponseField};
use crate::stats::{GAP_STEPS, gap_seconds, gap_steps};

impl InvocationResponse {
    /// The response as a JSON object, as a line of `responses.jsonl` has it.
    pub fn to_map(&self) -> Map<String, Value> {
        Self::FIELDS
            .iter()
            .map(|field| (field, field.get(self)))
            .filter(|(field, value)| field.is_contract || value.is_set())
            .map(|(field, value)| (field.key.to_owned(), value.to_json()))
            .collect()
    }

    /// One field by its name on disk, null where unset; `None` if there is no such field.
    pub fn dimension(&self, name: &str) -> Option<Value> {
        Some(ResponseField::named(name)?.get(self).to_json())
    }
}

/// A gap as its line has it: whole seconds are whole numbers.
fn gap_to_json(gap: f32) -> Value {
    match i64::try_from(gap_steps(gap)) {
        _ if !gap.is_finite() => Value::Null,
        Ok(steps) if steps % (GAP_STEPS as i64) == 0 => (steps / GAP_STEPS as i64).into(),
        _ => gap_seconds(gap).into(),
    }
}

impl FieldValue<'_> {
    /// As JSON has it, null where unset.
    pub fn to_json(&self) -> Value {
        match *self {
            Self::Text(text) => text.into(),
            Self::Seconds(seconds) => seconds.into(),
            Self::Count(count) => count.into(),
            Self::Gaps(gaps) => gaps.iter().map(|&gap| gap_to_json(gap)).collect(),
            Self::Time(time) => time.map(datetime::to_text).into(),
            Self::Json(json) => json.cloned().into(),
            Self::Payload(payload) => payload.cloned().into(),
            Self::Annotations(annotations) => annotations.clone().into(),
        }
    }
}
