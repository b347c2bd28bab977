//! The flags of `compare` and `baseline`.

use clap::{Args, Subcommand, ValueEnum};
use llmeter::stats::Condition;
use llmeter::storage::Location;

use super::output_file;
use crate::examples::{BASELINE_EXAMPLES, COMPARE_EXAMPLES};

#[derive(Debug, Args)]
#[command(after_long_help = COMPARE_EXAMPLES)]
pub(crate) struct CompareArguments {
    /// Folders of runs, of load tests or of repeats, paths or URLs: the base, then what is compared with it
    ///
    /// With --baseline only what is compared with it.
    #[arg(value_name = "DIR", required = true)]
    pub(crate) folders: Vec<Location>,
    /// Compare with a baseline of this project
    #[arg(long, value_name = "NAME")]
    pub(crate) baseline: Option<String>,
    /// Exit with code 5 if this is shown, e.g. 'ttft-p90 > +10%' (repeatable)
    ///
    /// A change counts if its whole 95 % interval fulfils the condition; a condition without a sign is one on
    /// what is compared. Where it cannot be told, the exit code is 5, too.
    #[arg(long, value_name = "CONDITION", value_parser = parse_condition)]
    pub(crate) fail_if: Vec<Condition>,
    /// Show all figures, not only those that differ and the headline ones, in the text form
    ///
    /// The other forms have all of them.
    #[arg(long)]
    pub(crate) all: bool,
    /// Form of the report
    #[arg(long, value_name = "FORM", default_value = "text")]
    pub(crate) format: Format,
    /// Write the report to a file instead of standard output
    #[arg(short, long, value_name = "FILE", value_parser = output_file)]
    pub(crate) output: Option<Location>,
}

/// The form of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Text,
    /// For programs
    Json,
    /// For a comment of a pull request
    Markdown,
    /// For the test reports of a CI system
    Junit,
}

#[derive(Debug, Args)]
#[command(after_long_help = BASELINE_EXAMPLES)]
pub(crate) struct BaselineArguments {
    #[command(subcommand)]
    pub(crate) command: BaselineCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum BaselineCommand {
    /// Keep a run, a load test or repeats, without their texts, as a baseline in .llmeter/baselines
    Save {
        /// Name of the baseline
        #[arg(value_name = "NAME")]
        name: String,
        /// The folder: a path, or a URL like s3://bucket/prefix/run
        #[arg(value_name = "DIR")]
        folder: Location,
        /// Replace a baseline of this name
        #[arg(long)]
        overwrite: bool,
    },
    /// Print the names of the baselines
    List,
    /// Remove a baseline
    Remove {
        /// Name of the baseline
        #[arg(value_name = "NAME")]
        name: String,
    },
}

fn parse_condition(text: &str) -> Result<Condition, String> {
    let check = |condition: Condition| condition.check_of_run(true).map(|()| condition);
    text.parse()
        .and_then(check)
        .map_err(|reason| reason.to_string())
}
