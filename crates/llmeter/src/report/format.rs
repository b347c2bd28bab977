//! The forms that a report can have.

use std::str::FromStr;

use super::figure::Figure;
use super::requests::{self, TableFormat};
use super::{Report, figure_png, figure_svg, html, markdown};
use crate::base::error::{Error, Result};
use crate::storage::Location;

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
    /// The requests as comma-separated values, a row each.
    Csv,
    /// The requests as a Parquet file, a row each.
    Parquet,
    /// The charts as images that are sharp at any size.
    Svg,
    /// The charts as images of pixels.
    Png,
}

/// What a form gives.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Rendering {
    /// A text: the whole report.
    Text(fn(&Report) -> Result<String>),
    /// Images, one for each chart.
    Images(fn(&Figure) -> Result<Vec<u8>>),
    /// A table of the requests, which needs no report.
    Requests(TableFormat),
}

/// What is known of a form.
struct Row {
    format: ReportFormat,
    name: &'static str,
    /// Whether it is printed unless a file is named.
    is_printed: bool,
    rendering: Rendering,
}

const TABLE: &[Row] = &[
    Row {
        format: ReportFormat::Html,
        name: "html",
        is_printed: false,
        rendering: Rendering::Text(|report| Ok(html(report))),
    },
    Row {
        format: ReportFormat::Markdown,
        name: "md",
        is_printed: true,
        rendering: Rendering::Text(|report| Ok(markdown(report))),
    },
    Row {
        format: ReportFormat::Json,
        name: "json",
        is_printed: true,
        rendering: Rendering::Text(|report| {
            serde_json::to_string_pretty(report)
                .map_err(|_| Error::Internal("a report is not JSON"))
        }),
    },
    Row {
        format: ReportFormat::Csv,
        name: "csv",
        is_printed: true,
        rendering: Rendering::Requests(TableFormat::Csv),
    },
    Row {
        format: ReportFormat::Parquet,
        name: "parquet",
        is_printed: false,
        rendering: Rendering::Requests(TableFormat::Parquet),
    },
    Row {
        format: ReportFormat::Svg,
        name: "svg",
        is_printed: false,
        rendering: Rendering::Images(|figure| Ok(figure_svg(figure).into_bytes())),
    },
    Row {
        format: ReportFormat::Png,
        name: "png",
        is_printed: false,
        rendering: Rendering::Images(figure_png),
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

    /// Its name on the command line, and how its files end.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// Whether it is text to be printed unless a file is named.
    pub fn is_printed(self) -> bool {
        self.row().is_printed
    }

    /// What it gives.
    pub fn rendering(self) -> Rendering {
        self.row().rendering
    }

    /// Writes the report of some folders, as [`Report::load`] reads them, in this form, to a file; of
    /// [images](Rendering::Images) each into a folder, under the chart's [`id`](super::model::Chart::id).
    /// Gives what was written. Of [requests](Rendering::Requests) the folders may also hold runs.
    ///
    /// # Errors
    /// If the folders cannot be read, or the files not written.
    pub fn save(self, folders: &[Location], to: &Location) -> Result<Vec<Location>> {
        match self.rendering() {
            Rendering::Text(render) => {
                to.write_blocking(render(&Report::load(folders)?)?)?;
                Ok(vec![to.clone()])
            }
            Rendering::Requests(format) => {
                requests::save(folders, format, to)?;
                Ok(vec![to.clone()])
            }
            Rendering::Images(draw) => {
                let report = Report::load(folders)?;
                let mut written = Vec::new();
                for chart in report.charts() {
                    let file = to.join(format!("{}.{}", chart.id, self.name()));
                    file.write_blocking(draw(&chart.figure)?)?;
                    written.push(file);
                }
                Ok(written)
            }
        }
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
        assert!(
            reason.contains("html, md, json, csv, parquet, svg, png"),
            "{reason}"
        );
    }
}
