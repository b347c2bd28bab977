//! What traces consist of, at places of their axes.

use serde_json::Value;

use super::axis::Axis;
use super::colour::{BLACK, Colour, ColourScale, WHITE};
use super::drawing::{Point, Stroke};

/// A part of a trace. Points are places of the trace's axes; sizes and widths are pixels.
#[derive(Debug, Clone)]
pub(super) enum Mark {
    Line {
        points: Vec<Point>,
        stroke: Stroke,
    },
    Area {
        points: Vec<Point>,
        fill: Colour,
    },
    /// A rectangle between two corners.
    Bar {
        from: Point,
        to: Point,
        fill: Colour,
        stroke: Option<Stroke>,
    },
    Symbol {
        at: Point,
        look: SymbolLook,
    },
    /// A line between two points with a bar of so many pixels across each end.
    Whisker {
        from: Point,
        to: Point,
        caps: f64,
        stroke: Stroke,
    },
    Label {
        at: Point,
        text: String,
        /// Pixels from the point: to the right and downwards, of 1 or -1; both 0 is in the middle.
        side: [f64; 2],
        /// How far from the point, in pixels.
        distance: f64,
        colour: Colour,
        /// The text is left out unless it fits into a rectangle up to this corner.
        within: Option<Point>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct SymbolLook {
    pub(super) symbol: Symbol,
    /// How wide it is.
    pub(super) size: f64,
    pub(super) colour: Colour,
    pub(super) is_open: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Symbol {
    Circle,
    Square,
    Diamond,
    Cross,
    Times,
    TriangleUp,
    TriangleDown,
    Bar,
}

impl Symbol {
    fn named(name: &str) -> (Self, bool) {
        let is_open = name.contains("-open");
        let symbol = match name.split("-open").next().unwrap_or_default() {
            "square" => Self::Square,
            "diamond" => Self::Diamond,
            "cross" => Self::Cross,
            "x" => Self::Times,
            "triangle-up" => Self::TriangleUp,
            "triangle-down" => Self::TriangleDown,
            "line-ns" => Self::Bar,
            _ => Self::Circle,
        };
        (symbol, is_open || symbol == Self::Bar)
    }
}

/// How the points of a trace look, all or one by one.
pub(super) struct Symbols<'t> {
    marker: &'t Value,
    colour: Colour,
    opacity: f64,
    scale: Option<(ColourScale, f64, f64)>,
}

impl<'t> Symbols<'t> {
    pub(super) fn new(trace: &'t Value, colour: Colour) -> Self {
        let marker = &trace["marker"];
        let numbers = marker["color"]
            .as_array()
            .filter(|list| list.iter().any(Value::is_number));
        let scale = numbers.map(|numbers| {
            let all = || numbers.iter().filter_map(Value::as_f64);
            let min = marker["cmin"]
                .as_f64()
                .unwrap_or(all().fold(f64::INFINITY, f64::min));
            let max = marker["cmax"]
                .as_f64()
                .unwrap_or(all().fold(f64::NEG_INFINITY, f64::max));
            let scale = ColourScale::of(&marker["colorscale"], marker["reversescale"] == true);
            (scale, min, max)
        });
        Self {
            marker,
            colour,
            opacity: opacity(trace) * opacity(marker),
            scale,
        }
    }

    pub(super) fn of(&self, index: usize) -> SymbolLook {
        let one = |key: &str| match &self.marker[key] {
            Value::Array(each) => each.get(index).cloned().unwrap_or_default(),
            all => all.clone(),
        };
        let colour = match (one("color"), &self.scale) {
            (Value::String(name), _) => Colour::named(&name),
            (Value::Number(number), Some((scale, min, max))) => {
                let value = number.as_f64().unwrap_or(*min);
                Some(scale.at((value - min) / (max - min).max(f64::MIN_POSITIVE)))
            }
            _ => None,
        };
        let (symbol, is_open) = Symbol::named(one("symbol").as_str().unwrap_or_default());
        SymbolLook {
            symbol,
            is_open,
            size: one("size").as_f64().unwrap_or(6.0).clamp(1.0, 60.0),
            colour: colour.unwrap_or(self.colour).faded(self.opacity),
        }
    }
}

/// The opacity of a trace or its markers.
pub(super) fn opacity(of: &Value) -> f64 {
    of["opacity"].as_f64().unwrap_or(1.0)
}

/// How a trace's line looks.
pub(super) fn stroke(trace: &Value, colour: Colour) -> Stroke {
    let line = &trace["line"];
    let own = line["color"].as_str().and_then(Colour::named);
    let width = line["width"].as_f64().unwrap_or(2.0).clamp(0.0, 20.0);
    Stroke {
        colour: own.unwrap_or(colour).faded(opacity(trace)),
        dashes: dashes(line["dash"].as_str().unwrap_or_default(), width),
        width,
    }
}

pub(super) fn dashes(name: &str, width: f64) -> Vec<f64> {
    let lengths: &[f64] = match name {
        "dot" => &[1.5, 2.5],
        "dash" => &[5.0, 4.0],
        "longdash" => &[9.0, 5.0],
        "dashdot" => &[5.0, 3.0, 1.5, 3.0],
        _ => &[],
    };
    lengths
        .iter()
        .map(|length| length * width.max(1.0))
        .collect()
}

/// A list of a trace; empty if it has none.
pub(super) fn list<'t>(trace: &'t Value, key: &str) -> &'t [Value] {
    trace[key].as_array().map_or(&[], Vec::as_slice)
}

/// The axes of a trace as it has them: along which its positions lie, and along which its values.
pub(super) struct Plane<'a> {
    pub(super) along: &'a mut Axis,
    pub(super) across: &'a mut Axis,
    /// Whether positions lie on the y axis.
    pub(super) is_turned: bool,
}

impl<'a> Plane<'a> {
    pub(super) fn new(x: &'a mut Axis, y: &'a mut Axis, is_turned: bool) -> Self {
        let (along, across) = if is_turned { (y, x) } else { (x, y) };
        Self {
            along,
            across,
            is_turned,
        }
    }

    /// A point as x and y.
    pub(super) fn point(&self, along: f64, across: f64) -> Point {
        match self.is_turned {
            true => [across, along],
            false => [along, across],
        }
    }
}

/// The smallest distance between places; none if there are not two.
pub(super) fn distance(places: impl Iterator<Item = f64>) -> Option<f64> {
    let mut places: Vec<f64> = places.filter(|place| place.is_finite()).collect();
    places.sort_by(f64::total_cmp);
    places.dedup_by(|one, other| (*one - *other).abs() < 1e-9);
    let pairs = places.windows(2).map(|pair| pair[1] - pair[0]);
    pairs.reduce(f64::min)
}

/// The colour of letters on a ground.
pub(super) fn on(ground: Colour) -> Colour {
    match ground.is_light() {
        true => BLACK,
        false => WHITE,
    }
}
