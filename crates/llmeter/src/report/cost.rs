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
    let some = |count: u64| (count > 0).then_some(count as f64);
    let unknown = stats.cost_unknown_requests;
    let known = stats.total_requests.unwrap_or(0).saturating_sub(unknown);
    let tokens = some(stats.total_output_tokens);
    // The mean over the requests whose cost is known: what `cost_per_request-average` is.
    let of_run = |cost: f64| some(known).map(|count| cost / count);
    let of_request = |name: &str| {
        let mut costs = stats.request_costs.iter();
        costs.find(|(known, _)| known == name)?.1.average
    };
    let row = |label: &str, cost: f64, per_request: Option<f64>| {
        vec![
            label.to_owned(),
            price(cost),
            or_dash(per_request, price),
            or_dash(tokens.map(|count| cost / count * 1e6), price),
        ]
    };
    let titles = ["cost", "total", "per request", "per million output tokens"];
    let mut rows = vec![titles.map(str::to_owned).to_vec()];
    let mut shared = 0.0;
    for (name, cost) in &stats.costs {
        let own = of_request(name);
        if own.is_none() {
            shared += cost;
        }
        rows.push(row(name, *cost, own.or_else(|| of_run(*cost))));
    }
    rows.extend(stats.cost_total.map(|total| {
        let own = stats.request_cost.average;
        let per_request = own.map_or_else(
            || of_run(total),
            |own| Some(own + of_run(shared).unwrap_or(0.0)),
        );
        row("total", total, per_request)
    }));
    if rows.len() > 1 {
        text.push('\n');
        table(text, &rows, width);
        if unknown > 0 {
            let (unknown, known) = (counted(unknown, "request"), counted(known, "request"));
            text.push_str(&format!(
                "without {unknown} whose tokens are not known; per request: of the {known} whose \
                 cost is known\n"
            ));
        }
        if tokens.is_none() {
            text.push_str("— no output tokens\n");
        }
        let sources = stats
            .input_token_sources
            .iter()
            .chain(&stats.output_token_sources);
        if sources.into_iter().any(|(source, _)| is_doubtful(source)) {
            text.push_str(
                "costs rest on token counts that the server did not report as they are\n",
            );
        }
    }
    if let Some(limit) = stats.cost_limit {
        let outcome = match stats.cost_limit_reached {
            Some(true) => "reached",
            _ => "not reached",
        };
        if rows.len() == 1 {
            text.push('\n');
        }
        text.push_str(&format!("cost limit {}, {outcome}\n", price(limit)));
    }
}

/// Whether a bill may count otherwise.
fn is_doubtful(source: &str) -> bool {
    TokenSource::named(source) != TokenSource::Reported
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_table_has_dimensions_and_no_distributions() {
        let stats = json!({
            "total_requests": 4, "total_output_tokens": 2000,
            "cost_InputTokens_per_request-p50": 9.0, "cost_per_request-p50": 9.0,
            "cost_InputTokens_per_request-average": 0.003, "cost_per_request-average": 0.003,
            "cost_EndpointTime": 0.02, "cost_InputTokens": 0.01, "cost_total": 0.03,
            "cost_unknown_requests": 1, "cost_limit": 0.5, "cost_limit_reached": false,
        });
        let mut text = String::new();
        costs(&mut text, &Stats::from_map(stats.as_object().unwrap()), 80);
        assert!(!text.contains("9.0"), "{text}");
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 7, "{text}");
        // What the run costs is shared by the three requests whose own cost is known.
        for (line, cells) in [
            (2, ["EndpointTime", "0.02000", "0.006667", "10.00"]),
            (3, ["InputTokens", "0.01000", "0.003000", "5.000"]),
            (4, ["total", "0.03000", "0.009667", "15.00"]),
        ] {
            let shown: Vec<_> = lines[line].split_whitespace().collect();
            assert_eq!(shown, cells);
        }
        assert_eq!(
            lines[5],
            "without 1 request whose tokens are not known; per request: of the 3 requests whose cost \
             is known"
        );
        assert_eq!(lines[6], "cost limit 0.5000, not reached");
        let mut text = String::new();
        costs(&mut text, &Stats::default(), 80);
        assert_eq!(text, "");
    }
}
