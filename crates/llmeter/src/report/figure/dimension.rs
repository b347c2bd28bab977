//! What can be drawn of each response: a field of the table, or an annotation.

use serde_json::Value;

use super::values::succeeded;
use super::{number_axis, seconds_axis, text};
use crate::base::error::{Error, Result};
use crate::endpoint::{FieldValue, ResponseField};
use crate::{InvocationResponse, RunResult};

/// A number that responses have: a field of [`InvocationResponse::FIELDS`] in seconds or a count, or a
/// numeric annotation.
#[derive(Debug, Clone)]
pub struct Dimension {
    key: String,
    field: Option<&'static ResponseField>,
}

impl Dimension {
    /// The dimension of this name in a run.
    ///
    /// # Errors
    /// If it is neither a field with numbers nor a numeric annotation of one of the run's responses.
    pub fn named(result: &RunResult, key: &str) -> Result<Self> {
        let one = Self {
            key: key.to_owned(),
            field: ResponseField::named(key),
        };
        let is_known = match one.field {
            Some(field) => is_number(field.get(&InvocationResponse::default())),
            None => result
                .responses
                .iter()
                .any(|response| one.of(response).is_some()),
        };
        if is_known {
            return Ok(one);
        }
        let blank = InvocationResponse::default();
        let fields = InvocationResponse::FIELDS.iter();
        let fields: Vec<_> = fields
            .filter(|field| is_number(field.get(&blank)))
            .map(|field| field.key)
            .collect();
        let expected = format!(
            "an annotation with numbers that a response has, or one of {}",
            fields.join(", ")
        );
        Err(Error::field("dimension", key, expected))
    }

    /// Its name in files.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// What a response has.
    pub fn of(&self, response: &InvocationResponse) -> Option<f64> {
        let value = match self.field.map(|field| field.get(response)) {
            Some(FieldValue::Seconds(seconds)) => seconds,
            Some(FieldValue::Count(count)) => count.map(|count| count as f64),
            Some(_) => None,
            None => response.annotations.get(&self.key).and_then(Value::as_f64),
        };
        value.filter(|value| value.is_finite())
    }

    /// Whether it is a time in seconds.
    pub fn is_time(&self) -> bool {
        let blank = InvocationResponse::default();
        let value = self.field.map(|field| field.get(&blank));
        matches!(value, Some(FieldValue::Seconds(_)))
    }

    /// Its name for people: `Time to first token`, `Output tokens`.
    pub fn title(&self) -> String {
        let words = match self.key.strip_prefix("num_tokens_") {
            Some(which) if self.field.is_some() => format!("{which} tokens"),
            _ => self.key.clone(),
        };
        let words = text(&words.replace('_', " "));
        let mut letters = words.chars();
        let first = letters.next().into_iter().flat_map(char::to_uppercase);
        first.chain(letters).collect()
    }

    /// The axis that it is drawn on.
    pub(super) fn axis(&self) -> Value {
        match self.is_time() {
            true => seconds_axis(&self.title()),
            false => number_axis(&self.title()),
        }
    }
}

fn is_number(value: FieldValue<'_>) -> bool {
    matches!(value, FieldValue::Seconds(_) | FieldValue::Count(_))
}

/// The values of a field over the successful responses of a run.
pub(crate) fn dimension_values(result: &RunResult, key: &str) -> impl Iterator<Item = f64> {
    let dimension = Dimension::named(result, key).ok();
    succeeded(result).filter_map(move |one| dimension.as_ref()?.of(one))
}

/// The values of two fields over the successful responses of a run that have both.
pub(crate) fn dimension_pairs(result: &RunResult, x: &str, y: &str) -> Vec<(f64, f64)> {
    let (Ok(x), Ok(y)) = (Dimension::named(result, x), Dimension::named(result, y)) else {
        return Vec::new();
    };
    succeeded(result)
        .filter_map(|one| Some((x.of(one)?, y.of(one)?)))
        .collect()
}
