//! A heatmap's latencies by the lengths that were asked for.

use std::ops::Range;

use serde_json::{Value, json};

use super::{Figure, plain_layout, with};
use crate::experiment::{HeatmapCell, HeatmapTable};
use crate::report::figure::colours::SCALE;

/// The medians of a latency in the cells of a [`HeatmapTable`], shaded by factors: latencies span orders of
/// magnitude. `name` is the latency's, like `TTFT`.
pub fn heatmap_of_lengths(
    table: &HeatmapTable,
    name: &str,
    latency: fn(&HeatmapCell) -> Option<f64>,
) -> Figure {
    let labels = |bounds: &[Range<u64>]| bounds.iter().map(length).collect::<Vec<_>>();
    let cells: Vec<Vec<Option<f64>>> = table
        .cells
        .iter()
        .map(|row| row.iter().map(latency).collect())
        .collect();
    let texts: Vec<Vec<String>> = cells
        .iter()
        .map(|row| {
            row.iter()
                .map(|cell| cell.map_or_else(String::new, crate::base::shown::duration))
                .collect()
        })
        .collect();
    let shades = |cell: &Option<f64>| cell.filter(|time| *time > 0.0).map(f64::log10);
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
    let mut trace = json!({
        "type": "heatmap", "name": name, "colorscale": SCALE, "showscale": false,
        "x": labels(&table.columns), "y": labels(&table.rows), "z": z, "customdata": cells,
        "text": texts, "texttemplate": "%{text}", "hoverongaps": false, "xgap": 2, "ygap": 2,
        "hovertemplate": "%{y} input, %{x} output tokens: %{text}<extra></extra>",
    });
    if min.is_finite() {
        trace = with(trace, json!({"zmin": min, "zmax": max}));
    }
    let axis = |title: &str| json!({"type": "category", "title": {"text": title}});
    let title = format!("{name} by lengths, median");
    let height = 120 + 44 * table.rows.len();
    let layout = plain_layout(&title, axis("Output tokens"), axis("Input tokens"));
    Figure::new(vec![trace], with(layout, json!({"height": height})))
}

/// `64`, or `60–69`.
fn length(bounds: &Range<u64>) -> Value {
    crate::report::heatmap::label(bounds).into()
}
