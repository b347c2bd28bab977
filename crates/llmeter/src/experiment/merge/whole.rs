//! The whole of which parts are: its time, its summary and its configuration.

use std::collections::BTreeSet;
use std::hash::{Hash, Hasher};

use jiff::Timestamp;
use rustc_hash::FxHasher;
use serde_json::Value;

use super::part::{MERGED_RUNS, MERGED_SHARDS, Part, SHARD, Shards};
use crate::base::error::Result;
use crate::base::setting::Setting;
use crate::result::{PAYLOAD_FILE, RunFolder, RunSummary};
use crate::run::{RUN_ID, SavedFiles, differences_among};
use crate::stats::Accumulator;

/// When a part sent: from its clients' start to the end of its last response.
pub(super) struct Span {
    /// When its first request was sent, which its clients' start is taken for.
    pub(super) start: Timestamp,
    /// In seconds, if its summary knows.
    pub(super) length: Option<f64>,
    /// When its last response ended.
    pub(super) last: Timestamp,
}

/// From the first part's start to the last part's end, in seconds, and for which share of that all
/// parts sent.
pub(super) fn common_time(spans: &[Option<Span>]) -> (Option<f64>, Option<f64>) {
    let spans = || spans.iter().flatten();
    let Some(start) = spans().map(|span| span.start).min() else {
        return (None, None);
    };
    let seconds = |to: Timestamp| to.duration_since(start).as_secs_f64();
    let ends = spans().map(|span| {
        let offset = seconds(span.start);
        let end = span
            .length
            .map_or_else(|| seconds(span.last), |length| offset + length);
        (offset, end)
    });
    let (mut last_start, mut first_end, mut last_end) = (0.0_f64, f64::INFINITY, 0.0_f64);
    for (start, end) in ends {
        last_start = last_start.max(start);
        first_end = first_end.min(end);
        last_end = last_end.max(end);
    }
    let together = (first_end - last_start).max(0.0);
    (
        Some(last_end),
        (last_end > 0.0).then(|| together / last_end),
    )
}

/// What parts of one load have in common, where they do not.
pub(super) fn differences(parts: &[Part], shards: &Shards) -> Vec<String> {
    type TextOf = fn(&RunSummary) -> Option<&String>;
    let texts: [(&str, TextOf); 3] = [
        ("models", |summary| summary.model_id.as_ref()),
        ("endpoints", |summary| summary.endpoint_name.as_ref()),
        ("providers", |summary| summary.provider.as_ref()),
    ];
    let mut found: Vec<String> = Vec::new();
    for (what, text) in texts {
        let all: BTreeSet<_> = parts
            .iter()
            .filter_map(|part| text(&part.result.summary))
            .collect();
        let all: Vec<_> = all.into_iter().map(String::as_str).collect();
        if all.len() > 1 {
            let all = all.join(", ");
            found.push(format!("the parts have different {what}: {all}"));
        }
    }
    let of_another = !found.is_empty();
    let files = parts.iter().map(|part| SavedFiles {
        name: part.name(),
        shared: part.shared.clone(),
        own: &part.own,
    });
    let files: Vec<_> = files.collect();
    let is_merged = parts.iter().any(|part| part.own.contains_key(MERGED_RUNS));
    // Where a part runs is its own, and so are the seeds of runs that are no shards.
    let is_own = |setting| match setting {
        Setting::Shard | Setting::Workers | Setting::SourceAddress => true,
        Setting::Seed => !shards.are_known(),
        Setting::Clients | Setting::Requests => is_merged,
        _ => false,
    };
    let differing = differences_among(&files, is_own).into_iter();
    // That of another model is another endpoint.
    let differing = differing.filter(|text| !(of_another && text.starts_with("the endpoint ")));
    found.extend(differing.map(|text| format!("the parts differ: {text}")));
    if payloads_differ(parts) {
        found.push("the parts differ: they sent other payloads".to_owned());
    }
    found
}

/// Whether files of payloads that are there have another content. Shards have the same.
fn payloads_differ(parts: &[Part]) -> bool {
    let mut first = None;
    for part in parts {
        let text = part.location.join(PAYLOAD_FILE).read_if_there();
        let Ok(Some(text)) = text else {
            continue;
        };
        let mut hasher = FxHasher::default();
        text.hash(&mut hasher);
        let hash = hasher.finish();
        if *first.get_or_insert(hash) != hash {
            return true;
        }
    }
    false
}

/// The different values that parts have of a text, each once.
pub(super) fn all_of(
    parts: &[Part],
    text: impl Fn(&RunSummary) -> Option<&String>,
) -> Option<String> {
    let mut all: Vec<&str> = Vec::new();
    for text in parts.iter().filter_map(|part| text(&part.result.summary)) {
        if !all.contains(&text.as_str()) {
            all.push(text);
        }
    }
    (!all.is_empty()).then(|| all.join(", "))
}

pub(super) fn summary_of(
    parts: &[Part],
    accumulator: &Accumulator,
    window: Option<f64>,
    folder: &RunFolder,
) -> RunSummary {
    let summaries = || parts.iter().map(|part| &part.result.summary);
    let clients = clients_of(parts);
    let recorded = accumulator.recorded();
    let of_each = requests_of_each(parts, clients, recorded);
    let (first_sent, last_sent) = accumulator.sent().unzip();
    RunSummary {
        total_requests: Some(recorded),
        clients,
        n_requests: of_each,
        total_test_time: window,
        output_path: Some(folder.location().clone()),
        run_name: folder.location().file_name(),
        start_time: summaries().filter_map(|summary| summary.start_time).min(),
        end_time: summaries().filter_map(|summary| summary.end_time).max(),
        first_request_time: first_sent,
        last_request_time: last_sent,
        ..parts[0].result.summary.clone()
    }
}

/// The requests of each client; of an open loop, which has one, those of all parts.
fn requests_of_each(parts: &[Part], clients: u64, recorded: u64) -> Option<u64> {
    let of_each = || parts.iter().map(|part| part.result.summary.n_requests);
    if are_open(parts) {
        return of_each().sum::<Option<u64>>().or(Some(recorded));
    }
    let first = of_each().next().flatten();
    match of_each().all(|requests| requests == first) {
        true => first,
        false => Some(recorded / clients),
    }
}

/// Whether all parts are open loops.
fn are_open(parts: &[Part]) -> bool {
    let is_open = |part: &Part| part.result.stats().due_requests.is_some();
    parts.iter().all(is_open)
}

/// The clients of all parts; of an open loop, whose parts have one each, one.
fn clients_of(parts: &[Part]) -> u64 {
    if are_open(parts) {
        return 1;
    }
    let clients = parts.iter().map(|part| part.result.summary.clients);
    clients.sum::<u64>().max(1)
}

/// The first part's configuration, with the clients of all, and which runs it is.
pub(super) fn copy_configuration(
    parts: &[Part],
    shards: &Shards,
    folder: &RunFolder,
) -> Result<()> {
    let first = &parts[0];
    if let Some(payloads) = first.location.join(PAYLOAD_FILE).read_if_there()? {
        folder.write_payload_text(&payloads)?;
    }
    if !first.shared.is_empty() {
        let mut config = first.shared.clone();
        config.insert("clients".to_owned(), clients_of(parts).into());
        if let Some(name) = folder.location().file_name() {
            config.insert("run_name".to_owned(), name.into());
        }
        folder.write_config(&Value::Object(config))?;
    }
    let mut own = first.own.clone();
    for key in [SHARD, MERGED_SHARDS, RUN_ID] {
        own.remove(key);
    }
    if let Some(there) = shards.to_json() {
        own.insert(MERGED_SHARDS.to_owned(), there);
    }
    let runs: Vec<&str> = parts.iter().flat_map(Part::runs).collect();
    own.insert(MERGED_RUNS.to_owned(), runs.into());
    folder.write_own_config(&Value::Object(own))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn rates_are_over_the_time_from_the_first_start_to_the_last_end() {
        let start: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let span = |from, length, to| {
            Some(Span {
                start: at(from),
                length,
                last: at(to),
            })
        };
        let spans = [span(0, Some(10.0), 9), None, span(2, Some(10.0), 11)];
        assert_eq!(common_time(&spans), (Some(12.0), Some(8.0 / 12.0)));
        // A part without a summary is as long as its responses say.
        assert_eq!(common_time(&[span(5, None, 8)]), (Some(3.0), Some(1.0)));
        assert_eq!(common_time(&[None]), (None, None));
    }
}
