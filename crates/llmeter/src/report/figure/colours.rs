//! Colours of figures.

use serde_json::{Value, json};

use super::with;

/// The colours of series on a light and on a dark ground. People who tell red from green badly tell
/// them apart (after Okabe and Ito, "Color Universal Design", 2008, with more contrast to the ground).
pub const PALETTE: [(&str, &str); 8] = [
    ("#0063a8", "#5eb3ee"),
    ("#c65102", "#ff9750"),
    ("#00815c", "#2ec79a"),
    ("#a8467f", "#ea9cc9"),
    ("#7a6500", "#e3c740"),
    ("#5a51b5", "#aaa2ff"),
    ("#4d4d4d", "#c4c4c4"),
    ("#8c1c13", "#f5857c"),
];

/// What lies between series: marks, windows and lines of no series.
pub(super) const QUIET: (&str, &str) = ("#767676", "#9a9a9a");

/// The scale of heatmaps, from low to high (Cividis, made for all kinds of colour vision: Nuñez, Anderton
/// and Renslow, PLOS ONE 13(7), 2018).
pub(super) const SCALE: &str = "Cividis";

/// The colourways in which the Python package draws the six charts of a load test, in their order.
pub const COLOR_SEQUENCES: [(&str, &[&str]); 6] = [
    ("Bluered", &["rgb(0,0,255)", "rgb(255,0,0)"]),
    (
        "Turbo",
        &[
            "#30123b", "#4145ab", "#4675ed", "#39a2fc", "#1bcfd4", "#24eca6", "#61fc6c", "#a4fc3b",
            "#d1e834", "#f3c63a", "#fe9b2d", "#f36315", "#d93806", "#b11901", "#7a0402",
        ],
    ),
    (
        "Sunsetdark_r",
        &[
            "rgb(124, 29, 111)",
            "rgb(185, 37, 122)",
            "rgb(220, 57, 119)",
            "rgb(227, 79, 111)",
            "rgb(240, 116, 110)",
            "rgb(250, 164, 118)",
            "rgb(252, 222, 156)",
        ],
    ),
    (
        "Blackbody",
        &[
            "rgb(0,0,0)",
            "rgb(230,0,0)",
            "rgb(230,210,0)",
            "rgb(255,255,255)",
            "rgb(160,200,255)",
        ],
    ),
    (
        "Viridis",
        &[
            "#440154", "#482878", "#3e4989", "#31688e", "#26828e", "#1f9e89", "#35b779", "#6ece58",
            "#b5de2b", "#fde725",
        ],
    ),
    (
        "Plasma",
        &[
            "#0d0887", "#46039f", "#7201a8", "#9c179e", "#bd3786", "#d8576b", "#ed7953", "#fb9f3a",
            "#fdca26", "#f0f921",
        ],
    ),
];

/// The ground that a figure is drawn on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Theme {
    /// Dark on white, as figures are made.
    Light,
    /// Light on black.
    Dark,
}

impl Theme {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Light, Self::Dark];

    /// `light` or `dark`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    const fn of(self, pair: (&'static str, &'static str)) -> &'static str {
        match self {
            Self::Light => pair.0,
            Self::Dark => pair.1,
        }
    }

    /// The colour of texts.
    pub const fn ink(self) -> &'static str {
        self.of(("#1f2328", "#e4e6e9"))
    }

    /// The colour of the ground.
    pub const fn paper(self) -> &'static str {
        self.of(("#ffffff", "#16191d"))
    }

    /// The colour of lines behind the data.
    pub const fn grid(self) -> &'static str {
        self.of(("#e3e6ea", "#32383f"))
    }

    /// Colours of the light theme with what stands for them in this one.
    pub fn colours(self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let pairs = PALETTE.into_iter().chain([QUIET]);
        pairs.map(move |pair| (pair.0, self.of(pair)))
    }

    /// What `layout.template` is to be.
    pub fn template(self) -> Value {
        let (ink, paper, grid) = (self.ink(), self.paper(), self.grid());
        let axis = json!({
            "gridcolor": grid, "linecolor": grid, "zerolinecolor": grid, "automargin": true,
            "title": {"standoff": 8},
        });
        // Ticks keep labels below the plot from those beside it, which else meet in the corner.
        let below = with(
            axis.clone(),
            json!({"ticks": "outside", "ticklen": 5, "tickcolor": grid}),
        );
        let colours: Vec<_> = PALETTE.into_iter().map(|pair| self.of(pair)).collect();
        json!({"layout": {
            "paper_bgcolor": paper, "plot_bgcolor": paper,
            "font": {"color": ink, "family": "system-ui, sans-serif", "size": 12},
            "colorway": colours, "xaxis": below, "yaxis": axis,
            "hoverlabel": {"bgcolor": paper, "bordercolor": grid, "font": {"color": ink}},
        }})
    }

    /// Replaces colours of the light theme by those of this one.
    pub(super) fn recolour(self, value: &mut Value) {
        match value {
            Value::String(text) if text.starts_with('#') => {
                if let Some((_, colour)) = self.colours().find(|(light, _)| light == text) {
                    *text = colour.to_owned();
                }
            }
            Value::Array(list) => list.iter_mut().for_each(|value| self.recolour(value)),
            Value::Object(object) => object
                .iter_mut()
                .for_each(|(_, value)| self.recolour(value)),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Relative luminance and contrast as WCAG 2.2 defines them.
    fn contrast(one: &str, other: &str) -> f64 {
        let luminance = |colour: &str| {
            let channel = |at: usize| {
                let value = u8::from_str_radix(&colour[at..at + 2], 16).unwrap();
                let value = f64::from(value) / 255.0;
                if value <= 0.04045 {
                    value / 12.92
                } else {
                    ((value + 0.055) / 1.055).powf(2.4)
                }
            };
            0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5)
        };
        let (one, other) = (luminance(one), luminance(other));
        (one.max(other) + 0.05) / (one.min(other) + 0.05)
    }

    #[test]
    fn every_colour_stands_out_from_its_ground() {
        for theme in Theme::ALL {
            for (_, colour) in theme.colours() {
                let ratio = contrast(colour, theme.paper());
                assert!(ratio >= 4.5, "{colour} on {}: {ratio}", theme.paper());
            }
            assert!(contrast(theme.ink(), theme.paper()) >= 7.0);
        }
    }

    #[test]
    fn a_theme_changes_colours_and_nothing_else() {
        let light = PALETTE[1].0;
        let mut value = json!({"line": {"color": light}, "name": "#not a colour", "x": [1, light]});
        Theme::Dark.recolour(&mut value);
        let dark = PALETTE[1].1;
        assert_eq!(
            value,
            json!({"line": {"color": dark}, "name": "#not a colour", "x": [1, dark]})
        );
    }
}
