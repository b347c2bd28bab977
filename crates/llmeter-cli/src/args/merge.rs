//! The flags of `merge`.

use clap::Args;
use llmeter::storage::Location;

use crate::examples::MERGE_EXAMPLES;

#[derive(Debug, Args)]
#[command(after_long_help = MERGE_EXAMPLES)]
pub(crate) struct MergeArguments {
    /// The run folders of the parts: paths, or URLs like s3://bucket/prefix/run
    #[arg(value_name = "PART", required = true)]
    pub(crate) parts: Vec<Location>,
    /// Folder of the merged run
    #[arg(short, long, value_name = "DIR", required = true)]
    pub(crate) output: Location,
    /// Replace a run that the folder already holds
    #[arg(long)]
    pub(crate) overwrite: bool,
    /// Merge what is there if parts are missing or cannot be read; the merged run names them
    #[arg(long)]
    pub(crate) allow_missing: bool,
    /// Take percentiles from sketches, good to three digits, so that memory does not grow with the
    /// number of responses [default: if a part ran so]
    #[arg(long)]
    pub(crate) low_memory: bool,
    /// Show no progress
    #[arg(long)]
    pub(crate) quiet: bool,
    /// Print only the statistics, as a JSON object
    #[arg(long)]
    pub(crate) json: bool,
}
