//! Run folders as they are read: whole ones, and what an interruption or a kill left behind.

use std::fmt::Display;
use std::io::ErrorKind;
use std::path::Path;

use serde_json::{Map, Value};

use super::folder::{CONFIG_FILE, OWN_CONFIG_FILE, RESPONSES_FILE, STATS_FILE, SUMMARY_FILE};
use super::json;
use super::line_reader::LineReader;
use super::responses_file::read_responses;
use super::run_result::RunResult;
use super::run_summary::RunSummary;
use super::saved_folder::SavedFolder;
use crate::base::file::{self, MAX_DATA_FILE};
use crate::stats::{Accumulator, Condition, Metric};
use crate::storage::Location;
use crate::{Error, InvocationResponse, Result};

type Object = Map<String, Value>;

/// SLOs that are taken from a folder.
const MAX_SLOS: usize = 100;

/// Loads a folder, with its responses or without keeping them.
pub(crate) fn load(location: &Location, keep_responses: bool) -> Result<RunResult> {
    let folder = SavedFolder::open(location)?;
    let mut warnings = Vec::new();
    let saved_summary = object(&folder, SUMMARY_FILE, &mut warnings)?;
    let saved_stats = object(&folder, STATS_FILE, &mut warnings)?;
    let has_lines = folder.has_responses();
    if saved_summary.is_none() && saved_stats.is_none() && !has_lines {
        let reason = format!(
            "it has neither a {SUMMARY_FILE} nor a {RESPONSES_FILE} or {STATS_FILE} to load"
        );
        warnings.insert(0, reason);
        return Err(Error::NotARun {
            path: location.to_string(),
            reason: warnings.join("; "),
        });
    }

    let slos = saved_slos(&folder, saved_stats.as_ref(), &mut warnings)?;
    let mut lines = Lines {
        accumulator: Accumulator::default().slos(&slos),
        ..Lines::default()
    };
    if has_lines && (keep_responses || saved_summary.is_none() || saved_stats.is_none()) {
        if let Some(path) = folder.responses()? {
            let shown = location.join(RESPONSES_FILE);
            lines.read(&path, &shown, keep_responses, &mut warnings)?;
        }
    } else if keep_responses && !has_lines {
        warnings.push(format!(
            "{}: there is no such file; statistics are those that were saved",
            location.join(RESPONSES_FILE)
        ));
    }

    let mut summary = RunSummary::default();
    match &saved_summary {
        Some(saved) => {
            summary.fill_from(saved);
            // A file that says nothing does not unmake the responses.
            if summary.total_requests.is_none() && lines.total > 0 {
                lines.fill(&mut summary);
                summary.fill_from(saved);
            }
        }
        None => {
            if let Some(config) = object(&folder, CONFIG_FILE, &mut warnings)? {
                summary.fill_from(&configured(&config));
            }
            lines.fill(&mut summary);
            match &saved_stats {
                // They begin with the summary's fields.
                Some(saved) => summary.fill_from(saved),
                None => warnings.push(format!(
                    "{location}: the run was ended before its end (there is no usable {SUMMARY_FILE}); \
                     the figures are those of the {} responses that were saved",
                    lines.accumulator.recorded()
                )),
            }
        }
    }
    summary.output_path = Some(location.clone());

    let there = lines.accumulator.recorded();
    if lines.was_read && saved_summary.is_some() && Some(there) > summary.total_requests {
        // As where a test of the Python package wrote all its levels into one folder.
        warnings.push(format!(
            "{}: it counts {} requests, and there are {there} responses: rates of requests are those of the \
             former, other figures those of the latter",
            location.join(SUMMARY_FILE),
            summary.total_requests.unwrap_or(0),
        ));
    }
    // The statistics of a run that could not write all its responses count all of them.
    let is_short = lines.was_read && Some(there) < summary.total_requests;
    if is_short && saved_stats.is_some() {
        warnings.push(format!(
            "{}: {there} of {} responses are there; statistics are those that were saved",
            location.join(RESPONSES_FILE),
            summary.total_requests.unwrap_or(0)
        ));
    }
    let is_killed = saved_summary.is_none() && saved_stats.is_none();
    let mut stored = saved_stats.unwrap_or_default();
    let use_stored = !stored.is_empty() && (!keep_responses || there == 0 || is_short);
    stored.retain(|key, _| !RunSummary::has_field(key));
    let (window, requests) = (summary.total_test_time, summary.total_requests);
    let computed = match use_stored {
        true => Map::new(),
        false => lines.accumulator.stats_of(window, requests),
    };

    for warning in &warnings {
        tracing::warn!("{warning}");
    }
    let mut result = RunResult::loaded(summary, lines.kept, computed, stored, warnings);
    result.interrupted |= is_killed;
    result.slos = slos;
    Ok(result)
}

/// The responses of a folder, and what is wrong with their file.
pub(crate) fn responses(location: &Location) -> Result<(Vec<InvocationResponse>, Vec<String>)> {
    let folder = SavedFolder::open(location)?;
    // Without responses, reading the file says so.
    let path = match folder.responses()? {
        Some(path) => path,
        None => folder.path(RESPONSES_FILE),
    };
    let mut responses = Vec::new();
    let findings = read_responses(&path, LineReader::keeping_all(), |response| {
        responses.push(response);
        Ok(())
    })?;
    let warnings = findings.warnings(&location.join(RESPONSES_FILE));
    for warning in &warnings {
        tracing::warn!("{warning}");
    }
    Ok((responses, warnings))
}

/// Reads the responses of a folder one by one, without their texts; gives what is wrong with their file.
/// A folder without responses has none.
pub(crate) fn each_response(
    location: &Location,
    mut take: impl FnMut(&InvocationResponse),
) -> Result<Vec<String>> {
    let folder = SavedFolder::open(location)?;
    let Some(path) = folder.responses()? else {
        return Ok(Vec::new());
    };
    let findings = read_responses(&path, LineReader::measuring(), |response| {
        take(&response);
        Ok(())
    })?;
    Ok(findings.warnings(&location.join(RESPONSES_FILE)))
}

/// [`each_response`] with all that lines have, as long as they are taken.
pub(crate) fn each_whole_response(
    location: &Location,
    take: impl FnMut(InvocationResponse) -> Result<()>,
) -> Result<Vec<String>> {
    let folder = SavedFolder::open(location)?;
    let Some(path) = folder.responses()? else {
        return Ok(Vec::new());
    };
    let findings = read_responses(&path, LineReader::passing_on(), take)?;
    Ok(findings.warnings(&location.join(RESPONSES_FILE)))
}

/// What the lines of `responses.jsonl` say.
#[derive(Debug, Default)]
struct Lines {
    kept: Vec<InvocationResponse>,
    accumulator: Accumulator,
    /// Readable or not.
    total: u64,
    was_read: bool,
}

impl Lines {
    fn read(
        &mut self,
        path: &Path,
        shown: &impl Display,
        keep: bool,
        warnings: &mut Vec<String>,
    ) -> Result<()> {
        let reader = match keep {
            true => LineReader::keeping_all(),
            false => LineReader::measuring(),
        };
        let findings = read_responses(path, reader, |response| {
            self.accumulator.record(&response);
            if keep {
                self.kept.push(response);
            }
            Ok(())
        })?;
        warnings.extend(findings.warnings(shown));
        self.total = findings.lines();
        self.was_read = true;
        self.kept.shrink_to_fit();
        Ok(())
    }

    /// What a summary can know from the lines alone.
    fn fill(&self, summary: &mut RunSummary) {
        summary.total_requests = Some(self.accumulator.recorded());
        let (first, last) = self.accumulator.sent().unzip();
        (summary.start_time, summary.first_request_time) = (first, first);
        (summary.last_request_time, summary.end_time) = (last, last);
    }
}

/// What a summary can know from `run_config.json`, whose endpoint is an envelope or, in files
/// from before 0.2.0, a flat object.
pub(crate) fn configured(config: &Object) -> Object {
    let mut known = Object::new();
    let mut take = |from: &Object, names: &[&str]| {
        for name in names {
            if let Some(value) = from.get(*name) {
                known.insert((*name).to_owned(), value.clone());
            }
        }
    };
    let of_run = ["clients", "n_requests", "run_name", "run_description"];
    take(config, &of_run);
    if let Some(endpoint) = config.get("endpoint").and_then(Value::as_object) {
        let state = endpoint.get("__llmeter_state__").and_then(Value::as_object);
        let of_endpoint = ["model_id", "endpoint_name", "provider"];
        take(state.unwrap_or(endpoint), &of_endpoint);
    }
    known
}

/// The SLOs of a run: those of its configuration, or, without one, those that its statistics name.
fn saved_slos(
    folder: &SavedFolder,
    stats: Option<&Object>,
    warnings: &mut Vec<String>,
) -> Result<Vec<Condition>> {
    let own = object(folder, OWN_CONFIG_FILE, warnings)?;
    let texts: Vec<String> = match own.as_ref().and_then(|own| own.get("slo")) {
        Some(Value::String(one)) => vec![one.clone()],
        Some(Value::Array(several)) => {
            let texts = several.iter().filter_map(Value::as_str);
            texts.map(str::to_owned).collect()
        }
        _ => {
            let keys = stats.into_iter().flat_map(Object::keys);
            let slo = |key: &String| {
                let (metric, slo) = Metric::of(key)?;
                matches!(metric.short, "slo_rates" | "slos_met").then(|| slo.to_owned())
            };
            keys.filter_map(slo).collect()
        }
    };
    let slos = texts.iter().take(MAX_SLOS);
    Ok(slos.filter_map(|text| text.parse().ok()).collect())
}

/// A JSON object from a file; `None` if there is no such file, or, with a warning, no object.
fn object(folder: &SavedFolder, name: &str, warnings: &mut Vec<String>) -> Result<Option<Object>> {
    let path = folder.path(name);
    let text = match file::read(&path, MAX_DATA_FILE) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::io("reading", &path)(error)),
    };
    match json::read(&text) {
        Ok(object) => Ok(Some(object)),
        Err(error) => {
            warnings.push(format!(
                "{}: cannot be understood and is passed over ({error})",
                folder.location.join(name)
            ));
            Ok(None)
        }
    }
}
