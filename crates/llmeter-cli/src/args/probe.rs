//! The flags of `probe`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::{EndpointArguments, PayloadArguments, Stamps, parse_duration};
use crate::examples::PROBE_EXAMPLES;

#[derive(Debug, Args)]
#[command(after_long_help = PROBE_EXAMPLES)]
pub(crate) struct ProbeArguments {
    /// Read settings from the TOML file of a run; flags win over it
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) endpoint: EndpointArguments,
    #[command(flatten)]
    pub(crate) payload: PayloadArguments,
    /// How to count tokens that the server does not report: whitespace, tiktoken:NAME or hf:FILE
    /// [default: whitespace]
    #[arg(long, value_name = "HOW", help_heading = "Payload")]
    pub(crate) tokenizer: Option<String>,

    /// Longest time of the request, connecting included [default: 60s]
    #[arg(long, value_name = "TIME", value_parser = parse_duration, help_heading = "Measurement")]
    pub(crate) timeout: Option<Duration>,
    /// Who takes the receive stamps [default: kernel]
    #[arg(long, value_name = "WHO", help_heading = "Measurement")]
    pub(crate) stamps: Option<Stamps>,

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
            .map_err(|_| "not a number of frames; write a whole number, or all".to_owned()),
    }
}
