//! Numbers along axes: round ones, and how they are written.

/// Letters for powers of a thousand, from 10⁻⁹.
const PREFIXES: [&str; 8] = ["n", "µ", "m", "", "k", "M", "G", "T"];
const NO_PREFIX: i32 = 3;
const MAX_DIGITS: usize = 9;

/// A way to write numbers, of those that d3 knows.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Format {
    style: Style,
    precision: Option<usize>,
    /// Nothing follows that a letter for thousandths could belong to.
    is_bare: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Default)]
enum Style {
    /// As short as it can be, with a letter for thousands where it is long.
    #[default]
    Short,
    Fixed,
    Percent,
    /// Significant digits and a letter for thousands.
    Prefix,
    Significant,
}

impl Format {
    /// From a `tickformat`; `None` if it is none of numbers.
    pub(super) fn read(text: &str) -> Option<Self> {
        let kind = text.chars().last()?;
        let style = match kind {
            'f' | 'd' => Style::Fixed,
            '%' => Style::Percent,
            's' => Style::Prefix,
            'g' | 'r' => Style::Significant,
            _ => return None,
        };
        let digits = text.rsplit_once('.').map(|(_, digits)| digits);
        let digits = digits.map(|digits| digits.trim_end_matches(|c: char| !c.is_ascii_digit()));
        let precision = digits.and_then(|digits| digits.parse().ok());
        Some(Self {
            style,
            precision: precision.or((kind == 'd').then_some(0)),
            is_bare: false,
        })
    }

    /// For numbers without a unit: `0.02` rather than `20m`.
    pub(super) fn bare(self) -> Self {
        Self {
            is_bare: true,
            ..self
        }
    }

    /// Numbers with as many digits as it takes to tell them apart.
    pub(super) fn write_apart(self, values: &[f64]) -> Vec<String> {
        let mut format = self;
        loop {
            let texts: Vec<String> = values.iter().map(|value| format.write(*value)).collect();
            let are_apart = texts.windows(2).all(|pair| pair[0] != pair[1]);
            match format.precision {
                Some(precision) if !are_apart && precision < MAX_DIGITS => {
                    format.precision = Some(precision + 1);
                }
                _ => return texts,
            }
        }
    }

    pub(super) fn write(self, value: f64) -> String {
        let text = match self.style {
            Style::Short => return short(value),
            Style::Fixed => match self.precision {
                Some(precision) => format!("{value:.precision$}"),
                None => format!("{value}"),
            },
            Style::Percent => {
                let precision = self.precision.unwrap_or(1);
                return format!("{} %", trimmed(format!("{:.precision$}", value * 100.0)));
            }
            Style::Prefix if self.is_bare && (1e-3..1.0).contains(&value.abs()) => {
                return significant(value, self.precision.unwrap_or(6));
            }
            Style::Prefix => return prefixed(value, self.precision.unwrap_or(6)),
            Style::Significant => return significant(value, self.precision.unwrap_or(6)),
        };
        signed(&text)
    }
}

fn short(value: f64) -> String {
    let size = value.abs();
    if size != 0.0 && !(1e-3..1e4).contains(&size) {
        return prefixed(value, 4);
    }
    significant(value, 4)
}

fn significant(value: f64, digits: usize) -> String {
    if value == 0.0 || !value.is_finite() {
        return "0".to_owned();
    }
    let before = value.abs().log10().floor() as i32 + 1;
    let decimals = (digits as i32 - before).clamp(0, 12) as usize;
    signed(&trimmed(format!("{value:.decimals$}")))
}

fn prefixed(value: f64, digits: usize) -> String {
    if value == 0.0 || !value.is_finite() {
        return "0".to_owned();
    }
    let power = ((value.abs().log10() + 1e-9).floor() / 3.0).floor() as i32;
    let power = power.clamp(-NO_PREFIX, PREFIXES.len() as i32 - NO_PREFIX - 1);
    let scaled = value / 10_f64.powi(3 * power);
    format!(
        "{}{}",
        significant(scaled, digits),
        PREFIXES[(power + NO_PREFIX) as usize]
    )
}

/// Without zeros at the end of a fraction.
fn trimmed(text: String) -> String {
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

/// With a minus sign for a hyphen.
fn signed(text: &str) -> String {
    match text
        .trim_start_matches('-')
        .chars()
        .all(|letter| matches!(letter, '0' | '.'))
    {
        true => text.trim_start_matches('-').to_owned(),
        false => text.replace('-', "−"),
    }
}

/// Round numbers from one to another, about so many at most.
pub(super) fn steps(from: f64, to: f64, count: f64) -> Vec<f64> {
    let width = (to - from) / count.max(1.0);
    if !(width.is_finite() && width > 0.0) {
        return Vec::new();
    }
    let power = 10_f64.powf(width.log10().floor());
    let factor = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .find(|factor| factor * power >= width * (1.0 - 1e-9));
    let step = factor.unwrap_or(10.0) * power;
    let (first, last) = ((from / step - 1e-9).ceil(), (to / step + 1e-9).floor());
    let number = (last - first).clamp(0.0, 1e3) as usize;
    (0..=number)
        .map(|number| (first + number as f64) * step)
        .filter(|value| *value <= to + step * 1e-6)
        .collect()
}

/// Numbers written alike: with as many decimals, and the same letter for thousands.
pub(super) fn alike(values: &[f64]) -> Vec<String> {
    let largest = values
        .iter()
        .fold(0.0_f64, |largest, value| largest.max(value.abs()));
    if largest == 0.0 {
        return values.iter().map(|_| "0".to_owned()).collect();
    }
    let power = match (1e-3..1e4).contains(&largest) {
        true => 0,
        false => (((largest.log10() + 1e-9) / 3.0).floor() as i32).clamp(-NO_PREFIX, 4),
    };
    let scale = 10_f64.powi(3 * power);
    let step = match values {
        [first, second, ..] => (second - first).abs() / scale,
        _ => largest / scale / 100.0,
    };
    let decimals = (0..9)
        .find(|decimals| {
            let scaled = step * 10_f64.powi(*decimals);
            (scaled - scaled.round()).abs() < 1e-6 && scaled.round() >= 1.0
        })
        .unwrap_or(3) as usize;
    let prefix = PREFIXES[(power + NO_PREFIX) as usize];
    let write = |value: &f64| match value.abs() < largest * 1e-9 {
        true => "0".to_owned(),
        false => format!(
            "{}{prefix}",
            signed(&format!("{:.decimals$}", value / scale))
        ),
    };
    values.iter().map(write).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_round_and_within() {
        assert_eq!(
            steps(0.0, 1.0, 5.0),
            [0.0, 0.2, 0.4, 0.6000000000000001, 0.8, 1.0]
        );
        assert_eq!(steps(0.013, 0.047, 4.0), [0.02, 0.03, 0.04]);
        assert_eq!(steps(-3.0, 3.0, 3.0), [-2.0, 0.0, 2.0]);
        assert_eq!(steps(1.0, 1.0, 5.0), [0.0; 0]);
        assert_eq!(steps(f64::NAN, 1.0, 5.0), [0.0; 0]);
    }

    #[test]
    fn numbers_on_one_axis_look_alike() {
        assert_eq!(alike(&[0.0, 0.25, 0.5]), ["0", "0.25", "0.50"]);
        assert_eq!(alike(&[0.0, 20_000.0, 40_000.0]), ["0", "20k", "40k"]);
        assert_eq!(alike(&[0.0002, 0.0004]), ["200µ", "400µ"]);
        assert_eq!(alike(&[-1.0, 0.0, 1.0]), ["−1", "0", "1"]);
        assert_eq!(alike(&[1.5e6, 2e6]), ["1.5M", "2.0M"]);
    }

    #[test]
    fn formats_are_those_of_figures() {
        let write = |format, value| Format::read(format).unwrap().write(value);
        assert_eq!(write(".2s", 0.0234), "23m");
        assert_eq!(Format::read(".2s").unwrap().bare().write(0.0234), "0.023");
        assert_eq!(write("s", 1.0), "1");
        assert_eq!(write("~s", 1500.0), "1.5k");
        assert_eq!(write(".0%", 0.25), "25 %");
        assert_eq!(write(".1f", 2.0), "2.0");
        assert_eq!(write(",d", 1234.4), "1234");
        let few = Format::read(".2s").unwrap();
        assert_eq!(
            few.write_apart(&[0.023, 0.0235, 0.024]),
            ["23m", "23.5m", "24m"]
        );
        assert_eq!(Format::read("%Y"), None);
        assert_eq!(Format::default().write(0.05), "0.05");
        assert_eq!(Format::default().write(0.000_05), "50µ");
        assert_eq!(Format::default().write(12_000.0), "12k");
    }
}
