//! Lines, points and texts.

use serde_json::Value;

use super::axis::number;
use super::colour::{Colour, TEXT};
use super::drawing::{Point, Stroke};
use super::font;
use super::marks::{Mark, Plane, Symbols, list, stroke};

/// With fewer points, each is marked unless the trace says otherwise.
const FEW_POINTS: usize = 20;

/// The marks of a trace. `below` are the points of the trace before, for fills between the two; those of
/// this one take their place.
pub(super) fn marks(
    trace: &Value,
    plane: Plane<'_>,
    colour: Colour,
    below: &mut Vec<Point>,
) -> Vec<Mark> {
    let points = points(trace, &plane);
    let default = if points.len() < FEW_POINTS {
        "lines+markers"
    } else {
        "lines"
    };
    let mode = trace["mode"].as_str().unwrap_or(default);
    let mut marks = Vec::new();
    for point in points.iter().flatten() {
        plane.along.reach_point(point[0]);
        plane.across.reach(point[1]);
    }
    let runs: Vec<Vec<Point>> = points
        .split(Option::is_none)
        .map(|run| shaped(run, trace["line"]["shape"].as_str().unwrap_or_default()))
        .filter(|run| !run.is_empty())
        .collect();

    let fill = trace["fill"].as_str().unwrap_or("none");
    if fill != "none" {
        let own = trace["fillcolor"].as_str().and_then(Colour::named);
        let fill_colour = own.unwrap_or(stroke(trace, colour).colour.faded(0.2));
        for run in &runs {
            let mut area = run.clone();
            match (fill, run.first(), run.last()) {
                ("tozeroy", Some(first), Some(last)) => {
                    let base = plane.across.base();
                    plane.across.reach(0.0);
                    area.extend([[last[0], base], [first[0], base]]);
                }
                ("tonexty", ..) => area.extend(below.iter().rev()),
                _ => {}
            }
            marks.push(Mark::Area {
                points: area,
                fill: fill_colour,
            });
        }
    }
    *below = runs.concat();
    if mode.contains("lines") {
        let stroke = stroke(trace, colour);
        marks.extend(runs.into_iter().map(|points| Mark::Line {
            points,
            stroke: stroke.clone(),
        }));
    }
    let symbols = Symbols::new(trace, colour);
    errors(trace, &plane, &points, &symbols, &mut marks);
    for mark in &marks {
        if let Mark::Whisker { from, to, .. } = mark {
            for [along, across] in [from, to] {
                plane.along.reach(*along);
                plane.across.reach(*across);
            }
        }
    }
    if mode.contains("markers") {
        let places = points.iter().enumerate();
        marks.extend(places.filter_map(|(index, point)| {
            Some(Mark::Symbol {
                at: (*point)?,
                look: symbols.of(index),
            })
        }));
    }
    if mode.contains("text") {
        for (index, point) in points.iter().enumerate() {
            let text = match &trace["text"] {
                Value::Array(each) => each.get(index).and_then(Value::as_str),
                all => all.as_str(),
            };
            let position = match &trace["textposition"] {
                Value::Array(each) => each.get(index).and_then(Value::as_str),
                all => all.as_str(),
            };
            let side = side(position.unwrap_or("middle center"));
            if let (Some(at), Some(text)) = (*point, text) {
                marks.push(Mark::Label {
                    at,
                    text: font::plain(text),
                    side,
                    distance: symbols.of(index).size / 2.0 + 2.0,
                    colour: TEXT,
                    within: None,
                });
            }
        }
    }
    marks
}

/// The points, `None` where a value is missing.
fn points(trace: &Value, plane: &Plane<'_>) -> Vec<Option<Point>> {
    let (x, y) = (list(trace, "x"), list(trace, "y"));
    let count = if x.is_empty() {
        y.len()
    } else {
        x.len().min(y.len())
    };
    (0..count)
        .map(|index| {
            let across = plane.across.place(&y[index])?;
            let along = match x.get(index) {
                Some(x) => plane.along.place(x)?,
                None => plane.along.place_of(index as f64)?,
            };
            Some([along, across])
        })
        .collect()
}

/// A line with steps, if it is to have some.
fn shaped(run: &[Option<Point>], shape: &str) -> Vec<Point> {
    let mut points: Vec<Point> = Vec::with_capacity(run.len());
    for point in run.iter().copied().flatten() {
        match (points.last().copied(), shape) {
            (Some(last), "hv") => points.push([point[0], last[1]]),
            (Some(last), "vh") => points.push([last[0], point[1]]),
            (Some(last), "hvh") => {
                let middle = (last[0] + point[0]) / 2.0;
                points.extend([[middle, last[1]], [middle, point[1]]]);
            }
            _ => {}
        }
        points.push(point);
    }
    points
}

/// Bars of errors, from `error_x` and `error_y`.
fn errors(
    trace: &Value,
    plane: &Plane<'_>,
    points: &[Option<Point>],
    symbols: &Symbols<'_>,
    marks: &mut Vec<Mark>,
) {
    for (key, is_up) in [("error_y", true), ("error_x", false)] {
        let error = &trace[key];
        if error["visible"] == false || error["array"].is_null() {
            continue;
        }
        let axis = if is_up { &*plane.across } else { &*plane.along };
        let upper = list(error, "array");
        let lower = match error["arrayminus"].is_array() {
            true => list(error, "arrayminus"),
            false => upper,
        };
        let own = error["color"].as_str().and_then(Colour::named);
        for (index, point) in points.iter().enumerate() {
            let values = list(trace, if is_up { "y" } else { "x" });
            let (Some(at), Some(value)) = (*point, values.get(index).and_then(number)) else {
                continue;
            };
            let end = |lengths: &[Value], sign: f64| {
                let length = lengths.get(index).and_then(number)?;
                axis.place_of(value + sign * length)
            };
            let (low, high) = (end(lower, -1.0), end(upper, 1.0));
            if low.is_none() && high.is_none() {
                continue;
            }
            let here = at[usize::from(is_up)];
            let ends = [low.unwrap_or(here), high.unwrap_or(here)];
            let [from, to] = ends.map(|end| if is_up { [at[0], end] } else { [end, at[1]] });
            marks.push(Mark::Whisker {
                from,
                to,
                caps: error["width"].as_f64().unwrap_or(4.0) * 2.0,
                stroke: Stroke::plain(
                    own.unwrap_or(symbols.of(index).colour),
                    error["thickness"].as_f64().unwrap_or(1.5),
                ),
            });
        }
    }
}

/// Where a text stands beside its point.
pub(super) fn side(position: &str) -> [f64; 2] {
    let is = |word: &str| f64::from(u8::from(position.contains(word)));
    [is("right") - is("left"), is("bottom") - is("top")]
}
