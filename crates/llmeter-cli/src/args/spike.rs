//! The flags of `spike`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use llmeter::load::Stage;

use super::run::EachRunArguments;
use super::{Flags, OfSpike, RunArguments, parse_duration};
use crate::examples::SPIKE_EXAMPLES;

/// The flags of `spike`: settings of its run, and what is the spike's own.
#[derive(Debug, Args)]
#[command(after_long_help = SPIKE_EXAMPLES)]
pub(crate) struct SpikeArguments {
    /// Read settings from a TOML file; flags win over it
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The spike, like '100/s for 10s', or '64 clients for 10s' with --clients
    #[arg(long, value_name = "STAGE", required = true, help_heading = "Load")]
    pub(crate) spike: Stage,
    /// How long the load is as usual before the spike
    #[arg(
        long,
        value_name = "TIME",
        default_value = "60s",
        allow_negative_numbers = true,
        value_parser = parse_duration,
        help_heading = "Load"
    )]
    pub(crate) before: Duration,
    /// How long it is as usual again after the spike
    #[arg(
        long,
        value_name = "TIME",
        default_value = "60s",
        allow_negative_numbers = true,
        value_parser = parse_duration,
        help_heading = "Load"
    )]
    pub(crate) after: Duration,
    /// Length of the windows in which latencies are compared [default: a twentieth of --before, or as long
    /// as 20 requests take to arrive]
    #[arg(long, value_name = "TIME", value_parser = parse_duration, help_heading = "Load")]
    pub(crate) recovery_window: Option<Duration>,
    #[command(flatten)]
    flags: Flags<OfSpike>,
    #[command(flatten)]
    each_run: EachRunArguments,
}

impl SpikeArguments {
    /// Its run, as the flags of one.
    pub(crate) fn of_run(&self) -> RunArguments {
        self.each_run
            .of_run(self.config.clone(), self.flags.settings.clone())
    }
}
