//! A result turned into something a person reads.
//!
//! Belongs here: texts, tables, charts, and the reports that are made of them.
//! Does not belong here: statistics (`stats`), terminals and their colours (the command line).

mod ab;
mod capacity;
mod comparison;
mod control;
mod cost;
mod drift;
pub mod figure;
mod format;
mod heatmap;
mod html;
mod image;
mod intervals;
mod list;
mod load_test;
mod markdown;
pub mod model;
mod notes;
mod numbers;
mod parts;
mod probe;
mod rates;
mod recovery;
mod repeat;
mod requests;
mod slo;
mod summary;
mod table;
mod terminal;

pub use ab::{ab, ab_within};
pub use capacity::{capacity, capacity_within};
pub use comparison::{
    Rows, comparison_conclusion, comparison_junit, comparison_markdown, comparison_tables,
    comparison_within,
};
pub use control::control;
pub use cost::{cost, cost_within};
pub use format::{Rendering, ReportFormat};
pub use heatmap::{Paint, heatmap, heatmap_within};
pub use html::{html, plotly_script};
pub use image::{figure_png, figure_svg};
pub use list::{baselines_within, is_listed, list_csv, list_within};
pub use load_test::{load_test, load_test_within};
pub use markdown::markdown;
pub use model::Report;
pub use notes::{notes, notes_with};
pub use probe::{probe, probe_within};
pub use repeat::{repeats, repeats_within};
pub use requests::{
    Bits, ColumnCells, ListCells, RequestColumn, RequestColumns, TableFormat, TextCells,
    write_requests,
};
pub use summary::{summary, summary_with, summary_within};
pub use table::fitted;
pub use terminal::{ascii, metric_named, metric_within};

pub use crate::base::shown::{escaped, escaped_lines, one_line};
