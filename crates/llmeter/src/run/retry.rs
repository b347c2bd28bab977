//! Sending a request again, and what servers say of their limits.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use rand::RngExt;
use serde_json::{Map, Value, json};

use crate::aws::{bare_kind, is_throttle};
use llmeter_wire::ResponseHead;
use llmeter_wire::clock;

/// The pause before the first retry where the server names none; each later one is twice as
/// long. A random part of up to half is taken off, so that clients do not come back in step.
const MIN_PAUSE: Duration = Duration::from_millis(500);
/// The longest such pause.
const MAX_PAUSE: Duration = Duration::from_secs(20);
/// Headers of limits that are kept, at most.
const MAX_HEADERS: usize = 32;

/// The headers that tell of rate limits: `x-ratelimit-…`, `anthropic-ratelimit-…`.
fn limits(head: &ResponseHead) -> impl Iterator<Item = (&str, &str)> {
    let word = b"ratelimit-";
    head.headers().filter(|(name, _)| {
        let mut parts = name.as_bytes().windows(word.len());
        parts.any(|part| part.eq_ignore_ascii_case(word))
    })
}

/// Whether a response asks to come back later.
pub(crate) fn is_refusal(head: &ResponseHead) -> bool {
    head.status == 503 || is_throttled(head)
}

/// Whether a response says that there are too many requests: by its status, or by an error of AWS's.
pub(crate) fn is_throttled(head: &ResponseHead) -> bool {
    head.status == 429 || throttle(head).is_some()
}

/// The error with which AWS says that there are too many requests, whatever the status.
fn throttle(head: &ResponseHead) -> Option<&str> {
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

/// What the servers of a run said of their limits.
#[derive(Debug, Default)]
pub(crate) struct RateLimits(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    /// Responses that said so by status 429 or an error of AWS's, those included that were followed
    /// by a retry.
    refused: u64,
    /// Those of them with an error of AWS's, by its name.
    throttles: BTreeMap<String, u64>,
    /// By the header's name: the last value, and the smallest if it is a number.
    headers: BTreeMap<String, (String, Option<f64>)>,
}

impl RateLimits {
    /// Takes in a response's head.
    pub(crate) fn note(&self, head: &ResponseHead) {
        let throttle = throttle(head);
        if head.status != 429 && throttle.is_none() && limits(head).next().is_none() {
            return;
        }
        if let Some(kind) = throttle {
            self.note_throttle(kind);
        }
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.refused += u64::from(head.status == 429 && throttle.is_none());
        for (name, value) in limits(head) {
            let name = name.to_ascii_lowercase();
            let number = value.parse::<f64>().ok();
            if let Some((last, smallest)) = seen.headers.get_mut(&name) {
                value.clone_into(last);
                *smallest = match (*smallest, number) {
                    (Some(one), Some(other)) => Some(one.min(other)),
                    (one, other) => one.or(other),
                };
            } else if seen.headers.len() < MAX_HEADERS {
                seen.headers.insert(name, (value.to_owned(), number));
            }
        }
    }

    /// Takes in an error of AWS's that asks to come back later.
    pub(crate) fn note_throttle(&self, kind: &str) {
        let mut name = kind.to_owned();
        // Streams begin it with a small letter.
        if let Some(first) = name.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.refused += 1;
        *seen.throttles.entry(name).or_default() += 1;
    }

    /// As statistics: the smallest value of what remained, the last of everything else.
    pub(crate) fn stats(&self) -> Map<String, Value> {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut stats = Map::new();
        if seen.refused > 0 {
            stats.insert("rate_limited_answers".to_owned(), json!(seen.refused));
        }
        for (name, count) in &seen.throttles {
            stats.insert(format!("rate_limited_answers-{name}"), json!(count));
        }
        for (name, (last, smallest)) in &seen.headers {
            let key = format!("rate_limit_{name}");
            match (smallest, last.parse::<f64>()) {
                (Some(smallest), _) if name.contains("remaining") => {
                    stats.insert(format!("{key}-min"), json!(smallest))
                }
                (_, Ok(number)) => stats.insert(key, json!(number)),
                (_, Err(_)) => stats.insert(key, json!(last)),
            };
        }
        stats
    }
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
    fn aws_throttles_are_refusals_of_any_status_and_counted_by_name() {
        let limits = RateLimits::default();
        let head = |status, kind: &str| ResponseHead::new(status).with("x-amzn-ErrorType", kind);
        let of_400 = head(400, "ThrottlingException:http://internal.amazon.com/");
        assert!(is_refusal(&of_400) && is_refusal(&head(424, "ModelNotReadyException")));
        assert!(!is_refusal(&head(400, "ValidationException")));
        limits.note(&of_400);
        limits.note(&head(429, "ModelNotReadyException"));
        limits.note(&head(400, "ValidationException"));
        limits.note_throttle("throttlingException");
        let stats = limits.stats();
        assert_eq!(stats["rate_limited_answers"], 3);
        assert_eq!(stats["rate_limited_answers-ThrottlingException"], 2);
        assert_eq!(stats["rate_limited_answers-ModelNotReadyException"], 1);
    }

    #[test]
    fn limits_keep_the_least_that_remained() {
        let limits = RateLimits::default();
        let head = |status, remaining: &str| {
            ResponseHead::new(status)
                .with("X-RateLimit-Limit-Requests", "500")
                .with("x-ratelimit-remaining-requests", remaining)
                .with("x-ratelimit-reset-requests", "1s")
        };
        assert!(limits.stats().is_empty());
        limits.note(&head(200, "12"));
        limits.note(&head(429, "0"));
        limits.note(&head(200, "499"));
        let stats = limits.stats();
        assert_eq!(stats["rate_limited_answers"], 1);
        assert_eq!(stats["rate_limit_x-ratelimit-remaining-requests-min"], 0.0);
        assert_eq!(stats["rate_limit_x-ratelimit-limit-requests"], 500.0);
        assert_eq!(stats["rate_limit_x-ratelimit-reset-requests"], "1s");
    }
}
