//! How the values of one latency are distributed, of one run or of several.

use serde_json::{Value, json};

use super::thin::ranks;
use super::ticks::{log_seconds, round_step};
use super::{Figure, Values, numbers, plain_layout, seconds_axis, share_axis, styled, text, with};

/// Bins of a histogram, about.
const BINS: f64 = 40.0;
/// From this ratio of the 99th percentile to the first on, bins are equal by factors.
const WIDE: f64 = 20.0;
/// Percentiles at which the axis of [`percentile_curve`] has a tick.
const TICKS: [(f64, &str); 6] = [
    (0.5, "p50"),
    (0.1, "p90"),
    (0.01, "p99"),
    (0.001, "p99.9"),
    (0.0001, "p99.99"),
    (0.00001, "p99.999"),
];

/// A histogram of a latency: the share of values in each bin, as the outline of the bars. Bins have the same
/// edges in all runs; where values span more than a factor of 20, they are equal by factors.
pub fn histogram(all: &[Values]) -> Figure {
    let (title, what) = titles(all);
    let edges = edges(all);
    let is_wide = edges
        .windows(3)
        .next()
        .is_some_and(|three| (three[2] - three[1]) > (three[1] - three[0]) * 1.001);
    // Areas of many runs hide one another.
    let fill = if all.len() > 2 { "none" } else { "tozeroy" };
    let traces = all.iter().enumerate().map(|(series, values)| {
        let total = values.count() as f64;
        let shares = edges
            .windows(2)
            .map(|edge| (values.below(edge[1]) - values.below(edge[0])) as f64 / total);
        // The outline ends on the ground.
        let shares = shares.chain([0.0]);
        styled(
            series,
            json!({
                "type": "scatter", "mode": "lines", "name": text(&values.name), "fill": fill,
                "line": {"shape": "hv", "width": 1.5},
                "x": numbers(edges.iter().copied()), "y": numbers(shares),
                "hovertemplate": "from %{x}: %{y}<extra></extra>",
            }),
        )
    });
    let mut x = seconds_axis(&what);
    if is_wide {
        x = log_seconds(x, edges[0], edges[edges.len() - 1]);
    }
    let y = with(
        share_axis("Share of values"),
        json!({"rangemode": "tozero"}),
    );
    Figure::new(
        traces.collect(),
        plain_layout(&format!("{title} histogram"), x, y),
    )
}

/// The empirical cumulative distribution of a latency: the share of values that are at most so large.
pub fn ecdf(all: &[Values]) -> Figure {
    let (title, what) = titles(all);
    let traces = all.iter().enumerate().map(|(series, values)| {
        let count = values.count();
        let kept = ranks(count);
        styled(
            series,
            json!({
                "type": "scatter", "mode": "lines", "name": text(&values.name),
                "line": {"shape": "hv"},
                "x": numbers(kept.iter().map(|rank| values.at(*rank))),
                "y": numbers(kept.iter().map(|rank| (rank + 1) as f64 / count as f64)),
                "hovertemplate": "%{y} are at most %{x}<extra></extra>",
            }),
        )
    });
    let y = with(share_axis("Share of values"), json!({"range": [0, 1.02]}));
    let layout = plain_layout(&format!("{title} ECDF"), seconds_axis(&what), y);
    Figure::new(traces.collect(), layout)
}

/// A latency by percentile, on a log scale of 1 − p, so that each further nine of the tail has the same
/// width. Percentiles of the statistics are marked, with their 95 % intervals where they have some.
pub fn percentile_curve(all: &[Values]) -> Figure {
    let (title, what) = titles(all);
    let mut traces = Vec::new();
    for (series, values) in all.iter().enumerate() {
        let count = values.count();
        let kept = ranks(count);
        // The rank i of n values, from 1, is the percentile i / (n + 1).
        let beyond = kept
            .iter()
            .map(|rank| (count - rank) as f64 / (count + 1) as f64);
        let name = text(&values.name);
        traces.push(styled(
            series,
            json!({
                "type": "scatter", "mode": "lines", "name": name, "legendgroup": name,
                "x": numbers(beyond), "y": numbers(kept.iter().map(|rank| values.at(*rank))),
                "hovertemplate": "%{x:.3~%} take longer than %{y}<extra></extra>",
            }),
        ));
        traces.push(styled(series, marks(values, &name)));
    }
    let reached = all
        .iter()
        .map(|values| 1.0 / (values.count() + 1) as f64)
        .fold(1.0, f64::min);
    let ticks = || TICKS.iter().filter(|(beyond, _)| *beyond >= reached * 0.99);
    let x = json!({
        "title": {"text": "Percentile"}, "type": "log",
        "range": [0.02, (reached * 0.8).log10()],
        "tickvals": ticks().map(|tick| tick.0).collect::<Vec<_>>(),
        "ticktext": ticks().map(|tick| tick.1).collect::<Vec<_>>(), "tickangle": 0,
    });
    let y = with(seconds_axis(&what), json!({"rangemode": "tozero"}));
    Figure::new(
        traces,
        plain_layout(&format!("{title} by percentile"), x, y),
    )
}

/// The percentiles of the statistics with their intervals.
fn marks(values: &Values, name: &str) -> Value {
    let marks = values.percentiles();
    let ends = |end: fn(&crate::stats::Interval) -> f64| {
        let distance = |(name, _, value): &(&str, f64, f64)| {
            let interval = values.latency.intervals.of(name)?;
            Some((end(&interval) - value).abs())
        };
        marks.iter().map(distance).collect::<Value>()
    };
    json!({
        "type": "scatter", "mode": "markers", "name": name, "legendgroup": name, "showlegend": false,
        "marker": {"size": 7},
        "x": numbers(marks.iter().map(|mark| 1.0 - mark.1)),
        "y": numbers(marks.iter().map(|mark| mark.2)),
        "text": marks.iter().map(|mark| mark.0).collect::<Vec<_>>(),
        "error_y": {
            "type": "data", "symmetric": false, "array": ends(|one| one.high),
            "arrayminus": ends(|one| one.low), "thickness": 1.5, "width": 5,
        },
        "hovertemplate": "%{text}: %{y}<extra></extra>",
    })
}

/// `TTFT`, and what the axis says.
fn titles(all: &[Values]) -> (String, String) {
    let Some(first) = all.first() else {
        return ("Latency".to_owned(), "Latency".to_owned());
    };
    let label = first.metric.label;
    let meaning = first.metric.key.replace('_', " ");
    match label == first.metric.key {
        true => (meaning.clone(), meaning),
        false => (label.to_owned(), format!("{label}, {meaning}")),
    }
}

/// The edges of bins over the values of all runs.
fn edges(all: &[Values]) -> Vec<f64> {
    let over =
        |pick: fn(&Values) -> f64, join: fn(f64, f64) -> f64| all.iter().map(pick).reduce(join);
    let min = over(|values| values.range().0, f64::min);
    let max = over(|values| values.range().1, f64::max);
    let (Some(min), Some(max)) = (min, max) else {
        return Vec::new();
    };
    let low = over(|values| values.quantile(0.01), f64::min).unwrap_or(min);
    let high = over(|values| values.quantile(0.99), f64::max).unwrap_or(max);
    // Values that hardly differ fill one bin.
    let smallest = max.abs().max(1e-9) * 1e-3;
    if min > 0.0 && high > low * WIDE {
        let step = (max / min).ln() / BINS;
        let edge = |at: u32| min * (step * f64::from(at)).exp();
        let mut edges: Vec<f64> = (0..=BINS as u32).map(edge).collect();
        // Rounding must not leave the largest value out.
        edges.push(edge(BINS as u32 + 1));
        return edges;
    }
    // The tail must not make the bins of the others too wide: at most three times as many are drawn.
    let spread = (high - low).max((max - min) / 3.0);
    let width = round_step((spread / BINS).max(smallest));
    let first = (min / width).floor();
    let count = ((max / width).floor() - first) as usize + 1;
    (0..=count).map(|at| (first + at as f64) * width).collect()
}
