//! Figures as images, without a browser.
//!
//! Belongs here: SVG and PNG of a figure's JSON. A figure becomes a list of shapes and texts, which has two
//! writers. What is drawn are the means that figures use: traces `scatter`, `bar`, `box` and
//! `heatmap`; axes linear, logarithmic and of names; plots side by side; shapes and notes. Anything else
//! is left out.
//! Does not belong here: what is drawn (figures), pages.

mod axis;
mod bar;
mod boxes;
mod colour;
mod drawing;
mod extras;
mod font;
mod heatmap;
mod marks;
mod number;
mod panel;
mod place;
mod plot;
mod png;
mod render;
mod scatter;
mod svg;

use serde_json::Value;

use self::drawing::Drawing;
use super::figure::Figure;
use crate::Result;

/// The size of an image whose figure has none, in pixels.
const SIZE: [f64; 2] = [880.0, 500.0];
/// The height of each further row of plots.
const ROW: f64 = 250.0;
/// Images are between these sizes.
const MIN_SIDE: f64 = 120.0;
const MAX_SIDE: f64 = 4000.0;
/// Pixels of a PNG for each of the figure's.
const SCALE: f64 = 2.0;

/// A figure as SVG: a document of its own, without script, links or foreign fonts. Texts are texts, in
/// whatever sans-serif font its reader has.
///
/// ```
/// use llmeter::report::figure::Figure;
/// use llmeter::report::figure_svg;
/// use serde_json::json;
///
/// let trace = json!({"type": "scatter", "x": [1, 2, 4], "y": [0.2, 0.25, 0.4], "name": "p50"});
/// let layout = json!({"title": {"text": "TTFT"}, "xaxis": {"title": {"text": "clients"}}});
/// let svg = figure_svg(&Figure::new(vec![trace], layout));
/// assert!(svg.starts_with("<svg ") && svg.contains(">clients</text>"));
/// ```
pub fn figure_svg(figure: &Figure) -> String {
    svg::write(&drawn(figure.as_json()))
}

/// A figure as PNG, with two pixels for each of the figure's. Letters beyond Latin, Greek and Cyrillic are
/// boxes.
///
/// # Errors
/// Only if llmeter has a fault.
pub fn figure_png(figure: &Figure) -> Result<Vec<u8>> {
    png::draw(&drawn(figure.as_json()), SCALE)
}

fn drawn(figure: &Value) -> Drawing {
    let [width, height] = size(figure);
    render::draw(figure, width, height)
}

/// The size that a figure has, or that its plots need.
fn size(figure: &Value) -> [f64; 2] {
    let layout = &figure["layout"];
    let axes = layout.as_object().into_iter().flatten();
    let mut starts: Vec<f64> = axes
        .filter(|(key, _)| key.starts_with("yaxis"))
        .filter_map(|(_, axis)| axis["domain"][0].as_f64())
        .collect();
    starts.sort_by(f64::total_cmp);
    starts.dedup();
    // Plots one above the other. One beside the others needs no row.
    let rows = starts.len().saturating_sub(1) as f64;
    let own = |key: &str| layout[key].as_f64();
    let width = own("width").unwrap_or(SIZE[0]);
    let height = own("height").unwrap_or(SIZE[1] + ROW * (rows - 1.0).max(0.0));
    [width, height].map(|side| side.clamp(MIN_SIDE, MAX_SIDE))
}

#[cfg(test)]
mod tests;
