//! What servers say of failures, in the shapes of many APIs.

use std::borrow::Cow;
use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, MapAccess};
use serde_json::Value;

use super::ResponseBuilder;
use super::lenient::{Accept, Text, accept};
use crate::base::failure::{FailureKind, Outlook};
use crate::base::server_text::{excerpt, lenient_json};

/// What a server says about a failure.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
pub(crate) struct ErrorReport<'a> {
    pub(crate) message: Text<'a>,
    #[serde(rename = "type")]
    pub(crate) kind: Text<'a>,
    pub(crate) code: Text<'a>,
}

impl fmt::Display for ErrorReport<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let message = self.message.as_str().map(str::trim).unwrap_or_default();
        match (message, &self.message) {
            ("", Text::Other) => {
                f.write_str("the server reported an error without a readable text")?
            }
            ("", _) => f.write_str("the server reported an error without a text")?,
            (text, _) => f.write_str(text)?,
        }
        match (self.kind.non_empty(), self.code.non_empty()) {
            (Some(kind), Some(code)) if kind != code => write!(f, " (type {kind}, code {code})"),
            (Some(kind), _) => write!(f, " (type {kind})"),
            (None, Some(code)) => write!(f, " (code {code})"),
            (None, None) => Ok(()),
        }
    }
}

/// The field `error`: an object, a text, or nothing.
#[derive(Debug, Default)]
pub(crate) struct ErrorField<'a>(pub(crate) Option<ErrorReport<'a>>);

impl<'de: 'a, 'a> Accept<'de> for ErrorField<'a> {
    fn other() -> Self {
        ErrorField(Some(ErrorReport {
            message: Text::Other,
            ..ErrorReport::default()
        }))
    }
    fn nothing() -> Self {
        ErrorField(None)
    }
    fn text(text: Cow<'de, str>) -> Self {
        ErrorField((!text.is_empty()).then(|| ErrorReport {
            message: Text::Is(text),
            ..ErrorReport::default()
        }))
    }
    fn truth(truth: bool) -> Self {
        if truth {
            Self::other()
        } else {
            Self::nothing()
        }
    }
    fn object<A: MapAccess<'de>>(map: A) -> Result<Self, A::Error> {
        ErrorReport::deserialize(MapAccessDeserializer::new(map)).map(|report| Self(Some(report)))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for ErrorField<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        accept::<Self, D>(from)
    }
}

/// The server's own words in the body of a failure, if it has one of the usual shapes:
/// `{"error": {"message", "type", "code"}}`, `{"error": "…"}`, `{"message": "…"}`,
/// `{"detail": "…"}`, and FastAPI's list of details.
pub(crate) fn error_text(body: &[u8]) -> Option<String> {
    let value = lenient_json(body).ok()?;
    let value = match &value {
        Value::Array(list) => list.first()?,
        other => other,
    };
    let object = value.as_object()?;
    let report = |value: &Value| {
        let report = ErrorReport::deserialize(value).ok()?;
        report
            .message
            .non_empty()
            .is_some()
            .then(|| report.to_string())
    };
    match object.get("error") {
        Some(Value::String(text)) if !text.is_empty() => return Some(text.clone()),
        Some(error @ Value::Object(fields)) => {
            return report(error).or_else(|| {
                // Some other shape within `error`: its JSON says more than nothing.
                (!fields.is_empty()).then(|| excerpt(error.to_string().as_bytes()))
            });
        }
        _ => {}
    }
    if let Some(text) = report(value) {
        return Some(text);
    }
    match object.get("detail")? {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Array(details) => {
            let texts: Vec<String> = details.iter().filter_map(detail_text).collect();
            (!texts.is_empty()).then(|| texts.join("; "))
        }
        detail @ Value::Object(_) => report(detail),
        _ => None,
    }
}

/// The server's own words in an error event of a stream.
pub(super) fn event_error(data: &[u8]) -> String {
    error_text(data).unwrap_or_else(|| match excerpt(data) {
        text if text.is_empty() => "the server sent an error event without a text".into(),
        text => text,
    })
}

/// Codes of failures that do not pass by themselves, as APIs write them in a response that had begun as a
/// success.
const LASTING: [&str; 20] = [
    "invalid_api_key",
    "authentication_error",
    "unauthenticated",
    "unauthorized",
    "permission_error",
    "permission_denied",
    "forbidden",
    "account_deactivated",
    "billing_not_active",
    "insufficient_quota",
    "model_not_found",
    "not_found_error",
    "not_found",
    "unrecognizedclientexception",
    "accessdeniedexception",
    "expiredtokenexception",
    "resourcenotfoundexception",
    "401",
    "403",
    "404",
];
/// Codes of failures that every request with the same payload meets.
const OF_PAYLOAD: [&str; 8] = [
    "invalid_request_error",
    "context_length_exceeded",
    "invalid_argument",
    "validationexception",
    "request_too_large",
    "400",
    "413",
    "422",
];

/// Whether the next request may fare better by the code of a failure: that of a frame's event, or in its
/// JSON. `None` if there is none that is known.
pub(crate) fn outlook(event: Option<&str>, data: &[u8]) -> Option<Outlook> {
    let known = |code: &str| {
        let code = code.to_ascii_lowercase();
        match &*code {
            code if LASTING.contains(&code) => Some(Outlook::Lasting),
            code if OF_PAYLOAD.contains(&code) => Some(Outlook::OfPayload),
            _ => None,
        }
    };
    let value = lenient_json(data).unwrap_or_default();
    let value = value
        .as_array()
        .map_or(&value, |list| list.first().unwrap_or(&Value::Null));
    let places = [&value["error"], &value["response"]["error"], value];
    // The most exact first: a wrong key is an `invalid_request_error` by its type.
    let codes = ["code", "status", "type"].into_iter().flat_map(|field| {
        places
            .iter()
            .filter_map(move |place| match place.get(field)? {
                Value::String(code) => Some(code.clone()),
                Value::Number(code) => Some(code.to_string()),
                _ => None,
            })
    });
    codes
        .chain(event.map(str::to_owned))
        .find_map(|code| known(&code))
}

/// One of FastAPI's details: `{"loc": ["body", "messages"], "msg": "field required"}`.
fn detail_text(detail: &Value) -> Option<String> {
    let message = detail.get("msg")?.as_str()?;
    let place = detail["loc"].as_array().into_iter().flatten();
    let place = place.map(|step| {
        step.as_str()
            .map_or_else(|| step.to_string(), str::to_owned)
    });
    let place = place.collect::<Vec<_>>().join(".");
    Some(match &*place {
        "" => message.to_owned(),
        place => format!("{place}: {message}"),
    })
}

/// A non-streaming response's JSON; what is wrong with it becomes the response's error.
pub(super) fn response_json(body: &[u8], response: &mut ResponseBuilder) -> Option<Value> {
    if body.trim_ascii().is_empty() {
        response.fail(FailureKind::Empty, "the server's response is empty");
        return None;
    }
    let invalid = |reason| {
        let reason = format_args!("the server's response is not valid JSON: {reason}");
        response.malformed(reason, body);
    };
    lenient_json(body).map_err(invalid).ok()
}
