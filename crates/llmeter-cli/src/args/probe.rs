//! The flags of `probe`.

use std::path::PathBuf;

use clap::Args;

use super::{Flags, OfProbe, TrustArguments};
use crate::examples::PROBE_EXAMPLES;

#[derive(Debug, Args)]
#[command(after_long_help = PROBE_EXAMPLES)]
pub(crate) struct ProbeArguments {
    /// Read settings from the TOML file of a run; flags win over it
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) flags: Flags<OfProbe>,
    #[command(flatten)]
    pub(crate) trust: TrustArguments,

    /// How many frames to show: a number, or `all` [default: 12; all with --json]
    #[arg(long, value_name = "N", value_parser = parse_frames, help_heading = "Output")]
    pub(crate) frames: Option<usize>,
    /// Print everything as a JSON object
    #[arg(long, help_heading = "Output")]
    pub(crate) json: bool,
}

fn parse_frames(text: &str) -> Result<usize, String> {
    match text {
        "all" => Ok(usize::MAX),
        number => number
            .parse()
            .map_err(|_| "expected a whole number of frames, or all".to_owned()),
    }
}
