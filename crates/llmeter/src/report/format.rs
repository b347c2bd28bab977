//! The forms that a report can have.

use std::str::FromStr;

use super::{Report, html, markdown};
use crate::base::error::{Error, Result};

/// A form of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReportFormat {
    /// One page for a browser, with charts.
    Html,
    /// For a comment or a wiki: tables.
    Markdown,
    /// For programs: the whole report, its figures as Plotly's JSON.
    Json,
}

/// What is known of a form.
struct Row {
    format: ReportFormat,
    name: &'static str,
    extension: &'static str,
    /// Whether it is printed unless a file is named.
    is_printed: bool,
    render: fn(&Report) -> Result<String>,
}

const TABLE: &[Row] = &[
    Row {
        format: ReportFormat::Html,
        name: "html",
        extension: "html",
        is_printed: false,
        render: |report| Ok(html(report)),
    },
    Row {
        format: ReportFormat::Markdown,
        name: "md",
        extension: "md",
        is_printed: true,
        render: |report| Ok(markdown(report)),
    },
    Row {
        format: ReportFormat::Json,
        name: "json",
        extension: "json",
        is_printed: true,
        render: |report| {
            serde_json::to_string_pretty(report)
                .map_err(|_| Error::Internal("a report is not JSON"))
        },
    },
];

impl ReportFormat {
    /// All forms.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().map(|row| row.format)
    }

    fn row(self) -> &'static Row {
        let mut rows = TABLE.iter();
        rows.find(|row| row.format == self).unwrap_or(&TABLE[0])
    }

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// How its files end.
    pub fn extension(self) -> &'static str {
        self.row().extension
    }

    /// Whether it is text to be printed unless a file is named.
    pub fn is_printed(self) -> bool {
        self.row().is_printed
    }

    /// A report in this form.
    ///
    /// # Errors
    /// If it cannot be rendered, which is an internal error.
    pub fn render(self, report: &Report) -> Result<String> {
        (self.row().render)(report)
    }
}

impl FromStr for ReportFormat {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let known =
            |format: &Self| format.name() == name || (name == "markdown" && format.name() == "md");
        Self::all().find(known).ok_or_else(|| {
            let names: Vec<_> = Self::all().map(Self::name).collect();
            Error::field("format", name, names.join(", "))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_has_a_row_and_a_name_of_its_own() {
        for format in ReportFormat::all() {
            assert_eq!(format.name().parse::<ReportFormat>().unwrap(), format);
        }
        let reason = "pdf".parse::<ReportFormat>().unwrap_err().to_string();
        assert!(reason.contains("html, md, json"), "{reason}");
    }
}
