//! The flags of `load-test`.

use std::path::PathBuf;

use clap::Args;

use super::run::EachRunArguments;
use super::{Flags, OfLoadTest, RunArguments};
use crate::examples::LOAD_TEST_EXAMPLES;

/// The flags of `load-test`: settings of its runs, and what is the test's own.
#[derive(Debug, Args)]
#[command(after_long_help = LOAD_TEST_EXAMPLES)]
pub(crate) struct LoadTestArguments {
    /// Read settings from a TOML file; flags win over it
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Concurrent clients of each level, e.g. 1,2,4,8,16
    #[arg(
        short = 'c',
        long = "clients",
        visible_alias = "concurrency",
        value_name = "N,N,…",
        value_delimiter = ',',
        required = true,
        help_heading = "Load"
    )]
    pub(crate) levels: Vec<usize>,
    /// Requests of each level, at least, over all clients
    ///
    /// --requests is the least number for each client; of the two, the larger counts.
    #[arg(
        long,
        value_name = "N",
        default_value_t = 10,
        conflicts_with = "duration",
        help_heading = "Load"
    )]
    pub(crate) min_requests_per_level: u64,
    /// Keep the levels that a test of this name has completed, and repeat those that were broken off
    #[arg(long, requires = "run_name", help_heading = "Output")]
    pub(crate) resume: bool,
    /// Repeat the whole test so often, and tell how figures differ between repeats
    #[arg(
        long,
        value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..),
        conflicts_with = "resume",
        help_heading = "Load"
    )]
    pub(crate) repeat: Option<u32>,
    #[command(flatten)]
    flags: Flags<OfLoadTest>,
    #[command(flatten)]
    each_run: EachRunArguments,
}

impl LoadTestArguments {
    /// What its runs share, as the flags of a run.
    pub(crate) fn of_run(&self) -> RunArguments {
        self.each_run
            .of_run(self.config.clone(), self.flags.settings.clone())
    }
}
