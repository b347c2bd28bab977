use super::*;
use crate::base::failure::{Failure, FailureKind};
use crate::endpoint::ResponseBuilder;
use crate::stats::Stats;
use llmeter_wire::clock::Stamp;

fn response(seconds: f64) -> InvocationResponse {
    InvocationResponse {
        time_to_first_token: Some(seconds / 2.0),
        time_to_last_token: Some(seconds),
        num_tokens_input: Some(10),
        num_tokens_output: Some(6),
        detail: ResponseDetail {
            inter_token_latencies: vec![0.01, 0.02],
            content_frames: Some(3),
            ..ResponseDetail::default()
        },
        ..InvocationResponse::default()
    }
}

#[test]
fn failed_requests_enter_counts_but_not_distributions() {
    let mut accumulator = Accumulator::default();
    accumulator.record(&response(1.0));
    accumulator.record(&InvocationResponse {
        error: Some(Failure::new(FailureKind::Truncated, "cut")),
        ..response(100.0)
    });
    let stats = accumulator.stats(Some(2.0));
    assert_eq!(stats["failed_requests"], 1);
    assert_eq!(stats["failed_requests-truncated"], 1);
    assert_eq!(stats["failed_requests_rate"], 0.5);
    assert_eq!(stats["requests_per_minute"], 60.0);
    assert_eq!(stats["successful_requests_per_minute"], 30.0);
    assert_eq!(stats["time_to_last_token-count"], 1);
    assert_eq!(stats["inter_token_latency-count"], 2);
    assert_eq!(stats["total_output_tokens"], 12);
    assert_eq!(stats["output_tps"], 6.0);
    assert_eq!(stats["time_to_last_token-average"], 1.0);
    assert_eq!(stats["inter_token_latency-average"], 0.015);
    assert_eq!(stats["tokens_per_frame-average"], 2.0);
}

#[test]
fn a_sample_of_gaps_stands_for_all_of_them() {
    // 16,500 fast frames, then 300 with 5 ms each.
    let mut builder = ResponseBuilder::default();
    let mut at = 1_000_000_i64;
    for frame in 0..16_800 {
        at += if frame < 16_500 { 1_000_000 } else { 5_000_000 };
        builder.begin_frame(Stamp(at));
        builder.text("x");
    }
    let (inter_token_latencies, inter_token_latencies_dropped) = builder.take_gaps();
    assert!(inter_token_latencies_dropped > 8000);
    let detail = ResponseDetail {
        inter_token_latencies,
        inter_token_latencies_dropped,
        ..ResponseDetail::default()
    };
    let response = InvocationResponse {
        detail,
        ..InvocationResponse::default()
    };
    for keep in [Keep::Values, Keep::Sketches] {
        let mut accumulator = Accumulator::new(keep);
        accumulator.record(&response);
        let stats = Stats::from_map(&accumulator.stats(None));
        let close = |value: Option<f64>, expected: f64| {
            assert!(
                value.is_some_and(|value| (value / expected - 1.0).abs() < 2e-3),
                "{value:?}"
            );
        };
        close(stats.itl.p50, 0.001);
        close(stats.itl.p99, 0.005);
        close(
            stats.itl.average,
            (16_499.0 * 0.001 + 300.0 * 0.005) / 16_799.0,
        );
    }
}

#[test]
fn vectors_of_successful_requests_are_counted() {
    let mut accumulator = Accumulator::default();
    assert!(!accumulator.stats(Some(2.0)).contains_key("total_vectors"));
    let mut embedded = response(1.0);
    embedded.annotations.insert("vectors".into(), 3.into());
    accumulator.record(&embedded);
    accumulator.record(&embedded);
    embedded.error = Some(Failure::new(FailureKind::Truncated, "cut"));
    accumulator.record(&embedded);
    let stats = accumulator.stats(Some(2.0));
    assert_eq!(stats["total_vectors"], 6);
    assert_eq!(stats["vectors_per_second"], 3.0);
}

#[test]
fn nothing_recorded_gives_no_metrics_and_null_rates() {
    let stats = Accumulator::default().stats(None);
    assert_eq!(stats["failed_requests_rate"], 0.0);
    assert_eq!(stats["requests_per_minute"], Value::Null);
    assert_eq!(stats["output_tps"], Value::Null);
    assert!(!stats.keys().any(|key| key.contains("time_to")));
}

#[test]
fn further_percentiles_need_a_sample_that_carries_them() {
    let mut accumulator = Accumulator::default();
    for _ in 0..19 {
        accumulator.record(&response(1.0));
    }
    assert!(
        !accumulator
            .stats(None)
            .contains_key("time_to_last_token-p95")
    );
    accumulator.record(&response(1.0));
    let stats = accumulator.stats(None);
    assert!(stats.contains_key("time_to_last_token-p95"));
    assert!(!stats.contains_key("num_tokens_output-p95"));
    assert!(!stats.contains_key("inter_token_latency-p99.9"));
    for _ in 0..480 {
        accumulator.record(&response(1.0));
    }
    let stats = accumulator.stats(None);
    assert!(stats.contains_key("inter_token_latency-p99.9"), "1000 gaps");
    assert!(!stats.contains_key("time_to_last_token-p99.9"));
}

#[test]
fn sketches_agree_with_values_and_say_so() {
    let mut exact = Accumulator::new(Keep::Values);
    let mut sketch = Accumulator::new(Keep::Sketches);
    for step in 1..5000 {
        let mut response = response(f64::from(step) * 1e-3);
        response.detail.inter_token_latencies.push(0.02);
        exact.record(&response);
        sketch.record(&response);
    }
    let (exact, sketch) = (exact.stats(Some(10.0)), sketch.stats(Some(10.0)));
    assert_eq!(exact["measurement_percentiles"], "exact");
    assert_eq!(sketch["measurement_percentiles"], "sketch");
    // Without values in order there are no intervals of percentiles.
    let is_kept = |key: &&String| !(key.contains("-p") && key.contains("-ci_"));
    assert!(exact.keys().filter(is_kept).eq(sketch.keys()));
    for (key, value) in exact.iter().filter(|(key, _)| is_kept(key)) {
        let (Some(exact), Some(sketch)) = (value.as_f64(), sketch[key].as_f64()) else {
            continue;
        };
        let bound = if key.contains("-p") {
            exact * 1.5e-3
        } else {
            0.0
        };
        assert!((exact - sketch).abs() <= bound, "{key}: {exact} {sketch}");
    }
}
