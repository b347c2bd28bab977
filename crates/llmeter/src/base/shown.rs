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
    // Looks at no more than it may need: a server's text can have megabytes.
    let text = cut(text, max.saturating_mul(8));
    let words: Vec<_> = text.split_whitespace().collect();
    let line = escaped(&words.join(" ")).into_owned();
    cut(&line, max).into_owned()
}

/// A text of at most `max` characters: what is too long loses its middle.
pub(crate) fn cut(text: &str, max: usize) -> Cow<'_, str> {
    // A character is at least one byte.
    if text.len() <= max || text.char_indices().nth(max).is_none() {
        return Cow::Borrowed(text);
    }
    let after = max / 3;
    let before = max.saturating_sub(after + 3);
    let at = |found: Option<(usize, char)>| found.map_or(text.len(), |(at, _)| at);
    let beginning = &text[..at(text.char_indices().nth(before))];
    let end = match after.checked_sub(1) {
        Some(last) => &text[at(text.char_indices().rev().nth(last))..],
        None => "",
    };
    Cow::Owned(format!("{} … {}", beginning.trim_end(), end.trim_start()))
}

/// Seconds in the unit that reads best, with three significant digits or so.
pub(crate) fn duration(seconds: f64) -> String {
    let size = seconds.abs();
    if size == 0.0 {
        "0".to_owned()
    } else if size >= 1e12 {
        // No duration of anything, but short.
        format!("{seconds:.1e} s")
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

/// Control characters, separators of lines, what changes the direction of writing, and what is not
/// seen at all.
fn is_active(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
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
        for c in (0..0x20)
            .chain(0x7f..0xa0)
            .chain([0x61c, 0x200b, 0x200e, 0x2028, 0x2066, 0xfeff])
        {
            let c = char::from_u32(c).unwrap();
            let shown = escaped(&c.to_string()).into_owned();
            assert!(shown.starts_with('\\') && shown.is_ascii(), "{shown:?}");
        }
    }

    #[test]
    fn megabytes_are_cut() {
        let text = format!("begins {}ends", "é\u{1b} ".repeat(4 << 20));
        for max in [1, 10, 240] {
            let line = one_line(&text, max);
            assert!(line.chars().count() <= max.max(3), "{line}");
        }
        let line = one_line(&text, 60);
        assert!(
            line.starts_with("begins é\\x1b") && line.ends_with(" ends"),
            "{line}"
        );
        assert!(matches!(cut("short", 5), Cow::Borrowed("short")));
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
