//! What a run cost, as a table.

use super::summary::{counted, or_dash};
use super::table::table;
use crate::cost::price::price;
use crate::endpoint::TokenSource;
use crate::result::RunResult;
use crate::stats::Stats;

/// The costs of a run: in all, for each request, for a million output tokens, by dimension. Empty
/// if the run has no costs.
pub fn cost(result: &RunResult) -> String {
    cost_within(result, usize::MAX)
}

/// [`cost`] in at most so many columns, as far as that can be.
pub fn cost_within(result: &RunResult, width: usize) -> String {
    let mut text = String::new();
    costs(&mut text, &result.stats(), width);
    text.trim_start().to_owned()
}

/// Adds the table, if the statistics have costs.
pub(crate) fn costs(text: &mut String, stats: &Stats, width: usize) {
    let (rows, notes) = cost_rows(stats);
    if !rows.is_empty() {
        text.push('\n');
        table(text, &rows, width);
    } else if !notes.is_empty() {
        text.push('\n');
    }
    for note in notes {
        text.push_str(&format!("{note}\n"));
    }
}

/// The costs of a run, the titles first, and what is to be known of them, a line each; both are empty
/// without costs.
pub(super) fn cost_rows(stats: &Stats) -> (Vec<Vec<String>>, Vec<String>) {
    let tokens = (stats.total_output_tokens > 0).then_some(stats.total_output_tokens as f64);
    let of_request = |name: &str| {
        let mut costs = stats.request_costs.iter();
        costs.find(|(known, _)| known == name)?.1.average
    };
    let has_requests = stats.request_cost.average.is_some();
    let row = |label: &str, cost: f64, per_request: Option<f64>| {
        let per_request = has_requests.then(|| or_dash(per_request, price));
        let per_tokens = tokens.map(|count| price(cost / count * 1e6));
        let cells = [
            Some(label.to_owned()),
            Some(price(cost)),
            per_request,
            per_tokens,
        ];
        cells.into_iter().flatten().collect::<Vec<_>>()
    };
    let titles = [
        Some("cost"),
        Some("total"),
        has_requests.then_some("per request"),
        tokens.map(|_| "per million output tokens"),
    ];
    let mut rows = vec![titles.into_iter().flatten().map(str::to_owned).collect()];
    let (mut of_requests, mut dimensions, mut has_dash) = (0.0, 0, false);
    for (name, cost) in &stats.costs {
        let own = of_request(name);
        if own.is_some() {
            of_requests += cost;
            dimensions += 1;
        }
        has_dash |= own.is_none();
        rows.push(row(name, *cost, own));
    }
    let has_dash = has_dash && has_requests;
    // The total has costs that are no request's: `cost_per_request` stands on a line of its own.
    if has_dash && dimensions > 1 {
        rows.push(row(
            "all of requests",
            of_requests,
            stats.request_cost.average,
        ));
    }
    rows.extend(stats.cost_total.map(|total| {
        let own = stats.request_cost.average.filter(|_| !has_dash);
        row("total", total, own)
    }));
    let mut notes = Vec::new();
    if rows.len() > 1 {
        if has_dash {
            notes.push("— has costs of the run, which are no single request's".to_owned());
        }
        let unknown = stats.cost_unknown_requests;
        if unknown > 0 {
            let known = stats.total_requests.unwrap_or(0).saturating_sub(unknown);
            let (unknown, known) = (counted(unknown, "request"), counted(known, "request"));
            notes.push(format!(
                "without {unknown} whose tokens are not known; per request: of the {known} whose \
                 cost is known"
            ));
        }
        let sources = stats
            .input_token_sources
            .iter()
            .chain(&stats.output_token_sources);
        if sources.into_iter().any(|(source, _)| is_doubtful(source)) {
            notes.push(
                "costs rest on token counts that the server did not report as they are".to_owned(),
            );
        }
    } else {
        rows.clear();
        let unknown = stats.cost_unknown_requests;
        if unknown > 0 {
            let unknown = counted(unknown, "request");
            notes.push(format!(
                "the cost is not known: {unknown} without known tokens; set a tokenizer to count them"
            ));
        }
    }
    if let Some(limit) = stats.cost_limit {
        let outcome = match stats.cost_limit_reached {
            Some(true) => "reached",
            _ => "not reached",
        };
        notes.push(format!("cost limit {}, {outcome}", price(limit)));
    }
    (rows, notes)
}

/// Whether a bill may count otherwise.
fn is_doubtful(source: &str) -> bool {
    // What is not known has no cost, which is said by itself.
    !matches!(
        TokenSource::named(source),
        TokenSource::Reported | TokenSource::Unknown
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(stats: &serde_json::Value) -> String {
        let mut text = String::new();
        costs(&mut text, &Stats::from_map(stats.as_object().unwrap()), 80);
        text
    }

    fn cells(text: &str) -> Vec<Vec<&str>> {
        let lines = text.lines().filter(|line| !line.is_empty());
        lines
            .map(|line| {
                line.split("  ")
                    .map(str::trim)
                    .filter(|cell| !cell.is_empty())
                    .collect()
            })
            .collect()
    }

    /// Ten requests of which one failed, and an hour's price: the case in which two means differ.
    #[test]
    fn per_request_is_the_mean_of_the_requests_own_costs() {
        let mut stats = json!({
            "total_requests": 10, "failed_requests": 1, "total_output_tokens": 1000,
            "cost_InputTokens_per_request-average": 0.0005,
            "cost_OutputTokens_per_request-average": 0.0015, "cost_per_request-average": 0.002,
            "cost_InputTokens": 0.005, "cost_OutputTokens": 0.015, "cost_total": 0.02,
        });
        assert_eq!(
            cells(&shown(&stats)),
            [
                ["cost", "total", "per request", "per million output tokens"],
                ["InputTokens", "0.005000", "0.0005000", "5.000"],
                ["OutputTokens", "0.01500", "0.001500", "15.00"],
                ["total", "0.02000", "0.002000", "20.00"],
            ]
        );
        stats["cost_EndpointTime"] = json!(0.005);
        stats["cost_total"] = json!(0.025);
        let text = shown(&stats);
        let table = cells(&text);
        let row = |name: &str| table.iter().find(|row| row[0] == name).unwrap()[1..].to_vec();
        assert_eq!(row("EndpointTime"), ["0.005000", "—", "5.000"]);
        assert_eq!(row("all of requests"), ["0.02000", "0.002000", "20.00"]);
        assert_eq!(row("total"), ["0.02500", "—", "25.00"]);
        assert_eq!(table.len(), 7, "{text}");
    }

    #[test]
    fn a_column_without_a_figure_is_left_out() {
        let stats = json!({
            "total_requests": 10, "total_output_tokens": 1000,
            "cost_EndpointTime": 0.005, "cost_total": 0.005,
        });
        assert_eq!(
            cells(&shown(&stats)),
            [
                ["cost", "total", "per million output tokens"],
                ["EndpointTime", "0.005000", "5.000"],
                ["total", "0.005000", "5.000"],
            ]
        );
        let stats = json!({
            "total_requests": 10, "cost_InputTokens": 0.01, "cost_total": 0.01,
            "cost_InputTokens_per_request-average": 0.001, "cost_per_request-average": 0.001,
        });
        assert_eq!(
            cells(&shown(&stats)),
            [
                ["cost", "total", "per request"],
                ["InputTokens", "0.01000", "0.001000"],
                ["total", "0.01000", "0.001000"],
            ]
        );
    }

    #[test]
    fn the_table_has_dimensions_and_no_distributions() {
        let stats = json!({
            "total_requests": 4, "total_output_tokens": 2000,
            "cost_InputTokens_per_request-p50": 9.0, "cost_per_request-p50": 9.0,
            "cost_InputTokens_per_request-average": 0.003, "cost_per_request-average": 0.003,
            "cost_EndpointTime": 0.02, "cost_InputTokens": 0.01, "cost_total": 0.03,
            "cost_unknown_requests": 1, "cost_limit": 0.5, "cost_limit_reached": false,
        });
        let text = shown(&stats);
        assert!(!text.contains("9.0"), "{text}");
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 8, "{text}");
        // What the run costs is no request's.
        for (line, cells) in [
            (2, ["EndpointTime", "0.02000", "—", "10.00"]),
            (3, ["InputTokens", "0.01000", "0.003000", "5.000"]),
            (4, ["total", "0.03000", "—", "15.00"]),
        ] {
            let shown: Vec<_> = lines[line].split_whitespace().collect();
            assert_eq!(shown, cells);
        }
        assert_eq!(
            lines[5..],
            [
                "— has costs of the run, which are no single request's",
                "without 1 request whose tokens are not known; per request: of the 3 requests whose \
                 cost is known",
                "cost limit 0.5000, not reached",
            ]
        );
        let mut text = String::new();
        costs(&mut text, &Stats::default(), 80);
        assert_eq!(text, "");
    }
}
