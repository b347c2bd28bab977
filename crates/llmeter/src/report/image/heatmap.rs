//! Heatmaps.

use serde_json::Value;

use super::axis::number;
use super::colour::ColourScale;
use super::font;
use super::marks::{Mark, Plane, list, on};
use super::number::Format;

/// A scale of colours beside a plot.
#[derive(Debug, Clone)]
pub(super) struct ColourBar {
    pub(super) scale: ColourScale,
    pub(super) range: [f64; 2],
    pub(super) title: Option<String>,
    pub(super) format: Format,
    pub(super) unit: String,
}

/// The marks of a trace, and what its colours mean.
pub(super) fn marks(
    trace: &Value,
    plane: Plane<'_>,
    layout: &Value,
) -> (Vec<Mark>, Option<ColourBar>) {
    let axis = trace["coloraxis"]
        .as_str()
        .map_or(trace, |name| &layout[name]);
    let rows = list(trace, "z");
    let cells = || {
        rows.iter()
            .filter_map(Value::as_array)
            .flatten()
            .filter_map(number)
    };
    let limit = |keys: [&str; 2], start: f64, join: fn(f64, f64) -> f64| {
        let given = keys.into_iter().find_map(|key| axis[key].as_f64());
        given.unwrap_or_else(|| cells().fold(start, join))
    };
    let min = limit(["zmin", "cmin"], f64::INFINITY, f64::min);
    let max = limit(["zmax", "cmax"], f64::NEG_INFINITY, f64::max);
    if !(min.is_finite() && max.is_finite()) {
        return (Vec::new(), None);
    }
    let scale = ColourScale::of(&axis["colorscale"], axis["reversescale"] == true);
    let columns = rows
        .iter()
        .filter_map(Value::as_array)
        .map(Vec::len)
        .max()
        .unwrap_or(0);
    let x = edges(list(trace, "x"), columns, |value| plane.along.place(value));
    let y = edges(list(trace, "y"), rows.len(), |value| {
        plane.across.place(value)
    });
    for place in &x {
        plane.along.reach(*place);
    }
    for place in &y {
        plane.across.reach(*place);
    }
    let template = trace["texttemplate"].as_str();
    let mut marks = Vec::new();
    let mut labels = Vec::new();
    for (row, values) in rows.iter().enumerate() {
        for (column, value) in values.as_array().into_iter().flatten().enumerate() {
            let Some(value) = number(value) else {
                continue;
            };
            let share = match max > min {
                true => (value - min) / (max - min),
                false => 0.5,
            };
            let fill = scale.at(share.clamp(0.0, 1.0));
            let (from, to) = ([x[column], y[row]], [x[column + 1], y[row + 1]]);
            marks.push(Mark::Bar {
                from,
                to,
                fill,
                stroke: None,
            });
            let text = &trace["text"][row][column];
            if let Some(text) = template.map(|template| filled(template, value, text)) {
                labels.push(Mark::Label {
                    at: [f64::midpoint(from[0], to[0]), f64::midpoint(from[1], to[1])],
                    text,
                    side: [0.0; 2],
                    distance: 0.0,
                    colour: on(fill),
                    within: Some(to),
                });
            }
        }
    }
    marks.extend(labels);
    let bar = &axis["colorbar"];
    let title = bar["title"]["text"].as_str().or(bar["title"].as_str());
    let shown = axis["showscale"] != false && trace["showscale"] != false;
    let bar = shown.then(|| ColourBar {
        scale,
        range: [
            min,
            if max > min {
                max
            } else {
                min + min.abs().max(1.0) * 1e-3
            },
        ],
        title: title.map(font::plain),
        format: bar["tickformat"]
            .as_str()
            .and_then(Format::read)
            .unwrap_or_default(),
        unit: bar["ticksuffix"].as_str().unwrap_or_default().to_owned(),
    });
    (marks, bar)
}

/// A cell's text: of the marks in a template, `%{z}` with a format or none, and `%{text}`.
fn filled(template: &str, value: f64, text: &Value) -> String {
    let mut filled = String::new();
    let mut rest = template;
    while let Some((before, mark)) = rest.split_once("%{") {
        filled.push_str(before);
        let Some((mark, after)) = mark.split_once('}') else {
            break;
        };
        match mark.split_once(':') {
            Some(("z", format)) => {
                filled.push_str(&Format::read(format).unwrap_or_default().write(value));
            }
            _ if mark == "z" => filled.push_str(&Format::default().write(value)),
            _ if mark == "text" => filled.push_str(text.as_str().unwrap_or_default()),
            _ => {}
        }
        rest = after;
    }
    filled.push_str(rest);
    font::plain(&filled)
}

/// The edges of cells, one more than there are: as given, or half-way between their middles.
fn edges(values: &[Value], count: usize, place: impl Fn(&Value) -> Option<f64>) -> Vec<f64> {
    let places: Vec<f64> = values.iter().filter_map(place).collect();
    if places.len() > count {
        return places[..=count].to_vec();
    }
    if places.len() < count || count == 0 {
        return (0..=count).map(|edge| edge as f64 - 0.5).collect();
    }
    let between = |index: usize| f64::midpoint(places[index - 1], places[index]);
    let half = match count {
        1 => 0.5,
        _ => (places[1] - places[0]) / 2.0,
    };
    let last_half = match count {
        1 => 0.5,
        _ => (places[count - 1] - places[count - 2]) / 2.0,
    };
    std::iter::once(places[0] - half)
        .chain((1..count).map(between))
        .chain([places[count - 1] + last_half])
        .collect()
}
