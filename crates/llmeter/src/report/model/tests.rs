use serde_json::Value;

use super::*;
use crate::experiment::{LoadTestResult, RepeatResult};
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

fn section_ids(report: &Report) -> Vec<&str> {
    let sections = report.sections.iter();
    sections.map(|section| section.id.as_str()).collect()
}

/// A run with costs, refusals, an SLO and a failure.
fn rich(requests: u32, verdict: &str) -> RunResult {
    let mut run = result(requests, |at| at == 3);
    run.judge_by(vec!["ttft < 1s".parse().unwrap()]);
    let stats = serde_json::json!({
        "cost_total": 1.5, "cost_tokens": 1.5, "rate_limited_answers": 2, "measurement_verdict": verdict,
        "measurement_uncertain_requests_rate": 0.02, "measurement_uncertain_gaps_rate": 0.5,
        "warmup_time": 0.5, "steady_start": 1.0, "steady_end": 20.0,
    });
    run.add_stats(stats.as_object().unwrap().clone());
    run
}

fn load_test(name: &str, levels: &[usize]) -> LoadTestResult {
    let levels = levels
        .iter()
        .map(|clients| (*clients, rich(30, "degraded")));
    LoadTestResult {
        results: levels.collect(),
        test_name: Some(name.into()),
        ..LoadTestResult::default()
    }
}

#[test]
fn experiments_say_of_their_runs_what_a_run_says_of_itself() {
    let run = rich(30, "degraded");
    let of_run = Report::of_run(&run);
    let said = section_ids(&of_run);
    for id in [
        "slos",
        "cost",
        "limits",
        "timeline-section",
        "requests",
        "failures",
        "lengths",
    ] {
        assert!(said.contains(&id), "{id}: {said:?}");
    }
    let test = load_test("ladder", &[1, 2, 4]);
    let two = [load_test("a", &[1, 2]), load_test("b", &[1, 2])];
    let repeats = RepeatResult {
        results: [(1, vec![rich(30, "clean"), rich(30, "clean")])].into(),
        ..RepeatResult::default()
    };
    let runs = [("a".to_owned(), run.clone()), ("b".to_owned(), run.clone())];
    for report in [
        Report::of_load_test(&test),
        Report::of_load_tests(&two, None),
        Report::of_repeats(&repeats),
        Report::of_runs(&runs, None),
    ] {
        let own = section_ids(&report);
        let missing: Vec<_> = said.iter().filter(|id| !own.contains(id)).collect();
        assert!(missing.is_empty(), "{}: {missing:?}", report.title);
        let charts = ids(&report);
        let mut unique = charts.clone();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(unique.len(), charts.len(), "{charts:?}");
        assert!(charts.contains(&"ttlt-ecdf"), "{charts:?}");
        // The error of gaps is not that of first tokens.
        let json = serde_json::to_string(&report).unwrap();
        assert!(json.contains("\"2 %\",\"50 %\""), "{}", report.title);
        assert!(
            json.contains("2 responses with status 429"),
            "{}",
            report.title
        );
    }
}

#[test]
fn charts_of_several_load_tests_stay_few() {
    let levels: Vec<usize> = (1..=9).collect();
    let tests = [load_test("a", &levels), load_test("b", &levels)];
    let report = Report::of_load_tests(&tests, None);
    let chart = report
        .charts()
        .find(|chart| chart.id == "ttft-ecdf")
        .unwrap();
    let json = chart.figure.as_json().to_string();
    for name in ["a, 1 client", "a, 5 clients", "b, 9 clients"] {
        assert!(json.contains(name), "{name}");
    }
    assert!(!json.contains("a, 2 clients"), "{json}");
}

#[test]
fn gaps_of_0_leave_a_logarithmic_axis_its_range() {
    let mut run = result(40, |_| false);
    for one in &mut run.responses {
        one.detail.inter_token_latencies = vec![0.0, 0.01, 0.04];
    }
    run.recompute();
    let test = LoadTestResult {
        results: [(1, run)].into(),
        ..LoadTestResult::default()
    };
    let report = Report::of_load_test(&test);
    let chart = |id: &str| report.charts().find(|chart| chart.id == id).unwrap();
    let itl = chart("inter_token_latency-clients");
    let range = &itl.figure.layout()["yaxis"]["range"];
    let end = |at: usize| 10_f64.powf(range[at].as_f64().unwrap());
    assert!((0.005..0.01).contains(&end(0)), "{range}");
    assert!((0.04..0.08).contains(&end(1)), "{range}");
    assert!(itl.about.contains("Values of 0"), "{}", itl.about);
    let values = itl.figure.data()[0]["y"].to_string();
    assert!(
        !values.contains("[0.0,") && !values.contains(",0.0,"),
        "{values}"
    );
    let ttft = chart("time_to_first_token");
    assert!(!ttft.about.contains("Values of 0"), "{}", ttft.about);
}

#[test]
fn a_warmup_is_within_the_axis_of_time() {
    let report = Report::of_run(&rich(30, "clean"));
    let timeline = report
        .charts()
        .find(|chart| chart.id == "timeline")
        .unwrap();
    let layout = timeline.figure.layout();
    let start = layout["xaxis"]["range"][0].as_f64().unwrap();
    assert_eq!(start, -0.5);
    let svg = crate::report::figure_svg(&timeline.figure);
    assert!(
        svg.contains(">warm-up<") && svg.contains(">steady state<"),
        "{svg}"
    );
    // Each row can be hidden.
    let page = crate::report::html(&report);
    let chart = page.split("id=\"chart-timeline\"").nth(1).unwrap();
    let legend = chart.split("class=\"plot\"").next().unwrap();
    for row in [
        "in flight",
        "requests/s",
        "output tokens/s",
        "failures",
        "TTFT p90",
    ] {
        assert!(
            legend.contains(&format!("</span>{row}</button>")),
            "{row}: {legend}"
        );
    }
}
