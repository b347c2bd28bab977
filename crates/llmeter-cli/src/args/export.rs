//! The flags of `export`.

use clap::Args;
use llmeter::export::ExportFormat;
use llmeter::storage::Location;

use super::output_file;
use crate::examples::EXPORT_EXAMPLES;

#[derive(Debug, Args)]
#[command(after_long_help = EXPORT_EXAMPLES)]
pub(crate) struct ExportArguments {
    /// The folder of a run or a load test: a path, or a URL like s3://bucket/prefix/run
    #[arg(value_name = "DIR")]
    pub(crate) folder: Location,
    /// The form
    #[arg(
        long,
        value_name = "FORMAT",
        value_parser = clap::builder::PossibleValuesParser::new(ExportFormat::ALL.map(ExportFormat::name))
    )]
    pub(crate) format: String,
    /// Write to this file instead of standard output; of a load test, a file for each level to this
    /// folder
    #[arg(short, long, value_name = "FILE", value_parser = output_file)]
    pub(crate) output: Option<Location>,
}
