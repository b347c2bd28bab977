//! The fields of a response by name: one row each, and their values by kind.

use std::borrow::Cow;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::common_text::common_text;
use super::{
    Annotations, Delivery, InvocationResponse, PackedPath, PathDetail, ScheduleDetail, SharedName,
    TokenSource,
};
use crate::base::failure::Failure;
use crate::payload::Payload;

/// One field of a response: a row of [`InvocationResponse::FIELDS`].
#[derive(Debug)]
pub struct ResponseField {
    /// Its key in a line of `responses.jsonl`.
    pub key: &'static str,
    /// What it means.
    pub doc: &'static str,
    /// The unit of a count.
    pub unit: Option<&'static str>,
    /// Whether it belongs to the Python package's format: always written, null when unset. The
    /// others are left out when unset.
    pub is_contract: bool,
    pub(super) get: fn(&InvocationResponse) -> FieldValue<'_>,
    pub(super) slot: fn(&mut InvocationResponse) -> FieldSlot<'_>,
}

impl ResponseField {
    /// The field of this name.
    pub fn named(key: &str) -> Option<&'static Self> {
        InvocationResponse::FIELDS
            .iter()
            .find(|field| field.key == key)
    }

    /// What a response has in this field.
    pub fn get<'a>(&self, response: &'a InvocationResponse) -> FieldValue<'a> {
        (self.get)(response)
    }

    /// Where a response keeps this field.
    pub(crate) fn slot<'a>(&self, response: &'a mut InvocationResponse) -> FieldSlot<'a> {
        (self.slot)(response)
    }
}

/// The value of a field, by kind. A field has the same kind in every response.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum FieldValue<'a> {
    /// Text.
    Text(Option<&'a str>),
    /// Seconds.
    Seconds(Option<f64>),
    /// A number of things.
    Count(Option<u64>),
    /// Seconds between consecutive events. Unset when empty.
    Gaps(&'a [f32]),
    /// A point in time.
    Time(Option<Timestamp>),
    /// Any JSON.
    Json(Option<&'a Value>),
    /// What was sent.
    Payload(Option<&'a Payload>),
    /// Names and their values.
    Annotations(&'a Map<String, Value>),
}

impl FieldValue<'_> {
    /// Whether there is a value.
    pub fn is_set(&self) -> bool {
        match self {
            Self::Text(value) => value.is_some(),
            Self::Seconds(value) => value.is_some(),
            Self::Count(value) => value.is_some(),
            Self::Gaps(gaps) => !gaps.is_empty(),
            Self::Time(value) => value.is_some(),
            Self::Json(value) => value.is_some(),
            Self::Payload(value) => value.is_some(),
            Self::Annotations(_) => true,
        }
    }
}

/// Where a response keeps a field, by kind.
pub(crate) enum FieldSlot<'a> {
    Text(&'a mut dyn TextSlot),
    Seconds(&'a mut Option<f64>),
    Count(&'a mut dyn CountSlot),
    Gaps(&'a mut Vec<f32>),
    Time(&'a mut Option<Timestamp>),
    Json(&'a mut Option<Arc<Value>>),
    Payload(&'a mut Option<Arc<Payload>>),
    Annotations(&'a mut Annotations),
    Delivery(&'a mut Option<Delivery>),
    Schedule(PartSlot<'a, ScheduleDetail, f64>),
    PathTime(PathSlot<'a, f64>),
    PathCount(PathSlot<'a, u32>),
    /// The parts of a failure are put together when all of them are read.
    Failure(FailurePart),
}

/// Where a response keeps a value of a part that many do not have.
pub(crate) struct PartSlot<'a, P, V> {
    pub(super) part: &'a mut Option<Box<P>>,
    pub(super) field: fn(&mut P) -> &mut Option<V>,
}

impl<P: Default, V> PartSlot<'_, P, V> {
    /// Takes the value.
    pub(crate) fn set(self, value: Option<V>) {
        if value.is_some() || self.part.is_some() {
            *(self.field)(self.part.get_or_insert_default()) = value;
        }
    }
}

/// Where a response keeps a value of its path.
pub(crate) struct PathSlot<'a, V> {
    pub(super) path: &'a mut PackedPath,
    pub(super) field: fn(&mut PathDetail) -> &mut Option<V>,
}

impl<V> PathSlot<'_, V> {
    /// Takes the value.
    pub(crate) fn set(self, value: Option<V>) {
        let mut path = self.path.get();
        *(self.field)(&mut path) = value;
        *self.path = path.into();
    }
}

impl<'a> From<PathSlot<'a, f64>> for FieldSlot<'a> {
    fn from(slot: PathSlot<'a, f64>) -> Self {
        Self::PathTime(slot)
    }
}

impl<'a> From<PathSlot<'a, u32>> for FieldSlot<'a> {
    fn from(slot: PathSlot<'a, u32>) -> Self {
        Self::PathCount(slot)
    }
}

/// A field that a failure consists of.
pub(crate) enum FailurePart {
    Message,
    Kind,
    Phase,
}

/// A text of any type.
pub(crate) trait TextSlot {
    /// Takes the text.
    fn set(&mut self, text: Option<String>);

    /// Hides secrets in it, if it is foreign.
    fn redact(&mut self, hide: Hide<'_>);
}

/// Hides the secrets of requests in a foreign text.
pub(crate) type Hide<'h> = &'h dyn for<'t> Fn(&'t str) -> Cow<'t, str>;

/// Hides secrets in a text. One without any stays where it is.
fn redact_text(text: &mut String, hide: Hide<'_>) {
    if let Cow::Owned(shown) = hide(text) {
        *text = shown;
    }
}

/// The same in all texts of a JSON value, names of fields included.
fn redact_json(value: &mut Value, hide: Hide<'_>) {
    match value {
        Value::String(text) => redact_text(text, hide),
        Value::Array(items) => items.iter_mut().for_each(|item| redact_json(item, hide)),
        Value::Object(fields) => redact_fields(fields, hide),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn redact_fields(fields: &mut Map<String, Value>, hide: Hide<'_>) {
    let is_foreign = |name: &String| matches!(hide(name), Cow::Owned(_));
    if fields.keys().any(is_foreign) {
        let named = |(name, value): (String, Value)| (hide(&name).into_owned(), value);
        *fields = std::mem::take(fields).into_iter().map(named).collect();
    }
    fields
        .values_mut()
        .for_each(|value| redact_json(value, hide));
}

impl InvocationResponse {
    /// Hides secrets in everything that came from the server.
    pub(crate) fn redact(&mut self, hide: Hide<'_>) {
        for field in Self::FIELDS {
            match field.slot(self) {
                FieldSlot::Text(text) => text.redact(hide),
                FieldSlot::Annotations(annotations) => {
                    if let Some(fields) = annotations.filled() {
                        redact_fields(fields, hide);
                    }
                }
                // What was sent is the user's.
                FieldSlot::Json(_) | FieldSlot::Payload(_) => {}
                FieldSlot::Failure(FailurePart::Message) => {
                    if let Some(error) = &mut self.error {
                        error.redact(hide);
                    }
                }
                FieldSlot::Failure(_)
                | FieldSlot::Seconds(_)
                | FieldSlot::Count(_)
                | FieldSlot::Gaps(_)
                | FieldSlot::Time(_)
                | FieldSlot::Schedule(_)
                | FieldSlot::PathTime(_)
                | FieldSlot::PathCount(_)
                | FieldSlot::Delivery(_) => {}
            }
        }
    }

    /// Drops everything that came from the server.
    pub(crate) fn forget_texts(&mut self) {
        for field in Self::FIELDS {
            match field.slot(self) {
                FieldSlot::Text(text) => text.set(None),
                FieldSlot::Annotations(annotations) => annotations.clear(),
                _ => {}
            }
        }
        self.error = None;
    }
}

impl TextSlot for Option<String> {
    fn set(&mut self, text: Option<String>) {
        *self = text;
    }

    fn redact(&mut self, hide: Hide<'_>) {
        if let Some(text) = self {
            redact_text(text, hide);
        }
    }
}

impl TextSlot for Option<Arc<str>> {
    fn set(&mut self, text: Option<String>) {
        *self = text.as_deref().map(common_text);
    }

    fn redact(&mut self, hide: Hide<'_>) {
        if let Some(text) = self
            && let Cow::Owned(shown) = hide(text)
        {
            *text = shown.into();
        }
    }
}

impl TextSlot for Option<TokenSource> {
    fn set(&mut self, text: Option<String>) {
        *self = text.as_deref().map(TokenSource::named);
    }

    // The names are llmeter's and the user's.
    fn redact(&mut self, _hide: Hide<'_>) {}
}

impl<'a> From<&'a Option<TokenSource>> for FieldValue<'a> {
    fn from(source: &'a Option<TokenSource>) -> Self {
        Self::Text(source.as_ref().map(TokenSource::as_str))
    }
}

impl<'a> From<&'a mut Option<TokenSource>> for FieldSlot<'a> {
    fn from(source: &'a mut Option<TokenSource>) -> Self {
        Self::Text(source)
    }
}

impl TextSlot for SharedName {
    fn set(&mut self, text: Option<String>) {
        *self = text.map(|text| Self::new(&text)).unwrap_or_default();
    }

    // The names are llmeter's and the user's.
    fn redact(&mut self, _hide: Hide<'_>) {}
}

impl From<&SharedName> for FieldValue<'_> {
    fn from(name: &SharedName) -> Self {
        Self::Text(name.as_str())
    }
}

impl<'a> From<&'a mut SharedName> for FieldSlot<'a> {
    fn from(name: &'a mut SharedName) -> Self {
        Self::Text(name)
    }
}

/// A count of any width.
pub(crate) trait CountSlot {
    /// Takes the count; `false` if it is too large.
    fn set(&mut self, count: Option<u64>) -> bool;
}

macro_rules! counts {
    ($($type:ty),+) => {$(
        impl CountSlot for Option<$type> {
            fn set(&mut self, count: Option<u64>) -> bool {
                let narrow = count.map(<$type>::try_from).transpose();
                narrow.map(|narrow| *self = narrow).is_ok()
            }
        }
        impl From<&Option<$type>> for FieldValue<'_> {
            fn from(value: &Option<$type>) -> Self {
                (*value).into()
            }
        }
        impl From<Option<$type>> for FieldValue<'_> {
            fn from(value: Option<$type>) -> Self {
                Self::Count(value.map(u64::from))
            }
        }
        impl<'a> From<&'a mut Option<$type>> for FieldSlot<'a> {
            fn from(value: &'a mut Option<$type>) -> Self {
                Self::Count(value)
            }
        }
    )+};
}

counts!(u16, u32, u64);

/// A count that is unset when it is 0.
impl CountSlot for u32 {
    fn set(&mut self, count: Option<u64>) -> bool {
        let narrow = Self::try_from(count.unwrap_or(0));
        narrow.map(|narrow| *self = narrow).is_ok()
    }
}

impl From<&u32> for FieldValue<'_> {
    fn from(value: &u32) -> Self {
        Self::Count((*value > 0).then_some(u64::from(*value)))
    }
}

impl<'a> From<&'a mut u32> for FieldSlot<'a> {
    fn from(value: &'a mut u32) -> Self {
        Self::Count(value)
    }
}

impl<'a> From<&'a Option<Failure>> for FieldValue<'a> {
    fn from(failure: &'a Option<Failure>) -> Self {
        Self::Text(failure.as_ref().map(Failure::message))
    }
}

impl<'a> From<&'a mut Option<Failure>> for FieldSlot<'a> {
    fn from(_: &'a mut Option<Failure>) -> Self {
        Self::Failure(FailurePart::Message)
    }
}

impl From<&Option<Delivery>> for FieldValue<'_> {
    fn from(delivery: &Option<Delivery>) -> Self {
        Self::Text(delivery.map(Delivery::as_str))
    }
}

impl<'a> From<&'a mut Option<Delivery>> for FieldSlot<'a> {
    fn from(delivery: &'a mut Option<Delivery>) -> Self {
        Self::Delivery(delivery)
    }
}

impl From<Option<f64>> for FieldValue<'_> {
    fn from(value: Option<f64>) -> Self {
        Self::Seconds(value)
    }
}

macro_rules! kinds {
    ($($kind:ident($type:ty) by $get:expr;)+) => {$(
        impl<'a> From<&'a $type> for FieldValue<'a> {
            fn from(value: &'a $type) -> Self {
                let get: fn(&'a $type) -> _ = $get;
                Self::$kind(get(value))
            }
        }
        impl<'a> From<&'a mut $type> for FieldSlot<'a> {
            fn from(value: &'a mut $type) -> Self {
                Self::$kind(value)
            }
        }
    )+};
}

kinds! {
    Text(Option<String>) by |text| text.as_deref();
    Text(Option<Arc<str>>) by |text| text.as_deref();
    Seconds(Option<f64>) by |seconds| *seconds;
    Gaps(Vec<f32>) by |gaps| gaps;
    Time(Option<Timestamp>) by |time| *time;
    Json(Option<Arc<Value>>) by |json| json.as_deref();
    Payload(Option<Arc<Payload>>) by |payload| payload.as_deref();
    Annotations(Annotations) by |annotations| &**annotations;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::failure::FailureKind;
    use serde_json::json;

    #[test]
    fn every_foreign_text_of_a_response_is_redacted_or_forgotten() {
        let mut response = InvocationResponse::default();
        for field in InvocationResponse::FIELDS {
            if let FieldSlot::Text(text) = field.slot(&mut response) {
                text.set(Some("a geheim".to_owned()));
            }
        }
        let annotations = json!({"geheim": [{"x geheim": "geheim"}, 1], "b": {"c": "geheim"}});
        response.annotations = annotations.as_object().unwrap().clone().into();
        response.error = Some(Failure::new(FailureKind::Other, "not geheim"));
        // The user's own.
        response.detail.num_tokens_input_source = None;
        response.detail.num_tokens_output_source = None;
        response.detail.server = SharedName::default();
        response.detail.transport_end = SharedName::default();
        response.detail.workload = SharedName::default();

        let mut forgotten = response.clone();
        forgotten.forget_texts();
        assert!(
            !format!("{forgotten:?}").contains("geheim"),
            "{forgotten:?}"
        );

        fn hide(text: &str) -> Cow<'_, str> {
            match text.contains("geheim") {
                true => text.replace("geheim", "<redacted>").into(),
                false => text.into(),
            }
        }
        response.redact(&hide);
        assert!(!format!("{response:?}").contains("geheim"), "{response:?}");
        assert_eq!(response.error_text(), Some("not <redacted>"));
        assert_eq!(response.response_text.as_deref(), Some("a <redacted>"));
        assert_eq!(
            response.detail.finish_reason.as_deref(),
            Some("a <redacted>")
        );
        assert_eq!(
            response.annotations["<redacted>"][0]["x <redacted>"],
            "<redacted>"
        );
    }
}
