//! Text in plain ASCII, for terminals that show nothing else.

use std::borrow::Cow;
use std::fmt::Write;

/// A text of llmeter's in ASCII: signs and shades by others that look like them, what is foreign as an escape.
/// Columns stay where they are as far as that can be.
///
/// ```
/// assert_eq!(llmeter::report::ascii("TTFT — 12.3 µs ▁▄█"), "TTFT - 12.3 us .=#");
/// ```
pub fn ascii(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            c if c.is_ascii() => out.push(c),
            '—' | '–' | '−' => out.push('-'),
            'µ' | 'μ' => out.push('u'),
            '×' => out.push('x'),
            '…' | '·' => out.push('.'),
            '±' => out.push('~'),
            '†' => out.push('+'),
            '▁' | '░' => out.push('.'),
            '▂' => out.push(':'),
            '▃' | '▒' => out.push('-'),
            '▄' => out.push('='),
            '▅' => out.push('+'),
            '▆' | '▓' => out.push('*'),
            '▇' => out.push('%'),
            '█' => out.push('#'),
            // Parts of a bar's end.
            '▉' | '▊' | '▋' | '▌' => out.push('#'),
            '▍' | '▎' | '▏' => out.push(' '),
            '≤' => out.push_str("<="),
            '≥' => out.push_str(">="),
            '“' | '”' => out.push('"'),
            '‘' | '’' => out.push('\''),
            '→' => out.push_str("->"),
            c => _ = write!(out, "\\u{{{:x}}}", u32::from(c)),
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_foreign_is_an_escape() {
        assert_eq!(ascii("plain"), "plain");
        assert!(matches!(ascii("plain"), Cow::Borrowed(_)));
        assert_eq!(ascii("modèle 3 × 4, 1–2 µs"), "mod\\u{e8}le 3 x 4, 1-2 us");
        assert!(ascii("†‡█░ ▏日本").is_ascii());
    }
}
