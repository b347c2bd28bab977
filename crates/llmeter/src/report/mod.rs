//! A result turned into something a person reads.
//!
//! Belongs here: tables, charts and pages.
//! Does not belong here: figures (`stats`), terminals and colours (the command line).

mod ab;
pub mod charts;
mod comparison;
mod cost;
mod heatmap;
mod image;
mod intervals;
mod load_test;
mod notes;
mod probe;
mod repeat;
mod requests;
mod slo;
mod summary;
mod table;

pub use ab::{ab, ab_within};
pub use comparison::{comparison_junit, comparison_markdown, comparison_within};
pub use cost::{cost, cost_within};
pub use heatmap::{Paint, heatmap, heatmap_within};
pub use image::{figure_png, figure_svg};
pub use load_test::{load_test, load_test_within};
pub use notes::notes;
pub use probe::{probe, probe_within};
pub use repeat::{repeats, repeats_within};
pub use requests::{TableFormat, write_requests};
pub use summary::{summary, summary_within};
pub use table::fitted;

pub use crate::base::shown::{escaped, escaped_lines, one_line};
