//! Numbers about numbers: what a run's responses say when taken together.
//!
//! Belongs here: the table of metrics, means, percentiles, sketches, intervals, the statistics of a
//! run, and how a few of them are shown while it goes on.
//! Does not belong here: files (`result`), tables and charts (`report`).

mod accumulator;
mod annotations;
mod exact_sum;
mod figures;
mod gap_counts;
mod interval;
mod live;
mod measure;
mod metric;
mod percentile;
mod series;
mod sketch;
mod steady;
mod summary;
mod table;

pub use accumulator::{Accumulator, Keep};
pub use annotations::AnnotationSummary;
pub use exact_sum::ExactSum;
pub use figures::{CalibrationErrors, Delays, Distribution, Intervals, Latency};
pub use interval::Interval;
pub use live::{LiveDisplay, StatSpec};
pub(crate) use measure::{GAP_STEPS, gap_seconds, gap_steps};
pub(crate) use metric::Source;
pub use metric::{Metric, MetricKind};
pub use percentile::{Percentile, Support};
pub use summary::{Number, STANDARD_PERCENTILES, summarize};
pub use table::{METRICS, Stats};
