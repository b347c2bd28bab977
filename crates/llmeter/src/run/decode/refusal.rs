//! What a refusal says, in one line.

use crate::base::failure::{Failure, FailureKind};
use crate::run::retry;
use llmeter_wire::{Phase, ResponseHead};

/// Longest excerpt of a body that an error message quotes, in characters.
const EXCERPT: usize = 200;

/// The failure of a request that the server refused.
pub(super) fn refusal(
    head: Option<&ResponseHead>,
    own_words: impl Fn(&[u8]) -> Option<String>,
    body: &[u8],
) -> Failure {
    let kind = match head.is_some_and(retry::is_throttled) {
        true => FailureKind::Throttled,
        false => FailureKind::HttpStatus,
    };
    Failure::new(kind, error_of_status(head, own_words, body)).in_phase(Phase::Head)
}

/// "HTTP 401 Unauthorized: Incorrect API key provided".
fn error_of_status(
    head: Option<&ResponseHead>,
    own_words: impl Fn(&[u8]) -> Option<String>,
    body: &[u8],
) -> String {
    let status = head.map_or(0, |head| head.status);
    let mut text = format!("HTTP {status}");
    if let Some(name) = status_name(status) {
        text.push(' ');
        text.push_str(name);
    }
    if let Some(location) = head.and_then(|head| head.header("location"))
        && (300..400).contains(&status)
    {
        text.push_str(&format!(
            ": redirected to {location}; redirects are not followed, use that address"
        ));
        return text;
    }
    let words = own_words(body).unwrap_or_else(|| excerpt(body));
    if !words.is_empty() {
        text.push_str(": ");
        text.push_str(&words);
    }
    text
}

/// The beginning of a body, on one line.
pub(super) fn excerpt(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let mut words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((cut, _)) = words.char_indices().nth(EXCERPT) {
        words.truncate(cut);
        words.push('…');
    }
    words
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn excerpts_are_one_short_line() {
        assert_eq!(excerpt(b" a\n\n b\tc "), "a b c");
        assert_eq!(excerpt(b"\xff"), "\u{fffd}");
        let long = excerpt("ä".repeat(1000).as_bytes());
        assert_eq!(long.chars().count(), EXCERPT + 1);
        assert!(long.ends_with('…'));
    }
}
