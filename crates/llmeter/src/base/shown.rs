//! Texts that are not llmeter's, as people see them: nothing in them acts on a terminal.

use std::borrow::Cow;
use std::fmt::Write;

/// Characters of a foreign text that a report shows.
pub(crate) const SHOWN: usize = 240;

/// A text in which everything that acts on a terminal, line breaks included, is written as an escape.
pub fn escaped(text: &str) -> Cow<'_, str> {
    escape(text, is_active)
}

/// Several lines of text, in which everything else that acts on a terminal is written as an escape.
pub fn escaped_lines(text: &str) -> Cow<'_, str> {
    escape(text, |c| c != '\n' && is_active(c))
}

/// A text on one line of at most `max` characters. What is too long loses its middle: an error's
/// beginning says what failed, its end often why.
pub fn one_line(text: &str, max: usize) -> String {
    let words: Vec<_> = text.split_whitespace().collect();
    let line = escaped(&words.join(" ")).into_owned();
    let length = line.chars().count();
    if length <= max {
        return line;
    }
    let end = max / 3;
    let beginning = max.saturating_sub(end + 3);
    let [beginning, end]: [String; 2] = [
        line.chars().take(beginning).collect(),
        line.chars().skip(length - end).collect(),
    ];
    format!("{} … {}", beginning.trim_end(), end.trim_start())
}

/// Seconds in the unit that reads best, with three significant digits or so.
pub(crate) fn duration(seconds: f64) -> String {
    let size = seconds.abs();
    if size == 0.0 {
        "0".to_owned()
    } else if size < 1e-3 {
        format!("{:.1} µs", seconds * 1e6)
    } else if size < 0.1 {
        format!("{:.2} ms", seconds * 1e3)
    } else if size < 1.0 {
        format!("{:.1} ms", seconds * 1e3)
    } else if size < 120.0 {
        format!("{seconds:.2} s")
    } else {
        format!("{} min {:.0} s", (seconds / 60.0).floor(), seconds % 60.0)
    }
}

fn escape(text: &str, is_escaped: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&is_escaped) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            c if !is_escaped(c) => out.push(c),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if u32::from(c) < 0x100 => _ = write!(out, "\\x{:02x}", u32::from(c)),
            c => _ = write!(out, "\\u{{{:x}}}", u32::from(c)),
        }
    }
    Cow::Owned(out)
}

/// Control characters, separators of lines, and what changes the direction of writing.
fn is_active(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_acts_on_a_terminal() {
        assert_eq!(
            escaped("a\u{1b}[2J\u{7}\u{9b}1m\u{202e}b\r\n\tc"),
            "a\\x1b[2J\\x07\\x9b1m\\u{202e}b\\r\\n\\tc"
        );
        assert_eq!(escaped_lines("a\u{1b}\nb\r\n"), "a\\x1b\nb\\r\n");
        assert!(matches!(escaped("日本 é"), Cow::Borrowed(_)));
    }

    #[test]
    fn a_long_text_keeps_its_ends() {
        assert_eq!(one_line("  a\n\n b\u{1b}\tc ", 20), "a b\\x1b c");
        let traceback = format!("Traceback:\n{}ValueError: no", "  File x\n".repeat(30));
        let line = one_line(&traceback, 42);
        assert_eq!(line, "Traceback: File x File x … ValueError: no");
        assert_eq!(one_line(&"ä".repeat(100), 10).chars().count(), 10);
    }
}
