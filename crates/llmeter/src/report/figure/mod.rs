//! Figures: what a chart shows, as Plotly's JSON.
//!
//! Belongs here: what is drawn of results, once for all: pages, images and Python show the same figures.
//! Does not belong here: how a figure becomes pixels, statistics (`stats`), what a report is made of
//! (`model`).
//!
//! A figure uses few of Plotly's means, so that it can be drawn without Plotly, too: traces `scatter`
//! (lines, markers, text, fill, error bars), `bar`, `box` and `heatmap`; axes `linear`, `log` and `category`;
//! subplots by `domain`; shapes `rect` and `line`. Times are seconds. Numbers of axes have the format `~s`
//! with a suffix (`20ms`), or, where the Python package has them so, `s` and `.2s`.
//!
//! Many values are binned or thinned by rules that keep the ends of distributions: [`thin`].

mod by_class;
mod by_dimension;
mod by_turn;
mod colours;
mod dimension;
mod distribution;
mod failures;
mod intervals;
mod lengths;
mod load_test;
mod path;
pub mod thin;
mod ticks;
mod timeline;
mod values;
mod waterfall;

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::RunResult;
use crate::base::shown::{SHOWN, one_line};

pub use by_class::boxplot_by_class;
pub use by_dimension::{
    boxplot_by_dimension, histogram_by_dimension, plot_heatmap, scatter_by_dimension,
    scatter_histogram_2d,
};
pub use by_turn::{latency_by_turn, tokens_by_turn};
pub use colours::{COLOR_SEQUENCES, PALETTE, Theme};
pub use dimension::Dimension;
pub(crate) use dimension::{dimension_pairs, dimension_values};
pub use distribution::{ecdf, histogram, percentile_curve};
pub(crate) use failures::failure_name;
pub use failures::failures_by_kind;
pub use intervals::{ab_intervals, comparison_intervals, repeat_spread};
#[cfg(test)]
pub(crate) use lengths::LIGHT_FROM;
pub use lengths::heatmap_of_lengths;
pub use load_test::{boxplot_by_clients, plot_load_test_results, throughput_latency_curve};
pub use path::ttft_parts;
pub(crate) use ticks::log_seconds;
pub use timeline::timeline;
pub(crate) use timeline::{timeline_rows, timeline_together};
pub use values::Values;
pub(crate) use values::each_value;
pub use waterfall::waterfall;
pub(crate) use waterfall::waterfall_rows;

/// A figure of Plotly: an object with `data`, a list of traces, and `layout`.
///
/// `plotly.io.from_json` in Python and `Plotly.newPlot` in JavaScript take it as it is.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Figure(Value);

impl Figure {
    /// A figure of these traces.
    pub fn new(data: Vec<Value>, layout: Value) -> Self {
        Self(json!({"data": data, "layout": layout}))
    }

    /// Its traces.
    pub fn data(&self) -> &[Value] {
        self.0["data"].as_array().map_or(&[], Vec::as_slice)
    }

    /// Its layout.
    pub fn layout(&self) -> &Value {
        &self.0["layout"]
    }

    /// Its title, empty without one.
    pub fn title(&self) -> &str {
        self.layout()["title"]["text"].as_str().unwrap_or_default()
    }

    /// Whether no trace has a value.
    pub fn is_empty(&self) -> bool {
        let has_values = |trace: &Value| {
            ["x", "y", "z", "q1"]
                .iter()
                .any(|key| trace[key].as_array().is_some_and(|list| !list.is_empty()))
        };
        !self.data().iter().any(has_values)
    }

    /// As JSON.
    pub fn as_json(&self) -> &Value {
        &self.0
    }

    /// With these colours for traces that have none of their own.
    #[must_use]
    pub fn with_colorway(mut self, colours: &[&str]) -> Self {
        self.0["layout"]["colorway"] = json!(colours);
        self
    }

    /// With another title, which may be foreign.
    pub(crate) fn retitle(&mut self, title: &str) {
        self.0["layout"]["title"] = json!({"text": text(title)});
    }

    /// With more properties of the layout's object of this name, such as `xaxis`.
    #[must_use]
    pub(crate) fn refined(mut self, object: &str, more: Value) -> Self {
        let own = self.0["layout"][object].take();
        self.0["layout"][object] = with(own, more);
        self
    }

    /// In the colours of a theme, with the theme's template. Figures are made in those of
    /// [`Theme::Light`], without a template.
    #[must_use]
    pub fn in_theme(&self, theme: Theme) -> Self {
        let mut figure = self.clone();
        theme.recolour(&mut figure.0["data"]);
        theme.recolour(&mut figure.0["layout"]);
        figure.0["layout"]["template"] = theme.template();
        figure
    }
}

impl From<Figure> for Value {
    fn from(figure: Figure) -> Self {
        figure.0
    }
}

/// A run as one series of a figure.
#[derive(Debug, Clone, Copy)]
pub struct Series<'a> {
    /// What it is called.
    pub name: &'a str,
    /// The run, with its responses.
    pub result: &'a RunResult,
}

impl<'a> Series<'a> {
    /// A run under a name.
    pub fn new(name: &'a str, result: &'a RunResult) -> Self {
        Self { name, result }
    }

    /// A run under its own name.
    pub fn of(result: &'a RunResult) -> Self {
        let name = result.summary.run_name.as_deref();
        Self::new(name.unwrap_or("run"), result)
    }
}

/// A foreign text in a figure: short, on one line, and nothing in it is markup of Plotly's.
pub(crate) fn text(foreign: &str) -> String {
    escaped(&one_line(foreign, SHOWN))
}

/// Plotly takes tags and entities in texts for formatting.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            c => out.push(c),
        }
    }
    out
}

/// The text behind one that is escaped so.
pub(crate) fn plain(text: &str) -> String {
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&amp;", "&")
}

/// An axis of times in seconds, shown with a unit that fits.
pub(crate) fn seconds_axis(title: &str) -> Value {
    json!({
        "title": {"text": title}, "tickformat": "~s", "ticksuffix": "s", "hoverformat": ".4~s",
    })
}

/// An axis of numbers.
pub(crate) fn number_axis(title: &str) -> Value {
    json!({"title": {"text": title}, "exponentformat": "SI"})
}

/// An axis of shares.
pub(crate) fn share_axis(title: &str) -> Value {
    json!({"title": {"text": title}, "tickformat": "~%", "hoverformat": ".3~%"})
}

/// An axis with some more properties.
pub(crate) fn with(mut axis: Value, more: Value) -> Value {
    if let (Value::Object(axis), Value::Object(more)) = (&mut axis, more) {
        axis.extend(more);
    }
    axis
}

/// Plotly calls the first axis `x`, the second `x2`.
pub(crate) fn numbered(axis: &str, place: usize) -> String {
    match place {
        0 => axis.to_owned(),
        place => format!("{axis}{}", place + 1),
    }
}

/// How lines of one series look. Series differ by colour, by dash and by symbol, so that colour alone
/// tells nothing.
pub(crate) fn styled(series: usize, trace: Value) -> Value {
    const DASHES: [&str; 4] = ["solid", "dash", "dot", "dashdot"];
    const SYMBOLS: [&str; 6] = ["circle", "square", "diamond", "cross", "x", "triangle-up"];
    let colour = PALETTE[series % PALETTE.len()].0;
    let mut trace = trace;
    let is_scatter = trace["type"] == "scatter";
    let mut set = |key: &str, defaults: Value| {
        let Value::Object(mut defaults) = defaults else {
            return;
        };
        let own = trace.get(key).and_then(Value::as_object).cloned();
        defaults.extend(own.unwrap_or_default());
        trace[key] = defaults.into();
    };
    // Only points have symbols.
    let marker = match is_scatter {
        true => json!({"color": colour, "symbol": SYMBOLS[series % SYMBOLS.len()]}),
        false => json!({"color": colour}),
    };
    set("marker", marker);
    set(
        "line",
        json!({"color": colour, "dash": DASHES[series % DASHES.len()]}),
    );
    trace
}

/// A list without values that JSON does not have.
pub(crate) fn numbers(values: impl IntoIterator<Item = f64>) -> Value {
    values.into_iter().map(Value::from).collect()
}

/// Figures of the same kind as one, each a series of its own look; the layout is the first one's.
pub(crate) fn overlaid(figures: &[&Figure]) -> Figure {
    let mut data = Vec::new();
    for (series, figure) in figures.iter().enumerate() {
        data.extend(figure.data().iter().map(|trace| {
            let mut trace = styled(series, trace.clone());
            if let Value::Object(trace) = &mut trace {
                trace.remove("opacity");
            }
            trace
        }));
    }
    let layout = figures
        .first()
        .map_or(Value::Null, |figure| figure.layout().clone());
    Figure::new(data, layout)
}

/// A layout with a title and axes: `xaxis`, `yaxis` and others by name.
pub(crate) fn layout(title: &str, axes: impl IntoIterator<Item = (String, Value)>) -> Value {
    let mut layout = Map::new();
    layout.insert("title".to_owned(), json!({"text": title}));
    layout.extend(axes);
    layout.into()
}

/// [`layout`] with one axis each way.
pub(crate) fn plain_layout(title: &str, x: Value, y: Value) -> Value {
    layout(title, [("xaxis".to_owned(), x), ("yaxis".to_owned(), y)])
}
