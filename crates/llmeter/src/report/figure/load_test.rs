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
/// Values of 0 are left out.
///
/// As the box plots of [`plot_load_test_results`].
pub fn boxplot_by_clients(result: &LoadTestResult, metric: &str) -> Option<Figure> {
    let metric = Metric::named(metric)?;
    let levels = result.results.iter().map(|(clients, level)| {
        let series = Series::of(level);
        let values = Values::of(series, metric.key);
        let mut values = values.map_or_else(Vec::new, |values| values.drawn(thin::MAX_POINTS));
        // Plotly draws those that have no place on the axis in its corner.
        values.retain(|value| *value > 0.0);
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

/// Sides of a point on which its text may be, the best first, with the direction to each: right and up.
const SIDES: [(&str, [f64; 2]); 8] = [
    ("bottom center", [0.0, -1.0]),
    ("bottom right", [1.0, -1.0]),
    ("middle right", [1.0, 0.0]),
    ("top center", [0.0, 1.0]),
    ("top left", [-1.0, 1.0]),
    ("bottom left", [-1.0, -1.0]),
    ("middle left", [-1.0, 0.0]),
    ("top right", [1.0, 1.0]),
];
/// About how many times as wide as high a chart is.
const ASPECT: f64 = 2.0;
/// Lines that are apart from a text's side by more than this, in radians, do not run through it.
const APART: f64 = 1.2;

/// On which side of each point of a line (with clients before the two coordinates) its text is not on the line.
fn sides(points: &[(usize, f64, f64)]) -> Vec<&'static str> {
    let most = |of: fn(&(usize, f64, f64)) -> f64| {
        let most = points.iter().map(of).fold(0.0, f64::max);
        if most > 0.0 { most } else { 1.0 }
    };
    // Both axes begin at 0.
    let (width, height) = (most(|point| point.1), most(|point| point.2));
    let angle = |from: usize, to: usize| {
        let (from, to) = (points.get(from)?, points.get(to)?);
        let (right, up) = ((to.1 - from.1) / width * ASPECT, (to.2 - from.2) / height);
        (right != 0.0 || up != 0.0).then(|| up.atan2(right))
    };
    let side = |at: usize| {
        let before = at.checked_sub(1).and_then(|before| angle(at, before));
        let lines: Vec<f64> = before.into_iter().chain(angle(at, at + 1)).collect();
        let distance = |[right, up]: [f64; 2]| {
            let apart = |line: &f64| {
                let turn = (up.atan2(right) - line).abs();
                turn.min(std::f64::consts::TAU - turn)
            };
            let nearest = lines.iter().map(apart).fold(f64::INFINITY, f64::min);
            nearest.min(APART)
        };
        let mut best = SIDES[0];
        for other in SIDES {
            if distance(other.1) > distance(best.1) {
                best = other;
            }
        }
        best.0
    };
    (0..points.len()).map(side).collect()
}

/// Which of the texts at the points of a line (as [`sides`] has them) are over no other: the most important first,
/// which are the knee's, the last and the first.
fn with_room(points: &[(usize, f64, f64)], sides: &[&str], texts: &[String]) -> Vec<bool> {
    /// About the width of a character, the height of a text and its distance from the point, as shares of the
    /// chart's height.
    const CHARACTER: f64 = 0.055;
    const HEIGHT: f64 = 0.09;
    const DISTANCE: f64 = 0.03;
    let most =
        |of: fn(&(usize, f64, f64)) -> f64| points.iter().map(of).fold(f64::MIN_POSITIVE, f64::max);
    let (width, height) = (most(|point| point.1), most(|point| point.2));
    // The middle of each text, and half its size.
    let boxes = points
        .iter()
        .zip(sides)
        .zip(texts)
        .map(|(((_, x, y), side), text)| {
            let direction = SIDES.iter().find(|(name, _)| name == side);
            let [right, up] = direction.map_or([0.0, -1.0], |(_, direction)| *direction);
            let (wide, high) = (text.chars().count() as f64 * CHARACTER / 2.0, HEIGHT / 2.0);
            let x = x / width * ASPECT + right * (wide + DISTANCE);
            (x, y / height + up * (high + DISTANCE), wide, high)
        });
    let boxes: Vec<(f64, f64, f64, f64)> = boxes.collect();
    let mut order: Vec<usize> = (0..points.len()).collect();
    let last = points.len().saturating_sub(1);
    order.sort_by_key(|at| {
        (
            texts[*at].parse::<usize>().is_ok(),
            *at != last && *at != 0,
            *at,
        )
    });
    let mut kept: Vec<usize> = Vec::new();
    for at in order {
        let one = boxes[at];
        let is_over = |other: &usize| {
            let other = boxes[*other];
            (one.0 - other.0).abs() < one.2 + other.2 && (one.1 - other.1).abs() < one.3 + other.3
        };
        if !kept.iter().any(is_over) {
            kept.push(at);
        }
    }
    (0..points.len()).map(|at| kept.contains(&at)).collect()
}

/// The part of a curve's width and height within which labels of two tests are over one another.
const NEAR: f64 = 0.12;

/// Latency (TTLT, median and 90th percentile) against throughput, with the number of clients at each
/// point; a larger marker is the knee ([`LoadTestResult::knee`]). Throughput is output tokens a second, or
/// successful requests a minute where no level has tokens.
pub fn throughput_latency_curve(tests: &[&LoadTestResult]) -> Figure {
    let has_tokens = tests
        .iter()
        .flat_map(|test| test.results.values())
        .any(|level| level.stats().output_tps.is_some_and(|rate| rate > 0.0));
    let mut traces = Vec::new();
    // Where earlier tests have labels.
    let mut labelled: Vec<(f64, f64)> = Vec::new();
    for (series, test) in tests.iter().enumerate() {
        let knee = match test.knee() {
            Knee::At(clients) => Some(clients),
            _ => None,
        };
        let group = name_of(test);
        let mut own = Vec::new();
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
            let sides = sides(&points);
            let mut texts: Vec<String> = points.iter().map(label).collect();
            let has_room = with_room(&points, &sides, &texts);
            let clients: Vec<usize> = points.iter().map(|point| point.0).collect();
            let widest = points.iter().map(|point| point.1).fold(0.0, f64::max);
            let highest = points.iter().map(|point| point.2).fold(0.0, f64::max);
            for ((text, has_room), point) in texts.iter_mut().zip(has_room).zip(&points) {
                let is_taken = labelled.iter().any(|(x, y)| {
                    (x - point.1).abs() < widest * NEAR && (y - point.2).abs() < highest * NEAR
                });
                if !has_room || is_taken {
                    text.clear();
                }
            }
            if mode.ends_with("text") {
                own.extend(points.iter().map(|point| (point.1, point.2)));
            }
            let size = |point: &(usize, f64, f64)| if Some(point.0) == knee { 14 } else { 8 };
            traces.push(styled(
                series,
                json!({
                    "type": "scatter", "mode": mode,
                    "name": format!("{group}, {percentile}"), "legendgroup": group,
                    "x": numbers(points.iter().map(|point| point.1)),
                    "y": numbers(points.iter().map(|point| point.2)),
                    "text": texts, "customdata": clients,
                    "textposition": sides, "cliponaxis": false, "line": {"dash": dash},
                    "marker": {"size": points.iter().map(size).collect::<Vec<_>>()},
                    "hovertemplate": "%{customdata} clients: %{x}, %{y}<extra></extra>",
                }),
            ));
        }
        labelled.extend(own);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_runs_through_the_number_of_clients() {
        // To the right, then up at the knee, then back to the left.
        let points = [
            (1, 10.0, 1.0),
            (2, 20.0, 1.0),
            (4, 30.0, 1.1),
            (8, 30.5, 3.0),
            (16, 25.0, 5.0),
        ];
        let sides = sides(&points);
        assert_eq!(sides[1], "bottom center", "{sides:?}");
        assert_eq!(sides[2], "bottom center", "{sides:?}");
        // From below and on to the upper left: neither is on the right.
        assert!(sides[3].ends_with("right"), "{sides:?}");
        assert_eq!(super::sides(&points[..1]), ["bottom center"]);
        let texts = ["1", "2", "4", "8 (knee)", "16"].map(str::to_owned);
        assert_eq!(with_room(&points, &sides, &texts), [true; 5]);
    }

    #[test]
    fn no_number_of_clients_is_over_another() {
        let points = [
            (1, 100.0, 125.0),
            (11, 1690.0, 124.0),
            (13, 1900.0, 131.0),
            (14, 1840.0, 136.0),
            (16, 1845.0, 158.0),
        ];
        let sides = sides(&points);
        let texts = ["1", "11", "13 (knee)", "14", "16"].map(str::to_owned);
        let shown = with_room(&points, &sides, &texts);
        assert!(shown[0] && shown[2], "{shown:?}");
        assert!(!shown.iter().all(|is_shown| *is_shown), "{shown:?}");
    }
}
