//! A comparison as a comment of a pull request.

use super::{
    DASHES, Rows, TITLES, conclusion, dashes, left_out, legend, means, method, row, shown, told,
};
use crate::base::shown::{SHOWN, one_line};
use crate::experiment::{Comparison, Difference, Outcome, Pair, of_clients};
use crate::report::intervals::{MARK, MARKED};
use crate::stats::Condition;

/// A comparison as Markdown, with what it says of conditions that must not hold. Names of folders and what
/// else is foreign is code: nothing in it is formatted, linked, or calls anybody. What differs and the headline
/// figures are in a table, the others in one that is folded.
pub fn comparison_markdown(comparison: &Comparison, fail_if: &[Condition]) -> String {
    let mut text = String::from("### llmeter compare\n\n");
    for condition in fail_if {
        match comparison.findings(condition) {
            Ok(findings) if findings.is_empty() => {
                text.push_str(&format!("- ✅ passed: {}\n", code(&condition.to_string())));
            }
            Ok(findings) => findings.iter().for_each(|finding| {
                text.push_str(&format!("- ❌ failed: {}\n", code(finding)));
            }),
            Err(reason) => text.push_str(&format!("- ❌ {}\n", code(&reason.to_string()))),
        }
    }
    if !fail_if.is_empty() {
        text.push('\n');
    }
    let concluded = conclusion(comparison, code);
    text.push_str(&format!("{}\n", concluded.replace('\n', "\n\n")));
    for pair in &comparison.pairs {
        let level = pair
            .clients
            .map(|clients| format!(", {}", of_clients(clients)));
        let (new, base) = (code(&pair.new), code(&comparison.base));
        let means = means(pair).map(|means| format!("; {means}"));
        text.push_str(&format!(
            "\n{new} against {base}{}{}\n\n",
            level.unwrap_or_default(),
            means.unwrap_or_default()
        ));
        for unlike in &pair.unlike {
            text.push_str(&format!("- ⚠️ not measured alike: {}\n", code(unlike)));
        }
        if !pair.unlike.is_empty() {
            text.push('\n');
        }
        let (told, rest) = told(pair, Rows::Telling);
        rows(&mut text, pair, &told);
        if let Some(left) = left_out(&rest) {
            text.push_str(&format!("\n<details><summary>{left}</summary>\n\n"));
            rows(&mut text, pair, &rest);
            text.push_str("\n</details>\n");
        }
    }
    for unmatched in &comparison.unmatched {
        text.push_str(&format!("\nNot compared: {}\n", code(unmatched)));
    }
    let pairs = || comparison.pairs.iter();
    if !legend(pairs().flat_map(shown)).is_empty() {
        text.push_str(&format!("\n\\{MARKED}"));
    }
    let cells = pairs().flat_map(|pair| shown(pair).map(|one| row(pair, one)));
    if !dashes(cells).is_empty() {
        text.push_str(&format!("\n{DASHES}"));
    }
    text.push_str(&format!("\n<sub>{}</sub>\n", method(comparison)));
    text
}

fn rows(text: &mut String, pair: &Pair, figures: &[&Difference]) {
    text.push_str(&format!(
        "| {} |\n|:--|--:|--:|--:|--:|:--|\n",
        TITLES.join(" | ")
    ));
    for one in figures {
        let mut cells = row(pair, one);
        if matches!(one.outcome, Some(Outcome::Better | Outcome::Worse)) {
            cells[5] = format!("**{}**", cells[5]);
        }
        // A single asterisk is a mark here, two are formatting.
        for value in &mut cells[1..3] {
            *value = value.replace(MARK, "\\*");
        }
        text.push_str(&format!("| {} |\n", cells.join(" | ")));
    }
}

/// A foreign text as code on one line.
fn code(text: &str) -> String {
    let text = one_line(text, SHOWN);
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    format!("{fence} {text} {fence}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_stays_code() {
        assert_eq!(code("runs/a"), "` runs/a `");
        assert_eq!(code("a ``b`` @team\n# c"), "``` a ``b`` @team # c ```");
        assert_eq!(code("\u{1b}[31m"), "` \\x1b[31m `");
    }
}
