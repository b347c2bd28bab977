//! What a report is made of: sections of key figures, tables, charts and texts.
//!
//! Belongs here: which results give which sections. A report is made once, and pages, Markdown and JSON
//! only render it.
//! Does not belong here: how a chart is drawn (`figure`), how a page looks (`html`).

mod by_class;
mod by_turn;
mod charts;
mod configuration;
mod experiments;
mod load;
mod measurement;
mod path;
mod run;
mod sections;
mod several;

use serde::Serialize;

use super::figure::Figure;
use crate::base::shown::{SHOWN, one_line};

/// A report: what [`html`](fn@super::html), [`markdown`](fn@super::markdown) and JSON render.
///
/// ```no_run
/// use llmeter::report::{self, Report};
///
/// # fn main() -> llmeter::Result<()> {
/// let report = Report::load(&["runs/before".into(), "runs/after".into()])?;
/// std::fs::write("report.html", report::html(&report)).unwrap();
/// # Ok(())
/// # }
/// ```
///
/// Texts of others in it are on one line, without what acts on a terminal; renderings escape them for
/// their form.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// What it is about.
    pub title: String,
    /// What was measured, where and when, a line each.
    pub about: Vec<String>,
    /// What it says.
    pub sections: Vec<Section>,
    /// The version of llmeter that made it.
    pub llmeter_version: &'static str,
}

/// A part of a report under a heading.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Section {
    /// Its name in addresses, unique in the report.
    pub id: String,
    /// Its heading.
    pub title: String,
    /// What it holds.
    pub blocks: Vec<Block>,
}

/// A piece of a section.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Block {
    /// A sentence or several.
    Text {
        /// How it is meant.
        tone: Tone,
        /// The text.
        text: String,
    },
    /// The figures that count most.
    KeyFigures {
        /// The figures.
        figures: Vec<KeyFigure>,
    },
    /// A table.
    Table(Table),
    /// A chart.
    Chart(Chart),
}

/// How a text is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Tone {
    /// It tells.
    Plain,
    /// All is well.
    Good,
    /// To be known when figures are read.
    Note,
    /// Figures are to be taken with care.
    Warning,
    /// Figures are not what they seem.
    Bad,
}

/// One figure that counts.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct KeyFigure {
    /// Its name.
    pub label: String,
    /// Its value with its unit.
    pub value: String,
    /// What stands below it: its 95 % interval, if it has one, or the same in another unit.
    pub below: Option<String>,
}

/// A table. The first row of cells follows the titles.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Table {
    /// What it shows.
    pub title: String,
    /// The titles of its columns.
    pub columns: Vec<String>,
    /// Its rows, each with as many cells as there are columns.
    pub rows: Vec<Vec<String>>,
    /// What marks in it mean, and what else is to be known, a line each.
    pub notes: Vec<String>,
}

/// A chart with the same in words and numbers, for those who do not see it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Chart {
    /// Its name in addresses, unique in the report.
    pub id: String,
    /// Its heading.
    pub title: String,
    /// What it shows and how it is read.
    pub about: String,
    /// The figure.
    pub figure: Figure,
    /// The main numbers that it shows.
    pub table: Table,
}

impl Report {
    fn new(title: &str, about: Vec<String>) -> Self {
        Self {
            title: line(title),
            about: about.iter().map(|text| line(text)).collect(),
            sections: Vec::new(),
            llmeter_version: env!("CARGO_PKG_VERSION"),
        }
    }

    /// Adds a section if it has something.
    fn add(&mut self, id: &str, title: &str, blocks: Vec<Block>) {
        if !blocks.is_empty() {
            self.sections.push(Section {
                id: id.to_owned(),
                title: title.to_owned(),
                blocks,
            });
        }
    }

    /// Its charts, in order.
    pub fn charts(&self) -> impl Iterator<Item = &Chart> {
        let blocks = self.sections.iter().flat_map(|section| &section.blocks);
        blocks.filter_map(|block| match block {
            Block::Chart(chart) => Some(chart),
            _ => None,
        })
    }
}

impl Block {
    fn text(tone: Tone, text: impl AsRef<str>) -> Self {
        // Sentences of llmeter's may be longer than foreign texts, which are within them.
        const MAX: usize = 4 * SHOWN;
        Self::Text {
            tone,
            text: one_line(text.as_ref(), MAX),
        }
    }

    /// A text for each line.
    fn lines(tone: Tone, text: &str) -> impl Iterator<Item = Self> {
        let lines = text.lines().filter(|line| !line.trim().is_empty());
        lines.map(move |line| Self::text(tone, line))
    }

    /// A table of rows of which the first has the titles; nothing without any other.
    fn table(title: &str, rows: Vec<Vec<String>>, notes: &[impl AsRef<str>]) -> Option<Self> {
        Table::of(title, rows, notes).map(Self::Table)
    }

    /// A table of names with values; nothing without any.
    fn pairs(title: &str, columns: [&str; 2], rows: Vec<[String; 2]>) -> Option<Self> {
        let titles = columns.map(str::to_owned).to_vec();
        let rows = rows.into_iter().map(Vec::from);
        Self::table(
            title,
            std::iter::once(titles).chain(rows).collect(),
            &[""; 0],
        )
    }
}

impl Table {
    fn of(title: &str, rows: Vec<Vec<String>>, notes: &[impl AsRef<str>]) -> Option<Self> {
        let mut rows = rows.into_iter();
        let columns = rows.next()?;
        let width = columns.len();
        let cells = |row: Vec<String>| {
            let cells = row.iter().map(|cell| line(cell));
            let blank = std::iter::repeat_with(String::new);
            cells.chain(blank).take(width).collect()
        };
        let rows: Vec<Vec<String>> = rows.map(cells).collect();
        let notes = notes.iter().map(|note| note.as_ref().trim().to_owned());
        (!rows.is_empty()).then(|| Self {
            title: title.to_owned(),
            columns: columns.iter().map(|column| line(column)).collect(),
            rows,
            notes: notes.collect(),
        })
    }

    /// Whether a column holds numbers, which are aligned by their ends: in a table that lies on its side a word or two
    /// may be among them.
    pub fn is_of_numbers(&self, column: usize) -> bool {
        let is_number = |cell: &String| {
            let text = cell.trim_start_matches(['+', '-', '−']);
            let is_rounded = text.starts_with("under ") || text.starts_with("over ");
            text.is_empty()
                || text == "—"
                || is_rounded
                || text.starts_with(|c: char| c.is_ascii_digit())
        };
        let cells = self.rows.iter().filter_map(|row| row.get(column));
        let (numbers, words): (Vec<_>, Vec<_>) = cells.partition(|cell| is_number(cell));
        words.len() * 8 <= numbers.len()
    }
}

/// A foreign text on one line.
fn line(text: &str) -> String {
    one_line(text, SHOWN)
}

#[cfg(test)]
mod tests;
