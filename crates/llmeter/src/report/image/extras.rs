//! What a layout adds to traces: shapes and notes.

use serde_json::Value;

use super::axis::Axis;
use super::colour::{Colour, FAINT_TEXT, TEXT};
use super::drawing::{Drawing, Point, Rect, Stroke};
use super::font;
use super::marks::{dashes, list, opacity};
use super::panel::Panel;
use super::place::Places;
use super::plot::Plot;

const NOTE_SIZE: f64 = 11.0;
/// A note so close to the top of a plot, in parts of the figure, is the plot's title.
const NEAR: f64 = 0.12;

/// Shapes and notes of a layout.
pub(super) struct Extras<'f> {
    shapes: &'f [Value],
    notes: Vec<&'f Value>,
    /// Whether a note stands above the plots.
    pub(super) has_above: bool,
    /// Titles of plots, by the places of their axes.
    pub(super) titles: Vec<(usize, usize, String)>,
}

impl<'f> Extras<'f> {
    pub(super) fn of(layout: &'f Value, plot: &Plot) -> Self {
        let mut extras = Self {
            shapes: list(layout, "shapes"),
            notes: Vec::new(),
            has_above: false,
            titles: Vec::new(),
        };
        for note in list(layout, "annotations")
            .iter()
            .filter(|note| note["visible"] != false)
        {
            match title_of(note, plot) {
                Some((x, y)) => {
                    let text = font::plain(note["text"].as_str().unwrap_or_default());
                    extras.titles.push((x, y, text.replace('\n', " ")));
                }
                None => {
                    let is_high = note["y"].as_f64().is_some_and(|y| y >= 1.0);
                    extras.has_above |=
                        is_high && note["yref"] == "paper" && note["yanchor"] == "bottom";
                    extras.notes.push(note);
                }
            }
        }
        extras
    }
}

/// The axes of the plot whose title a note is.
fn title_of(note: &Value, plot: &Plot) -> Option<(usize, usize)> {
    if note["xref"] != "paper" || note["yref"] != "paper" {
        return None;
    }
    let (x, y) = (note["x"].as_f64()?, note["y"].as_f64()?);
    let is_above = |trace: &&super::plot::Trace| {
        let [across, up] = [plot.axes[trace.x].domain, plot.axes[trace.y].domain];
        (across[0]..=across[1]).contains(&x) && (up[1] - 0.02..=up[1] + NEAR).contains(&y)
    };
    let several = plot.traces.iter().any(|trace| {
        plot.axes[trace.y].domain != [0.0, 1.0] || plot.axes[trace.x].domain != [0.0, 1.0]
    });
    let trace = plot.traces.iter().find(is_above).filter(|_| several)?;
    Some((trace.x, trace.y))
}

/// From a coordinate of a shape or a note to pixels.
fn along(
    value: &Value,
    reference: &Value,
    axis: &Axis,
    [start, end]: [f64; 2],
    [whole_start, whole_end]: [f64; 2],
) -> Option<f64> {
    let reference = reference.as_str().unwrap_or(&axis.id[..1]);
    if reference == "paper" {
        return Some(whole_start + value.as_f64()? * (whole_end - whole_start));
    }
    if reference.ends_with(" domain") {
        return Some(start + value.as_f64()? * (end - start));
    }
    Some(start + axis.share(axis.place(value)?) * (end - start))
}

/// The plot that a shape or note belongs to: the one with its axes.
fn owner<'p>(of: &Value, plot: &Plot, panels: &'p [Panel]) -> Option<&'p Panel> {
    let is_of = |reference: &Value, axis: usize| {
        let id = &plot.axes[axis].id;
        let reference = reference.as_str().unwrap_or(&id[..1]);
        reference == "paper" || reference.trim_end_matches(" domain") == id
    };
    panels.iter().find(|panel| {
        let is_y = is_of(&of["yref"], panel.y)
            || panel.right.is_some_and(|right| is_of(&of["yref"], right));
        is_of(&of["xref"], panel.x) && is_y
    })
}

/// A place in pixels.
fn place(
    of: &Value,
    [x_key, y_key]: [&str; 2],
    plot: &Plot,
    panel: &Panel,
    whole: Rect,
) -> Option<Point> {
    let rect = panel.rect;
    let x = &plot.axes[panel.x];
    let y = match panel.right.map(|right| &plot.axes[right]) {
        Some(right) if of["yref"] == right.id.as_str() => right,
        _ => &plot.axes[panel.y],
    };
    let across = ([rect.x, rect.right()], [whole.x, whole.right()]);
    let up = ([rect.bottom(), rect.y], [whole.bottom(), whole.y]);
    Some([
        along(&of[x_key], &of["xref"], x, across.0, across.1)?,
        along(&of[y_key], &of["yref"], y, up.0, up.1)?,
    ])
}

/// All plots together.
fn whole(panels: &[Panel]) -> Rect {
    let rects = panels.iter().map(|panel| panel.rect);
    let joined = rects.reduce(|one, other| {
        Rect::between(
            [one.x.min(other.x), one.y.min(other.y)],
            [
                one.right().max(other.right()),
                one.bottom().max(other.bottom()),
            ],
        )
    });
    joined.unwrap_or(Rect::between([0.0; 2], [1.0; 2]))
}

/// Draws the shapes below the traces, or those above.
pub(super) fn shapes(
    drawing: &mut Drawing,
    extras: &Extras<'_>,
    plot: &Plot,
    panels: &[Panel],
    below: bool,
) {
    for shape in extras.shapes {
        if (shape["layer"] == "below") != below || shape["visible"] == false {
            continue;
        }
        let Some(panel) = owner(shape, plot, panels) else {
            continue;
        };
        let whole = whole(panels);
        let corner = |keys| place(shape, keys, plot, panel, whole);
        let (Some(from), Some(to)) = (corner(["x0", "y0"]), corner(["x1", "y1"])) else {
            continue;
        };
        let line = &shape["line"];
        let width = line["width"].as_f64().unwrap_or(2.0);
        let stroke = Stroke {
            colour: line["color"]
                .as_str()
                .and_then(Colour::named)
                .unwrap_or(TEXT)
                .faded(opacity(shape)),
            width,
            dashes: dashes(line["dash"].as_str().unwrap_or_default(), width),
        };
        let is_over_all = shape["yref"] == "paper" || shape["xref"] == "paper";
        drawing.cut_to(Some(if is_over_all { whole } else { panel.rect }));
        match shape["type"].as_str() {
            Some("rect") => {
                let fill = shape["fillcolor"].as_str().and_then(Colour::named);
                let fill = fill.map(|fill| fill.faded(opacity(shape)));
                let stroke = Some(stroke).filter(|stroke| stroke.width > 0.0);
                drawing.rect(Rect::between(from, to), fill, stroke);
            }
            _ => drawing.line(vec![from, to], stroke),
        }
        drawing.cut_to(None);
    }
}

/// Writes what is noted at places of a plot, and beside its shapes.
pub(super) fn notes(
    drawing: &mut Drawing,
    extras: &Extras<'_>,
    plot: &Plot,
    panel: &Panel,
    panels: &[Panel],
    places: &mut Places,
) {
    // What is over several plots is said at the first.
    let is_here = |of: &Value| {
        owner(of, plot, panels).is_some_and(|owner| (owner.x, owner.y) == (panel.x, panel.y))
    };
    for note in &extras.notes {
        if !is_here(note) {
            continue;
        }
        let Some(at) = place(note, ["x", "y"], plot, panel, panel.rect) else {
            continue;
        };
        let text = font::plain(note["text"].as_str().unwrap_or_default());
        let has_arrow = note["showarrow"] != false;
        let side = match has_arrow {
            true => {
                let towards =
                    |key: &str, default: f64| note[key].as_f64().unwrap_or(default).signum();
                let [right, down] = [towards("ax", 0.0), towards("ay", -30.0)];
                [
                    if note["ax"].as_f64().is_none_or(|ax| ax == 0.0) {
                        0.0
                    } else {
                        right
                    },
                    down,
                ]
            }
            false => side_of(note),
        };
        let own = note["font"]["color"].as_str().and_then(Colour::named);
        let look = (NOTE_SIZE, own.unwrap_or(FAINT_TEXT));
        places.put(
            drawing,
            &text,
            at,
            side,
            if has_arrow { 10.0 } else { 3.0 },
            look,
        );
    }
    for shape in extras.shapes {
        let text = shape["label"]["text"].as_str().map(font::plain);
        let Some(text) = text.filter(|text| !text.is_empty()) else {
            continue;
        };
        if !is_here(shape) {
            continue;
        }
        let corner = |keys| place(shape, keys, plot, panel, panel.rect);
        if let (Some(from), Some(to)) = (corner(["x0", "y0"]), corner(["x1", "y1"])) {
            let rect = Rect::between(from, to);
            let own = shape["label"]["font"]["color"]
                .as_str()
                .and_then(Colour::named);
            let look = (NOTE_SIZE, own.unwrap_or(FAINT_TEXT));
            let at = [
                rect.x + rect.width / 2.0,
                rect.y.max(panel.rect.y) + NOTE_SIZE,
            ];
            let side = if rect.width < 1.0 {
                [1.0, 0.0]
            } else {
                [0.0; 2]
            };
            places.put(drawing, &text, at, side, 4.0, look);
        }
    }
}

/// Where a note stands whose anchors the figure gives.
fn side_of(note: &Value) -> [f64; 2] {
    let right = match note["xanchor"].as_str() {
        Some("left") => 1.0,
        Some("right") => -1.0,
        _ => 0.0,
    };
    let down = match note["yanchor"].as_str() {
        Some("bottom") => -1.0,
        Some("top") => 1.0,
        _ => 0.0,
    };
    [right, down]
}
