//! Why a run failed as a whole, and what to do about it.

use llmeter::probe::{ApiKeyVariable, FailureContext, diagnose};
use llmeter::result::FailureGroup;
use llmeter::{RunResult, Setting, report};

use crate::exit::flag;

/// Characters of a failure's text that are shown.
const SHOWN: usize = 240;

/// One line for a run of which every request failed.
pub(crate) fn all_failed(result: &RunResult, key: Option<&ApiKeyVariable>) -> String {
    let kinds = result.failures();
    let Some(FailureGroup { example, .. }) = kinds.first() else {
        return "no request was sent: the run ended before the first one".to_owned();
    };
    let others = match kinds.len() - 1 {
        0 => String::new(),
        1 => " (and 1 other kind of failure)".to_owned(),
        others => format!(" (and {others} other kinds of failure)"),
    };
    let reason = report::one_line(example.message(), SHOWN);
    let reason = reason.trim_end_matches('.');
    let diagnosis = diagnose(&FailureContext {
        key,
        is_load: true,
        ..FailureContext::of(example)
    });
    let remedy =
        diagnosis.map(|diagnosis| format!("; {}", diagnosis.with_setting_names(&flag).remedy));
    let remedy = remedy.unwrap_or_default();
    format!(
        "every request failed: {}{others}{remedy}",
        Setting::rename_all(reason, &flag)
    )
}
