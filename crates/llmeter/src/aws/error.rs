//! Errors as AWS reports them, and what to do about those that are the user's to mend.

use std::fmt::Write as _;

use crate::endpoint::failure::excerpt;
use crate::endpoint::lenient::lenient_json;

/// The server's words in the body of an error status: `ThrottlingException: Too many requests`.
/// `kind` is the header `x-amzn-errortype`.
pub(crate) fn of_status(kind: Option<&str>, body: &[u8]) -> Option<String> {
    let value = lenient_json(body).ok();
    let field = |name: &str| value.as_ref()?.get(name)?.as_str().map(str::trim);
    let kind = kind.or_else(|| field("__type")).or_else(|| field("code"));
    // `ThrottlingException:http://internal…` and `com.amazon.coral.service#ThrottlingException`.
    let kind = kind.map(|kind| {
        let kind = kind.split(':').next().unwrap_or_default();
        kind.rsplit('#').next().unwrap_or_default()
    });
    let kind = kind.filter(|kind| !kind.is_empty());
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
    if let Some(remedy) = remedy(kind.unwrap_or_default(), &text) {
        let _ = write!(text, " ({remedy})");
    }
    Some(text)
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

fn message(value: &Option<serde_json::Value>) -> Option<&str> {
    let value = value.as_ref()?;
    ["message", "Message", "errorMessage", "OriginalMessage"]
        .iter()
        .find_map(|name| value.get(name)?.as_str().map(str::trim))
        .filter(|message| !message.is_empty())
}

fn remedy(kind: &str, text: &str) -> Option<&'static str> {
    let says = |words: &str| text.contains(words);
    Some(match kind {
        "ExpiredTokenException" | "ExpiredToken" => {
            "the temporary credentials have expired: get new ones, for example with aws sso login \
             and aws configure export-credentials"
        }
        "RequestTimeTooSkewed" => CLOCK,
        "InvalidSignatureException" | "SignatureDoesNotMatch"
            if says("xpired") || says("not yet current") =>
        {
            CLOCK
        }
        "InvalidSignatureException" | "SignatureDoesNotMatch" => {
            "check AWS_SECRET_ACCESS_KEY and the region"
        }
        "UnrecognizedClientException" | "InvalidClientTokenId" => {
            "AWS does not know these credentials: check AWS_ACCESS_KEY_ID, and that \
             AWS_SESSION_TOKEN belongs to it"
        }
        _ => return None,
    })
}

const CLOCK: &str = "this machine's clock is not AWS's: set it right, for example by NTP";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_leads_and_the_remedy_follows() {
        let kind = Some("ThrottlingException:http://internal.amazon.com/coral/");
        assert_eq!(
            of_status(kind, b"{\"message\":\"Too many\"}").unwrap(),
            "ThrottlingException: Too many"
        );
        let body =
            b"{\"__type\":\"com.amazon.coral.service#ExpiredTokenException\",\"Message\":\"old\"}";
        let text = of_status(None, body).unwrap();
        assert!(text.starts_with("ExpiredTokenException: old (") && text.contains("sso login"));
        let body = b"{\"message\":\"Signature expired: 20200101T000000Z is now earlier\"}";
        let text = of_status(Some("InvalidSignatureException"), body).unwrap();
        assert!(text.contains("clock"), "{text}");
        assert_eq!(of_status(None, b"<html>"), None);
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
