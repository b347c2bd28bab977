//! A comparison as a comment of a pull request.

use super::{DASHES, METHOD, TITLES, conclusion, dashes, legend, row, shown};
use crate::base::shown::{SHOWN, one_line};
use crate::experiment::{Comparison, Outcome, of_clients};
use crate::report::intervals::{MARK, MARKED};
use crate::stats::Condition;

/// A comparison as Markdown, with what it says of conditions that must not hold. Names of folders and what
/// else is foreign is code: nothing in it is formatted, linked, or calls anybody.
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
        text.push_str(&format!(
            "\n{new} against {base}{}\n\n",
            level.unwrap_or_default()
        ));
        for unlike in &pair.unlike {
            text.push_str(&format!("- ⚠️ not measured alike: {}\n", code(unlike)));
        }
        if !pair.unlike.is_empty() {
            text.push('\n');
        }
        text.push_str(&format!(
            "| {} |\n|:--|--:|--:|--:|--:|:--|\n",
            TITLES.join(" | ")
        ));
        for one in shown(pair) {
            let mut cells = row(one);
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
    for unmatched in &comparison.unmatched {
        text.push_str(&format!("\nNot compared: {}\n", code(unmatched)));
    }
    if !legend(comparison).is_empty() {
        text.push_str(&format!("\n\\{MARKED}"));
    }
    if !dashes(comparison).is_empty() {
        text.push_str(&format!("\n{DASHES}"));
    }
    text.push_str(&format!("\n<sub>{METHOD}</sub>\n"));
    text
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
