//! Figures under the Python package's names: what it draws of the same folders, and that no value gets lost.

use llmeter::experiment::LoadTestResult;
use llmeter::report::figure::{
    COLOR_SEQUENCES, PALETTE, Series, Theme, boxplot_by_dimension, failures_by_kind,
    histogram_by_dimension, plot_heatmap, plot_load_test_results, scatter_histogram_2d, timeline,
    waterfall,
};
use llmeter::report::figure::{Values, ecdf, percentile_curve};
use llmeter::result::RunSummary;
use llmeter::{InvocationResponse, RunResult};
use serde_json::{Value, json};

use crate::golden::golden;

#[test]
fn charts_of_a_load_test_are_those_of_the_python_package() {
    let vectors = golden().join("vectors/load_test_charts.json");
    let vectors: Value = serde_json::from_str(&std::fs::read_to_string(vectors).unwrap()).unwrap();
    let cases = vectors["cases"].as_object().unwrap();
    let folder = golden().join("outputs/d2_load_test_by_runner/ladder");
    let test = LoadTestResult::load(folder).unwrap();
    let figures = plot_load_test_results(&test, true);
    assert!(
        figures
            .iter()
            .map(|(key, _)| *key)
            .eq(cases.keys().map(String::as_str))
    );
    assert_eq!(figures.len(), COLOR_SEQUENCES.len());
    for (key, figure) in &figures {
        let case = &cases[*key];
        assert_eq!(figure.layout(), &case["layout"], "{key}");
        let [trace] = figure.data() else {
            panic!("{key}")
        };
        assert_eq!(trace, &case["data"][0], "{key}");
    }
    let linear = plot_load_test_results(&test, false);
    assert!(
        linear
            .iter()
            .all(|(_, figure)| figure.layout()["xaxis"]["type"] == Value::Null)
    );
}

/// Requests with a TTFT from 1 to `count` ms, in a mixed order, two of which are slow.
fn run(count: u32) -> RunResult {
    let response = |at: u32| {
        let rank = (u64::from(at) * 7919 % u64::from(count) + 1) as f64;
        let mut one = InvocationResponse {
            request_time: Some(
                jiff::Timestamp::from_millisecond(1_700_000_000_000 + i64::from(at)).unwrap(),
            ),
            time_to_first_token: Some(rank / 1e3),
            time_to_last_token: Some(rank / 1e3 + 0.5),
            num_tokens_input: Some(u64::from(at % 10)),
            num_tokens_output: Some(u64::from(at % 4)),
            ..InvocationResponse::default()
        };
        one.annotations = json!({"weight": rank, "label": "x"})
            .as_object()
            .unwrap()
            .clone()
            .into();
        one
    };
    let mut responses: Vec<_> = (0..count).map(response).collect();
    responses[0].time_to_last_token = Some(50.0);
    let summary = RunSummary {
        total_requests: Some(u64::from(count)),
        total_test_time: Some(60.0),
        ..RunSummary::default()
    };
    RunResult::from_responses(summary, responses)
}

fn sum(values: &Value) -> f64 {
    values
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_f64)
        .sum()
}

#[test]
fn many_values_keep_their_ends_and_their_number() {
    const COUNT: u32 = 20_011;
    let result = run(COUNT);
    let max = f64::from(COUNT) / 1e3;
    let trace = boxplot_by_dimension(&result, "time_to_first_token", None).unwrap();
    let quartile = |key: &str| trace[key][0].as_f64().unwrap();
    assert!((quartile("median") - max / 2.0).abs() < 1e-3, "{trace}");
    assert!(quartile("lowerfence") <= 1e-3 && (quartile("upperfence") - max).abs() < 1e-9);
    let trace = boxplot_by_dimension(&result, "time_to_last_token", Some("<b>")).unwrap();
    assert_eq!(
        (&trace["name"], &trace["x"][0]),
        (&json!("&lt;b&gt;"), &json!([50.0]))
    );
    let trace =
        histogram_by_dimension(&result, "weight", Some(("num_tokens_input", &json!(3)))).unwrap();
    assert!((sum(&trace["y"]) - 1.0).abs() < 1e-9, "shares");
    let figure =
        scatter_histogram_2d(&result, "time_to_first_token", "time_to_last_token", 10, 12).unwrap();
    let [cloud, above, beside] = figure.data() else {
        panic!()
    };
    assert_eq!(
        (sum(&above["y"]), sum(&beside["x"])),
        (f64::from(COUNT), f64::from(COUNT))
    );
    assert_eq!(above["x"].as_array().unwrap().len(), 10);
    let points = cloud["y"].as_array().unwrap();
    assert!(points.len() <= 2_000 && points.contains(&json!(50.0)));
    let figure = plot_heatmap(&result, "num_tokens_output", 10, 4, true).unwrap();
    let cells = figure.data()[0]["z"].as_array().unwrap();
    assert_eq!(cells.len(), 4);
    let series = Series::new("run", &result);
    let values = [Values::of(series, "time_to_first_token").unwrap()];
    assert_eq!(
        (values[0].count(), values[0].range()),
        (u64::from(COUNT), (1e-3, max))
    );
    let figure = ecdf(&values);
    let (x, y) = (
        figure.data()[0]["x"].as_array().unwrap(),
        figure.data()[0]["y"].as_array().unwrap(),
    );
    assert_eq!((x.last(), y.last()), (Some(&json!(max)), Some(&json!(1.0))));
    let curve = percentile_curve(&values);
    assert_eq!(
        curve.data()[0]["y"].as_array().unwrap().last(),
        Some(&json!(max))
    );
    let figure = timeline(&[series]);
    let of = |axis: &str| {
        figure
            .data()
            .iter()
            .find(|trace| trace["yaxis"] == axis)
            .unwrap()
    };
    let middles: Vec<f64> = serde_json::from_value(of("y2")["x"].clone()).unwrap();
    let width = middles[1] - middles[0];
    let requests = sum(&of("y2")["y"]) * width;
    assert!((requests - f64::from(COUNT)).abs() < 1e-3, "{requests}");
    let figure = waterfall(&result);
    let rows = &figure.data()[0]["y"];
    assert_eq!(rows.as_array().unwrap().last(), Some(&json!("slowest")));
}

#[test]
fn what_there_is_not_is_refused_by_name_or_empty() {
    let result = run(10);
    for dimension in ["nothing", "response_text", "label"] {
        let reason = boxplot_by_dimension(&result, dimension, None)
            .unwrap_err()
            .to_string();
        assert!(
            reason.contains(dimension) && reason.contains("time_to_last_token"),
            "{reason}"
        );
    }
    assert!(histogram_by_dimension(&result, "weight", Some(("nothing", &json!(1)))).is_err());
    assert!(plot_heatmap(&result, "weight", 0, 4, false).is_err());
    let empty = RunResult::default();
    let series = Series::of(&empty);
    assert!(Values::of(series, "time_to_first_token").is_none());
    assert!(timeline(&[series]).is_empty() && waterfall(&empty).is_empty());
    assert!(failures_by_kind(&[series]).is_empty());
    assert!(boxplot_by_dimension(&empty, "time_to_first_token", None).unwrap()["x"] == json!([]));
}

#[test]
fn a_timeline_has_the_warm_up_and_requests_that_came_to_nothing() {
    let mut result = run(20);
    for response in &mut result.responses {
        response.error = Some(llmeter::Failure::new(
            llmeter::FailureKind::Timeout,
            "timed out",
        ));
        response.time_to_last_token = None;
        response.detail.time_to_failure = Some(3.0);
    }
    let stats = json!({"warmup_requests": 5, "warmup_time": 2.5});
    result.add_stats(stats.as_object().unwrap().clone());
    let figure = timeline(&[Series::new("run", &result)]);
    let shape = &figure.as_json()["layout"]["shapes"][0];
    assert_eq!((&shape["x0"], &shape["x1"]), (&json!(-2.5), &json!(0.0)));
    let in_flight = figure
        .data()
        .iter()
        .find(|trace| trace["yaxis"] == "y")
        .unwrap();
    let middles: Vec<f64> = serde_json::from_value(in_flight["x"].clone()).unwrap();
    let seconds = sum(&in_flight["y"]) * (middles[1] - middles[0]);
    assert!((seconds - 20.0 * 3.0).abs() < 0.1, "{seconds}");
}

#[test]
fn a_theme_changes_every_colour_of_the_palette() {
    let result = run(50);
    let figure = timeline(&[Series::new("run", &result)]);
    let dark = figure.in_theme(Theme::Dark).as_json().to_string();
    assert!(figure.as_json().to_string().contains(PALETTE[0].0));
    assert!(!dark.contains(PALETTE[0].0) && dark.contains(PALETTE[0].1));
}
