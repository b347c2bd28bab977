//! A comparison as JUnit XML, which CI systems show as tests.

use super::{changed, named, title, valued};
use crate::base::shown::escaped;
use crate::experiment::{Comparison, Outcome};
use crate::stats::Condition;

/// A comparison as JUnit XML. A test fails for each condition that must not hold and does; figures are tests
/// that pass, or are skipped where there is not enough data.
pub fn comparison_junit(comparison: &Comparison, fail_if: &[Condition]) -> String {
    let mut suites = Vec::new();
    if !fail_if.is_empty() {
        let cases = fail_if.iter().map(|condition| {
            let findings = match comparison.findings(condition) {
                Ok(findings) => findings,
                Err(reason) => vec![reason.to_string()],
            };
            let problem = findings.first().map(|first| {
                let (message, all) = (xml(first), xml(&findings.join("\n")));
                format!("<failure message=\"{message}\">{all}</failure>")
            });
            case("fail-if", &condition.to_string(), problem)
        });
        suites.push(("fail-if".to_owned(), cases.collect::<Vec<_>>()));
    }
    for pair in &comparison.pairs {
        let cases = pair.differences.iter().filter_map(|one| {
            let outcome = one.outcome?;
            let (change, interval) = changed(one);
            let value = |value: Option<f64>| value.map_or_else(String::new, |at| valued(one, at));
            let said = format!(
                "{}: {} -> {}, {change} (95 % interval {interval})",
                outcome.as_str(),
                value(one.base),
                value(one.new)
            );
            let inner = match outcome {
                Outcome::NotEnoughData => "<skipped message=\"not enough data\"/>".to_owned(),
                _ => format!("<system-out>{}</system-out>", xml(&said)),
            };
            Some(case("figures", &named(one), Some(inner)))
        });
        suites.push((title(comparison, pair), cases.collect()));
    }
    let mut text = String::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"llmeter compare\">\n",
    );
    for (name, cases) in suites {
        let count = |part: &str| cases.iter().filter(|case| case.contains(part)).count();
        let (failures, skipped) = (count("<failure "), count("<skipped "));
        text.push_str(&format!(
            "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{failures}\" errors=\"0\" skipped=\"{skipped}\">\n",
            xml(&name),
            cases.len()
        ));
        cases
            .iter()
            .for_each(|case| text.push_str(&format!("    {case}\n")));
        text.push_str("  </testsuite>\n");
    }
    text + "</testsuites>\n"
}

fn case(class: &str, name: &str, inner: Option<String>) -> String {
    let name = xml(name);
    match inner {
        None => format!("<testcase classname=\"{class}\" name=\"{name}\"/>"),
        Some(inner) => {
            format!("<testcase classname=\"{class}\" name=\"{name}\">{inner}</testcase>")
        }
    }
}

/// Text within XML. What XML cannot hold is an escape already, and line breaks are for people alone.
fn xml(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for (number, line) in text.split('\n').enumerate() {
        if number > 0 {
            out.push_str("&#10;");
        }
        for letter in escaped(line).chars() {
            match letter {
                '&' => out.push_str("&amp;"),
                '<' => out.push_str("&lt;"),
                '>' => out.push_str("&gt;"),
                '"' => out.push_str("&quot;"),
                '\'' => out.push_str("&apos;"),
                '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
                letter => out.push(letter),
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_stays_text() {
        assert_eq!(
            xml("a<b & \"c\" 'd' >"),
            "a&lt;b &amp; &quot;c&quot; &apos;d&apos; &gt;"
        );
        assert_eq!(xml("]]>\u{1b}\u{ffff}\n"), "]]&gt;\\x1b\u{fffd}&#10;");
    }
}
