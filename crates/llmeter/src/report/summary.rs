//! The summary of one run as text.

use std::fmt::Write;

use serde_json::{Map, Value};

use crate::result::RunResult;

/// Rows of the latency table: statistic and label.
const LATENCIES: [(&str, &str); 7] = [
    ("time_to_first_token", "TTFT"),
    ("time_to_first_answer_token", "TTFAT"),
    ("inter_token_latency", "ITL"),
    ("time_per_output_token", "TPOT"),
    ("time_to_last_token", "TTLT"),
    ("time_to_connect", "connect"),
    ("time_to_tls", "TLS"),
];
/// Columns of the latency table.
const COLUMNS: [&str; 6] = ["average", "p50", "p90", "p95", "p99", "p99.9"];
/// Kinds of failure that are listed.
const MOST_ERRORS: usize = 5;

/// The summary of a run: what it was, its latencies, rates, failures, and how far to trust them.
pub fn summary(result: &RunResult) -> String {
    let stats = result.stats();
    let mut text = String::new();
    heading(&mut text, &stats);
    latencies(&mut text, &stats);
    rates(&mut text, &stats);
    super::cost::costs(&mut text, &stats);
    failures(&mut text, result, &stats);
    limits(&mut text, &stats);
    callbacks(&mut text, result);
    measurement(&mut text, result, &stats);
    text
}

fn heading(text: &mut String, stats: &Map<String, Value>) {
    let word = |key: &str| stats.get(key).and_then(Value::as_str);
    let name = word("run_name").unwrap_or("run");
    let model = word("model_id").unwrap_or("unknown model");
    let endpoint = word("endpoint_name").unwrap_or("unknown endpoint");
    let _ = writeln!(text, "{name}: {model} at {endpoint}");
    if let Some(description) = word("run_description") {
        let _ = writeln!(text, "{description}");
    }
    let number = |key: &str| stats.get(key).and_then(Value::as_f64);
    let total = number("total_requests").unwrap_or(0.0);
    let failed = number("failed_requests").unwrap_or(0.0);
    let clients = number("clients").unwrap_or(0.0);
    let mut line = format!(
        "{} {} by {} {}",
        figure(total),
        plural(total, "request"),
        figure(clients),
        plural(clients, "client")
    );
    if let Some(time) = number("total_test_time") {
        let _ = write!(line, " in {}", duration(time));
    }
    let _ = write!(line, ", {} failed", figure(failed));
    if stats.get("interrupted") == Some(&Value::Bool(true)) {
        line.push_str(", interrupted");
    }
    if stats.get("cost_limit_reached") == Some(&Value::Bool(true)) {
        line.push_str(", stopped at the cost limit");
    }
    let _ = writeln!(text, "{line}");
}

fn latencies(text: &mut String, stats: &Map<String, Value>) {
    let value = |metric: &str, column: &str| {
        stats
            .get(&format!("{metric}-{column}"))
            .and_then(Value::as_f64)
    };
    let is_known = |metric: &str| COLUMNS.iter().any(|column| value(metric, column).is_some());
    // Without reasoning the first answer token is the first token: the row would only repeat it.
    let says_more = |metric: &str| {
        metric != "time_to_first_answer_token"
            || COLUMNS
                .iter()
                .any(|column| value(metric, column) != value("time_to_first_token", column))
    };
    let columns: Vec<&str> = COLUMNS
        .into_iter()
        .filter(|column| {
            LATENCIES
                .iter()
                .any(|(metric, _)| value(metric, column).is_some())
        })
        .collect();
    if columns.is_empty() {
        return;
    }
    let mut rows = vec![
        std::iter::once("latency")
            .chain(
                columns
                    .iter()
                    .map(|&column| if column == "average" { "mean" } else { column }),
            )
            .map(str::to_owned)
            .collect::<Vec<_>>(),
    ];
    for (metric, label) in LATENCIES {
        if is_known(metric) && says_more(metric) {
            rows.push(
                std::iter::once(label.to_owned())
                    .chain(columns.iter().map(|column| {
                        value(metric, column).map_or_else(|| "—".to_owned(), duration)
                    }))
                    .collect(),
            );
        }
    }
    text.push('\n');
    table(text, &rows);
}

fn rates(text: &mut String, stats: &Map<String, Value>) {
    let number = |key: &str| stats.get(key).and_then(Value::as_f64);
    if number("total_requests") == number("failed_requests") {
        // How fast failures come is no rate of the endpoint's.
        return;
    }
    let mut rows = Vec::new();
    let mut row = |label: &str, value: Option<String>| {
        if let Some(value) = value {
            rows.push(vec![label.to_owned(), value]);
        }
    };
    row(
        "requests per minute",
        number("requests_per_minute").map(figure),
    );
    row("output tokens per second", number("output_tps").map(figure));
    row(
        "output tokens per second of one stream (median)",
        number("time_per_output_token-p50")
            .filter(|time| *time > 0.0)
            .map(|time| figure(1.0 / time)),
    );
    let tokens = |total: &str, part: &str, name: &str| {
        let total = number(total)?;
        let part = number(part).filter(|part| *part > 0.0);
        Some(
            figure(total)
                + &part
                    .map(|part| format!(" ({} {name})", figure(part)))
                    .unwrap_or_default(),
        )
    };
    row(
        "input tokens",
        tokens("total_input_tokens", "total_cached_input_tokens", "cached"),
    );
    row(
        "output tokens",
        tokens(
            "total_output_tokens",
            "total_reasoning_output_tokens",
            "reasoning",
        ),
    );
    row(
        "tokens per frame",
        number("tokens_per_frame-average").map(figure),
    );
    if !rows.is_empty() {
        text.push('\n');
        table(text, &rows);
    }
}

fn failures(text: &mut String, result: &RunResult, stats: &Map<String, Value>) {
    let failed = stats.get("failed_requests").and_then(Value::as_u64);
    if failed.is_none_or(|failed| failed == 0) {
        return;
    }
    let kinds = result.failures();
    if kinds.is_empty() {
        return;
    }
    let _ = writeln!(text, "\nfailures");
    for group in kinds.iter().take(MOST_ERRORS) {
        let failure = &group.example;
        let _ = write!(
            text,
            "  {} × {failure} [{}",
            group.count,
            failure.kind_name()
        );
        if let Some(phase) = failure.phase() {
            let _ = write!(text, ", {}", phase.as_str());
        }
        text.push(']');
        if group.messages > 1 {
            let others = (group.messages - 1) as f64;
            let _ = write!(text, " and {others} other {}", plural(others, "message"));
        }
        text.push('\n');
    }
    if let Some(more) = kinds
        .len()
        .checked_sub(MOST_ERRORS)
        .filter(|more| *more > 0)
    {
        let _ = writeln!(text, "  and {more} other {}", plural(more as f64, "kind"));
    }
}

/// What the server said of its limits, if they were felt.
fn limits(text: &mut String, stats: &Map<String, Value>) {
    let number = |key: &str| stats.get(key).and_then(Value::as_f64);
    let refused = number("rate_limited_answers").unwrap_or(0.0);
    let retries = number("total_retries").unwrap_or(0.0);
    if refused == 0.0 && retries == 0.0 {
        return;
    }
    let _ = writeln!(text, "\nrate limits and repetitions");
    let throttles: Vec<(&str, f64)> = stats
        .iter()
        .filter_map(|(key, count)| {
            Some((key.strip_prefix("rate_limited_answers-")?, count.as_f64()?))
        })
        .collect();
    let others = refused - throttles.iter().map(|(_, count)| count).sum::<f64>();
    if others > 0.0 {
        let answers = plural(others, "answer");
        let _ = writeln!(text, "  {} {answers} with status 429", figure(others));
    }
    for (kind, count) in throttles {
        let answers = plural(count, "answer");
        let _ = writeln!(text, "  {} {answers} with {kind}", figure(count));
    }
    if retries > 0.0 {
        let times = plural(retries, "repetition");
        let waited = duration(number("total_retry_wait").unwrap_or(0.0));
        let _ = writeln!(
            text,
            "  {} {times}, after {waited} of waiting",
            figure(retries)
        );
    }
    for (key, value) in stats {
        if let Some(header) = key.strip_prefix("rate_limit_") {
            let (header, what) = match header.strip_suffix("-min") {
                Some(header) => (header, "at least "),
                None => (header, ""),
            };
            let value = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            let _ = writeln!(text, "  {header}: {what}{value}");
        }
    }
}

fn callbacks(text: &mut String, result: &RunResult) {
    if result.callback_errors.is_empty() {
        return;
    }
    let _ = writeln!(
        text,
        "\ncallbacks that failed (the figures above are not affected)"
    );
    for failure in &result.callback_errors {
        let _ = writeln!(text, "  {failure}");
    }
}

fn measurement(text: &mut String, result: &RunResult, stats: &Map<String, Value>) {
    let word = |key: &str| {
        stats
            .get(&format!("measurement_{key}"))
            .and_then(Value::as_str)
    };
    let number = |key: &str| {
        stats
            .get(&format!("measurement_{key}"))
            .and_then(Value::as_f64)
    };
    let is_empty = stats.get("total_requests").and_then(Value::as_u64) == Some(0);
    if let Some(verdict) = word("verdict").filter(|_| !is_empty) {
        let _ = write!(text, "\nmeasurement: {verdict}");
        if let Some(stamps) = word("stamps") {
            let _ = write!(text, " ({stamps} stamps)");
        }
        text.push('\n');
        for (key, label) in [
            ("receive_delay", "receive delay"),
            ("send_lateness", "send lateness"),
        ] {
            if let (Some(p50), Some(p99)) =
                (number(&format!("{key}-p50")), number(&format!("{key}-p99")))
            {
                let (p50, p99) = (duration(p50), duration(p99));
                let _ = writeln!(text, "  {label}  p50 {p50}  p99 {p99}");
            }
        }
        if let (Some(ttft), Some(itl)) = (
            number("calibration_ttft-mean"),
            number("calibration_itl-mean"),
        ) {
            let p99 = |key: &str| number(key).map_or_else(|| "—".to_owned(), duration);
            let _ = writeln!(
                text,
                "  calibrated: this machine adds {} to TTFT (p99 {}) and {} to ITL (p99 {})",
                duration(ttft),
                p99("calibration_ttft-p99"),
                duration(itl),
                p99("calibration_itl-p99"),
            );
        }
    }
    let reasons = stats.get("measurement_reasons").and_then(Value::as_array);
    for reason in reasons.into_iter().flatten().filter_map(Value::as_str) {
        let _ = writeln!(text, "  {reason}");
    }
    for warning in &result.warnings {
        let _ = writeln!(text, "warning: {warning}");
    }
    if let Some(folder) = &result.summary.output_path {
        let _ = writeln!(text, "files: {}", folder);
    }
}

/// A table with its first column to the left and the others to the right.
pub(crate) fn table(text: &mut String, rows: &[Vec<String>]) {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns)
        .map(|column| {
            rows.iter()
                .filter_map(|row| Some(row.get(column)?.chars().count()))
                .max()
                .unwrap_or(0)
        })
        .collect();
    for row in rows {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            let width = widths[column];
            let _ = if column == 0 {
                write!(line, "{cell:<width$}")
            } else {
                write!(line, "  {cell:>width$}")
            };
        }
        let _ = writeln!(text, "{}", line.trim_end());
    }
}

/// Seconds in the unit that reads best, with three significant digits or so.
pub(crate) fn duration(seconds: f64) -> String {
    let size = seconds.abs();
    if size == 0.0 {
        "0".to_owned()
    } else if size < 1e-3 {
        format!("{:.1} µs", seconds * 1e6)
    } else if size < 0.1 {
        format!("{:.2} ms", seconds * 1e3)
    } else if size < 1.0 {
        format!("{:.1} ms", seconds * 1e3)
    } else if size < 120.0 {
        format!("{seconds:.2} s")
    } else {
        format!("{} min {:.0} s", (seconds / 60.0).floor(), seconds % 60.0)
    }
}

/// A number with thousands separated, and decimals only where they say something.
pub(crate) fn figure(value: f64) -> String {
    let text = if value.fract() == 0.0 || value.abs() >= 1000.0 {
        format!("{value:.0}")
    } else {
        format!("{value:.1}")
    };
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let (sign, digits) = whole
        .strip_prefix('-')
        .map_or(("", whole), |digits| ("-", digits));
    let mut grouped = String::from(sign);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    if !fraction.is_empty() {
        grouped.push('.');
        grouped.push_str(fraction);
    }
    grouped
}

pub(crate) fn plural(count: f64, noun: &str) -> String {
    if count == 1.0 {
        noun.to_owned()
    } else {
        format!("{noun}s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_grouped() {
        for (value, text) in [
            (0.0, "0"),
            (7.25, "7.2"),
            (999.0, "999"),
            (1234.5, "1,234"),
            (-1_234_567.0, "-1,234,567"),
        ] {
            assert_eq!(figure(value), text);
        }
    }

    #[test]
    fn durations_take_the_unit_that_reads_best() {
        for (seconds, text) in [
            (0.0, "0"),
            (0.000_012_34, "12.3 µs"),
            (0.012_345, "12.35 ms"),
            (0.512_3, "512.3 ms"),
            (1.5, "1.50 s"),
            (150.0, "2 min 30 s"),
        ] {
            assert_eq!(duration(seconds), text);
        }
    }
}
