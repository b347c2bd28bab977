//! Names of documents, which the API demands, restricts and wants to differ.

use std::collections::HashSet;
use std::path::Path;

/// The longest name that the API takes.
const LONGEST: usize = 200;

/// Gives each document of a message a name.
#[derive(Debug, Default)]
pub(super) struct DocumentNames {
    given: HashSet<String>,
}

impl DocumentNames {
    /// A name for the next document, like its file's name without the ending.
    pub(super) fn next(&mut self, file_name: Option<&str>) -> String {
        let stem = file_name.and_then(|name| Path::new(name).file_stem()?.to_str());
        let first = usable(stem.unwrap_or_default());
        let mut name = first.clone();
        let mut number = 2;
        while !self.given.insert(name.clone()) {
            name = format!("{first} {number}");
            number += 1;
        }
        name
    }
}

/// Letters and digits of ASCII, hyphens, parentheses, square brackets, and single spaces instead of
/// anything else.
fn usable(text: &str) -> String {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || "-()[]".contains(c);
    let words = text
        .split(|c| !is_allowed(c))
        .filter(|word| !word.is_empty());
    let mut name = words.collect::<Vec<_>>().join(" ");
    // Room for a number.
    name.truncate(LONGEST - 20);
    match name.trim_end() {
        "" => "document".to_owned(),
        name => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_hold_what_the_api_allows_and_differ() {
        let mut names = DocumentNames::default();
        for (file, name) in [
            (Some("report.pdf"), "report"),
            (Some("report.md"), "report 2"),
            (Some("Q3_results  (final).v2.xlsx"), "Q3 results (final) v2"),
            (Some("übersicht.txt"), "bersicht"),
            (Some("文書.pdf"), "document"),
            (None, "document 2"),
            (Some("report.txt"), "report 3"),
        ] {
            assert_eq!(names.next(file), name);
        }
        let long = names.next(Some(&"a".repeat(500)));
        assert!(!long.is_empty() && long.len() <= LONGEST);
    }
}
