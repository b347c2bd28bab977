//! The flags of `report`.

use clap::Args;
use llmeter::report::ReportFormat;
use llmeter::storage::Location;

use super::output_file;
use crate::examples::REPORT_EXAMPLES;

#[derive(Debug, Args)]
#[command(after_long_help = REPORT_EXAMPLES)]
pub(crate) struct ReportArguments {
    /// Folders of a run, a load test or another experiment: paths, or URLs like s3://bucket/prefix/run
    ///
    /// Several have to be all of runs or all of load tests: the others are compared with the first.
    #[arg(value_name = "DIR", required = true)]
    pub(crate) folders: Vec<Location>,
    /// Write to this file, - for standard output; svg and png to this folder, a file for each chart [default:
    /// llmeter-report.html or .parquet, or the folder llmeter-charts, in DIR, or here for several; md, json and
    /// csv are printed]
    #[arg(short, long, value_name = "FILE", value_parser = output_file)]
    pub(crate) output: Option<Location>,
    /// Form of the report [default: as the name of --output ends, or else html]; csv and parquet are tables of
    /// the requests, svg and png the charts alone
    #[arg(
        long,
        value_name = "FORMAT",
        value_parser = clap::builder::PossibleValuesParser::new(ReportFormat::all().map(ReportFormat::name))
    )]
    pub(crate) format: Option<String>,
}
