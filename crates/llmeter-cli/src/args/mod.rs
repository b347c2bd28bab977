//! What can be written on the command line.

mod ab;
mod capacity;
mod cold_start;
mod compare;
mod control;
mod data;
mod drift;
mod export;
mod flags;
mod heatmap;
mod list;
mod load_test;
mod merge;
mod mistake;
mod payload;
mod probe;
mod report;
mod run;
mod simulate;
mod spike;

use std::ffi::OsString;
use std::fmt::Display;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{Args, Parser, Subcommand, ValueEnum};
use llmeter::report::metric_named;
use llmeter::result::RUN_FILES;
use llmeter::stats::Metric;
use llmeter::storage::Location;

pub(crate) use ab::AbArguments;
pub(crate) use capacity::{CapacityArguments, SearchedLoad};
pub(crate) use cold_start::ColdStartArguments;
pub(crate) use compare::{BaselineArguments, BaselineCommand, CompareArguments, Format};
pub(crate) use control::{ControlAction, ControlArguments};
pub(crate) use data::{DataArguments, DataCommand, DataSourceArguments};
pub(crate) use drift::DriftArguments;
pub(crate) use export::ExportArguments;
pub(crate) use flags::{
    Flags, OfAb, OfCapacity, OfColdStart, OfCost, OfData, OfDrift, OfHeatmap, OfLoadTest, OfMlflow,
    OfRun, OfShow, OfSpike, Subset,
};
use flags::{OfPayload, OfProbe};
pub(crate) use heatmap::HeatmapArguments;
pub(crate) use list::{ListArguments, ListFormat, ViewArguments};
pub(crate) use load_test::LoadTestArguments;
pub(crate) use merge::MergeArguments;
use mistake::Mistake;
pub(crate) use payload::PayloadCommandArguments;
pub(crate) use probe::ProbeArguments;
pub(crate) use report::ReportArguments;
pub(crate) use run::RunArguments;
pub(crate) use simulate::SimulateArguments;
pub(crate) use spike::SpikeArguments;

use crate::examples::{
    CALIBRATE_EXAMPLES, CALLBACKS_EXAMPLES, COMPLETIONS_EXAMPLES, COST_EXAMPLES, DEMO_EXAMPLES,
    EXAMPLES, MAN_EXAMPLES, MLFLOW_EXAMPLES, SHOW_EXAMPLES,
};
use crate::exit::{Exit, UsageError};
use crate::output;

/// Where output is to go: no name that a run's folder has for its own files, which would be lost.
pub(crate) fn output_file(text: &str) -> Result<Location, String> {
    if text.is_empty() {
        return Err("expected the name of a file".to_owned());
    }
    let location: Location = text.into();
    match location.file_name() {
        Some(name) if RUN_FILES.contains(&name.as_str()) => Err(format!(
            "{name} is what runs call a file of their own: choose another name"
        )),
        _ => Ok(location),
    }
}

/// Measure the latency, throughput, errors and costs of LLM endpoints.
///
/// llmeter sends requests under a chosen load, timestamps every streamed token as the kernel received
/// it, and reports its own measurement error.
#[derive(Debug, Parser)]
#[command(name = "llmeter", version, propagate_version = true, after_long_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a short load test against the built-in simulator
    Demo(DemoArguments),
    /// Measure an endpoint
    Run(Box<RunArguments>),
    /// Measure an endpoint at several numbers of clients, and find the knee of its curve
    LoadTest(Box<LoadTestArguments>),
    /// Find the highest load at which SLOs hold
    Capacity(Box<CapacityArguments>),
    /// Measure how long an endpoint takes to recover from a spike of its load
    Spike(Box<SpikeArguments>),
    /// Measure how long an endpoint that sleeps takes to wake
    ColdStart(Box<ColdStartArguments>),
    /// Compare the answers of a busy server with those of an idle one
    Drift(Box<DriftArguments>),
    /// Measure latency by the lengths of prompt and output
    Heatmap(Box<HeatmapArguments>),
    /// Compare two or more configurations by alternating blocks, until the answer is known
    Ab(Box<AbArguments>),
    /// Send one request; show every phase and frame, and the likely cause if it fails
    Probe(Box<ProbeArguments>),
    /// Print the payloads that a run would send, without sending anything
    Payload(Box<PayloadCommandArguments>),
    /// Describe data to send, or write its payloads to a file
    Data(Box<DataArguments>),
    /// Change the load of a run in progress, or stop it
    Control(ControlArguments),
    /// List the runs and experiments below a folder
    List(Box<ListArguments>),
    /// Print the summary of a run or an experiment
    Show(Box<ShowArguments>),
    /// Write a report with charts: one page for a browser, or Markdown or JSON
    Report(ReportArguments),
    /// Show the runs below a folder in a browser, and follow those in progress
    View(ViewArguments),
    /// Make one run of the parts of a load that several processes played
    Merge(MergeArguments),
    /// Compare runs or load tests, and tell differences from chance
    Compare(CompareArguments),
    /// Keep runs to compare with
    Baseline(BaselineArguments),
    /// Compute what a finished run cost
    Cost(Box<CostArguments>),
    /// Log a finished run to an MLflow tracking server
    Mlflow(Box<MlflowArguments>),
    /// Write a run in the form of another tool
    Export(ExportArguments),
    /// List the available callbacks, or write a file for one
    Callbacks(CallbacksArguments),
    /// Measure what this machine adds to the reported times
    Calibrate(CalibrateArguments),
    /// Serve a simulated LLM that speaks every API of --endpoint
    Simulate(Box<SimulateArguments>),
    /// Print shell completions
    Completions(CompletionsArguments),
    /// Print the manual page of llmeter or of one of its commands
    Man(ManArguments),
}

#[derive(Debug, Args)]
#[command(after_long_help = DEMO_EXAMPLES)]
pub(crate) struct DemoArguments {
    /// Folder for the run folders: a path, or an s3://bucket/prefix, gs:// or az:// URL
    #[arg(short, long, value_name = "DIR", default_value = "runs")]
    pub(crate) output: Location,
    /// Show no progress
    #[arg(long)]
    pub(crate) quiet: bool,
}

/// Consent to what files say of where secrets go.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct TrustArguments {
    /// Send secrets to the servers that a saved run, a callback or a configuration file names
    ///
    /// Otherwise llmeter asks on a terminal and refuses elsewhere, unless the server is the API's own, is
    /// named by --base-url or the environment, or is one of the trusted-hosts in
    /// ~/.config/llmeter/config.toml.
    #[arg(long, help_heading = "Endpoint")]
    pub(crate) trust_folder: bool,
}

/// Who takes the receive stamps.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Stamps {
    /// What is exact and costs least: kernel
    Auto,
    /// The kernel, as packets arrive (Linux)
    Kernel,
    /// llmeter, after each read
    User,
    /// The kernel, of each packet by itself (Linux, with CAP_NET_RAW)
    Packet,
}

impl From<Stamps> for llmeter::StampSource {
    fn from(stamps: Stamps) -> Self {
        match stamps {
            Stamps::Auto => Self::Auto,
            Stamps::Kernel => Self::Kernel,
            Stamps::User => Self::User,
            Stamps::Packet => Self::Packet,
        }
    }
}

#[derive(Debug, Args)]
#[command(after_long_help = SHOW_EXAMPLES)]
pub(crate) struct ShowArguments {
    /// The run folder: a path, or a URL like s3://bucket/prefix/run
    #[arg(value_name = "DIR")]
    pub(crate) folder: Location,
    #[command(flatten)]
    pub(crate) flags: Flags<OfShow>,
    /// Print only the statistics, as a JSON object
    #[arg(long)]
    pub(crate) json: bool,
    /// Show one metric in detail, like ttft: percentiles, histogram, slowest and fastest requests
    #[arg(long, value_name = "METRIC", value_parser = parse_metric, conflicts_with = "json")]
    pub(crate) metric: Option<&'static Metric>,
    /// Draw with ASCII characters only [default: if the locale is not UTF-8]
    #[arg(long)]
    pub(crate) ascii: bool,
}

fn parse_metric(text: &str) -> Result<&'static Metric, String> {
    metric_named(text).map_err(|reason| reason.to_string())
}

#[derive(Debug, Args)]
#[command(after_long_help = COST_EXAMPLES)]
pub(crate) struct CostArguments {
    /// The run folder: a path, or a URL like s3://bucket/prefix/run
    #[arg(value_name = "DIR")]
    pub(crate) folder: Location,
    /// A saved cost model [default: the prices below, or else the run's own]
    #[arg(
        long,
        value_name = "FILE.json",
        conflicts_with_all = ["cost_input", "cost_output", "cost_cached_input", "cost_hour"]
    )]
    pub(crate) model: Option<Location>,
    #[command(flatten)]
    pub(crate) prices: Flags<OfCost>,
    /// Write the costs to the folder's statistics, replacing existing ones
    #[arg(long)]
    pub(crate) write: bool,
    /// Print only the costs, as a JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(after_long_help = MLFLOW_EXAMPLES)]
pub(crate) struct MlflowArguments {
    /// The run folder: a path, or a URL like s3://bucket/prefix/run
    ///
    /// Without --mlflow the run is logged as it would have been at its end: by the MLflow callback
    /// that it had, else to MLFLOW_TRACKING_URI.
    #[arg(value_name = "DIR")]
    pub(crate) folder: Location,
    #[command(flatten)]
    pub(crate) flags: Flags<OfMlflow>,
    #[command(flatten)]
    pub(crate) trust: TrustArguments,
}

#[derive(Debug, Args)]
#[command(after_long_help = CALLBACKS_EXAMPLES)]
pub(crate) struct CallbacksArguments {
    #[command(subcommand)]
    pub(crate) command: Option<CallbacksCommand>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CallbacksCommand {
    /// Write a file for a callback of this type to standard output
    New {
        /// The type, like CacheBuster
        #[arg(value_name = "NAME")]
        name: String,
        /// With CostModel: price this SageMaker endpoint by the AWS price list
        #[arg(long, value_name = "ENDPOINT")]
        sagemaker_endpoint: Option<String>,
        /// AWS region of that endpoint [default: AWS_REGION, AWS_DEFAULT_REGION, or the profile's]
        #[arg(long, value_name = "REGION", requires = "sagemaker_endpoint")]
        region: Option<String>,
    },
}

#[derive(Debug, Args)]
#[command(after_long_help = CALIBRATE_EXAMPLES)]
pub(crate) struct CalibrateArguments {
    /// Clients, each with one request in flight at a time
    #[arg(
        short,
        long,
        visible_alias = "concurrency",
        value_name = "N",
        default_value_t = 16
    )]
    pub(crate) clients: usize,
    /// How long to send
    #[arg(long, value_name = "TIME", allow_negative_numbers = true, default_value = "4s", value_parser = parse_duration)]
    pub(crate) duration: Duration,
    /// The simulator's time to first token
    #[arg(long, value_name = "TIME", allow_negative_numbers = true, default_value = "50ms", value_parser = parse_duration)]
    pub(crate) ttft: Duration,
    /// The simulator's time between tokens
    #[arg(long, value_name = "TIME", allow_negative_numbers = true, default_value = "10ms", value_parser = parse_duration)]
    pub(crate) itl: Duration,
    /// Tokens of each response
    #[arg(
        long,
        value_name = "N",
        allow_negative_numbers = true,
        default_value_t = 64
    )]
    pub(crate) output_tokens: u32,
    /// Who takes the receive stamps
    #[arg(long, value_name = "WHO", default_value = "kernel")]
    pub(crate) stamps: Stamps,
    /// Print only the figures, as a JSON object
    #[arg(long)]
    pub(crate) json: bool,
    /// Show no progress
    #[arg(long)]
    pub(crate) quiet: bool,
}

#[derive(Debug, Args)]
#[command(after_long_help = COMPLETIONS_EXAMPLES)]
pub(crate) struct CompletionsArguments {
    /// The shell
    #[arg(value_name = "SHELL")]
    pub(crate) shell: clap_complete::Shell,
}

#[derive(Debug, Args)]
#[command(after_long_help = MAN_EXAMPLES)]
pub(crate) struct ManArguments {
    /// Command, like run [default: llmeter itself]
    #[arg(value_name = "COMMAND")]
    pub(crate) command: Option<String>,
}

/// `30s`, `2m 30s`, `200ms`, or a plain number of seconds.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    llmeter::parse_time(text).ok_or_else(|| "expected a time like 30s, 200ms or 2m".to_owned())
}

/// Refuses a list of a flag in which a number is twice.
pub(crate) fn each_once<N: PartialEq + Display>(flag: &str, list: &[N]) -> Result<(), UsageError> {
    let is_repeated = |(at, number): &(usize, &N)| list[..*at].contains(number);
    match list.iter().enumerate().find(is_repeated) {
        Some((_, number)) => Err(UsageError(format!(
            "{flag}: {number} is there twice; each once is expected"
        ))),
        None => Ok(()),
    }
}

/// Reads a command line. `Err` holds the code to leave with: help was asked for, or the command
/// line is wrong and the mistake has been printed.
pub(crate) fn parse(line: impl IntoIterator<Item = OsString>) -> Result<Arguments, Exit> {
    let line: Vec<OsString> = line.into_iter().collect();
    Arguments::try_parse_from(&line).map_err(|reason| {
        if !reason.use_stderr() {
            // Help or version; a reader that went away has seen enough of it.
            let _ = reason.print();
            return Exit::Done;
        }
        if reason.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
            let _ = reason.print();
        } else {
            let Mistake { sentence, hint } = Mistake::of(&reason, &line);
            output::note(&format!("error: {sentence}"));
            if let Some(hint) = hint {
                output::note(&format!("hint: {hint}"));
            }
        }
        Exit::BadUsage
    })
}
