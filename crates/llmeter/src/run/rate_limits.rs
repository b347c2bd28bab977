//! What servers say of their limits.
//!
//! Headers are foreign, names and values: a name counts if it is made of the words of such headers, a
//! value if it is a number, a duration or a time. No text of a server's gets from here into statistics.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::retry::throttle;
use llmeter_wire::{ResponseHead, clock};

/// Headers of limits that are kept, at most.
const MAX_HEADERS: usize = 32;
/// What the names of such headers consist of, as OpenAI, Azure, Anthropic, Groq, Mistral, GitHub and the
/// IETF's draft have them.
const WORDS: &[&str] = &[
    "1d",
    "1h",
    "1m",
    "5h",
    "7d",
    "anthropic",
    "audio",
    "based",
    "cached",
    "day",
    "fast",
    "hour",
    "image",
    "images",
    "input",
    "key",
    "limit",
    "minute",
    "model",
    "month",
    "output",
    "overage",
    "priority",
    "project",
    "query",
    "ratelimit",
    "ratelimitbysize",
    "remaining",
    "req",
    "request",
    "requests",
    "reset",
    "resource",
    "second",
    "seconds",
    "token",
    "tokens",
    "total",
    "unified",
    "usage",
    "used",
    "user",
    "utilization",
    "week",
    "x",
];

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
    /// By the header's name: the last value, and the smallest.
    headers: BTreeMap<String, (f64, f64)>,
    /// Headers with another name, or a value that says nothing.
    unreadable: u64,
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
        for (name, text) in limits(head) {
            let name = name.to_ascii_lowercase();
            let value = value_of(text, clock::wall()).filter(|_| is_known(&name));
            let has_room = seen.headers.len() < MAX_HEADERS;
            match (value, seen.headers.get_mut(&name)) {
                (Some(value), Some((last, smallest))) => {
                    *last = value;
                    *smallest = smallest.min(value);
                }
                (Some(value), None) if has_room => {
                    seen.headers.insert(name, (value, value));
                }
                _ => seen.unreadable += 1,
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
            match name.contains("remaining") {
                true => stats.insert(format!("{key}-min"), json!(smallest)),
                false => stats.insert(key, json!(last)),
            };
        }
        if seen.unreadable > 0 {
            stats.insert("unreadable_rate_limits".to_owned(), json!(seen.unreadable));
        }
        stats
    }
}

/// The headers that tell of rate limits: `x-ratelimit-…`, `anthropic-ratelimit-…`.
fn limits(head: &ResponseHead) -> impl Iterator<Item = (&str, &str)> {
    let word = b"ratelimit-";
    head.headers().filter(|(name, _)| {
        let mut parts = name.as_bytes().windows(word.len());
        parts.any(|part| part.eq_ignore_ascii_case(word))
    })
}

/// Whether a name in small letters consists of the words of such headers.
fn is_known(name: &str) -> bool {
    name.split(['-', '_']).all(|word| WORDS.contains(&word))
}

/// A number; a duration, in seconds; or the seconds until a time.
fn value_of(text: &str, now: Timestamp) -> Option<f64> {
    // The IETF's draft has the quota's window after a comma or semicolon.
    let text = text.split([',', ';']).next()?.trim();
    let time = || text.parse::<Timestamp>().ok();
    let value = match (text.parse::<f64>(), seconds(text)) {
        (Ok(number), _) => number,
        (_, Some(seconds)) => seconds,
        _ => time()?.duration_since(now).as_secs_f64().max(0.0),
    };
    value.is_finite().then_some(value)
}

/// The seconds of a duration like `6m0s`, `1h2m3.5s` or `120ms`.
fn seconds(text: &str) -> Option<f64> {
    let (mut rest, mut sum) = (text, 0.0);
    while !rest.is_empty() {
        let is_number = |c: char| c.is_ascii_digit() || c == '.';
        let (number, after) = rest.split_at(rest.find(|c| !is_number(c))?);
        let (unit, after) = after.split_at(after.find(is_number).unwrap_or(after.len()));
        let unit = match unit {
            "d" => 86_400.0,
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        sum += number.parse::<f64>().ok()? * unit;
        rest = after;
    }
    (!text.is_empty()).then_some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aws_throttles_are_counted_by_name() {
        let limits = RateLimits::default();
        let head = |status, kind: &str| ResponseHead::new(status).with("x-amzn-ErrorType", kind);
        limits.note(&head(
            400,
            "ThrottlingException:http://internal.amazon.com/",
        ));
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
        assert_eq!(stats["rate_limit_x-ratelimit-reset-requests"], 1.0);
        assert!(!stats.contains_key("unreadable_rate_limits"));
    }

    #[test]
    fn values_are_numbers_durations_and_times() {
        let now: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        for (text, value) in [
            ("500", Some(500.0)),
            ("100, 100;w=60", Some(100.0)),
            ("6m0s", Some(360.0)),
            ("1h2m3.5s", Some(3723.5)),
            ("120ms", Some(0.12)),
            ("2026-01-02T03:04:35Z", Some(30.0)),
            ("2026-01-02T03:04:00Z", Some(0.0)),
            ("sk-secret", None),
            ("allowed", None),
            ("inf", None),
            ("NaN", None),
            ("", None),
            ("s", None),
            ("1.2.3s", None),
        ] {
            assert_eq!(value_of(text, now), value, "{text}");
        }
    }

    #[test]
    fn no_text_of_a_header_gets_into_the_statistics() {
        let limits = RateLimits::default();
        limits.note(
            &ResponseHead::new(200)
                .with("x-ratelimit-reset-requests", "sk-secret")
                .with("x-ratelimit-limit-sk-secret", "5")
                .with("anthropic-ratelimit-unified-5h-status", "sk-secret")
                .with("anthropic-ratelimit-input-tokens-limit", "7"),
        );
        let stats = limits.stats();
        assert!(!json!(stats).to_string().contains("secret"), "{stats:?}");
        assert_eq!(stats["unreadable_rate_limits"], 3);
        assert_eq!(
            stats["rate_limit_anthropic-ratelimit-input-tokens-limit"],
            7.0
        );
    }
}
