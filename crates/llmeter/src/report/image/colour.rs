//! Colours as figures name them.

use serde_json::Value;

use crate::report::figure::PALETTE;

/// A colour; each part from 0 to 255, and how far it covers what lies below from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Colour {
    pub(super) red: u8,
    pub(super) green: u8,
    pub(super) blue: u8,
    pub(super) opacity: f64,
}

pub(super) const BLACK: Colour = Colour::rgb(0);
pub(super) const WHITE: Colour = Colour::rgb(0xff_ff_ff);
pub(super) const TEXT: Colour = Colour::rgb(0x22_26_2b);
pub(super) const FAINT_TEXT: Colour = Colour::rgb(0x55_5b_63);
pub(super) const AXIS: Colour = Colour::rgb(0x9a_a0_a8);
pub(super) const GRID: Colour = Colour::rgb(0xe4_e7_eb);

/// Names that figures use; others are the series' own colour.
const NAMED: [(&str, u32); 10] = [
    ("black", 0x00_00_00),
    ("white", 0xff_ff_ff),
    ("gray", 0x80_80_80),
    ("grey", 0x80_80_80),
    ("red", 0xd6_27_28),
    ("green", 0x00_9e_73),
    ("blue", 0x00_72_b2),
    ("orange", 0xe6_9f_00),
    ("crimson", 0xdc_14_3c),
    ("lightgrey", 0xd3_d3_d3),
];

impl Colour {
    pub(super) const fn rgb(code: u32) -> Self {
        let [_, red, green, blue] = code.to_be_bytes();
        Self {
            red,
            green,
            blue,
            opacity: 1.0,
        }
    }

    /// A colour as CSS writes it.
    pub(super) fn named(text: &str) -> Option<Self> {
        let text = text.trim();
        if let Some(digits) = text.strip_prefix('#') {
            return Self::from_digits(digits);
        }
        if let Some((_, code)) = NAMED.iter().find(|(name, _)| *name == text) {
            return Some(Self::rgb(*code));
        }
        if text == "transparent" {
            return Some(WHITE.faded(0.0));
        }
        let parts = text.strip_prefix("rgba(").or(text.strip_prefix("rgb("))?;
        let parts = parts.strip_suffix(')')?.split(',').map(str::trim);
        let parts: Vec<f64> = parts.map(str::parse).collect::<Result<_, _>>().ok()?;
        let [red, green, blue, ref rest @ ..] = parts[..] else {
            return None;
        };
        Some(Self {
            red: red as u8,
            green: green as u8,
            blue: blue as u8,
            opacity: rest.first().copied().unwrap_or(1.0).clamp(0.0, 1.0),
        })
    }

    fn from_digits(digits: &str) -> Option<Self> {
        let long = match digits.len() {
            3 | 4 => digits.chars().flat_map(|digit| [digit; 2]).collect(),
            _ => digits.to_owned(),
        };
        let code = u32::from_str_radix(&long, 16).ok()?;
        match long.len() {
            6 => Some(Self::rgb(code)),
            8 => Some(Self::rgb(code >> 8).faded(f64::from(code & 0xff) / 255.0)),
            _ => None,
        }
    }

    /// The same with so much of its opacity.
    pub(super) fn faded(self, share: f64) -> Self {
        Self {
            opacity: self.opacity * share.clamp(0.0, 1.0),
            ..self
        }
    }

    fn between(self, other: Self, share: f64) -> Self {
        let mix = |one: u8, other: u8| {
            (f64::from(one) + (f64::from(other) - f64::from(one)) * share).round() as u8
        };
        Self {
            red: mix(self.red, other.red),
            green: mix(self.green, other.green),
            blue: mix(self.blue, other.blue),
            opacity: self.opacity + (other.opacity - self.opacity) * share,
        }
    }

    /// Whether black is read on it better than white, by the contrast of WCAG 2.2: one of both has 4.5 at least.
    pub(super) fn is_light(self) -> bool {
        let luminance = self.luminance();
        (luminance + 0.05) / 0.05 > 1.05 / (luminance + 0.05)
    }

    /// Relative luminance as WCAG 2.2 defines it.
    pub(super) fn luminance(self) -> f64 {
        let [red, green, blue] = [self.red, self.green, self.blue].map(|value| {
            let value = f64::from(value) / 255.0;
            if value <= 0.04045 {
                value / 12.92
            } else {
                ((value + 0.055) / 1.055).powf(2.4)
            }
        });
        0.2126 * red + 0.7152 * green + 0.0722 * blue
    }
}

/// The colours of series: the figure's own, or those of all figures.
pub(super) fn of_series(layout: &Value) -> Vec<Colour> {
    let own = [
        &layout["colorway"],
        &layout["template"]["layout"]["colorway"],
    ];
    let own = own.into_iter().filter_map(Value::as_array);
    let mut named = own.map(|names| {
        let colours = names.iter().filter_map(Value::as_str);
        colours.filter_map(Colour::named).collect::<Vec<_>>()
    });
    let named = named.find(|colours| !colours.is_empty());
    named.unwrap_or_else(|| {
        let light = PALETTE.iter().map(|(light, _)| light);
        light.filter_map(|colour| Colour::named(colour)).collect()
    })
}

/// A scale of colours.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ColourScale(Vec<(f64, Colour)>);

/// Scales by name, each as colours at equal distances: Viridis and Cividis (Nuñez, Anderton and Renslow,
/// "Optimizing colormaps with consideration for color vision deficiency", 2018) and one hue.
const SCALES: [(&str, &[u32]); 3] = [
    (
        "Viridis",
        &[
            0x44_01_54, 0x48_28_78, 0x3e_49_89, 0x31_68_8e, 0x26_82_8e, 0x1f_9e_89, 0x35_b7_79,
            0x6e_ce_58, 0xb5_de_2b, 0xfd_e7_25,
        ],
    ),
    (
        "Cividis",
        &[
            0x00_20_4c, 0x00_33_6f, 0x39_48_6b, 0x57_5c_6d, 0x70_71_73, 0x8a_87_79, 0xa6_9d_75,
            0xc4_b5_6c, 0xe4_cf_5b, 0xff_ea_46,
        ],
    ),
    (
        "Blues",
        &[
            0xf0_f5_fb, 0xd3_e2_f1, 0xa8_cc_e5, 0x70_ae_d5, 0x3c_8b_c3, 0x18_66_a9, 0x08_3f_80,
        ],
    ),
];

impl ColourScale {
    /// The scale of a trace, or of the figure's colour axis.
    pub(super) fn of(value: &Value, is_reversed: bool) -> Self {
        let stops: Vec<(f64, Colour)> = match value {
            Value::Array(stops) => {
                let stop =
                    |stop: &Value| Some((stop[0].as_f64()?, Colour::named(stop[1].as_str()?)?));
                stops.iter().filter_map(stop).collect()
            }
            _ => Vec::new(),
        };
        let mut stops = match stops.len() {
            0 | 1 => {
                let name = value.as_str().unwrap_or_default();
                let named = SCALES
                    .iter()
                    .find(|(known, _)| known.eq_ignore_ascii_case(name));
                let (_, colours) = named.unwrap_or(&SCALES[0]);
                let last = (colours.len() - 1) as f64;
                let places = colours.iter().enumerate();
                places
                    .map(|(place, code)| (place as f64 / last, Colour::rgb(*code)))
                    .collect()
            }
            _ => stops,
        };
        if is_reversed {
            stops.reverse();
            stops.iter_mut().for_each(|(at, _)| *at = 1.0 - *at);
        }
        Self(stops)
    }

    /// The colour at a share of the range.
    pub(super) fn at(&self, share: f64) -> Colour {
        let above = self.0.partition_point(|(at, _)| *at < share);
        match (
            above.checked_sub(1).and_then(|below| self.0.get(below)),
            self.0.get(above),
        ) {
            (Some((from, low)), Some((to, high))) => {
                low.between(*high, (share - from) / (to - from).max(f64::EPSILON))
            }
            (Some((_, only)), None) | (None, Some((_, only))) => *only,
            (None, None) => GRID,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn colours_are_read_in_all_their_forms() {
        let blue = Colour::rgb(0x00_72_b2);
        for text in [
            "#0072b2",
            "#0072B2ff",
            "rgb(0, 114, 178)",
            "rgba(0,114,178,1)",
        ] {
            assert_eq!(Colour::named(text), Some(blue), "{text}");
        }
        assert_eq!(Colour::named("#fff"), Some(WHITE));
        assert_eq!(Colour::named("rgba(0,114,178,0.5)"), Some(blue.faded(0.5)));
        for text in ["", "#12", "rgb(1,2)", "rgb(a,b,c)", "no colour"] {
            assert_eq!(Colour::named(text), None, "{text}");
        }
    }

    #[test]
    fn scales_begin_and_end_where_they_should() {
        let own = ColourScale::of(&json!([[0, "#000000"], [1, "#ffffff"]]), false);
        assert_eq!(own.at(0.0), Colour::rgb(0));
        assert_eq!(own.at(0.5), Colour::rgb(0x80_80_80));
        assert_eq!(own.at(7.0), WHITE);
        let viridis = ColourScale::of(&"Viridis".into(), true);
        assert_eq!(viridis.at(0.0), Colour::rgb(0xfd_e7_25));
        assert_eq!(viridis.at(1.0), Colour::rgb(0x44_01_54));
    }
}
