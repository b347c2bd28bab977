//! How numbers are written.

/// A number with thousands separated, and decimals only where they say something.
pub(crate) fn figure(value: f64) -> String {
    /// Beyond, digits are none that anybody counted.
    const LONG: f64 = 1e15;
    if value.abs() >= LONG {
        return format!("{value:.1e}");
    }
    let text = if value.fract() == 0.0 || value.abs() >= 1000.0 {
        format!("{value:.0}")
    } else {
        format!("{value:.1}")
    };
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let (sign, digits) = whole
        .strip_prefix('-')
        .map_or(("", whole), |digits| ("-", digits));
    let mut grouped = String::from(sign);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    if !fraction.is_empty() {
        grouped.push('.');
        grouped.push_str(fraction);
    }
    grouped
}

/// A number of things.
pub(crate) fn counted(count: u64, noun: &str) -> String {
    format!("{} {}", figure(count as f64), plural(count as f64, noun))
}

/// A number, or a dash where there is none.
pub(crate) fn or_dash(value: Option<f64>, format: fn(f64) -> String) -> String {
    value.map_or_else(|| "—".to_owned(), format)
}

/// A noun for so many.
pub(crate) fn plural(count: f64, noun: &str) -> String {
    if count == 1.0 {
        noun.to_owned()
    } else {
        format!("{noun}s")
    }
}

/// A share in percent, never rounded to nothing or all.
pub(crate) fn percent(share: f64) -> String {
    match share * 100.0 {
        percent if percent > 0.0 && percent < 0.1 => "under 0.1 %".to_owned(),
        percent if percent < 100.0 && percent > 99.9 => "over 99.9 %".to_owned(),
        percent => format!("{} %", figure((percent * 10.0).round() / 10.0)),
    }
}

/// A rate of requests, which may be low.
pub(super) fn rate_figure(rate: f64) -> String {
    match rate < 10.0 {
        true => format!("{rate:.3}"),
        false => format!("{rate:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_grouped() {
        for (value, text) in [
            (0.0, "0"),
            (7.25, "7.2"),
            (999.0, "999"),
            (1234.5, "1,234"),
            (-1_234_567.0, "-1,234,567"),
            (1.79e308, "1.8e308"),
        ] {
            assert_eq!(figure(value), text);
        }
    }
}
