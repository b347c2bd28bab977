//! Axes: from values to places, and the ticks along them.

use serde_json::Value;

use super::font;
use super::number::{self, Format};

/// Ticks of a logarithmic axis that spans no more than so many decades are those of its values.
const FEW_DECADES: f64 = 0.5;
/// With fewer labels, an axis of fewer decades does not tell where one is.
const WIDE: f64 = 1.5;
const FEW_LABELS: usize = 3;
/// Floats have no more.
const MAX_DECADES: f64 = 330.0;
/// Distinct values of a logarithmic axis, at most, that are its ticks.
const FEW_VALUES: usize = 9;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    Linear,
    /// Places are decimal logarithms.
    Log,
    /// Places are those of the names, from 0.
    Category(Vec<String>),
}

/// An axis of the figure. *Places* are values in the axis's own measure.
#[derive(Debug, Clone)]
pub(super) struct Axis {
    pub(super) id: String,
    pub(super) kind: Kind,
    pub(super) title: Option<String>,
    /// The lowest and the highest place; none until there is something to show.
    pub(super) range: Option<[f64; 2]>,
    /// Where its end lies without a range in the layout.
    has_own_range: bool,
    pub(super) is_reversed: bool,
    from_zero: bool,
    pub(super) domain: [f64; 2],
    /// The axis over which it is drawn, on the other side.
    pub(super) overlaying: Option<String>,
    pub(super) anchor: Option<String>,
    pub(super) matches: Option<String>,
    pub(super) shows_labels: bool,
    pub(super) shows_grid: bool,
    format: Option<Format>,
    unit: String,
    own_ticks: Option<Vec<(f64, String)>>,
    /// Distinct places of points, while they are few.
    seen: Vec<f64>,
}

/// A mark along an axis.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tick {
    pub(super) place: f64,
    /// Empty for a mark between those with labels.
    pub(super) label: String,
}

impl Axis {
    /// The axis of a layout by its id, such as `x2`. `values` are all that lie on it.
    pub(super) fn new<'v>(
        layout: &'v Value,
        id: &str,
        values: impl Iterator<Item = &'v Value> + Clone,
    ) -> Self {
        let (letter, number) = id.split_at(1.min(id.len()));
        let own = &layout[format!("{letter}axis{number}")];
        let text = |key: &str| own[key].as_str().map(str::to_owned);
        let pair = |key: &str| Some([own[key][0].as_f64()?, own[key][1].as_f64()?]);
        let kind = match own["type"].as_str() {
            Some("log") => Kind::Log,
            Some("linear") => Kind::Linear,
            Some("category") => Kind::Category(categories(own, values)),
            _ => {
                let mut known = values.clone().filter(|value| !value.is_null()).peekable();
                match known.peek().is_some() && known.all(Value::is_string) {
                    true => Kind::Category(categories(own, values)),
                    false => Kind::Linear,
                }
            }
        };
        let title = own["title"]["text"].as_str().or(own["title"].as_str());
        let title = title.map(font::plain).filter(|title| !title.is_empty());
        let range = pair("range");
        let is_reversed = match range {
            Some([from, to]) => from > to,
            None => own["autorange"] == "reversed",
        };
        let mut axis = Self {
            id: id.to_owned(),
            kind,
            title,
            range: range.map(|[from, to]| [from.min(to), from.max(to)]),
            has_own_range: range.is_some(),
            is_reversed,
            from_zero: own["rangemode"] == "tozero",
            domain: pair("domain").unwrap_or([0.0, 1.0]),
            overlaying: text("overlaying"),
            anchor: text("anchor"),
            matches: text("matches"),
            shows_labels: own["showticklabels"] != false && own["visible"] != false,
            shows_grid: own["showgrid"] != false,
            format: own["tickformat"].as_str().and_then(Format::read),
            unit: text("ticksuffix").unwrap_or_default(),
            own_ticks: None,
            seen: Vec::new(),
        };
        if axis.unit.is_empty() {
            axis.format = axis.format.map(Format::bare);
        }
        if let Some(values) = own["tickvals"].as_array() {
            let named = values.iter().enumerate().filter_map(|(index, value)| {
                let place = axis.place(value)?;
                let label = own["ticktext"][index].as_str().map(font::plain);
                Some((
                    place,
                    label.unwrap_or_else(|| axis.label(value.as_f64().unwrap_or(place))),
                ))
            });
            axis.own_ticks = Some(named.collect());
        }
        axis
    }

    /// Where a value lies, if it does.
    pub(super) fn place(&self, value: &Value) -> Option<f64> {
        match &self.kind {
            Kind::Linear => number(value),
            Kind::Log => self.place_of(number(value)?),
            Kind::Category(names) => {
                let name = name_of(value)?;
                let place = names.iter().position(|known| *known == name);
                place.map(|place| place as f64).or_else(|| value.as_f64())
            }
        }
    }

    /// Where a number lies.
    pub(super) fn place_of(&self, value: f64) -> Option<f64> {
        match self.kind {
            Kind::Log => (value > 0.0 && value.is_finite()).then(|| value.log10()),
            _ => value.is_finite().then_some(value),
        }
    }

    /// Where a bar begins.
    pub(super) fn base(&self) -> f64 {
        match self.kind {
            Kind::Log => -300.0,
            _ => 0.0,
        }
    }

    /// Has a place in its range, if the layout does not say which it is.
    pub(super) fn reach(&mut self, place: f64) {
        if self.has_own_range || !place.is_finite() {
            return;
        }
        let range = self.range.get_or_insert([place; 2]);
        *range = [range[0].min(place), range[1].max(place)];
    }

    /// [`reach`](Self::reach) with a point, whose place may be a tick.
    pub(super) fn reach_point(&mut self, place: f64) {
        self.reach(place);
        if self.seen.len() <= FEW_VALUES && !self.seen.contains(&place) {
            self.seen.push(place);
        }
    }

    /// Ends the search for the range: with some room beyond, or none where shapes have an edge.
    pub(super) fn settle(&mut self, room: f64) {
        if let (Kind::Category(names), false) = (&self.kind, self.has_own_range) {
            self.range = Some([-0.5, names.len().max(1) as f64 - 0.5]);
            return;
        }
        let [mut from, mut to] = self.range.unwrap_or(match self.kind {
            Kind::Log => [0.0, 1.0],
            _ => [0.0, 1.0],
        });
        if !self.has_own_range {
            if self.from_zero && self.kind == Kind::Linear {
                (from, to) = (from.min(0.0), to.max(0.0));
            }
            let span = to - from;
            let room = match span > 0.0 {
                true => span * room,
                false if self.kind == Kind::Log => 0.3,
                false => (from.abs() * 0.1).max(0.5),
            };
            // Nothing is below zero that never is.
            let is_floor = self.kind == Kind::Linear && from >= 0.0 && from - room < 0.0;
            from = if is_floor { 0.0 } else { from - room };
            to += room;
        }
        if self.kind == Kind::Log {
            (from, to) = (from.max(-MAX_DECADES), to.min(MAX_DECADES));
        }
        if to.total_cmp(&from).is_le() {
            to = from + 1.0;
        }
        self.range = Some([from, to]);
    }

    /// The share of the axis at which a place lies.
    pub(super) fn share(&self, place: f64) -> f64 {
        let [from, to] = self.range.unwrap_or([0.0, 1.0]);
        let share = (place - from) / (to - from);
        if self.is_reversed { 1.0 - share } else { share }
    }

    fn label(&self, value: f64) -> String {
        let format = self.format.unwrap_or_default();
        format!("{}{}", format.write(value), self.unit)
    }

    /// Ticks, about so many at most.
    pub(super) fn ticks(&self, count: f64) -> Vec<Tick> {
        let [from, to] = self.range.unwrap_or([0.0, 1.0]);
        let is_within = |place: f64| {
            let slack = (to - from) * 1e-9;
            place >= from - slack && place <= to + slack
        };
        if let Some(own) = &self.own_ticks {
            let within = own.iter().filter(|(place, _)| is_within(*place));
            let ticks = within.map(|(place, label)| Tick {
                place: *place,
                label: label.clone(),
            });
            return ticks.collect();
        }
        match &self.kind {
            Kind::Category(names) => {
                let named = names.iter().enumerate().map(|(place, name)| Tick {
                    place: place as f64,
                    label: font::plain(name),
                });
                named.filter(|tick| is_within(tick.place)).collect()
            }
            Kind::Linear => {
                let steps = number::steps(from, to, count);
                let labels = self.labels(&steps);
                let ticks = steps.into_iter().zip(labels);
                ticks.map(|(place, label)| Tick { place, label }).collect()
            }
            Kind::Log => self.log_ticks(from, to, count),
        }
    }

    fn labels(&self, steps: &[f64]) -> Vec<String> {
        match self.format {
            Some(format) => {
                let suffixed = |labels: Vec<String>| {
                    labels
                        .iter()
                        .map(|label| format!("{label}{}", self.unit))
                        .collect()
                };
                suffixed(format.write_apart(steps))
            }
            None => {
                let labels = number::alike(steps).into_iter();
                labels
                    .map(|label| format!("{label}{}", self.unit))
                    .collect()
            }
        }
    }

    fn log_ticks(&self, from: f64, to: f64, count: f64) -> Vec<Tick> {
        let tick = |value: f64, label: String| Tick {
            place: value.log10(),
            label,
        };
        // A few values, like numbers of clients, are what a reader looks for.
        if !self.seen.is_empty() && self.seen.len() <= FEW_VALUES && self.seen.len() as f64 <= count
        {
            let mut values: Vec<f64> = self.seen.iter().map(|place| 10_f64.powf(*place)).collect();
            if values
                .iter()
                .all(|value| (value - value.round()).abs() < 1e-9 * value)
            {
                values.sort_by(f64::total_cmp);
                let whole = values.iter().map(|value| value.round());
                return whole.map(|value| tick(value, self.label(value))).collect();
            }
        }
        let linear = || {
            let steps = number::steps(10_f64.powf(from), 10_f64.powf(to), count);
            let steps: Vec<f64> = steps.into_iter().filter(|step| *step > 0.0).collect();
            let labels = self.labels(&steps);
            let ticks = steps.into_iter().zip(labels);
            ticks.map(|(value, label)| tick(value, label)).collect()
        };
        if to - from < FEW_DECADES {
            return linear();
        }
        let decades = to - from;
        let with_label: &[u32] = match count / decades {
            each if each >= 3.0 => &[1, 2, 5],
            each if each >= 2.0 => &[1, 3],
            _ => &[1],
        };
        let every = (decades / count.max(1.0)).ceil().max(1.0) as i32;
        let mut ticks = Vec::new();
        for decade in from.floor() as i32..=to.ceil() as i32 {
            for digit in 1..10_u32 {
                let place = f64::from(decade) + f64::from(digit).log10();
                if place < from - 1e-9 || place > to + 1e-9 {
                    continue;
                }
                let is_labelled = with_label.contains(&digit) && decade.rem_euclid(every) == 0;
                let value = f64::from(digit) * 10_f64.powi(decade);
                let label = if is_labelled {
                    self.label(value)
                } else {
                    String::new()
                };
                if is_labelled || every == 1 {
                    ticks.push(Tick { place, label });
                }
            }
        }
        match ticks.iter().filter(|tick| !tick.label.is_empty()).count() {
            0..FEW_LABELS if decades < WIDE => linear(),
            _ => ticks,
        }
    }
}

/// The names along an axis, in order.
fn categories<'v>(own: &'v Value, values: impl Iterator<Item = &'v Value>) -> Vec<String> {
    let given = own["categoryarray"].as_array().into_iter().flatten();
    let mut names: Vec<String> = Vec::new();
    for name in given.chain(values).filter_map(name_of) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

fn name_of(value: &Value) -> Option<String> {
    match value {
        Value::String(name) => Some(name.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        _ => None,
    }
}

/// A number, also one that is written as text.
pub(super) fn number(value: &Value) -> Option<f64> {
    let number = match value {
        Value::String(text) => text.trim().parse().ok(),
        other => other.as_f64(),
    };
    number.filter(|number: &f64| number.is_finite())
}
