//! The flags of `heatmap`.

use std::path::PathBuf;

use clap::Args;

use super::run::EachRunArguments;
use super::{Flags, OfHeatmap, RunArguments};
use crate::examples::HEATMAP_EXAMPLES;

/// The flags of `heatmap`: settings of its run, and what is the heatmap's own.
#[derive(Debug, Args)]
#[command(after_long_help = HEATMAP_EXAMPLES)]
pub(crate) struct HeatmapArguments {
    /// Read settings from a TOML file; flags win over it
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Lengths of prompts in tokens, by --tokenizer
    #[arg(
        long,
        value_name = "N,N,…",
        value_delimiter = ',',
        default_value = "64,256,1024",
        help_heading = "Payload"
    )]
    pub(crate) input_lengths: Vec<u64>,
    /// Limits of the output in tokens
    #[arg(
        long,
        value_name = "N,N,…",
        value_delimiter = ',',
        default_value = "16,64,256",
        help_heading = "Payload"
    )]
    pub(crate) output_lengths: Vec<u64>,
    /// Requests of each combination, over all clients
    #[arg(long, value_name = "N", default_value_t = 5, help_heading = "Load")]
    pub(crate) requests_per_combination: u64,
    /// Text from which prompts are cut [default: a chapter of a novel]
    #[arg(long, value_name = "FILE", help_heading = "Payload")]
    pub(crate) source_file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) flags: Flags<OfHeatmap>,
    #[command(flatten)]
    each_run: EachRunArguments,
}

impl HeatmapArguments {
    /// Its run, as the flags of one.
    pub(crate) fn of_run(&self) -> RunArguments {
        self.each_run
            .of_run(self.config.clone(), self.flags.settings.clone())
    }
}
