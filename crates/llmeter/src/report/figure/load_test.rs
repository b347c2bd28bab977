//! The charts of a load test, under the Python package's names.

use serde_json::{Value, json};

use super::{
    Figure, Series, Values, numbers, plain_layout, seconds_axis, styled, text, thin, with,
};
use crate::InvocationResponse;
use crate::experiment::{Knee, LoadTestResult};
use crate::report::figure::by_dimension::boxes;
use crate::report::figure::number_axis;
use crate::report::figure::values::succeeded;
use crate::stats::Metric;

const CLIENTS: &str = "Number of clients";

/// The six charts of a load test, by the names of their files in the Python package: box plots of TTFT and
/// TTLT, requests per minute, error rate, input and output tokens per minute, each against the number of
/// clients. `log_scale` is that of both axes; the error rate has only the other one so.
///
/// Box plots have all values of up to 2,000 requests, and of more quartiles, fences at 1.5 times
/// the distance between the quartiles, and the outermost values.
pub fn plot_load_test_results(
    result: &LoadTestResult,
    log_scale: bool,
) -> [(&'static str, Figure); 6] {
    let minute = |key: &'static str, what: &str, x_format: Option<&str>| {
        let mut x = json!({"title": {"text": CLIENTS}});
        if let Some(format) = x_format {
            x["tickformat"] = format.into();
        }
        let y = json!({"title": {"text": what}, "tickformat": ".2s"});
        statistic(
            result,
            key,
            what,
            scaled(x, log_scale),
            scaled(y, log_scale),
        )
    };
    let rates = json!({"title": {"text": CLIENTS}});
    [
        (
            "time_to_first_token",
            latency(
                result,
                "Time to first token",
                |one| one.time_to_first_token,
                log_scale,
            ),
        ),
        (
            "time_to_last_token",
            latency(
                result,
                "Time to last token",
                |one| one.time_to_last_token,
                log_scale,
            ),
        ),
        (
            "requests_per_minute",
            minute("requests_per_minute", "Requests per minute", None),
        ),
        (
            "error_rate",
            statistic(
                result,
                "failed_requests_rate",
                "Error rate",
                scaled(rates, log_scale),
                json!({"title": {"text": "Error rate"}}),
            ),
        ),
        (
            "average_input_tokens_clients",
            minute(
                "average_input_tokens_per_minute",
                "Average input tokens per minute",
                Some(".2s"),
            ),
        ),
        (
            "average_output_tokens_clients",
            minute(
                "average_output_tokens_per_minute",
                "Average output tokens per minute",
                Some(".2s"),
            ),
        ),
    ]
}

fn scaled(mut axis: Value, log_scale: bool) -> Value {
    if log_scale {
        axis["type"] = "log".into();
    }
    axis
}

fn name_of(result: &LoadTestResult) -> String {
    text(result.test_name.as_deref().unwrap_or("load test"))
}

/// A latency as a box for each number of clients, both axes logarithmic: a metric by its key in `stats.json`,
/// such as `time_per_output_token` or `inter_token_latency`. `None` if no level has values of it.
///
/// As the box plots of [`plot_load_test_results`].
pub fn boxplot_by_clients(result: &LoadTestResult, metric: &str) -> Option<Figure> {
    let metric = Metric::named(metric)?;
    let levels = result.results.iter().map(|(clients, level)| {
        let series = Series::of(level);
        let values = Values::of(series, metric.key);
        let values = values.map_or_else(Vec::new, |values| values.drawn(thin::MAX_POINTS));
        (*clients as f64, values)
    });
    let levels: Vec<_> = levels.collect();
    if levels.iter().all(|(_, values)| values.is_empty()) {
        return None;
    }
    let what = metric.label;
    let x = json!({"title": {"text": CLIENTS}, "tickformat": "s"});
    Some(Figure::new(
        vec![boxes(&name_of(result), levels)],
        plain_layout(
            &format!("{what} vs number of clients"),
            scaled(x, true),
            scaled(seconds_axis(what), true),
        ),
    ))
}

/// A latency as a box for each number of clients.
fn latency(
    result: &LoadTestResult,
    what: &str,
    take: fn(&InvocationResponse) -> Option<f64>,
    log_scale: bool,
) -> Figure {
    let levels = result.results.iter().map(|(clients, level)| {
        let values = succeeded(level).filter_map(take);
        (*clients as f64, values.collect::<Vec<f64>>())
    });
    let x = json!({"title": {"text": CLIENTS}, "tickformat": "s"});
    let y = json!({"title": {"text": format!("{what} (s)")}, "tickformat": ".2s"});
    Figure::new(
        vec![boxes(&name_of(result), levels.collect())],
        plain_layout(
            &format!("{what} vs number of clients"),
            scaled(x, log_scale),
            scaled(y, log_scale),
        ),
    )
}

/// A statistic against the number of clients.
fn statistic(result: &LoadTestResult, key: &str, what: &str, x: Value, y: Value) -> Figure {
    let levels = result
        .results
        .iter()
        .filter_map(|(clients, level)| Some((*clients, level.stats_map().get(key)?.as_f64()?)));
    let (clients, values): (Vec<usize>, Vec<f64>) = levels.unzip();
    let trace = json!({
        "line": {"dash": "dot"}, "mode": "lines+markers", "name": name_of(result), "opacity": 0.5,
        "x": clients, "y": numbers(values), "type": "scatter",
    });
    Figure::new(
        vec![trace],
        plain_layout(&format!("{what} vs number of clients"), x, y),
    )
}

/// Latency (TTLT, median and 90th percentile) against throughput, with the number of clients at each
/// point; a larger marker is the knee ([`LoadTestResult::knee`]). Throughput is output tokens a second, or
/// successful requests a minute where no level has tokens.
pub fn throughput_latency_curve(tests: &[&LoadTestResult]) -> Figure {
    let has_tokens = tests
        .iter()
        .flat_map(|test| test.results.values())
        .any(|level| level.stats().output_tps.is_some_and(|rate| rate > 0.0));
    let mut traces = Vec::new();
    for (series, test) in tests.iter().enumerate() {
        let knee = match test.knee() {
            Knee::At(clients) => Some(clients),
            _ => None,
        };
        let group = name_of(test);
        for (percentile, dash, mode) in [
            ("p50", "solid", "lines+markers+text"),
            ("p90", "dot", "lines+markers"),
        ] {
            let points: Vec<(usize, f64, f64)> = test
                .results
                .iter()
                .filter_map(|(clients, level)| {
                    let stats = level.stats();
                    let rate = match has_tokens {
                        true => stats.output_tps,
                        false => stats.successful_requests_per_minute,
                    };
                    let times = stats.ttlt.named().into_iter();
                    let mut time = times.filter(|(name, _)| *name == percentile);
                    Some((*clients, rate?, time.next()?.1?))
                })
                .collect();
            let label = |point: &(usize, f64, f64)| match Some(point.0) == knee {
                true => format!("{} (knee)", point.0),
                false => point.0.to_string(),
            };
            let size = |point: &(usize, f64, f64)| if Some(point.0) == knee { 14 } else { 8 };
            traces.push(styled(
                series,
                json!({
                    "type": "scatter", "mode": mode,
                    "name": format!("{group}, {percentile}"), "legendgroup": group,
                    "x": numbers(points.iter().map(|point| point.1)),
                    "y": numbers(points.iter().map(|point| point.2)),
                    "text": points.iter().map(label).collect::<Vec<_>>(),
                    "textposition": "bottom center", "cliponaxis": false, "line": {"dash": dash},
                    "marker": {"size": points.iter().map(size).collect::<Vec<_>>()},
                    "hovertemplate": "%{text} clients: %{x}, %{y}<extra></extra>",
                }),
            ));
        }
    }
    let rate = match has_tokens {
        true => "Output tokens per second",
        false => "Successful requests per minute",
    };
    let x = with(number_axis(rate), json!({"rangemode": "tozero"}));
    let y = with(
        seconds_axis("TTLT, time to last token"),
        json!({"rangemode": "tozero"}),
    );
    Figure::new(
        traces,
        plain_layout("Latency against throughput, by clients", x, y),
    )
}
