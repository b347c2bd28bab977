//! The flags of `payload`.

use std::path::PathBuf;

use clap::Args;

use super::{Flags, OfPayload};
use crate::examples::PAYLOAD_EXAMPLES;

#[derive(Debug, Args)]
#[command(after_long_help = PAYLOAD_EXAMPLES)]
pub(crate) struct PayloadCommandArguments {
    /// Read settings from the TOML file of a run; flags win over it
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) flags: Flags<OfPayload>,
    /// Add the payloads to this file, a line each, instead of printing them
    #[arg(long, value_name = "FILE.jsonl", help_heading = "Output")]
    pub(crate) append: Option<PathBuf>,
}
