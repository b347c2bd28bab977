//! Errors as AWS reports them, and what to do about those that are the user's to mend.

use std::fmt::Write as _;

use serde_json::Value;

use super::{bare_kind, is_throttle};
use crate::base::server_text::{excerpt, lenient_json};
use llmeter_wire::{ResponseHead, clock};

/// The header in which AWS names the type of an error.
pub(crate) const ERROR_TYPE: &str = "x-amzn-errortype";

/// The id that AWS gave a request.
pub(crate) fn request_id(head: &ResponseHead) -> Option<&str> {
    head.header("x-amzn-requestid")
}

/// What the head of a response says of an error.
#[derive(Debug, Clone, Default)]
pub(crate) struct Refusal {
    kind: Option<String>,
    date: Option<String>,
    /// What a call that is no part of a measurement has to be allowed, like `pricing:GetProducts`.
    permission: Option<String>,
}

impl Refusal {
    pub(crate) fn of(head: &ResponseHead) -> Self {
        Self {
            kind: head.header(ERROR_TYPE).map(str::to_owned),
            date: head.header("date").map(str::to_owned),
            permission: None,
        }
    }

    /// That of a call that is no part of a measurement, and needs this permission.
    pub(crate) fn of_call(self, permission: String) -> Self {
        Self {
            permission: Some(permission),
            ..self
        }
    }

    /// The server's words in the body of an error status, and what to do:
    /// `ThrottlingException: Too many requests (…)`.
    pub(crate) fn message(&self, body: &[u8]) -> Option<String> {
        let value = lenient_json(body).ok();
        let kind = self.kind_in(&value);
        let message = message(&value);
        if kind.is_none() && message.is_none() {
            return None;
        }
        let mut text = match (kind, message) {
            (Some(kind), Some(message)) => format!("{kind}: {message}"),
            (Some(kind), None) => match excerpt(body) {
                body if body.is_empty() => kind.to_owned(),
                body => format!("{kind}: {body}"),
            },
            (None, message) => message.unwrap_or_default().to_owned(),
        };
        let kind = kind.unwrap_or_default();
        let of_call = self
            .permission
            .as_deref()
            .and_then(|permission| call_remedy(kind, permission));
        let remedy = of_call.or_else(|| remedy(kind, &text, self.clock_error()));
        if let Some(remedy) = remedy {
            let _ = write!(text, " ({remedy})");
        }
        Some(text)
    }

    /// The same of a body that stands in the place of a response, if it is an exception and none.
    pub(crate) fn exception(&self, body: &[u8]) -> Option<String> {
        let value = lenient_json(body).ok();
        let fields = value.as_ref()?.as_object()?;
        let is_named = self.kind.is_some() || fields.contains_key("__type");
        // Some say nothing but what is wrong.
        let is_bare = fields.len() == 1 && !fields.contains_key("error");
        let is_bare = is_bare && message(&value).is_some();
        (is_named || is_bare).then(|| self.message(body)).flatten()
    }

    /// The name of the error if it says that there were too many requests.
    pub(crate) fn throttle(&self, body: &[u8]) -> Option<String> {
        let value = lenient_json(body).ok();
        let kind = self.kind_in(&value).filter(|kind| is_throttle(kind));
        kind.map(str::to_owned)
    }

    /// The name of the error, which the head says, or the body.
    fn kind_in<'v>(&'v self, body: &'v Option<Value>) -> Option<&'v str> {
        let field = |name: &str| body.as_ref()?.get(name)?.as_str().map(str::trim);
        let kind = self.kind.as_deref().or_else(|| field("__type"));
        let kind = kind.or_else(|| field("code")).map(bare_kind);
        kind.filter(|kind| !kind.is_empty())
    }

    /// Seconds by which this machine's clock is ahead of the server's.
    fn clock_error(&self) -> Option<i64> {
        let date = self.date.as_deref()?;
        let theirs = jiff::fmt::rfc2822::parse(date.trim()).ok()?.timestamp();
        Some(clock::wall().as_second() - theirs.as_second())
    }
}

/// A failure that a stream reports: `Bedrock throttlingException: Too many requests`.
pub(crate) fn exception(service: &str, kind: Option<&str>, data: &[u8]) -> String {
    let value = lenient_json(data).ok();
    let kind = kind.unwrap_or("error");
    let mut text = match message(&value) {
        Some(message) => format!("{service} {kind}: {message}"),
        None => match excerpt(data) {
            data if data.is_empty() => format!("{service} {kind}"),
            data => format!("{service} {kind}: {data}"),
        },
    };
    // What SageMaker's containers say of their own status.
    if let Some(code) = value
        .as_ref()
        .and_then(|value| value.get("ErrorCode")?.as_str())
    {
        let _ = write!(text, " (code {code})");
    }
    text
}

fn message(value: &Option<Value>) -> Option<&str> {
    let value = value.as_ref()?;
    // The APIs of models' makers say it in their own way.
    let value = value.get("error").unwrap_or(value);
    ["message", "Message", "errorMessage", "OriginalMessage"]
        .iter()
        .find_map(|name| value.get(name)?.as_str().map(str::trim))
        .filter(|message| !message.is_empty())
}

/// What to do about an error. `clock_error`: seconds by which this machine's clock is ahead.
fn remedy(kind: &str, text: &str, clock_error: Option<i64>) -> Option<String> {
    let says = |words: &str| text.contains(words);
    let is_signature = matches!(
        kind,
        "InvalidSignatureException" | "SignatureDoesNotMatch" | "RequestTimeTooSkewed"
    );
    let is_late = says("xpired") || says("not yet current") || kind == "RequestTimeTooSkewed";
    let is_off = clock_error.is_some_and(|seconds| seconds.abs() >= FAR_OFF);
    if is_signature && (is_late || is_off) {
        return Some(clock_remedy(clock_error));
    }
    let remedy = match kind {
        "ModelNotReadyException" => "the model is being loaded: try again later, or allow retries",
        _ if is_throttle(kind) => {
            "throttled: use fewer clients, allow retries, or ask AWS for a higher quota"
        }
        "ServiceQuotaExceededException" => "ask AWS for a higher quota",
        "ExpiredTokenException" | "ExpiredToken" => {
            "the temporary credentials have expired: get new ones, for example with aws sso login; \
             those of a profile, a container or an instance are renewed by themselves, those in \
             AWS_SESSION_TOKEN are not"
        }
        "InvalidSignatureException" | "SignatureDoesNotMatch" => {
            "check AWS_SECRET_ACCESS_KEY and the region"
        }
        "UnrecognizedClientException" | "InvalidClientTokenId" => {
            "AWS does not know these credentials: check AWS_ACCESS_KEY_ID, and that \
             AWS_SESSION_TOKEN belongs to it"
        }
        "AccessDeniedException" | "AccessDenied" => {
            "AWS knows who asks, but does not allow it: the policy needs bedrock:InvokeModel, \
             bedrock:InvokeModelWithResponseStream or sagemaker:InvokeEndpoint, and Bedrock access \
             to the model in this region"
        }
        "MissingAuthenticationTokenException" | "IncompleteSignatureException" => {
            "the signature did not arrive as it was sent: does a proxy or a header of your own change it?"
        }
        _ => return None,
    };
    Some(remedy.to_owned())
}

/// The same where it is another one than for requests of a run.
fn call_remedy(kind: &str, permission: &str) -> Option<String> {
    match kind {
        "AccessDeniedException" | "AccessDenied" => Some(format!(
            "AWS knows who asks, but does not allow it: the policy needs {permission}"
        )),
        _ if is_throttle(kind) => Some("throttled: try again later".to_owned()),
        "MissingAuthenticationTokenException" | "IncompleteSignatureException" => {
            Some("the signature did not arrive as it was sent: does a proxy change it?".to_owned())
        }
        _ => None,
    }
}

/// Seconds that a clock may be off before signatures are doubted because of it.
const FAR_OFF: i64 = 240;

fn clock_remedy(clock_error: Option<i64>) -> String {
    let difference = match clock_error {
        Some(seconds) if seconds.abs() >= 60 => {
            let side = if seconds > 0 { "ahead of" } else { "behind" };
            let minutes = (seconds.abs() + 30) / 60;
            format!("this machine's clock is {minutes} min {side} AWS's")
        }
        _ => "this machine's clock is not AWS's".to_owned(),
    };
    format!("{difference}: set it right, for example by NTP")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(kind: Option<&str>, date: Option<&str>, body: &str) -> Option<String> {
        let refusal = Refusal {
            kind: kind.map(str::to_owned),
            date: date.map(str::to_owned),
            permission: None,
        };
        refusal.message(body.as_bytes())
    }

    #[test]
    fn the_code_leads_and_the_remedy_follows() {
        let kind = Some("ThrottlingException:http://internal.amazon.com/coral/");
        let text = said(kind, None, "{\"message\":\"Too many\"}").unwrap();
        assert!(
            text.starts_with("ThrottlingException: Too many (throttled: use fewer clients"),
            "{text}"
        );
        let body = r#"{"__type":"com.amazon.coral.service#ExpiredTokenException","Message":"old"}"#;
        let text = said(None, None, body).unwrap();
        assert!(text.starts_with("ExpiredTokenException: old (") && text.contains("sso login"));
        let text = said(Some("AccessDeniedException"), None, "{}").unwrap();
        assert!(text.contains("bedrock:InvokeModel"), "{text}");
        let plain = said(Some("ValidationException"), None, "").unwrap();
        assert_eq!(plain, "ValidationException");
        assert_eq!(said(None, None, "<html>"), None);
    }

    #[test]
    fn calls_that_are_no_part_of_a_run_have_remedies_of_their_own() {
        let said = |kind: &str| {
            let refusal = Refusal {
                kind: Some(kind.to_owned()),
                ..Refusal::default()
            };
            let refusal = refusal.of_call("pricing:GetProducts".to_owned());
            refusal.message(b"{}").unwrap()
        };
        let text = said("AccessDeniedException");
        assert!(
            text.contains("the policy needs pricing:GetProducts)") && !text.contains("bedrock"),
            "{text}"
        );
        let text = said("ThrottlingException");
        assert!(
            text.contains("try again later") && !text.contains("--"),
            "{text}"
        );
        assert!(said("ExpiredTokenException").contains("sso login"));
    }

    #[test]
    fn a_wrong_clock_is_told_from_a_wrong_key() {
        let date = |seconds: i64| {
            let time = clock::wall() + jiff::SignedDuration::from_secs(seconds);
            time.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
        };
        let signature = |date: Option<&str>, message: &str| {
            let body = format!("{{\"message\":\"{message}\"}}");
            said(Some("InvalidSignatureException"), date, &body).unwrap()
        };
        let text = signature(None, "Signature expired: 20200101T000000Z is now earlier");
        assert!(text.contains("clock is not AWS's"), "{text}");
        let text = signature(Some(&date(-600)), "Signature not yet current");
        assert!(
            text.contains("clock is 10 min ahead of AWS's: set"),
            "{text}"
        );
        let text = signature(Some(&date(420)), "does not match");
        assert!(text.contains("clock is 7 min behind AWS's"), "{text}");
        let text = signature(Some(&date(2)), "does not match");
        assert!(text.contains("check AWS_SECRET_ACCESS_KEY"), "{text}");
    }

    #[test]
    fn exceptions_of_streams_name_the_service() {
        assert_eq!(
            exception(
                "Bedrock",
                Some("throttlingException"),
                b"{\"message\":\"slow\"}"
            ),
            "Bedrock throttlingException: slow"
        );
        assert_eq!(
            exception(
                "SageMaker",
                Some("ModelStreamError"),
                b"{\"Message\":\"m\",\"ErrorCode\":\"E\"}"
            ),
            "SageMaker ModelStreamError: m (code E)"
        );
        assert_eq!(exception("Bedrock", None, b""), "Bedrock error");
    }
}
