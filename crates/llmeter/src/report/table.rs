//! Tables and lines that fit a width.

use std::fmt::Write;

/// The least width, below which nothing is made to fit.
const MIN_WIDTH: usize = 20;

/// What a command begins with, and one within a sentence.
const COMMAND: &str = "llmeter ";
const QUOTED_COMMAND: &str = "`llmeter ";

/// A table with its first column to the left and the others to the right; the first row has the titles.
/// One that is wider than `width` columns gets a column for each row instead, or, if that is too wide
/// as well, its rows below each other.
pub(crate) fn table(text: &mut String, rows: &[Vec<String>], width: usize) {
    let lines = aligned(rows);
    if fits(&lines, width) {
        return push(text, &lines);
    }
    let turned = aligned(&transposed(rows));
    if fits(&turned, width) {
        return push(text, &turned);
    }
    let Some((titles, rows)) = rows.split_first() else {
        return;
    };
    for row in rows {
        let (name, cells) = row
            .split_first()
            .map_or(("", row.as_slice()), |(name, cells)| (name, cells));
        let record = titles.iter().skip(1).zip(cells);
        let record = record.map(|(title, cell)| vec![format!("  {title}"), cell.clone()]);
        push(text, &[name.to_owned()]);
        push(text, &aligned(&record.collect::<Vec<_>>()));
    }
}

/// Names to the left and their values to the right, without titles. A pair that is wider than `width`
/// columns has its value on a line below.
pub(crate) fn pairs(text: &mut String, rows: &[[String; 2]], width: usize) {
    let length = |cell: &String| cell.chars().count();
    let widest = |at: usize| rows.iter().map(|row| length(&row[at])).max().unwrap_or(0);
    let width = width.max(MIN_WIDTH).min(widest(0) + 2 + widest(1));
    for [name, value] in rows {
        let left = width.saturating_sub(length(name));
        let _ = match left < length(value) + 2 {
            true => writeln!(text, "{name}\n{value:>width$}"),
            false => writeln!(text, "{name}{value:>left$}"),
        };
    }
}

fn aligned(rows: &[Vec<String>]) -> Vec<String> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let length = |cell: &String| cell.chars().count();
    let widths: Vec<usize> = (0..columns)
        .map(|column| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            cells.map(length).max().unwrap_or(0)
        })
        .collect();
    let line = |row: &Vec<String>| {
        let mut line = String::new();
        for ((column, cell), width) in row.iter().enumerate().zip(&widths) {
            let _ = match column {
                0 => write!(line, "{cell:<width$}"),
                _ => write!(line, "  {cell:>width$}"),
            };
        }
        line.trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

fn transposed(rows: &[Vec<String>]) -> Vec<Vec<String>> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let column = |at: usize| {
        let cells = rows
            .iter()
            .map(|row| row.get(at).cloned().unwrap_or_default());
        cells.collect()
    };
    (0..columns).map(column).collect()
}

fn fits(lines: &[String], width: usize) -> bool {
    lines.iter().all(|line| line.chars().count() <= width)
}

fn push(text: &mut String, lines: &[String]) {
    for line in lines {
        let _ = writeln!(text, "{line}");
    }
}

/// Lines of prose, broken between words where they are wider than `width` columns. What goes on is
/// indented as the text is: behind the name at the line's beginning, if there is one. What is to be
/// copied stays whole: a command on a line of its own, and what stands between backquotes.
pub fn fitted(text: &str, width: usize) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let is_short = line.trim_end_matches('\n').chars().count() <= width;
        if is_short || width < MIN_WIDTH || is_command(line) {
            out.push_str(line);
            continue;
        }
        let indent = " ".repeat(hanging(line).min(width / 2));
        let spaces = line.len() - line.trim_start().len();
        let mut column = 0;
        for (number, word) in words(line.trim(), width).into_iter().enumerate() {
            let length = word.chars().count();
            if number == 0 {
                out.push_str(&line[..spaces]);
                column = spaces;
            } else if column + 1 + length > width && !word.is_empty() {
                out.truncate(out.trim_end_matches(' ').len());
                out.push('\n');
                out.push_str(&indent);
                column = indent.len();
            } else {
                out.push(' ');
                column += 1;
            }
            out.push_str(word);
            column += length;
        }
        out.push('\n');
    }
    out
}

/// Whether an indented line is a command of this program's.
fn is_command(line: &str) -> bool {
    line.starts_with("  ") && line.trim_start().starts_with(COMMAND)
}

/// The parts of a line that stay whole: words, and what is between backquotes, if it fits a line or is a
/// command.
fn words(line: &str, width: usize) -> Vec<&str> {
    let mut words = Vec::new();
    let mut rest = line;
    loop {
        let word_end = rest.find(' ').unwrap_or(rest.len());
        let end = match quote_end(rest, word_end) {
            Some(end) if rest[..end].chars().count() <= width => end,
            Some(end) if rest.trim_start_matches('(').starts_with(QUOTED_COMMAND) => end,
            _ => word_end,
        };
        words.push(&rest[..end]);
        match rest.get(end + 1..) {
            Some(after) => rest = after,
            None => return words,
        }
    }
}

/// Where the word ends that has the closing backquote, if one opens in the first word of a text.
fn quote_end(text: &str, word_end: usize) -> Option<usize> {
    let word = text[..word_end].trim_start_matches('(');
    let is_open = word.starts_with('`') && word.matches('`').count() % 2 == 1;
    let close = word_end + text[word_end..].find('`').filter(|_| is_open)?;
    Some(
        text[close..]
            .find(' ')
            .map_or(text.len(), |end| close + end),
    )
}

/// Where a line goes on: two columns in, or where its text begins behind a name.
fn hanging(line: &str) -> usize {
    let spaces = line.len() - line.trim_start().len();
    let rest = &line[spaces..];
    let name_end = rest.find("  ").filter(|_| spaces > 0);
    match name_end {
        Some(end) => {
            let gap = rest[end..].len() - rest[end..].trim_start().len();
            line[..spaces + end].chars().count() + gap
        }
        // A sentence at the left goes on there; what begins with a word like `warning:` does not.
        None if spaces == 0
            && !rest
                .split(' ')
                .next()
                .is_some_and(|word| word.ends_with(':')) =>
        {
            0
        }
        None => spaces + 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str) -> Vec<Vec<String>> {
        let line = |line: &str| line.split(' ').map(str::to_owned).collect();
        text.split('/').map(line).collect()
    }

    fn at(width: usize) -> String {
        let mut text = String::new();
        table(
            &mut text,
            &rows("load a b c d/one 10 20 30 40/two 5 6 7 8"),
            width,
        );
        text
    }

    #[test]
    fn a_table_fits_its_width() {
        let wide = "load   a   b   c   d\none   10  20  30  40\ntwo    5   6   7   8\n";
        assert_eq!(at(20), wide);
        assert_eq!(at(usize::MAX), wide);
        let turned =
            "load  one  two\na      10    5\nb      20    6\nc      30    7\nd      40    8\n";
        assert_eq!(at(19), turned);
        assert!(at(13).starts_with("one\n  a  10\n  b  20\n"), "{}", at(13));
    }

    #[test]
    fn pairs_keep_every_name_at_its_value() {
        let at = |width| {
            let mut text = String::new();
            let pair = |name: &str, value: &str| [name.to_owned(), value.to_owned()];
            let rows = [
                pair("requests per minute", "12.5"),
                pair("output tokens per second", "1,234 (7 seen)"),
                pair("vectors", "3"),
            ];
            pairs(&mut text, &rows, width);
            text
        };
        let wide = "requests per minute                 12.5\n\
                    output tokens per second  1,234 (7 seen)\n\
                    vectors                                3\n";
        assert_eq!(at(usize::MAX), wide);
        assert_eq!(at(40), wide);
        let narrow = "requests per minute      12.5\n\
                      output tokens per second\n               1,234 (7 seen)\n\
                      vectors                     3\n";
        assert_eq!(at(29), narrow);
        let narrowest = "requests per minute\n                12.5\n\
                         output tokens per second\n      1,234 (7 seen)\n\
                         vectors            3\n";
        assert_eq!(at(1), narrowest);
        assert_eq!(at(20), narrowest);
    }

    #[test]
    fn commands_stay_whole() {
        let alone = "Next:\n  llmeter run --base-url URL --model ID\n";
        assert_eq!(fitted(alone, 20), alone);
        assert_eq!(
            fitted("files in it; `llmeter show DIR` prints all\n", 22),
            "files in it;\n`llmeter show DIR`\nprints all\n"
        );
        assert_eq!(
            fitted(
                "call `llmeter run --model ID --tokenizer words`, again\n",
                24
            ),
            "call\n`llmeter run --model ID --tokenizer words`,\nagain\n"
        );
        // Other quotations are broken if no line takes them, and what is never closed is none.
        assert_eq!(
            fitted("a `one two three four five six` b `seven\n", 20),
            "a `one two three\nfour five six` b\n`seven\n"
        );
    }

    #[test]
    fn prose_is_broken_between_words() {
        assert_eq!(
            fitted("    name  one two three four five\nshort\n", 24),
            "    name  one two three\n          four five\nshort\n"
        );
        assert_eq!(
            fitted("  one two three four five six", 20),
            "  one two three four\n    five six\n"
        );
        let word = "x".repeat(50);
        assert_eq!(fitted(&format!("{word} a\n"), 20), format!("{word}\na\n"));
        assert_eq!(
            fitted("error: one two three\n", 20),
            "error: one two three\n"
        );
        assert_eq!(
            fitted("error: one two three four\n", 20),
            "error: one two three\n  four\n"
        );
    }
}
