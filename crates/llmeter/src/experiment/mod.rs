//! Several runs that answer one question.
//!
//! Belongs here: which runs an experiment has, when it is over, its result and how that loads again.
//! Does not belong here: a run itself (`run`), what people look at (`report`).

mod baseline;
mod compare;
mod knee;
mod load_test;
mod load_test_result;

pub use baseline::Baselines;
pub use compare::{Comparison, Difference, Measured, Outcome, Pair};
pub use knee::{Knee, knee};
pub use load_test::LoadTest;
pub use load_test_result::{LoadTestResult, TestEnd};
