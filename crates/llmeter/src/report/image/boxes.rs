//! Box plots, of values or of quartiles.

use serde_json::Value;

use super::axis::number;
use super::colour::Colour;
use super::drawing::Stroke;
use super::marks::{Mark, Plane, Symbols, distance, list, opacity, stroke};

/// The part of the room between boxes that they take, and the most of the axis.
const WIDTH: f64 = 0.5;
/// The width of the only box, in places.
const ALONE: f64 = 0.25;
/// Values beyond the fences that are drawn of a box, at most.
const MAX_OUTER: usize = 400;
/// Whiskers reach this many times the distance between the quartiles.
const REACH: f64 = 1.5;

/// Whether positions lie on the y axis.
pub(super) fn is_turned(trace: &Value) -> bool {
    trace["orientation"] == "h" || (trace["y"].is_null() && trace["x"].is_array())
}

/// What is drawn of a group of values.
struct BoxOf {
    along: f64,
    quartiles: [f64; 3],
    fences: [f64; 2],
    outer: Vec<f64>,
}

/// The marks of a trace. `share` is its place among the traces that stand side by side, and their number.
pub(super) fn marks(
    trace: &Value,
    plane: Plane<'_>,
    colour: Colour,
    share: (usize, usize),
) -> Vec<Mark> {
    let (along, across) = match plane.is_turned {
        true => ("y", "x"),
        false => ("x", "y"),
    };
    let boxes = match trace["q1"].is_array() {
        true => given(trace, &plane, along, across),
        false => grouped(trace, &plane, along, across),
    };
    let room = distance(boxes.iter().map(|one| one.along)).unwrap_or(2.0 * ALONE) * WIDTH;
    let (place, count) = (share.0 as f64, share.1.max(1) as f64);
    let width = room / count;
    let offset = (place + 0.5) * width - room / 2.0;
    let look = Stroke {
        dashes: Vec::new(),
        width: 1.5,
        ..stroke(trace, colour)
    };
    let own = trace["fillcolor"].as_str().and_then(Colour::named);
    let fill = own.unwrap_or(colour.faded(0.3 * opacity(trace)));
    let symbols = Symbols::new(trace, colour);
    let mut marks = Vec::new();
    for one in boxes {
        let places = [
            one.fences[0],
            one.quartiles[0],
            one.quartiles[1],
            one.quartiles[2],
            one.fences[1],
        ];
        let [Some(low), Some(q1), Some(median), Some(q3), Some(high)] =
            places.map(|value| plane.across.place_of(value))
        else {
            continue;
        };
        let middle = one.along + offset;
        let (start, end) = (middle - width / 2.0, middle + width / 2.0);
        plane.along.reach(start);
        plane.along.reach(end);
        plane.along.reach_point(one.along);
        plane.across.reach(low);
        plane.across.reach(high);
        for (from, to) in [(q1, low), (q3, high)] {
            let line = vec![plane.point(middle, from), plane.point(middle, to)];
            marks.push(Mark::Line {
                points: line,
                stroke: look.clone(),
            });
            let half = width / 4.0;
            let cap = vec![
                plane.point(middle - half, to),
                plane.point(middle + half, to),
            ];
            marks.push(Mark::Line {
                points: cap,
                stroke: look.clone(),
            });
        }
        marks.push(Mark::Bar {
            from: plane.point(start, q1),
            to: plane.point(end, q3),
            fill,
            stroke: Some(look.clone()),
        });
        marks.push(Mark::Line {
            points: vec![plane.point(start, median), plane.point(end, median)],
            stroke: Stroke {
                width: 2.5,
                ..look.clone()
            },
        });
        if trace["boxpoints"] == false {
            continue;
        }
        let outer = one
            .outer
            .iter()
            .filter_map(|value| plane.across.place_of(*value));
        for place in outer.collect::<Vec<_>>() {
            plane.across.reach(place);
            let mut look = symbols.of(0);
            look.size = look.size.min(5.0);
            look.colour = look.colour.faded(0.7);
            marks.push(Mark::Symbol {
                at: plane.point(middle, place),
                look,
            });
        }
    }
    marks
}

/// Boxes whose quartiles the trace has.
fn given(trace: &Value, plane: &Plane<'_>, along: &str, across: &str) -> Vec<BoxOf> {
    let at = |key: &str, index: usize| list(trace, key).get(index).and_then(number);
    let one = |index: usize| {
        let [q1, median, q3] = ["q1", "median", "q3"].map(|key| at(key, index));
        let quartiles = [q1?, median?, q3?];
        Some(BoxOf {
            along: match list(trace, along).get(index) {
                Some(position) => plane.along.place(position)?,
                None => plane.along.place(&trace["name"]).unwrap_or(index as f64),
            },
            quartiles,
            fences: [
                at("lowerfence", index).unwrap_or(quartiles[0]),
                at("upperfence", index).unwrap_or(quartiles[2]),
            ],
            outer: list(trace, across)
                .get(index)
                .and_then(Value::as_array)
                .map(|values| values.iter().filter_map(number).take(MAX_OUTER).collect())
                .unwrap_or_default(),
        })
    };
    (0..list(trace, "q1").len()).filter_map(one).collect()
}

/// Boxes of the trace's values, by position.
fn grouped(trace: &Value, plane: &Plane<'_>, along: &str, across: &str) -> Vec<BoxOf> {
    let positions = list(trace, along);
    let mut groups: Vec<(f64, Vec<f64>)> = Vec::new();
    for (index, value) in list(trace, across).iter().enumerate() {
        let place = match positions.get(index) {
            Some(position) => plane.along.place(position),
            None => plane.along.place(&trace["name"]).or(Some(0.0)),
        };
        let (Some(place), Some(value)) = (place, number(value)) else {
            continue;
        };
        match groups.iter_mut().find(|(known, _)| *known == place) {
            Some((_, values)) => values.push(value),
            None => groups.push((place, vec![value])),
        }
    }
    groups
        .into_iter()
        .map(|(place, values)| BoxOf::of(place, values))
        .collect()
}

impl BoxOf {
    /// Of values, one at least. Quartiles are linear between values, of which value i of n is at
    /// (i + 1/2) / n, as in figures by default.
    fn of(along: f64, mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let last = values.len() - 1;
        let quartile = |share: f64| {
            let place = (share * values.len() as f64 - 0.5).clamp(0.0, last as f64);
            let (lower, part) = (place.floor() as usize, place.fract());
            values[lower] + (values[(lower + 1).min(last)] - values[lower]) * part
        };
        let quartiles = [0.25, 0.5, 0.75].map(quartile);
        let reach = REACH * (quartiles[2] - quartiles[0]);
        let from = values.partition_point(|value| *value < quartiles[0] - reach);
        let to = values.partition_point(|value| *value <= quartiles[2] + reach);
        let low = values[..from].iter().take(MAX_OUTER / 2);
        let high = values[to..].iter().rev().take(MAX_OUTER / 2);
        Self {
            along,
            quartiles,
            fences: [values[from.min(last)], values[to.clamp(1, last + 1) - 1]],
            outer: low.chain(high).copied().collect(),
        }
    }
}
