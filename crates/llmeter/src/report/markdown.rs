//! A report as Markdown.

use std::fmt::Write;

use super::model::{Block, Chart, Report, Table, Tone};

/// A report as Markdown (GitHub's tables). Charts are there by their numbers. No text of others in it is
/// formatted or linked, or calls anybody.
pub fn markdown(report: &Report) -> String {
    let mut text = format!("# {}\n\n", escaped(&report.title));
    for line in &report.about {
        let _ = writeln!(text, "{}  ", escaped(line));
    }
    for section in &report.sections {
        let _ = write!(text, "\n## {}\n\n", escaped(&section.title));
        // Charts of the same numbers have one table.
        let mut last: Option<&Table> = None;
        for block in &section.blocks {
            match block {
                Block::Text { tone, text: said } => say(&mut text, *tone, said),
                Block::KeyFigures { figures } => {
                    text.push_str("| figure | value | 95 % interval or rate |\n|:--|--:|--:|\n");
                    for one in figures {
                        let below = one.below.as_deref().unwrap_or_default();
                        let _ = writeln!(
                            text,
                            "| {} | {} | {} |",
                            escaped(&one.label),
                            escaped(&one.value),
                            escaped(below)
                        );
                    }
                    text.push('\n');
                }
                Block::Table(one) if last == Some(one) => {}
                Block::Table(one) => {
                    table(&mut text, &one.title, one);
                    last = Some(one);
                }
                Block::Chart(Chart {
                    title, table: one, ..
                }) => {
                    if !one.rows.is_empty() && last != Some(one) {
                        table(&mut text, title, one);
                        last = Some(one);
                    }
                }
            }
        }
    }
    let _ = write!(
        text,
        "\n<sub>Made by llmeter {}.</sub>\n",
        report.llmeter_version
    );
    text
}

fn say(text: &mut String, tone: Tone, said: &str) {
    let said = escaped(said);
    let _ = match tone {
        Tone::Plain => writeln!(text, "{said}\n"),
        Tone::Good => writeln!(text, "> ✅ {said}\n"),
        Tone::Note => writeln!(text, "> {said}\n"),
        Tone::Warning => writeln!(text, "> ⚠️ {said}\n"),
        Tone::Bad => writeln!(text, "> ❌ {said}\n"),
    };
}

fn table(text: &mut String, title: &str, table: &Table) {
    if !title.is_empty() {
        let _ = writeln!(text, "**{}**\n", escaped(title));
    }
    let row = |cells: &[String]| {
        let cells: Vec<_> = cells.iter().map(|cell| escaped(cell)).collect();
        format!("| {} |\n", cells.join(" | "))
    };
    text.push_str(&row(&table.columns));
    let rules =
        (0..table.columns.len()).map(|column| match column > 0 && table.is_of_numbers(column) {
            true => "--:",
            false => ":--",
        });
    let _ = writeln!(text, "|{}|", rules.collect::<Vec<_>>().join("|"));
    for cells in &table.rows {
        text.push_str(&row(cells));
    }
    text.push('\n');
    for note in &table.notes {
        let _ = writeln!(text, "{}\n", escaped(note));
    }
}

/// A text in which nothing is markup, HTML, a link or a name that is called.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut before = ' ';
    for (at, c) in text.char_indices() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '@' => out.push_str("&#64;"),
            // An address becomes a link by this.
            ':' if before.is_ascii_alphabetic() && text[at..].starts_with("://") => {
                out.push_str("&#58;");
            }
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '#' | '!' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
        before = c;
    }
    // `www.` alone begins a link, too.
    out.replace("www.", "www&#46;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_is_no_markup() {
        assert_eq!(
            escaped("a|b `c` <img> [x](http://y) @team #1 *b* ~~s~~"),
            "a\\|b \\`c\\` &lt;img&gt; \\[x\\](http&#58;//y) &#64;team \\#1 \\*b\\* \\~\\~s\\~\\~"
        );
        assert_eq!(
            escaped("www.example.org, 12:30, p99"),
            "www&#46;example.org, 12:30, p99"
        );
    }
}
