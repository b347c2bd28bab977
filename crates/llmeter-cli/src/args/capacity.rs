//! The flags of `capacity`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::run::EachRunArguments;
use super::{Flags, OfCapacity, RunArguments, parse_duration};
use crate::examples::CAPACITY_EXAMPLES;

/// The flags of `capacity`: settings of its probes, and what is the search's own.
#[derive(Debug, Args)]
#[command(after_long_help = CAPACITY_EXAMPLES)]
pub(crate) struct CapacityArguments {
    /// Read settings from a TOML file; flags win over it
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// What is raised until an SLO breaks
    #[arg(
        long,
        value_name = "WHAT",
        default_value = "clients",
        help_heading = "Load"
    )]
    pub(crate) over: SearchedLoad,
    /// Lowest load that is tried: clients, requests a second, or sessions
    #[arg(long, value_name = "N", default_value_t = 1.0, help_heading = "Load")]
    pub(crate) min: f64,
    /// Highest load that is tried [default: 4096 clients or sessions, 100000 requests a second]
    #[arg(long, value_name = "N", help_heading = "Load")]
    pub(crate) max: Option<f64>,
    /// Longest time that a probe sends; it ends before, once its verdict is known
    #[arg(
        long,
        value_name = "TIME",
        default_value = "60s",
        allow_negative_numbers = true,
        value_parser = parse_duration,
        help_heading = "Load"
    )]
    pub(crate) probe_duration: Duration,
    /// Most probes
    #[arg(long, value_name = "N", default_value_t = 12, help_heading = "Load")]
    pub(crate) max_probes: usize,
    /// Search in one run: the load rises by a tenth every 5s, or every TIME, until an SLO breaks
    #[arg(
        long,
        value_name = "TIME",
        num_args = 0..=1,
        default_missing_value = "5s",
        value_parser = parse_duration,
        conflicts_with_all = ["resume", "max_probes", "probe_duration"],
        help_heading = "Load"
    )]
    pub(crate) adaptive: Option<Duration>,
    /// Keep the probes that a search of this name has completed with the same settings
    #[arg(long, requires = "run_name", help_heading = "Output")]
    pub(crate) resume: bool,
    #[command(flatten)]
    flags: Flags<OfCapacity>,
    #[command(flatten)]
    each_run: EachRunArguments,
}

/// What `--over` names.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum SearchedLoad {
    /// Concurrent clients, each with one request in flight
    Clients,
    /// The arrival rate, in requests a second, whether those before have ended or not
    Rate,
    /// Concurrent conversations of --data
    Sessions,
}

impl CapacityArguments {
    /// What its probes share, as the flags of a run.
    pub(crate) fn of_run(&self) -> RunArguments {
        self.each_run
            .of_run(self.config.clone(), self.flags.settings.clone())
    }
}
