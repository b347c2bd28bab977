//! A heatmap's latencies by the lengths that were asked for.

use std::ops::Range;

use serde_json::{Value, json};

use super::{Figure, plain_layout, with};
use crate::base::shown::duration;
use crate::experiment::{CellLatency, HeatmapCell, HeatmapTable};
use crate::report::figure::colours::SCALE;
use crate::report::summary::counted;

/// From this share of the scale on black is read better than white, below it white.
pub(crate) const LIGHT_FROM: f64 = 0.47;
/// With so many columns there is room for two lines in a cell.
const ROOMY: usize = 4;

/// The medians of a latency in the cells of a [`HeatmapTable`], shaded by factors: latencies span orders of
/// magnitude. `name` is the latency's, like `TTFT`.
pub fn heatmap_of_lengths(
    table: &HeatmapTable,
    name: &str,
    latency: fn(&HeatmapCell) -> Option<CellLatency>,
) -> Figure {
    let labels = |bounds: &[Range<u64>]| bounds.iter().map(length).collect::<Vec<_>>();
    let cells: Vec<Vec<Option<CellLatency>>> = table
        .cells
        .iter()
        .map(|row| row.iter().map(latency).collect())
        .collect();
    let shades = |cell: &Option<CellLatency>| {
        let median = cell.map(|one| one.median);
        median.filter(|time| *time > 0.0).map(f64::log10)
    };
    let z: Vec<Vec<Option<f64>>> = cells
        .iter()
        .map(|row| row.iter().map(shades).collect())
        .collect();
    let known = z.iter().flatten().flatten();
    let (min, max) = known.fold((f64::INFINITY, f64::NEG_INFINITY), |(min, max), z| {
        (min.min(*z), max.max(*z))
    });
    // A few percent must not look like a factor.
    let least = 1.5_f64.log10();
    let (min, max) = match max - min < least {
        true => ((min + max - least) / 2.0, (min + max + least) / 2.0),
        false => (min, max),
    };
    let is_roomy = table.columns.len() <= ROOMY;
    let texts: Vec<Vec<String>> = cells
        .iter()
        .map(|row| row.iter().map(|cell| shown(*cell, is_roomy)).collect())
        .collect();
    let details: Vec<Vec<Value>> = cells
        .iter()
        .map(|row| row.iter().map(|cell| detail(*cell)).collect())
        .collect();
    // A trace has one colour of texts: light and dark cells are a trace each.
    let span = max - min;
    let is_light = |z: f64| span > 0.0 && (z - min) / span >= LIGHT_FROM;
    let traces = [(false, "#ffffff"), (true, "#000000")].map(|(wanted, colour)| {
        let own = |cell: &Option<f64>| cell.filter(|z| is_light(*z) == wanted);
        let z: Vec<Vec<Option<f64>>> = z.iter().map(|row| row.iter().map(own).collect()).collect();
        // Plotly writes the texts of cells without a value, too.
        let own_text = |(text, z): (&String, &Option<f64>)| match z {
            Some(_) => text.clone(),
            None => String::new(),
        };
        let own_texts: Vec<Vec<String>> = texts
            .iter()
            .zip(&z)
            .map(|(texts, z)| texts.iter().zip(z).map(own_text).collect())
            .collect();
        let is_any = z.iter().flatten().any(Option::is_some);
        let mut trace = json!({
            "type": "heatmap", "name": name, "colorscale": SCALE, "showscale": false,
            "x": labels(&table.columns), "y": labels(&table.rows), "z": z, "customdata": details,
            "text": own_texts, "texttemplate": "%{text}", "textfont": {"color": colour},
            "hoverongaps": false, "xgap": 2, "ygap": 2,
            "hovertemplate":
                "%{y} input, %{x} output tokens: %{customdata[0]}%{customdata[2]}, of %{customdata[1]}<extra></extra>",
        });
        if min.is_finite() {
            trace = with(trace, json!({"zmin": min, "zmax": max}));
        }
        is_any.then_some(trace)
    });
    let axis = |title: &str| json!({"type": "category", "title": {"text": title}});
    let title = format!("{name} by lengths, median");
    let height = 120 + 44 * table.rows.len();
    let layout = plain_layout(&title, axis("Output tokens"), axis("Input tokens"));
    Figure::new(
        traces.into_iter().flatten().collect(),
        with(layout, json!({"height": height})),
    )
}

/// What is said of a cell: its median, of how many requests, and its interval.
fn detail(cell: Option<CellLatency>) -> Value {
    let median = cell.map_or_else(String::new, |one| duration(one.median));
    let count = cell.map_or(0, |one| one.count);
    let interval = cell.and_then(|one| one.interval);
    let interval = interval.map_or_else(String::new, |one| {
        format!(" (95 %: {} to {})", duration(one.low), duration(one.high))
    });
    json!([median, counted(count, "request"), interval])
}

/// What stands in a cell: its latency and, with room, how many requests it rests on.
fn shown(cell: Option<CellLatency>, is_roomy: bool) -> String {
    match cell {
        None => String::new(),
        Some(one) if is_roomy => format!("{}<br>n = {}", duration(one.median), one.count),
        Some(one) => duration(one.median),
    }
}

/// `64`, or `60–69`.
fn length(bounds: &Range<u64>) -> Value {
    crate::report::heatmap::label(bounds).into()
}
