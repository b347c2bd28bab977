use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::stats::{METRICS, MetricKind};

fn parsed(text: &str) -> Condition {
    text.parse()
        .unwrap_or_else(|reason| panic!("{text}: {reason}"))
}

fn refusal(text: &str) -> String {
    text.parse::<Condition>().unwrap_err().to_string()
}

#[test]
fn names_and_units_lead_to_the_same_condition() {
    for (text, key, limit) in [
        ("ttft-p99 < 500ms", "time_to_first_token-p99", 0.5),
        (
            "time_to_first_token-p90 > +10%",
            "time_to_first_token-p90",
            0.1,
        ),
        ("ttft-p90>-2.5%", "time_to_first_token-p90", -0.025),
        ("failed_requests_rate > 1%", "failed_requests_rate", 0.01),
        ("failed_requests_rate > 0.01", "failed_requests_rate", 0.01),
        ("output_tps >= 900", "output_tps", 900.0),
        ("output_tps >= 54000/min", "output_tps", 900.0),
        ("requests_per_minute >= 2/s", "requests_per_minute", 120.0),
        ("cost_total < 2.50", "cost_total", 2.5),
        ("cost_input_tokens <= 1e-3", "cost_input_tokens", 0.001),
        ("ttlt-mean <= 0.5 min", "time_to_last_token-average", 30.0),
        ("itl-p99.9 < 900us", "inter_token_latency-p99.9", 0.0009),
        ("tpot < 50 ms", "time_per_output_token", 0.05),
        ("until_reached < 1", "until_reached", 1.0),
        (
            "failed_requests-timeout <= 3",
            "failed_requests-timeout",
            3.0,
        ),
        ("tokens_per_frame < 2", "tokens_per_frame-average", 2.0),
        ("output_tokens >= 64", "num_tokens_output", 64.0),
        (
            "cost_input_tokens_per_request-p90 < 1",
            "cost_input_tokens_per_request-p90",
            1.0,
        ),
    ] {
        let condition = parsed(text);
        assert_eq!(condition.figure().key(), key, "{text}");
        assert!((condition.limit() - limit).abs() < 1e-12, "{text}");
        assert_eq!(parsed(&condition.to_string()), condition, "{text}");
    }
}

#[test]
fn what_is_wrong_is_said() {
    for (text, reason) in [
        (
            "",
            "it has no operator <, <=, > or >=: expected METRIC[-STATISTIC] OPERATOR VALUE[UNIT], like ttft-p99 < 500ms",
        ),
        (
            "ttft-p99 = 1s",
            "its operator is none of <, <=, > and >=: expected METRIC[-STATISTIC] OPERATOR VALUE[UNIT], like ttft-p99 < 500ms",
        ),
        ("< 3", "it has no metric"),
        (
            "ttft-p98 < 1s",
            "ttft has no statistic p98: expected one of average, p50, p90, p95, p99, p99.9, count",
        ),
        (
            "itl < 1s",
            "itl needs a statistic: average, p50, p90, p95, p99, p99.9, count",
        ),
        (
            "measurement_verdict > 1",
            "measurement_verdict is no number",
        ),
        ("ttft <", "it has no value"),
        ("ttft < fast", "fast is no number with a unit"),
        ("ttft < 1e999", "1e999 is no number with a unit"),
        (
            "ttft < 5 hours",
            "hours is no unit of this metric: expected s, ms, us or min",
        ),
        (
            "output_tps < 5ms",
            "ms is no unit of this metric: expected /s or /min",
        ),
        (
            "total_requests < 5/s",
            "/s is no unit of this metric: expected none",
        ),
        (
            "ttft < 5%",
            "ttft is no share, so that % is no unit for it; a change from a base has a sign, like +10%",
        ),
        (
            "ttft-p50 > +5ms",
            "+5ms has a sign, which stands for a change from a base: expected one in %, like +10%",
        ),
        (
            "outputtps > 5",
            "no metric is called outputtps; the nearest are output_tps, output_tokens, \
             output_tokens_beyond_asked",
        ),
        (
            "qqq > 5",
            "no metric is called qqq; the nearest are n_requests, due_requests, request_cost, and \
             docs/metrics.md has all of them",
        ),
    ] {
        assert_eq!(refusal(text), reason, "{text}");
    }
}

#[test]
fn only_some_conditions_stand_everywhere() {
    let reason = |text: &str, has_base| {
        parsed(text)
            .check_of_run(has_base)
            .err()
            .map(|error| error.to_string())
    };
    assert_eq!(reason("ttft-p90 < 1s", false), None);
    assert_eq!(reason("ttft-p90 > +10%", true), None);
    assert!(
        reason("ttft-p90 > +10%", false)
            .unwrap()
            .contains("no base")
    );
    assert!(reason("ttft < 1s", true).unwrap().contains("like ttft-p90"));
    assert!(parsed("ttft < 1s").check_slo().is_ok());
    assert!(parsed("ttft-p90 > +1%").check_slo().is_err());
}

#[test]
fn a_condition_is_a_text_in_files() {
    let condition = parsed("time_to_last_token-p90<=2s");
    assert_eq!(json!(condition), "ttlt-p90 <= 2s");
    let read: Condition = serde_json::from_value(json!("ttlt-p90 <= 2s")).unwrap();
    assert_eq!(read, condition);
}

#[test]
fn statistics_fulfil_a_condition_or_lack_its_figure() {
    let stats = json!({"time_to_first_token-p90": 0.4, "output_tps": null});
    let stats = stats.as_object().unwrap();
    assert_eq!(parsed("ttft-p90 < 500ms").holds_in(stats), Some(true));
    assert_eq!(parsed("ttft-p90 >= 500ms").holds_in(stats), Some(false));
    assert_eq!(parsed("output_tps > 1").holds_in(stats), None);
    assert_eq!(parsed("ttft-p90 < 500ms").shown(0.4), "400.0 ms");
}

#[test]
fn no_short_name_is_another_metrics_long_one() {
    for metric in METRICS {
        let same = METRICS.iter().find(|other| other.key == metric.short);
        assert!(
            same.is_none_or(|other| other.short == metric.short),
            "{}",
            metric.short
        );
    }
}

/// Every figure that conditions take.
fn figures() -> Vec<String> {
    let mut figures = Vec::new();
    for metric in METRICS {
        let key = metric.key_for("some_name");
        match metric.kind {
            MetricKind::Count | MetricKind::Number => {
                figures.extend([key, metric.short.to_owned()]);
            }
            MetricKind::Statistics(names) | MetricKind::PerName(&MetricKind::Statistics(names)) => {
                figures.extend(names.iter().map(|name| format!("{key}-{name}")));
            }
            MetricKind::PerName(MetricKind::Count | MetricKind::Number) => figures.push(key),
            _ => {}
        }
    }
    figures
}

proptest! {
    #[test]
    fn what_is_displayed_parses_back(
        figure in proptest::sample::select(figures()),
        comparator in proptest::sample::select(vec!["<", "<=", ">", ">="]),
        value in prop_oneof![0.0..1e6_f64, proptest::num::f64::POSITIVE],
        unit in proptest::sample::select(vec!["", "s", "ms", "us", "min", "%", "/s", "/min"]),
        sign in proptest::sample::select(vec!["", "+", "-"]),
    ) {
        if let Ok(condition) = format!("{figure}{comparator}{sign}{value:e}{unit}").parse::<Condition>() {
            let shown = condition.to_string();
            prop_assert_eq!(shown.parse::<Condition>(), Ok(condition));
        }
    }

    #[test]
    fn a_metric_with_a_bare_number_is_a_condition(
        figure in proptest::sample::select(figures()), value in 0.0..1e9_f64,
    ) {
        let condition: Condition = format!("{figure} < {value}").parse().unwrap();
        prop_assert_eq!(condition.limit(), value);
    }

    #[test]
    fn any_text_is_refused_or_taken(text in ".{0,60}", number in any::<f64>()) {
        let _ = text.parse::<Condition>();
        let _ = format!("{text}<{number}{text}").parse::<Condition>();
        let _ = format!("ttft<{text}").parse::<Condition>();
    }
}
