//! What a run cost, as a table.

use super::summary::{counted, or_dash, table};
use crate::cost::price::price;
use crate::endpoint::TokenSource;
use crate::result::RunResult;
use crate::stats::Stats;

/// The costs of a run: in all, for each request, for a million output tokens, by dimension. Empty
/// if the run has no costs.
pub fn cost(result: &RunResult) -> String {
    let mut text = String::new();
    costs(&mut text, &result.stats());
    text.trim_start().to_owned()
}

/// Adds the table, if the statistics have costs.
pub(crate) fn costs(text: &mut String, stats: &Stats) {
    let some = |count: u64| (count > 0).then_some(count as f64);
    let requests = stats.total_requests.and_then(some);
    let tokens = some(stats.total_output_tokens);
    let row = |label: &str, cost: f64| {
        vec![
            label.to_owned(),
            price(cost),
            or_dash(requests.map(|count| cost / count), price),
            or_dash(tokens.map(|count| cost / count * 1e6), price),
        ]
    };
    let titles = ["cost", "total", "per request", "per million output tokens"];
    let mut rows = vec![titles.map(str::to_owned).to_vec()];
    rows.extend(stats.costs.iter().map(|(name, cost)| row(name, *cost)));
    rows.extend(stats.cost_total.map(|total| row("total", total)));
    if rows.len() > 1 {
        text.push('\n');
        table(text, &rows);
        if stats.cost_unknown_requests > 0 {
            let what = counted(stats.cost_unknown_requests, "request");
            text.push_str(&format!("without {what} whose tokens are not known\n"));
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
            "cost_EndpointTime": 0.02, "cost_InputTokens": 0.01, "cost_total": 0.03,
            "cost_unknown_requests": 1, "cost_limit": 0.5, "cost_limit_reached": false,
        });
        let mut text = String::new();
        costs(&mut text, &Stats::from_map(stats.as_object().unwrap()));
        let expected = "
cost           total  per request  per million output tokens
EndpointTime  0.02000     0.005000                      10.00
";
        assert!(!text.contains("9.0"), "{text}");
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 7, "{text}");
        assert_eq!(
            lines[2].split_whitespace().collect::<Vec<_>>(),
            expected
                .lines()
                .nth(2)
                .unwrap()
                .split_whitespace()
                .collect::<Vec<_>>()
        );
        assert_eq!(lines[5], "without 1 request whose tokens are not known");
        assert_eq!(lines[6], "cost limit 0.5000, not reached");
        let mut text = String::new();
        costs(&mut text, &Stats::default());
        assert_eq!(text, "");
    }
}
