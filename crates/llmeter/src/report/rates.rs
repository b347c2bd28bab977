//! Rates and sums of a run, and where its token counts come from.

use std::fmt::Write;

use super::intervals;
use super::numbers::{figure, percent, rate_figure};
use super::table::pairs;
use crate::base::shown::duration;
use crate::endpoint::TokenSource;
use crate::stats::{Rate, Stats};

pub(super) fn rates(text: &mut String, stats: &Stats, width: usize) {
    let rows = rate_rows(stats);
    if rows.is_empty() {
        return;
    }
    text.push('\n');
    pairs(text, &rows, width);
    for line in token_source_lines(stats) {
        let _ = writeln!(text, "{line}");
    }
}

/// Rates and sums of a run with their names; empty where all requests failed: how fast failures come is no
/// rate of the endpoint's.
pub(super) fn rate_rows(stats: &Stats) -> Vec<[String; 2]> {
    if stats.total_requests == Some(stats.failed_requests) {
        return Vec::new();
    }
    let tokens = |total: u64, sources: &[(String, f64)], part: u64, name: &str| {
        let is_unknown =
            |(source, _): &(String, f64)| TokenSource::named(source) == TokenSource::Unknown;
        if !sources.is_empty() && sources.iter().all(is_unknown) {
            return Some("—".to_owned());
        }
        let part = match part {
            0 => String::new(),
            part => format!(" ({} {name})", figure(part as f64)),
        };
        Some(figure(total as f64) + &part)
    };
    let per_stream = stats.tpot.p50.filter(|time| *time > 0.0);
    let (input, output) = (stats.total_input_tokens, stats.total_output_tokens);
    let (cached, reasoning) = (
        stats.total_cached_input_tokens,
        stats.total_reasoning_output_tokens,
    );
    let all_requests = match stats.failed_requests {
        0 => "requests per minute",
        _ => "requests per minute, failed ones included",
    };
    let failed = stats.failed_requests_rate_interval.map(|interval| {
        let share = percent(stats.failed_requests_rate);
        format!("{share} ({})", intervals::range(&interval, percent))
    });
    let failed = failed.filter(|_| stats.failed_requests > 0);
    let rates = stats.shown_rates();
    let shown = |(rate, interval): Rate| Some(intervals::rate(rate?, interval));
    let is_generating = stats.total_vectors == 0 || output > 0;
    let with = |mean: Option<f64>, rate: f64| match mean {
        Some(mean) => format!("{} (in flight: {})", rate_figure(rate), figure(mean)),
        None => rate_figure(rate),
    };
    [
        (
            "offered requests per second",
            stats
                .offered_rate
                .map(|rate| with(stats.offered_in_flight, rate)),
        ),
        (
            "achieved requests per second",
            stats
                .achieved_rate
                .map(|rate| with(stats.achieved_in_flight, rate)),
        ),
        (
            "most requests in flight",
            stats
                .peak_in_flight
                .map(|peak| match stats.in_flight_limit {
                    Some(limit) => format!(
                        "{} of {} allowed",
                        figure(peak as f64),
                        figure(limit as f64)
                    ),
                    None => figure(peak as f64),
                }),
        ),
        (
            "requests that waited for that limit",
            stats.in_flight_waits.map(|waits| match waits {
                0 => "0".to_owned(),
                waits => format!(
                    "{}, {} in all",
                    figure(waits as f64),
                    duration(stats.in_flight_wait.unwrap_or(0.0))
                ),
            }),
        ),
        (
            "requests whose time was over",
            (stats.unsent_requests > 0).then(|| figure(stats.unsent_requests as f64)),
        ),
        (
            "successful requests per minute",
            shown(rates.successful_requests_per_minute).filter(|_| stats.failed_requests > 0),
        ),
        (all_requests, shown(rates.requests_per_minute)),
        (
            "vectors per second (one for each input)",
            stats.vectors_per_second.map(figure),
        ),
        (
            "vectors",
            (stats.total_vectors > 0).then(|| figure(stats.total_vectors as f64)),
        ),
        (
            "output tokens per second",
            shown(rates.output_tps).filter(|_| is_generating),
        ),
        (
            "output tokens per second of one stream (median)",
            per_stream.map(|time| figure(1.0 / time)),
        ),
        (
            "input tokens",
            tokens(input, &stats.input_token_sources, cached, "cached"),
        ),
        (
            "output tokens",
            tokens(output, &stats.output_token_sources, reasoning, "reasoning")
                .filter(|_| is_generating),
        ),
        ("tokens per frame", stats.tokens_per_frame.map(figure)),
        ("failed requests", failed),
    ]
    .into_iter()
    .filter_map(|(label, value)| Some([label.to_owned(), value?]))
    .collect()
}

/// Where token counts come from, a line each for input and output.
pub(super) fn token_source_lines(stats: &Stats) -> Vec<String> {
    let is_generating = stats.total_vectors == 0 || stats.total_output_tokens > 0;
    let mut lines = Vec::new();
    for (label, sources, is_shown) in [
        ("input", &stats.input_token_sources, true),
        ("output", &stats.output_token_sources, is_generating),
    ] {
        if let Some(sources) = token_sources(sources).filter(|_| is_shown) {
            lines.push(format!("{label} token counts: {sources}"));
        }
    }
    lines
}

/// Where token counts come from, unless the server reported all of them and they agree.
fn token_sources(shares: &[(String, f64)]) -> Option<String> {
    let is_plain = |(source, _): &(String, f64)| source == TokenSource::Reported.as_str();
    if shares.iter().all(is_plain) {
        return None;
    }
    let mut shares: Vec<_> = shares.iter().collect();
    shares.sort_by(|(_, one), (_, other)| other.total_cmp(one));
    let shown = shares.into_iter().map(|(source, share)| {
        let meaning = match TokenSource::named(source) {
            TokenSource::Estimated => " (by words and frames; set a tokenizer for better counts)",
            TokenSource::Corrected => " (the server's counts contradict each other in one way)",
            TokenSource::Contradictory => " (the server's counts contradict each other)",
            TokenSource::Unknown => " (in no sum and no rate; set a tokenizer to count them)",
            _ => "",
        };
        format!("{} {source}{meaning}", percent(*share))
    });
    Some(shown.collect::<Vec<_>>().join(", "))
}
