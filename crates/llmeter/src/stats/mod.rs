//! Numbers about numbers: what a run's responses say when taken together.
//!
//! Belongs here: the table of metrics, means, percentiles, sketches, intervals, the statistics of a
//! run, and how a few of them are shown while it goes on.
//! Does not belong here: files (`result`), tables and charts (`report`).

mod accumulator;
mod annotations;
mod condition;
mod exact_sum;
mod figures;
mod gap_counts;
mod interval;
mod live;
mod measure;
mod metric;
mod paired;
mod percentile;
mod precision;
mod rates;
mod repeats;
mod series;
mod sketch;
mod slo;
mod steady;
mod student;
mod summary;
mod support;
mod table;

pub use accumulator::{Accumulator, Keep};
pub use annotations::AnnotationSummary;
pub use condition::{Comparator, Condition, ConditionError, Figure, PrecisionTarget, Unit};
pub use exact_sum::ExactSum;
pub use figures::{CalibrationErrors, Delays, Distribution, Intervals, Latency};
pub use interval::Interval;
pub use live::{LiveDisplay, StatSpec};
pub(crate) use measure::{GAP_STEPS, gap_seconds, gap_steps};
pub(crate) use metric::Source;
pub use metric::{Metric, MetricKind};
pub use paired::{Answer, PairedAnalysis, analyse_pairs};
pub use percentile::{Percentile, Support};
pub use precision::{PrecisionWatch, Statistic, Tolerance};
pub(crate) use rates::Rate;
pub use repeats::RepeatSpread;
pub(crate) use repeats::pooled_deviation;
pub(crate) use slo::is_met_by;
pub(crate) use student::{student_p_value, student_t};
pub use summary::{Number, STANDARD_PERCENTILES, summarize};
pub use support::support_of;
pub(crate) use support::{least_support, support_by};
pub use table::{METRICS, Stats};
