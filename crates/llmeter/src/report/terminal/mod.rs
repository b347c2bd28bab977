//! Distributions drawn with characters.
//!
//! Belongs here: bins, small distributions on one line, one metric in detail, plain ASCII.
//! Does not belong here: figures of pages (`charts`), colours (the command line).

mod ascii;
mod bins;
mod metric;
mod spark;

pub use ascii::ascii;
pub use metric::{metric_named, metric_within};
pub(super) use spark::{compared, distributions};
