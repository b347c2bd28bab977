//! Charts of any number that responses have, under the Python package's names.

use serde_json::{Value, json};

use super::values::succeeded;
use super::{
    Dimension, Figure, Series, layout, number_axis, numbers, plain_layout, styled, text, thin, with,
};
use crate::RunResult;
use crate::base::error::{Error, Result};
use crate::experiment::heatmap_bins;
use crate::report::figure::colours::SCALE;

/// Bins of a histogram, about.
const BINS: usize = 30;
/// Columns in which a cloud of points has a median.
const COLUMNS: usize = 20;
/// Requests that a column needs for that.
const MIN_IN_COLUMN: usize = 5;

/// A box plot of a dimension over the successful responses: a trace for a figure. `name` is by default the
/// run's.
///
/// Up to 2,000 values are all in it. Of more it has the quartiles, fences at 1.5 times the distance between
/// them, and the outermost values.
///
/// # Errors
/// If the run has no such [`Dimension`].
pub fn boxplot_by_dimension(
    result: &RunResult,
    dimension: &str,
    name: Option<&str>,
) -> Result<Value> {
    let dimension = Dimension::named(result, dimension)?;
    let values: Vec<f64> = succeeded(result)
        .filter_map(|one| dimension.of(one))
        .collect();
    let name = text(name.unwrap_or(Series::of(result).name));
    if values.len() <= thin::MAX_POINTS {
        return Ok(json!({"name": name, "x": values, "type": "box"}));
    }
    let mut trace = boxes(&name, vec![(0.0, values)]);
    let outer = trace["y"].take();
    trace["orientation"] = "h".into();
    trace["y"] = json!([name]);
    trace["x"] = outer;
    Ok(trace)
}

/// A box for each place on the x axis: all values as long as they are few, or what is drawn of them.
pub(super) fn boxes(name: &str, groups: Vec<(f64, Vec<f64>)>) -> Value {
    let place = |x: f64| match x.fract() == 0.0 {
        true => Value::from(x as i64),
        false => x.into(),
    };
    let total: usize = groups.iter().map(|(_, values)| values.len()).sum();
    if total <= thin::MAX_POINTS {
        let each = || {
            let groups = groups.iter();
            groups.flat_map(|(x, values)| values.iter().map(move |value| (*x, *value)))
        };
        let x: Value = each().map(|(x, _)| place(x)).collect();
        return json!({"name": name, "x": x, "y": numbers(each().map(|point| point.1)), "type": "box"});
    }
    let mut trace = json!({"name": name, "type": "box", "boxpoints": "outliers"});
    let groups: Vec<_> = groups
        .into_iter()
        .filter(|(_, values)| !values.is_empty())
        .collect();
    let drawn: Vec<BoxOf> = groups
        .iter()
        .map(|(_, values)| BoxOf::new(values))
        .collect();
    trace["x"] = groups.iter().map(|(x, _)| place(*x)).collect();
    for (key, take) in [
        ("q1", (|one| one.q1) as fn(&BoxOf) -> f64),
        ("median", |one| one.median),
        ("q3", |one| one.q3),
        ("lowerfence", |one| one.fences.0),
        ("upperfence", |one| one.fences.1),
    ] {
        trace[key] = numbers(drawn.iter().map(take));
    }
    trace["y"] = drawn
        .iter()
        .map(|one| numbers(one.outer.iter().copied()))
        .collect();
    trace
}

/// What is drawn of many values.
struct BoxOf {
    q1: f64,
    median: f64,
    q3: f64,
    fences: (f64, f64),
    /// The outermost values beyond the fences.
    outer: Vec<f64>,
}

/// Values of each end that are drawn by themselves.
const OUTER: usize = 50;

impl BoxOf {
    /// Of values of which there is one at least.
    fn new(values: &[f64]) -> Self {
        let mut sorted = values.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        // As Plotly takes quartiles by default: linear between values, (i + 1/2) / n being value i.
        let quartile = |share: f64| {
            let place = share * sorted.len() as f64 - 0.5;
            let last = sorted.len() - 1;
            let lower = place.floor().clamp(0.0, last as f64) as usize;
            let upper = (lower + 1).min(last);
            let part = (place - lower as f64).clamp(0.0, 1.0);
            sorted[lower] + (sorted[upper] - sorted[lower]) * part
        };
        let (q1, median, q3) = (quartile(0.25), quartile(0.5), quartile(0.75));
        let reach = 1.5 * (q3 - q1);
        let from = sorted.partition_point(|value| *value < q1 - reach);
        let to = sorted.partition_point(|value| *value <= q3 + reach);
        let low = sorted[..from].iter().take(OUTER);
        let high = sorted[to..].iter().rev().take(OUTER).rev();
        Self {
            outer: low.chain(high).copied().collect(),
            fences: (sorted[from.min(sorted.len() - 1)], sorted[to.max(1) - 1]),
            q1,
            median,
            q3,
        }
    }
}

/// The shares of the values of a dimension in bins, over the successful responses: a trace for a figure.
/// With `filter`, of the responses that have this value in this field or annotation.
///
/// # Errors
/// If the run has no such [`Dimension`], or no such field or annotation to filter by.
pub fn histogram_by_dimension(
    result: &RunResult,
    dimension: &str,
    filter: Option<(&str, &Value)>,
) -> Result<Value> {
    let dimension = Dimension::named(result, dimension)?;
    let filtered_by = match filter {
        Some((field, _)) => result.get_dimension(field)?,
        None => Vec::new(),
    };
    let is_taken = |at: usize| match filter {
        Some((_, wanted)) => filtered_by[at] == *wanted,
        None => true,
    };
    let responses = result.responses.iter().enumerate();
    let taken = responses.filter(|(at, one)| one.error.is_none() && is_taken(*at));
    let values: Vec<f64> = taken.filter_map(|(_, one)| dimension.of(one)).collect();
    let edges = bins(&values, BINS);
    let counts = counted(&values, &edges);
    let total = values.len().max(1) as f64;
    Ok(json!({
        "type": "bar", "name": text(Series::of(result).name),
        "x": numbers(edges.windows(2).map(|edge| (edge[0] + edge[1]) / 2.0)),
        "y": numbers(counts.iter().map(|count| *count as f64 / total)),
        "width": numbers(edges.windows(2).map(|edge| edge[1] - edge[0])),
    }))
}

/// The edges of bins of equal width.
fn bins(values: &[f64], bins: usize) -> Vec<f64> {
    let min = values.iter().copied().fold(f64::INFINITY, f64::min);
    let max = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if values.is_empty() || bins == 0 {
        return Vec::new();
    }
    if min == max {
        let half = (min.abs() * 0.01).max(1e-9);
        return vec![min - half, min + half];
    }
    let width = (max - min) / bins as f64;
    (0..=bins).map(|at| min + width * at as f64).collect()
}

/// How many values each bin has; the last has its end, too.
fn counted(values: &[f64], edges: &[f64]) -> Vec<u64> {
    let mut counts = vec![0; edges.len().saturating_sub(1)];
    for value in values {
        if let Some(bin) = bin_of(*value, edges) {
            counts[bin] += 1;
        }
    }
    counts
}

fn bin_of(value: f64, edges: &[f64]) -> Option<usize> {
    let bins = edges.len().checked_sub(1).filter(|bins| *bins > 0)?;
    let at = edges.partition_point(|edge| *edge <= value);
    at.checked_sub(1).map(|bin| bin.min(bins - 1))
}

/// Two dimensions of the successful responses against each other, with the histogram of each at the side,
/// in so many bins.
///
/// # Errors
/// If the run lacks one of the [`Dimension`]s.
pub fn scatter_histogram_2d(
    result: &RunResult,
    x_dimension: &str,
    y_dimension: &str,
    n_bins_x: usize,
    n_bins_y: usize,
) -> Result<Figure> {
    let x = Dimension::named(result, x_dimension)?;
    let y = Dimension::named(result, y_dimension)?;
    let points = succeeded(result).filter_map(|one| Some((x.of(one)?, y.of(one)?)));
    let points: Vec<(f64, f64)> = points.collect();
    let (all_x, all_y): (Vec<f64>, Vec<f64>) = points.iter().copied().unzip();
    let kept = thin::points(&points);
    let (edges_x, edges_y) = (bins(&all_x, n_bins_x), bins(&all_y, n_bins_y));
    let centres = |edges: &[f64]| numbers(edges.windows(2).map(|edge| (edge[0] + edge[1]) / 2.0));
    let widths = |edges: &[f64]| numbers(edges.windows(2).map(|edge| edge[1] - edge[0]));
    let data = vec![
        styled(
            0,
            json!({
                "type": "scatter", "mode": "markers", "name": text(Series::of(result).name),
                "marker": {"size": 5, "opacity": 0.6}, "showlegend": false,
                "x": numbers(kept.iter().map(|point| point.0)),
                "y": numbers(kept.iter().map(|point| point.1)),
                "xaxis": "x", "yaxis": "y",
            }),
        ),
        styled(
            0,
            json!({
                "type": "bar", "name": "requests", "showlegend": false, "opacity": 0.5,
                "x": centres(&edges_x), "width": widths(&edges_x), "y": counted(&all_x, &edges_x),
                "xaxis": "x", "yaxis": "y2",
            }),
        ),
        styled(
            0,
            json!({
                "type": "bar", "orientation": "h", "name": "requests", "showlegend": false, "opacity": 0.5,
                "y": centres(&edges_y), "width": widths(&edges_y), "x": counted(&all_y, &edges_y),
                "xaxis": "x2", "yaxis": "y",
            }),
        ),
    ];
    Ok(Figure::new(
        data,
        with_sides(
            &format!("{} against {}", y.title(), x.title().to_lowercase()),
            &x,
            &y,
        ),
    ))
}

/// A layout of a middle with a histogram above and one at the right.
fn with_sides(title: &str, x: &Dimension, y: &Dimension) -> Value {
    let side = |anchor: &str, domain: [f64; 2]| {
        with(
            number_axis("requests"),
            json!({"anchor": anchor, "domain": domain, "nticks": 3}),
        )
    };
    layout(
        title,
        [
            (
                "xaxis".to_owned(),
                with(x.axis(), json!({"domain": [0.0, 0.78], "anchor": "y"})),
            ),
            (
                "yaxis".to_owned(),
                with(y.axis(), json!({"domain": [0.0, 0.78], "anchor": "x"})),
            ),
            ("xaxis2".to_owned(), side("y", [0.82, 1.0])),
            ("yaxis2".to_owned(), side("x", [0.82, 1.0])),
            ("bargap".to_owned(), 0.into()),
        ],
    )
}

/// A dimension by input and output tokens, each in so many bins: the mean of the successful responses in each
/// cell. With `show_scatter` the responses are marked.
///
/// Bins are those of the Python package ([`heatmap_bins`]).
///
/// # Errors
/// If the run has no such [`Dimension`], or no bins are asked for.
pub fn plot_heatmap(
    result: &RunResult,
    dimension: &str,
    n_bins_x: usize,
    n_bins_y: usize,
    show_scatter: bool,
) -> Result<Figure> {
    if n_bins_x == 0 || n_bins_y == 0 {
        return Err(Error::field("bins", 0, "1 or more"));
    }
    let z = Dimension::named(result, dimension)?;
    let points: Vec<(f64, f64, f64)> = succeeded(result)
        .filter_map(|one| {
            let tokens = one.num_tokens_input.zip(one.num_tokens_output)?;
            Some((tokens.0 as f64, tokens.1 as f64, z.of(one)?))
        })
        .collect();
    let edges = |take: fn(&(f64, f64, f64)) -> f64, bins| {
        let values: Vec<f64> = points.iter().map(take).collect();
        let bins = heatmap_bins(&values, bins);
        let ends = bins.last().map(|last| last.end);
        bins.iter()
            .map(|bin| bin.start)
            .chain(ends)
            .collect::<Vec<f64>>()
    };
    let (edges_x, edges_y) = (edges(|at| at.0, n_bins_x), edges(|at| at.1, n_bins_y));
    let columns = edges_x.len().saturating_sub(1);
    let mut sums = vec![vec![(0.0, 0_u64); columns]; edges_y.len().saturating_sub(1)];
    for (x, y, z) in &points {
        if let (Some(column), Some(row)) = (bin_of(*x, &edges_x), bin_of(*y, &edges_y)) {
            let cell = &mut sums[row][column];
            *cell = (cell.0 + z, cell.1 + 1);
        }
    }
    let mean = |cell: &(f64, u64)| (cell.1 > 0).then(|| cell.0 / cell.1 as f64);
    let cells: Vec<Vec<Option<f64>>> = sums
        .iter()
        .map(|row| row.iter().map(mean).collect())
        .collect();
    let suffix = if z.is_time() { "s" } else { "" };
    let mut data = vec![json!({
        "type": "heatmap", "name": z.title(), "colorscale": SCALE,
        // Edges, not centres: one more than there are cells.
        "x": numbers(edges_x.iter().copied()), "y": numbers(edges_y.iter().copied()),
        "z": cells, "texttemplate": format!("%{{z:.3s}}{suffix}"), "hoverongaps": false,
        "colorbar": {"title": {"text": z.title(), "side": "right"}, "tickformat": "~s", "ticksuffix": suffix},
        "hovertemplate": format!("%{{x}} input, %{{y}} output tokens: %{{z:.4s}}{suffix}<extra></extra>"),
    })];
    if show_scatter {
        let cloud: Vec<_> = points.iter().map(|(x, y, _)| (*x, *y)).collect();
        let kept = thin::points(&cloud);
        data.push(json!({
            "type": "scatter", "mode": "markers", "name": "requests", "showlegend": false,
            "marker": {"color": "white", "symbol": "x", "size": 8, "opacity": 0.7, "line": {"width": 1}},
            "x": numbers(kept.iter().map(|point| point.0)),
            "y": numbers(kept.iter().map(|point| point.1)),
        }));
    }
    let title = format!("{} by input and output tokens", z.title());
    let axes = (number_axis("Input tokens"), number_axis("Output tokens"));
    Ok(Figure::new(data, plain_layout(&title, axes.0, axes.1)))
}

/// Two dimensions against each other, of one run or of several, with the median in each column of five
/// requests or more. Clouds are thinned by the rule of [`thin::points`].
///
/// # Errors
/// If a run lacks one of the [`Dimension`]s.
pub fn scatter_by_dimension(
    all: &[Series<'_>],
    x_dimension: &str,
    y_dimension: &str,
) -> Result<Figure> {
    let mut data = Vec::new();
    let mut axes = None;
    for (series, one) in all.iter().enumerate() {
        let x = Dimension::named(one.result, x_dimension)?;
        let y = Dimension::named(one.result, y_dimension)?;
        let points = succeeded(one.result).filter_map(|one| Some((x.of(one)?, y.of(one)?)));
        let points: Vec<(f64, f64)> = points.collect();
        let kept = thin::points(&points);
        let name = text(one.name);
        data.push(styled(
            series,
            json!({
                "type": "scatter", "mode": "markers", "name": name, "legendgroup": name,
                "marker": {"size": 5, "opacity": 0.45},
                "x": numbers(kept.iter().map(|point| point.0)),
                "y": numbers(kept.iter().map(|point| point.1)),
                "hovertemplate": "%{x}: %{y}<extra></extra>",
            }),
        ));
        let medians = medians(&points);
        data.push(styled(series, json!({
            "type": "scatter", "mode": "lines+markers", "name": format!("{name}, median"),
            "legendgroup": name, "showlegend": false, "line": {"width": 2.5}, "marker": {"size": 6},
            "x": numbers(medians.iter().map(|point| point.0)),
            "y": numbers(medians.iter().map(|point| point.1)),
            "hovertemplate": "median at %{x}: %{y}<extra></extra>",
        })));
        axes.get_or_insert((x, y));
    }
    let Some((x, y)) = axes else {
        return Ok(Figure::new(data, plain_layout("", json!({}), json!({}))));
    };
    let title = format!("{} against {}", y.title(), x.title().to_lowercase());
    let y_axis = with(y.axis(), json!({"rangemode": "tozero"}));
    Ok(Figure::new(data, plain_layout(&title, x.axis(), y_axis)))
}

/// The median of y in columns of x that have enough points, at their mean of x.
fn medians(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let x: Vec<f64> = points.iter().map(|point| point.0).collect();
    let edges = bins(&x, COLUMNS);
    let mut columns = vec![(0.0, Vec::new()); edges.len().saturating_sub(1)];
    for (x, y) in points {
        if let Some(bin) = bin_of(*x, &edges) {
            columns[bin].0 += x;
            columns[bin].1.push(*y);
        }
    }
    let columns = columns
        .into_iter()
        .filter(|(_, values)| values.len() >= MIN_IN_COLUMN);
    columns
        .map(|(sum, mut values)| {
            let middle = values.len() / 2;
            let count = values.len() as f64;
            let (_, median, _) = values.select_nth_unstable_by(middle, f64::total_cmp);
            (sum / count, *median)
        })
        .collect()
}
