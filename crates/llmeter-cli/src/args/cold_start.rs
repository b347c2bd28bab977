//! The flags of `cold-start`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::run::EachRunArguments;
use super::{Flags, OfColdStart, RunArguments, parse_duration};
use crate::examples::COLD_START_EXAMPLES;

/// The flags of `cold-start`: settings of its run, and what is its own.
#[derive(Debug, Args)]
#[command(after_long_help = COLD_START_EXAMPLES)]
pub(crate) struct ColdStartArguments {
    /// Read settings from a TOML file; flags win over it
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Responses, the first included
    #[arg(
        short = 'n',
        long,
        value_name = "N",
        default_value_t = 50,
        help_heading = "Load"
    )]
    pub(crate) responses: u64,
    /// How long the first response is waited for
    #[arg(
        long,
        value_name = "TIME",
        default_value = "10m",
        allow_negative_numbers = true,
        value_parser = parse_duration,
        help_heading = "Load"
    )]
    pub(crate) wait: Duration,
    /// How long after a request that failed the next one is sent
    #[arg(
        long,
        value_name = "TIME",
        default_value = "500ms",
        allow_negative_numbers = true,
        value_parser = parse_duration,
        help_heading = "Load"
    )]
    pub(crate) poll: Duration,
    #[command(flatten)]
    flags: Flags<OfColdStart>,
    #[command(flatten)]
    each_run: EachRunArguments,
}

impl ColdStartArguments {
    /// Its run, as the flags of one.
    pub(crate) fn of_run(&self) -> RunArguments {
        self.each_run
            .of_run(self.config.clone(), self.flags.settings.clone())
    }
}
