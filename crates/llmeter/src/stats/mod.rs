//! Numbers about numbers: what a run's answers say when taken together.
//!
//! Belongs here: means, percentiles, sketches, the statistics of a run, and how a few of them are
//! shown while it goes on.
//! Does not belong here: files (`result`), tables and charts (`report`).

mod accumulator;
mod annotations;
mod exact_sum;
mod gap_counts;
mod live;
mod measure;
mod percentile;
mod series;
mod sketch;
mod summary;

pub use accumulator::{Accumulator, Keep};
pub use annotations::AnnotationSummary;
pub use exact_sum::ExactSum;
pub use live::{LiveDisplay, StatSpec};
pub(crate) use measure::{gap_seconds, gap_steps};
pub use percentile::Percentile;
pub use summary::{Number, STANDARD_PERCENTILES, summarize};
