//! Bars.

use std::collections::HashMap;

use serde_json::Value;

use super::axis::{Axis, number};
use super::colour::{Colour, WHITE};
use super::drawing::Stroke;
use super::marks::{Mark, Plane, Symbols, distance, list};

/// The part of a bar's room that stays free, if the figure does not say.
const GAP: f64 = 0.2;

/// What the bars of one pair of axes know of each other.
#[derive(Debug, Default)]
pub(super) struct Together {
    /// Traces that stand side by side, in order.
    pub(super) traces: Vec<usize>,
    /// The smallest distance between positions.
    distance: Option<f64>,
    /// Where stacks end, by position: those above the ground and those below.
    ends: HashMap<u64, [f64; 2]>,
}

/// Whether positions lie on the y axis.
pub(super) fn is_turned(trace: &Value) -> bool {
    trace["orientation"] == "h"
}

/// Counts a trace among those of its axes.
pub(super) fn join(together: &mut Together, index: usize, trace: &Value, along: &Axis) {
    let positions = list(trace, if is_turned(trace) { "y" } else { "x" });
    let places = positions
        .iter()
        .filter_map(|position| along.place(position));
    let own = distance(places);
    together.traces.push(index);
    together.distance = match (together.distance, own) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    };
}

/// The marks of a trace.
pub(super) fn marks(
    trace: &Value,
    index: usize,
    plane: Plane<'_>,
    colour: Colour,
    layout: &Value,
    together: &mut Together,
) -> Vec<Mark> {
    let (positions, values) = match plane.is_turned {
        true => (list(trace, "y"), list(trace, "x")),
        false => (list(trace, "x"), list(trace, "y")),
    };
    let mode = layout["barmode"].as_str().unwrap_or("group");
    let is_stacked = matches!(mode, "stack" | "relative");
    let gap = layout["bargap"].as_f64().unwrap_or(GAP);
    let room = together.distance.unwrap_or(1.0) * (1.0 - gap);
    // Those side by side share the room.
    let (width, offset) = match mode {
        "group" if together.traces.len() > 1 && trace["width"].is_null() => {
            let count = together.traces.len() as f64;
            let place = together.traces.iter().position(|other| *other == index);
            let place = place.unwrap_or(0) as f64;
            (room / count, (place + 0.5) * room / count - room / 2.0)
        }
        _ => (room, 0.0),
    };
    let of = |key: &str, at: usize| match &trace[key] {
        Value::Array(each) => each.get(at).and_then(number),
        all => number(all),
    };
    let looks = Symbols::new(trace, colour);
    let line = &trace["marker"]["line"];
    let outline = line["width"]
        .as_f64()
        .filter(|width| *width > 0.0)
        .map(|width| {
            let own = line["color"].as_str().and_then(Colour::named);
            Stroke::plain(own.unwrap_or(WHITE), width)
        });
    let mut marks = Vec::new();
    for (at, (position, value)) in positions.iter().zip(values).enumerate() {
        let (Some(place), Some(value)) = (plane.along.place(position), number(value)) else {
            continue;
        };
        let edges = match (of("width", at), number(position)) {
            // Widths are those of values, not of places.
            (Some(width), Some(position)) => {
                let start = of("offset", at).unwrap_or(-width / 2.0);
                let ends = [position + start, position + start + width];
                ends.map(|end| plane.along.place_of(end))
            }
            (Some(width), None) => [Some(place - width / 2.0), Some(place + width / 2.0)],
            _ => {
                let middle = place + offset;
                [Some(middle - width / 2.0), Some(middle + width / 2.0)]
            }
        };
        let [Some(start), Some(end)] = edges else {
            continue;
        };
        let base = match (of("base", at), is_stacked) {
            (Some(base), _) => base,
            (None, true) => {
                let ends = together.ends.entry(place.to_bits()).or_default();
                let side = &mut ends[usize::from(value < 0.0)];
                let base = *side;
                *side += value;
                base
            }
            (None, false) => 0.0,
        };
        let ground = plane.across.place_of(base);
        let Some(top) = plane.across.place_of(base + value) else {
            continue;
        };
        plane.along.reach(start);
        plane.along.reach(end);
        plane.across.reach(top);
        if let Some(ground) = ground {
            plane.across.reach(ground);
        }
        marks.push(Mark::Bar {
            from: plane.point(start, ground.unwrap_or(plane.across.base())),
            to: plane.point(end, top),
            fill: looks.of(at).colour,
            stroke: outline.clone(),
        });
    }
    marks
}
