//! The flags of `ab`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use super::run::EachRunArguments;
use super::{Flags, OfAb, RunArguments, parse_duration};
use crate::examples::AB_EXAMPLES;

/// The flags of `ab`: the variants' files, settings that all of them share, and what is the test's own.
#[derive(Debug, Args)]
#[command(after_long_help = AB_EXAMPLES)]
pub(crate) struct AbArguments {
    /// Settings of the variant that the others are compared with (TOML)
    #[arg(long, value_name = "FILE", required = true, help_heading = "Variants")]
    a: PathBuf,
    /// Settings of the second variant
    #[arg(long, value_name = "FILE", required = true, help_heading = "Variants")]
    b: PathBuf,
    /// Settings of a further variant (repeatable)
    #[arg(long, value_name = "FILE", help_heading = "Variants")]
    variant: Vec<PathBuf>,
    /// Statistic that decides: a key of stats.json, or a short name like ttft-p50
    #[arg(
        long,
        value_name = "KEY",
        default_value = "time_to_first_token-p50",
        help_heading = "Answer"
    )]
    pub(crate) metric: String,
    /// Difference that does not matter, e.g. 5%
    #[arg(long, value_name = "SHARE", default_value = "5%", value_parser = parse_share, help_heading = "Answer")]
    pub(crate) margin: f64,
    /// Probability with which an answer may be wrong
    #[arg(
        long,
        value_name = "P",
        default_value_t = 0.05,
        help_heading = "Answer"
    )]
    pub(crate) alpha: f64,
    /// Most rounds
    #[arg(long, value_name = "N", default_value_t = 200, help_heading = "Budget")]
    pub(crate) max_rounds: usize,
    /// Most requests over all blocks
    #[arg(long, value_name = "N", help_heading = "Budget")]
    pub(crate) max_requests: Option<u64>,
    /// Time after which no round begins
    #[arg(long, value_name = "TIME", value_parser = parse_duration, help_heading = "Budget")]
    pub(crate) max_duration: Option<Duration>,
    /// Concurrent clients of a block
    #[arg(
        short,
        long,
        visible_alias = "concurrency",
        value_name = "N",
        help_heading = "Load"
    )]
    pub(crate) clients: Option<usize>,
    #[command(flatten)]
    pub(crate) flags: Flags<OfAb>,
    #[command(flatten)]
    each_run: EachRunArguments,
}

impl AbArguments {
    /// The files of the variants.
    pub(crate) fn files(&self) -> impl Iterator<Item = &PathBuf> {
        [&self.a, &self.b].into_iter().chain(&self.variant)
    }

    /// A variant, as the flags of a run.
    pub(crate) fn of_run(&self, file: &Path) -> RunArguments {
        let mut settings = self.flags.settings.clone();
        settings.clients = self.clients;
        self.each_run.of_run(Some(file.to_path_buf()), settings)
    }
}

/// `5%` or `0.05`.
fn parse_share(text: &str) -> Result<f64, String> {
    let share = match text.strip_suffix('%') {
        Some(percent) => percent.trim().parse::<f64>().map(|percent| percent / 100.0),
        None => text.parse(),
    };
    let share = share.ok().filter(|share| (0.0..1.0).contains(share));
    share.ok_or_else(|| "expected a share from 0 to below 1, like 5% or 0.05".to_owned())
}
