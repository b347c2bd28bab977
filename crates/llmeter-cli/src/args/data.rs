//! The flags of `data`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{Flags, OfData};
use crate::examples::{DATA_DESCRIBE_EXAMPLES, DATA_EXAMPLES, DATA_MAKE_EXAMPLES};

#[derive(Debug, Args)]
#[command(after_long_help = DATA_EXAMPLES, arg_required_else_help = true)]
pub(crate) struct DataArguments {
    #[command(subcommand)]
    pub(crate) command: DataCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DataCommand {
    /// Tell what data is like: lengths, shared prefixes, arrivals
    #[command(after_long_help = DATA_DESCRIBE_EXAMPLES)]
    Describe {
        #[command(flatten)]
        given: DataSourceArguments,
        /// Look at so many requests at most
        #[arg(long, short = 'n', value_name = "N", default_value_t = 10_000)]
        requests: u64,
        /// Print a JSON object
        #[arg(long, help_heading = "Output")]
        json: bool,
    },
    /// Write the payloads of data to a file, a line each
    #[command(after_long_help = DATA_MAKE_EXAMPLES)]
    Make {
        #[command(flatten)]
        given: DataSourceArguments,
        /// How many [default: all; required for data without an end]
        #[arg(long, short = 'n', value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
        requests: Option<u64>,
        /// The file to write
        #[arg(long, short, value_name = "FILE.jsonl", help_heading = "Output")]
        output: PathBuf,
        /// Replace the file if it is there
        #[arg(long, help_heading = "Output")]
        overwrite: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct DataSourceArguments {
    /// synthetic:KEY=VALUE,…, a file of prompts, or a trace
    #[arg(value_name = "SOURCE")]
    pub(crate) source: String,
    #[command(flatten)]
    pub(crate) flags: Flags<OfData>,
}
