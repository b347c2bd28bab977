//! A result turned into something a person reads.
//!
//! Belongs here: tables, charts and pages.
//! Does not belong here: figures (`stats`), terminals and colours (the command line).

pub mod charts;
mod cost;
mod intervals;
mod load_test;
mod notes;
mod probe;
mod summary;
mod sweep;
mod table;

pub use cost::{cost, cost_within};
pub use load_test::{load_test, load_test_within};
pub use notes::notes;
pub use probe::{probe, probe_within};
pub use summary::{summary, summary_within};
pub use sweep::{sweep, sweep_within};
pub use table::fitted;

pub use crate::base::shown::{escaped, escaped_lines, one_line};
