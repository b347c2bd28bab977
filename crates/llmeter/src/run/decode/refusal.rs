//! What a refusal says, in one line.

use crate::base::failure::{Failure, FailureKind};
use crate::base::server_text::excerpt;
use llmeter_wire::{Phase, ResponseHead};

/// The failure of a request that the server refused: "HTTP 401 Unauthorized: Incorrect API key
/// provided".
pub(super) fn refusal(
    kind: FailureKind,
    head: Option<&ResponseHead>,
    own_words: impl Fn(&[u8]) -> Option<String>,
    body: &[u8],
) -> Failure {
    let status = head.map_or(0, |head| head.status);
    let name = status_name(status).map(|name| format!(" {name}"));
    let location = head.and_then(|head| head.header("location"));
    let words = match location.filter(|_| (300..400).contains(&status)) {
        Some(location) => {
            format!("redirected to {location}; redirects are not followed, use that address")
        }
        None => own_words(body).unwrap_or_else(|| excerpt(body)),
    };
    let colon = if words.is_empty() { "" } else { ": " };
    let message = format!("HTTP {status}{}{colon}{words}", name.unwrap_or_default());
    Failure::new(kind, message).in_phase(Phase::Head)
}

fn status_name(status: u16) -> Option<&'static str> {
    Some(match status {
        301 => "Moved Permanently",
        302 => "Found",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        413 => "Content Too Large",
        415 => "Unsupported Media Type",
        422 => "Unprocessable Content",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        529 => "Overloaded",
        _ => return None,
    })
}
