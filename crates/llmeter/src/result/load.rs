//! Run folders as they are read: whole ones, and what an interruption or a kill left behind.

use std::io::ErrorKind;
use std::path::Path;

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::folder::{CONFIG_FILE, RESPONSES_FILE, STATS_FILE, SUMMARY_FILE};
use super::json;
use super::line_reader::LineReader;
use super::responses_file::read_responses;
use super::run_result::RunResult;
use super::run_summary::RunSummary;
use crate::stats::{Accumulator, Keep};
use crate::{Error, InvocationResponse, Result};

type Object = Map<String, Value>;

/// Loads a folder, with its answers or without keeping them.
pub(crate) fn load(path: &Path, keep_responses: bool) -> Result<RunResult> {
    if !path.is_dir() {
        return Err(Error::NotARun {
            path: path.to_path_buf(),
            reason: "there is no such folder".to_owned(),
        });
    }
    let mut warnings = Vec::new();
    let saved_summary = object(&path.join(SUMMARY_FILE), &mut warnings)?;
    let saved_stats = object(&path.join(STATS_FILE), &mut warnings)?;
    let responses_path = path.join(RESPONSES_FILE);
    let has_lines = responses_path.exists();
    if saved_summary.is_none() && saved_stats.is_none() && !has_lines {
        let mut reason = format!(
            "it has neither a {SUMMARY_FILE} nor a {RESPONSES_FILE} or {STATS_FILE} to load"
        );
        for warning in warnings {
            reason.push_str("; ");
            reason.push_str(&warning);
        }
        return Err(Error::NotARun {
            path: path.to_path_buf(),
            reason,
        });
    }

    let mut lines = Lines::default();
    if has_lines && (keep_responses || saved_summary.is_none() || saved_stats.is_none()) {
        lines = Lines::read(&responses_path, keep_responses, &mut warnings)?;
    } else if keep_responses && !has_lines {
        warnings.push(format!(
            "{}: there is no such file; statistics are those that were saved",
            responses_path.display()
        ));
    }

    let mut summary = RunSummary::default();
    match &saved_summary {
        Some(saved) => summary.fill_from(saved),
        None => {
            if let Some(config) = object(&path.join(CONFIG_FILE), &mut warnings)? {
                summary.fill_from(&configured(&config));
            }
            lines.fill(&mut summary);
            match &saved_stats {
                // They begin with the summary's fields.
                Some(saved) => summary.fill_from(saved),
                None => warnings.push(format!(
                    "{}: the run was ended before its end (there is no usable {SUMMARY_FILE}); \
                     the figures are those of the {} answers that were saved",
                    path.display(),
                    lines.accumulator.recorded()
                )),
            }
        }
    }
    summary.output_path = Some(path.to_path_buf());

    let is_killed = saved_summary.is_none() && saved_stats.is_none();
    let mut stored = saved_stats.unwrap_or_default();
    let use_stored = !stored.is_empty() && (!keep_responses || lines.accumulator.recorded() == 0);
    stored.retain(|key, _| !RunSummary::FIELDS.contains(&key.as_str()));
    let computed = if use_stored {
        Map::new()
    } else {
        lines
            .accumulator
            .stats_of(summary.total_test_time, summary.total_requests)
    };

    for warning in &warnings {
        tracing::warn!("{warning}");
    }
    let mut result = RunResult::loaded(summary, lines.kept, computed, stored, warnings);
    result.interrupted |= is_killed;
    Ok(result)
}

/// The answers of a folder, and what is wrong with their file.
pub(crate) fn responses(path: &Path) -> Result<(Vec<InvocationResponse>, Vec<String>)> {
    let path = path.join(RESPONSES_FILE);
    let mut responses = Vec::new();
    let findings = read_responses(&path, LineReader::keeping_all(), |response| {
        responses.push(response);
    })?;
    let warnings = findings.warnings(&path);
    for warning in &warnings {
        tracing::warn!("{warning}");
    }
    Ok((responses, warnings))
}

/// What the lines of `responses.jsonl` say.
#[derive(Debug, Default)]
struct Lines {
    kept: Vec<InvocationResponse>,
    accumulator: Accumulator,
    sent: Option<(Timestamp, Timestamp)>,
}

impl Lines {
    fn read(path: &Path, keep: bool, warnings: &mut Vec<String>) -> Result<Self> {
        let mut lines = Self {
            accumulator: Accumulator::new(Keep::Values),
            ..Self::default()
        };
        let reader = if keep {
            LineReader::keeping_all()
        } else {
            LineReader::measuring()
        };
        let findings = read_responses(path, reader, |response| {
            lines.accumulator.record(&response);
            if let Some(at) = response.request_time {
                let (first, last) = lines.sent.get_or_insert((at, at));
                *first = at.min(*first);
                *last = at.max(*last);
            }
            if keep {
                lines.kept.push(response);
            }
        })?;
        warnings.extend(findings.warnings(path));
        lines.kept.shrink_to_fit();
        Ok(lines)
    }

    /// What a summary can know from the lines alone.
    fn fill(&self, summary: &mut RunSummary) {
        summary.total_requests = Some(self.accumulator.recorded());
        if let Some((first, last)) = self.sent {
            summary.start_time = Some(first);
            summary.first_request_time = Some(first);
            summary.last_request_time = Some(last);
            summary.end_time = Some(last);
        }
    }
}

/// What a summary can know from `run_config.json`, whose endpoint is an envelope or, in files
/// from before 0.2.0, a flat object.
fn configured(config: &Object) -> Object {
    let mut known = Object::new();
    let mut take = |from: &Object, names: &[&str]| {
        for name in names {
            if let Some(value) = from.get(*name) {
                known.insert((*name).to_owned(), value.clone());
            }
        }
    };
    take(
        config,
        &["clients", "n_requests", "run_name", "run_description"],
    );
    if let Some(endpoint) = config.get("endpoint").and_then(Value::as_object) {
        let state = endpoint.get("__llmeter_state__").and_then(Value::as_object);
        take(
            state.unwrap_or(endpoint),
            &["model_id", "endpoint_name", "provider"],
        );
    }
    known
}

/// A JSON object from a file; `None` if there is no such file, or, with a warning, no object.
fn object(path: &Path, warnings: &mut Vec<String>) -> Result<Option<Object>> {
    match read_object(path) {
        Ok(object) => Ok(object),
        Err(Error::Content { reason, .. }) => {
            warnings.push(format!(
                "{}: cannot be understood and is passed over ({reason})",
                path.display()
            ));
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// A JSON object from a file; `None` if there is no such file.
///
/// # Errors
/// If the file cannot be read, or holds no JSON object.
pub(crate) fn read_object(path: &Path) -> Result<Option<Object>> {
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::io("reading", path)(error)),
    };
    json::read(&text).map(Some).map_err(|error| Error::Content {
        path: path.to_path_buf(),
        line: None,
        column: None,
        reason: error.to_string(),
    })
}
