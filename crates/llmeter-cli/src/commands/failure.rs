//! Why a run failed as a whole, and what to do about it.

use llmeter::RunResult;

/// One line for a run of which every request failed.
pub(crate) fn all_failed(result: &RunResult, key_variable: Option<&str>) -> String {
    let kinds = result.error_counts();
    let Some((reason, _)) = kinds.first() else {
        return "no request was sent: the run ended before the first one".to_owned();
    };
    let others = match kinds.len() - 1 {
        0 => String::new(),
        1 => " (and 1 other kind of failure)".to_owned(),
        others => format!(" (and {others} other kinds of failure)"),
    };
    let reason = reason.split_whitespace().collect::<Vec<_>>().join(" ");
    let reason = reason.trim_end_matches('.');
    let remedy = remedy(reason, key_variable)
        .map(|remedy| format!("; {remedy}"))
        .unwrap_or_default();
    format!("every request failed: {reason}{others}{remedy}")
}

/// What to try against a failure.
fn remedy(reason: &str, key_variable: Option<&str>) -> Option<String> {
    let status: Option<u16> = reason
        .strip_prefix("HTTP ")
        .and_then(|rest| rest.get(..3)?.parse().ok());
    // Of AWS's errors, whose requests are mostly signed, the library says what there is to do.
    let key_variable = key_variable.filter(|variable| !variable.starts_with("AWS_"));
    let remedy = match status {
        Some(404) if key_variable.is_none() => "check --region, --model and --base-url",
        Some(401 | 403) => {
            let key_variable = key_variable?;
            let state = match std::env::var_os(key_variable) {
                Some(value) if !value.is_empty() => "is it right?",
                _ => "it is not set",
            };
            return Some(format!(
                "check the API key in the variable {key_variable} ({state}; \
                 --api-key-env names another)"
            ));
        }
        Some(404) => {
            "check --base-url (written as the API's own SDK takes it), --endpoint and --model"
        }
        Some(400 | 422) => "check the payload and --model",
        Some(413) => "send smaller payloads",
        Some(429) => "use fewer --clients, or ask for a higher rate limit",
        Some(500..) => "look into the server's log, or use fewer --clients",
        _ if reason.starts_with("timed out") => "raise --timeout, or use fewer --clients",
        _ if reason.contains("closed the connection") || reason.contains("connection broke") => {
            "look into the server's log; does it listen for HTTP at this port?"
        }
        _ => return None,
    };
    Some(remedy.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_failures_have_a_remedy() {
        let variable = Some("A_VARIABLE_THAT_NOBODY_SETS");
        for (reason, part) in [
            (
                "HTTP 401 Unauthorized: no",
                "A_VARIABLE_THAT_NOBODY_SETS (it is not set",
            ),
            ("HTTP 404 Not Found: no such model", "--base-url"),
            ("HTTP 429 Too Many Requests", "--clients"),
            ("HTTP 503 Service Unavailable", "server's log"),
            ("timed out after 2 s", "--timeout"),
        ] {
            assert!(remedy(reason, variable).unwrap().contains(part), "{reason}");
        }
        assert_eq!(remedy("something else", variable), None);
        assert_eq!(remedy("HTTP", variable), None);
    }
}
