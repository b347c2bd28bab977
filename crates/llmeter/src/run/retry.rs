//! Sending a request again.

use std::time::Duration;

use jiff::Timestamp;
use rand::RngExt;

use crate::aws::{bare_kind, is_throttle};
use llmeter_wire::ResponseHead;
use llmeter_wire::clock;

/// The pause before the first retry where the server names none; each later one is twice as
/// long. A random part of up to half is taken off, so that clients do not come back in step.
const MIN_PAUSE: Duration = Duration::from_millis(500);
/// The longest such pause.
const MAX_PAUSE: Duration = Duration::from_secs(20);

/// Whether a response asks to come back later.
pub(crate) fn is_refusal(head: &ResponseHead) -> bool {
    head.status == 503 || is_throttled(head)
}

/// Whether a response says that there are too many requests: by its status, or by an error of AWS's.
pub(crate) fn is_throttled(head: &ResponseHead) -> bool {
    head.status == 429 || throttle(head).is_some()
}

/// The error with which AWS says that there are too many requests, whatever the status.
pub(super) fn throttle(head: &ResponseHead) -> Option<&str> {
    let kind = head.header("x-amzn-errortype")?;
    (head.status >= 400 && is_throttle(kind)).then(|| bare_kind(kind))
}

/// How long to wait before the retry after `attempts` attempts.
pub(crate) fn pause(attempts: u32, retry_after: Option<&str>) -> Duration {
    if let Some(asked) = retry_after.and_then(|text| wait_of(text, clock::wall())) {
        return asked;
    }
    let doubled = 2_u32.saturating_pow(attempts.saturating_sub(1).min(16));
    let pause = MIN_PAUSE.saturating_mul(doubled).min(MAX_PAUSE);
    pause.mul_f64(rand::rng().random_range(0.5..=1.0))
}

/// The wait that a `Retry-After` header asks for: seconds, or a date.
fn wait_of(text: &str, now: Timestamp) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let date = jiff::fmt::rfc2822::parse(text.trim()).ok()?.timestamp();
    Some(Duration::try_from(date.duration_since(now)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        let wait = |text| wait_of(text, now);
        assert_eq!(wait("7"), Some(Duration::from_secs(7)));
        assert_eq!(wait(" 0.25 "), Some(Duration::from_millis(250)));
        let date = "Fri, 02 Jan 2026 03:05:05 GMT";
        assert_eq!(wait(date), Some(Duration::from_secs(60)));
        let past = "Fri, 02 Jan 2026 03:00:00 GMT";
        assert_eq!(wait(past), Some(Duration::ZERO));
        for text in ["", "soon", "-1", "NaN", "1e400"] {
            assert_eq!(wait(text), None, "{text}");
        }
    }

    #[test]
    fn pauses_grow_and_have_an_end() {
        for (attempts, longest) in [(1, 0.5), (2, 1.0), (3, 2.0), (30, 20.0)] {
            let pause = pause(attempts, None).as_secs_f64();
            assert!(
                longest / 2.0 <= pause && pause <= longest,
                "{attempts}: {pause}"
            );
        }
        assert_eq!(pause(5, Some("3")), Duration::from_secs(3));
    }

    #[test]
    fn aws_throttles_are_refusals_of_any_status() {
        let head = |status, kind: &str| ResponseHead::new(status).with("x-amzn-ErrorType", kind);
        let of_400 = head(400, "ThrottlingException:http://internal.amazon.com/");
        assert!(is_refusal(&of_400) && is_refusal(&head(424, "ModelNotReadyException")));
        assert!(!is_refusal(&head(400, "ValidationException")));
    }
}
