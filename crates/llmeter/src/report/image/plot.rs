//! A figure's JSON as axes and marks.

use std::collections::HashMap;

use serde_json::Value;

use super::axis::{Axis, Kind};
use super::bar::{self, Together};
use super::boxes;
use super::colour::{self, Colour};
use super::drawing::{Point, Stroke};
use super::font;
use super::heatmap::{self, ColourBar};
use super::marks::{Mark, Plane, SymbolLook, Symbols, list, stroke};
use super::scatter;

/// Room beyond the values of an axis, as a part of it.
const ROOM: f64 = 0.04;

/// A figure, ready to be laid out.
pub(super) struct Plot {
    pub(super) title: String,
    pub(super) subtitle: String,
    pub(super) axes: Vec<Axis>,
    pub(super) traces: Vec<Trace>,
    pub(super) legend: Vec<Entry>,
}

/// The marks of a trace, and the places of its axes among the axes.
pub(super) struct Trace {
    pub(super) x: usize,
    pub(super) y: usize,
    pub(super) marks: Vec<Mark>,
    pub(super) bar: Option<ColourBar>,
}

/// A line of the legend.
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) line: Option<Stroke>,
    pub(super) symbol: Option<SymbolLook>,
    pub(super) fill: Option<Colour>,
}

impl Plot {
    pub(super) fn of(figure: &Value) -> Self {
        let layout = &figure["layout"];
        let traces: Vec<&Value> = list(figure, "data")
            .iter()
            .filter(|trace| trace["visible"] != false && trace["visible"] != "legendonly")
            .collect();
        let mut plot = Self {
            title: text(&layout["title"]),
            subtitle: text(&layout["title"]["subtitle"]),
            axes: axes(&traces, layout),
            traces: Vec::new(),
            legend: Vec::new(),
        };
        plot.read(&traces, layout);
        plot.settle(&traces);
        plot
    }

    fn read(&mut self, traces: &[&Value], layout: &Value) {
        let colours = colour::of_series(layout);
        let places: Vec<(usize, usize)> = traces
            .iter()
            .map(|trace| places(&self.axes, trace))
            .collect();
        let mut bars: HashMap<(usize, usize), Together> = HashMap::new();
        let mut boxes_at: HashMap<(usize, usize), Vec<usize>> = HashMap::new();
        for (index, trace) in traces.iter().enumerate() {
            let (x, y) = places[index];
            match trace["type"].as_str() {
                Some("bar") => {
                    let along = &self.axes[if bar::is_turned(trace) { y } else { x }];
                    bar::join(bars.entry((x, y)).or_default(), index, trace, along);
                }
                Some("box") => boxes_at.entry((x, y)).or_default().push(index),
                _ => {}
            }
        }
        let mut below: Vec<Point> = Vec::new();
        for (index, trace) in traces.iter().enumerate() {
            let (x, y) = places[index];
            let Ok([x_axis, y_axis]) = self.axes.get_disjoint_mut([x, y]) else {
                continue;
            };
            let own = own_colour(trace).unwrap_or(colours[index % colours.len()]);
            let mut scale = None;
            let marks = match trace["type"].as_str().unwrap_or("scatter") {
                "scatter" | "scattergl" => {
                    scatter::marks(trace, Plane::new(x_axis, y_axis, false), own, &mut below)
                }
                "bar" => {
                    let plane = Plane::new(x_axis, y_axis, bar::is_turned(trace));
                    let together = bars.entry((x, y)).or_default();
                    bar::marks(trace, index, plane, own, layout, together)
                }
                "box" => {
                    let plane = Plane::new(x_axis, y_axis, boxes::is_turned(trace));
                    let same = boxes_at.get(&(x, y)).map_or(&[][..], Vec::as_slice);
                    let is_grouped = layout["boxmode"] == "group";
                    let share = match same.iter().position(|other| *other == index) {
                        Some(place) if is_grouped => (place, same.len()),
                        _ => (0, 1),
                    };
                    boxes::marks(trace, plane, own, share)
                }
                "heatmap" => {
                    let (marks, bar) =
                        heatmap::marks(trace, Plane::new(x_axis, y_axis, false), layout);
                    scale = bar;
                    marks
                }
                other => {
                    tracing::debug!("a trace of type {other} is not drawn");
                    continue;
                }
            };
            self.legend_entry(trace, own);
            self.traces.push(Trace {
                x,
                y,
                marks,
                bar: scale,
            });
        }
        let is_wanted = match layout["showlegend"].as_bool() {
            Some(is_wanted) => is_wanted,
            None => self.legend.len() > 1,
        };
        if !is_wanted {
            self.legend.clear();
        }
    }

    fn legend_entry(&mut self, trace: &Value, own: Colour) {
        let name = font::plain(trace["name"].as_str().unwrap_or_default());
        let kind = trace["type"].as_str().unwrap_or("scatter");
        let is_known = self.legend.iter().any(|entry| entry.name == name);
        if trace["showlegend"] == false || name.is_empty() || is_known || kind == "heatmap" {
            return;
        }
        let mut entry = Entry {
            name,
            line: None,
            symbol: None,
            fill: None,
        };
        let symbols = Symbols::new(trace, own);
        match kind {
            "bar" => entry.fill = Some(symbols.of(0).colour),
            "box" => {
                entry.fill = Some(own.faded(0.3));
                entry.line = Some(Stroke::plain(own, 1.5));
            }
            _ => {
                let few = list(trace, "x").len() < 20;
                let mode = trace["mode"].as_str();
                let mode = mode.unwrap_or(if few { "lines+markers" } else { "lines" });
                if mode.contains("lines") {
                    entry.line = Some(stroke(trace, own));
                }
                if mode.contains("markers") {
                    let mut look = symbols.of(0);
                    look.size = look.size.clamp(5.0, 9.0);
                    // What is faint as one of many would not be seen alone.
                    look.colour.opacity = look.colour.opacity.max(0.8);
                    entry.symbol = Some(look);
                }
            }
        }
        self.legend.push(entry);
    }

    /// Gives axes their ranges.
    fn settle(&mut self, traces: &[&Value]) {
        // Axes that match have one range.
        for index in 0..self.axes.len() {
            let Some(other) = self.axes[index].matches.clone() else {
                continue;
            };
            let other = self.axes.iter().position(|axis| axis.id == other);
            let Some(Ok([one, other])) =
                other.map(|other| self.axes.get_disjoint_mut([index, other]))
            else {
                continue;
            };
            for end in one.range.into_iter().flatten() {
                other.reach(end);
            }
            one.range = other.range;
        }
        let edges: Vec<usize> = traces
            .iter()
            .filter(|trace| trace["type"] == "heatmap")
            .flat_map(|trace| {
                let (x, y) = places(&self.axes, trace);
                [x, y]
            })
            .collect();
        for (index, axis) in self.axes.iter_mut().enumerate() {
            axis.settle(if edges.contains(&index) { 0.0 } else { ROOM });
        }
    }
}

/// The text of a title, which is a text or an object with one.
fn text(title: &Value) -> String {
    let text = title["text"].as_str().or(title.as_str());
    font::plain(text.unwrap_or_default())
}

/// The axes that traces use, one each way at least.
fn axes(traces: &[&Value], layout: &Value) -> Vec<Axis> {
    let mut ids: Vec<String> = Vec::new();
    for letter in ['x', 'y'] {
        for id in traces.iter().map(|trace| id(trace, letter)) {
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        if traces.is_empty() {
            ids.push(letter.to_string());
        }
    }
    let axis = |id: &String| {
        let letter = id.chars().next().unwrap_or('x');
        let own = traces.iter().filter(|trace| self::id(trace, letter) == *id);
        let key = letter.to_string();
        let values = own.flat_map(|trace| match &trace[&key] {
            Value::Array(values) => values.as_slice(),
            // A box without positions stands at its name.
            _ if trace["type"] == "box" => std::slice::from_ref(&trace["name"]),
            _ => &[],
        });
        Axis::new(layout, id, values)
    };
    ids.iter().map(axis).collect()
}

fn id(trace: &Value, letter: char) -> String {
    let named = trace[format!("{letter}axis")].as_str();
    let is_axis = |id: &&str| id.starts_with(letter) && id.is_ascii();
    named
        .filter(is_axis)
        .map_or_else(|| letter.to_string(), str::to_owned)
}

/// The places of a trace's axes.
fn places(axes: &[Axis], trace: &Value) -> (usize, usize) {
    let place = |letter| {
        let id = id(trace, letter);
        axes.iter().position(|axis| axis.id == id).unwrap_or(0)
    };
    (place('x'), place('y'))
}

/// The colour that a trace has by itself.
fn own_colour(trace: &Value) -> Option<Colour> {
    let [marker, line] = ["marker", "line"].map(|key| trace[key]["color"].as_str());
    let first = match trace["type"].as_str() {
        Some("bar" | "box") => marker.or(line),
        _ => line.or(marker),
    };
    first.and_then(Colour::named)
}

impl Axis {
    /// Whether its ticks are names.
    pub(super) fn has_names(&self) -> bool {
        matches!(self.kind, Kind::Category(_))
    }
}
