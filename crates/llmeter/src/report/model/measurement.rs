//! How far figures can be trusted, in plain words.

use super::{Block, Tone};
use crate::RunResult;
use crate::report::summary::{duration, figure, or_dash, percent};
use crate::stats::{METRICS, Stats};

/// What the verdict says, why, and what else is to be known.
pub(super) fn verdict(result: &RunResult) -> Vec<Block> {
    let stats = result.stats();
    let mut blocks = Vec::new();
    let (total, verdict) = (
        stats.total_requests.unwrap_or(0),
        stats.measurement_verdict.as_deref(),
    );
    // Where all failed, no figure is clean.
    if total > stats.failed_requests || (total > 0 && verdict != Some("clean")) {
        let (tone, words) = words(&stats);
        blocks.push(Block::text(tone, words));
        let reasons = stats.measurement_reasons.iter();
        blocks.extend(reasons.map(|reason| Block::text(tone, reason)));
    }
    if let Some(added) = calibrated(&stats) {
        blocks.push(Block::text(Tone::Plain, added));
    }
    let notes = crate::report::notes(result).into_iter();
    blocks.extend(notes.map(|note| Block::text(Tone::Note, note)));
    let warnings = result.warnings.iter();
    blocks.extend(warnings.map(|warning| Block::text(Tone::Warning, warning)));
    for failure in &result.callback_errors {
        let text = format!("a callback failed, which affects no figure: {failure}");
        blocks.push(Block::text(Tone::Warning, text));
    }
    blocks
}

fn words(stats: &Stats) -> (Tone, String) {
    let uncertain = match stats.measurement_uncertain_requests_rate {
        Some(0.0) => "no request has a TTFT or TTLT that may be wrong by more than 1 ms".to_owned(),
        Some(rate) => format!(
            "{} of the requests have a TTFT or TTLT that may be wrong by more than 1 ms",
            percent(rate)
        ),
        None => String::new(),
    };
    match stats.measurement_verdict.as_deref() {
        Some("clean") => (
            Tone::Good,
            format!("Clean: these are the endpoint's figures. llmeter's own error does not show in them; {uncertain}."),
        ),
        Some("degraded") => (
            Tone::Warning,
            format!(
                "Degraded: some figures, high percentiles above all, contain an error of llmeter's own; {uncertain}."
            ),
        ),
        Some("client-bound") => (
            Tone::Bad,
            format!("Client-bound: llmeter, not the endpoint, decides these figures; {uncertain}."),
        ),
        Some(other) => (Tone::Note, format!("The measurement's verdict is {other}.")),
        None => (
            Tone::Note,
            "Nothing is known of the error of this measurement: it was not made by llmeter, or has not come to \
             its end."
                .to_owned(),
        ),
    }
}

/// What this machine adds, if that was measured.
fn calibrated(stats: &Stats) -> Option<String> {
    let (ttft, itl) = (
        stats.measurement_calibration_ttft,
        stats.measurement_calibration_itl,
    );
    Some(format!(
        "Calibrated against a simulated server, this machine adds {} to TTFT (p99 {}) and {} to ITL (p99 {}).",
        duration(ttft.mean?),
        or_dash(ttft.p99, duration),
        duration(itl.mean?),
        or_dash(itl.p99, duration),
    ))
}

/// llmeter's own error in a latency, as a cell beside it; `None` where it is not known.
pub(super) fn own_error(stats: &Stats, label: &str) -> Option<String> {
    let rate = match label {
        "ITL" => stats.measurement_uncertain_gaps_rate,
        "TTFT" | "TTFAT" | "TPOT" | "TTLT" => stats.measurement_uncertain_requests_rate,
        _ => None,
    };
    rate.map(percent)
}

/// Every figure of the record, with its meaning.
pub(super) fn record(result: &RunResult) -> Option<Block> {
    let map = result.stats_map();
    let titles = ["figure", "value", "meaning"];
    let mut rows = vec![titles.map(str::to_owned).to_vec()];
    for metric in METRICS {
        let Some(name) = metric.key.strip_prefix("measurement_") else {
            continue;
        };
        if matches!(name, "verdict" | "reasons") {
            continue;
        }
        let of_metric = map.iter().filter(|(key, _)| {
            let rest = key.strip_prefix(metric.key);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
        });
        let mut values = Vec::new();
        for (key, value) in of_metric {
            let shown = match (value.as_f64(), metric.unit) {
                (Some(seconds), "s") => duration(seconds),
                (Some(share), "") => percent(share),
                (Some(number), unit) => format!("{} {unit}", figure(number)),
                (None, _) => value.as_str().unwrap_or("—").to_owned(),
            };
            values.push(match key.split_once('-') {
                Some((_, statistic)) => format!("{statistic} {shown}"),
                None => shown,
            });
        }
        if !values.is_empty() {
            let (name, meaning) = (name.replace('_', " "), metric.doc.replace('`', ""));
            rows.push(vec![name, values.join(", "), meaning]);
        }
    }
    Block::table("The measurement itself", rows, &[""; 0])
}
