use serde_json::Value;

use super::*;
use crate::result::RunSummary;
use crate::{Failure, FailureKind, InvocationResponse, RunResult};

fn result(requests: u32, is_failed: impl Fn(u32) -> bool) -> RunResult {
    let summary = RunSummary {
        run_name: Some("<b>run & all</b>".into()),
        total_requests: Some(u64::from(requests)),
        total_test_time: Some(f64::from(requests)),
        ..RunSummary::default()
    };
    let start: jiff::Timestamp = "2026-01-02T03:04:05.5Z".parse().unwrap();
    let response = |at: u32| {
        let sent = start + jiff::SignedDuration::from_millis(i64::from(at) * 900);
        let mut one = InvocationResponse {
            request_time: Some(sent),
            num_tokens_input: Some(u64::from(at % 7)),
            num_tokens_output: Some(3),
            ..InvocationResponse::default()
        };
        if is_failed(at) {
            one.error = Some(Failure::new(FailureKind::Truncated, "</script>"));
            return one;
        }
        one.time_to_first_token = Some(0.1 + f64::from(at % 13) * 0.01);
        one.time_to_last_token = Some(0.5 + f64::from(at % 13) * 0.02);
        one.detail.inter_token_latencies = vec![0.2, 0.2];
        one
    };
    RunResult::from_responses(summary, (0..requests).map(response).collect())
}

fn ids(report: &Report) -> Vec<&str> {
    report.charts().map(|chart| chart.id.as_str()).collect()
}

#[test]
fn a_run_has_all_charts_each_with_its_numbers() {
    let report = Report::of_run(&result(200, |at| at % 50 == 3));
    let ids = ids(&report);
    for id in [
        "ttft-percentiles",
        "itl-ecdf",
        "ttlt-histogram",
        "timeline",
        "waterfall",
        "ttft-input",
        "failures-by-kind",
    ] {
        assert!(ids.contains(&id), "{id}: {ids:?}");
    }
    let mut unique = ids.clone();
    unique.sort_unstable();
    unique.dedup();
    assert_eq!(unique.len(), ids.len());
    for chart in report.charts() {
        assert!(!chart.table.rows.is_empty(), "{}", chart.id);
        assert!(
            !chart.title.is_empty() && !chart.about.is_empty(),
            "{}",
            chart.id
        );
    }
    let histogram = report
        .charts()
        .find(|chart| chart.id == "ttft-histogram")
        .unwrap();
    let shares = histogram.figure.data()[0]["y"].as_array().unwrap();
    let sum: f64 = shares.iter().filter_map(Value::as_f64).sum();
    assert!((sum - 1.0).abs() < 1e-9, "{sum}");
}

#[test]
fn odd_results_have_reports() {
    for (requests, failed) in [(0, false), (1, false), (1, true), (30, true), (2, false)] {
        let report = Report::of_run(&result(requests, |_| failed));
        let json = serde_json::to_string(&report).unwrap();
        assert!(!json.contains("NaN"), "{json}");
        let page = crate::report::html(&report);
        assert!(page.contains("&lt;b&gt;run &amp; all"), "{requests}");
        let latency = report
            .sections
            .iter()
            .any(|section| section.id == "latency");
        assert_eq!(latency, requests > 0 && !failed, "{requests} {failed}");
    }
}
