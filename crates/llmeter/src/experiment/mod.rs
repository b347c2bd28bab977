//! Several runs that answer one question.
//!
//! Belongs here: which runs an experiment has, when it is over, its result and how that loads again.
//! Does not belong here: a run itself (`run`), what people look at (`report`).

mod ab;
mod baseline;
mod capacity;
mod cold_start;
mod compare;
mod drift;
mod heatmap;
mod knee;
mod load_test;
mod load_test_result;
mod merge;
mod plan_file;
mod recovery;
mod repeat;
mod spike;
mod watched;
mod workloads;

pub use ab::{AbComparison, AbEnd, AbPlan, AbResult, AbTest, AbVariant, AbVariantPlan};
pub use baseline::Baselines;
pub use capacity::{Capacity, CapacityPlan, CapacityResult, Over, Probe, ProbeVerdict};
pub use cold_start::ColdStart;
pub use compare::{Comparison, Difference, Measured, Outcome, Pair, Spread};
pub use drift::{Drift, DriftExample};
pub use heatmap::{
    CellLatency, HeatmapCell, HeatmapGrid, HeatmapResult, HeatmapTable, LatencyHeatmap,
    heatmap_bins,
};
pub use knee::{Knee, knee};
pub use load_test::LoadTest;
pub use load_test_result::{LoadTestResult, TestEnd};
pub(crate) use load_test_result::{is_level_name, level_name, of_clients};
pub use merge::{Merge, Merged, MergedPart};
pub use repeat::{Repeat, RepeatResult};
pub(crate) use repeat::{is_repeat_name, repeat_folders};
pub use spike::{Recovery, Spike};
pub(crate) use workloads::ALONE;
pub use workloads::{SavedWorkloads, Workload, Workloads, WorkloadsResult};
