//! The flags of `run`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use llmeter::storage::Location;
use serde::Deserialize;

use super::{EndpointArguments, PayloadArguments, Stamps, parse_duration};
use crate::examples::RUN_EXAMPLES;

/// Whether connections are used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ConnectionUse {
    /// One connection a client, as long as the server keeps it
    Keep,
    /// A new one for every request
    New,
}

impl From<ConnectionUse> for llmeter::Connections {
    fn from(connections: ConnectionUse) -> Self {
        match connections {
            ConnectionUse::Keep => Self::Keep,
            ConnectionUse::New => Self::New,
        }
    }
}

/// Every flag of `run`. The same names, without the dashes, are the keys of a `--config` file.
#[derive(Debug, Clone, Default, Args, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
#[command(after_long_help = RUN_EXAMPLES)]
pub(crate) struct RunArguments {
    /// Read settings from a TOML file; flags win over it
    #[arg(long, value_name = "FILE")]
    #[serde(skip)]
    pub(crate) config: Option<PathBuf>,

    /// Repeat the run of this folder, callbacks included; flags win over what it says
    ///
    /// Secrets are in no file: the key comes from the environment, and headers are given again.
    #[arg(long, value_name = "DIR")]
    #[serde(skip)]
    pub(crate) from: Option<Location>,

    #[command(flatten)]
    #[serde(skip)]
    pub(crate) endpoint: EndpointArguments,
    #[command(flatten)]
    #[serde(skip)]
    pub(crate) payload: PayloadArguments,

    /// How to count tokens that the server does not report: whitespace, tiktoken:NAME or hf:FILE
    /// [default: whitespace]
    #[arg(long, value_name = "HOW", help_heading = "Payload")]
    pub(crate) tokenizer: Option<String>,

    /// Clients, each with one request in flight at a time [default: 1]
    #[arg(
        short,
        long,
        visible_alias = "concurrency",
        value_name = "N",
        help_heading = "Load"
    )]
    pub(crate) clients: Option<usize>,
    /// Requests per client [default: each payload once]
    #[arg(short = 'n', long, value_name = "N", help_heading = "Load")]
    pub(crate) requests: Option<u64>,
    /// How long to send, like 30s or 5m
    #[arg(long, value_name = "TIME", help_heading = "Load", value_parser = parse_duration, conflicts_with = "requests")]
    #[serde(deserialize_with = "duration_setting")]
    pub(crate) duration: Option<Duration>,
    /// Longest time of one request, connecting included [default: 60s]
    #[arg(long, value_name = "TIME", help_heading = "Load", value_parser = parse_duration)]
    #[serde(deserialize_with = "duration_setting")]
    pub(crate) timeout: Option<Duration>,
    /// How often to send a request again that found no connection or was answered with 429 or 503
    /// [default: 0]
    #[arg(long, value_name = "N", help_heading = "Load")]
    pub(crate) max_retries: Option<u32>,
    /// Whether a client keeps its connection for its next request or opens a new one [default: keep]
    #[arg(long, value_name = "WHAT", help_heading = "Load")]
    pub(crate) connections: Option<ConnectionUse>,
    /// Requests that are sent first and kept out of every figure [default: 0]
    #[arg(long, value_name = "N", help_heading = "Load")]
    pub(crate) warmup: Option<u64>,
    /// Decides the order of payloads; the same seed repeats a run [default: 0]
    #[arg(long, value_name = "N", help_heading = "Load")]
    pub(crate) seed: Option<u64>,

    /// Hook a saved callback into the run (repeatable, called in this order)
    ///
    /// `llmeter callbacks` lists the types. With --from these stand in place of the saved run's.
    #[arg(
        long = "callback",
        value_name = "FILE.json",
        help_heading = "Callbacks"
    )]
    #[serde(skip)]
    pub(crate) callback_files: Vec<Location>,
    /// Callbacks of the configuration file: `type` and fields, or `file`.
    #[arg(skip)]
    pub(crate) callbacks: Vec<toml::Table>,
    /// Make every prompt begin differently, against prompt caches
    #[arg(long, help_heading = "Callbacks")]
    pub(crate) cache_buster: bool,
    /// Log the run to an MLflow tracking server; without URI to that of MLFLOW_TRACKING_URI
    ///
    /// MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN, say who
    /// asks. `llmeter callbacks MlflowCallback` tells what a callback file can set beyond this.
    #[arg(
        long,
        value_name = "URI",
        num_args = 0..=1,
        default_missing_value = "",
        help_heading = "Callbacks"
    )]
    #[serde(deserialize_with = "mlflow_setting")]
    pub(crate) mlflow: Option<String>,
    /// With --mlflow: log to this experiment, which is made if it is missing
    /// [default: MLFLOW_EXPERIMENT_NAME, else "Default"]
    #[arg(long, value_name = "NAME", help_heading = "Callbacks")]
    pub(crate) mlflow_experiment: Option<String>,
    /// With --mlflow: upload the run's files and charts of its latencies
    #[arg(long, help_heading = "Callbacks")]
    pub(crate) mlflow_artifacts: bool,
    /// With --from: run without the saved run's callbacks
    #[arg(long, requires = "from", help_heading = "Callbacks")]
    #[serde(skip)]
    pub(crate) no_callbacks: bool,

    /// Price of a million input tokens
    ///
    /// Prices put costs on every answer and on the run, in their own currency. Other dimensions of
    /// cost: `llmeter callbacks new CostModel`, and --callback.
    #[arg(long, value_name = "PRICE", help_heading = "Costs")]
    pub(crate) cost_input: Option<f64>,
    /// Price of a million output tokens
    #[arg(long, value_name = "PRICE", help_heading = "Costs")]
    pub(crate) cost_output: Option<f64>,
    /// Price of a million cached input tokens, instead of that of other input tokens
    #[arg(long, value_name = "PRICE", help_heading = "Costs")]
    pub(crate) cost_cached_input: Option<f64>,
    /// Price of an hour of the endpoint
    #[arg(long, value_name = "PRICE", help_heading = "Costs")]
    pub(crate) cost_hour: Option<f64>,
    /// Stop sending before the estimated cost, warm-up included, passes this
    ///
    /// Needs prices. What is in flight finishes, results are kept, and the exit code is 0; the
    /// statistic cost_limit_reached tells. A request is estimated by its prompt and by the payload's
    /// output limit, or, without one, to be as dear as the dearest so far.
    #[arg(long, value_name = "AMOUNT", help_heading = "Costs")]
    pub(crate) max_cost: Option<f64>,

    /// Who takes the receive stamps [default: kernel]
    #[arg(long, value_name = "WHO", help_heading = "Measurement")]
    pub(crate) stamps: Option<Stamps>,
    /// First measure what this machine adds, against the built-in simulator
    #[arg(long, help_heading = "Measurement")]
    pub(crate) calibrate: bool,
    /// Exit with code 4 unless the measurement's verdict is clean
    #[arg(long, help_heading = "Measurement")]
    pub(crate) strict: bool,
    /// Threads that send and read [default: one less than there are cores]
    #[arg(long, value_name = "N", help_heading = "Measurement")]
    pub(crate) workers: Option<usize>,
    /// Keep no responses in memory; percentiles then come from a sketch
    #[arg(long, help_heading = "Measurement")]
    pub(crate) low_memory: bool,

    /// Folder for run folders: the run goes to DIR/RUN-NAME; s3://bucket/prefix, gs:// and az://
    /// URLs are folders, too [default: runs]
    #[arg(short, long, value_name = "DIR", help_heading = "Output")]
    pub(crate) output: Option<Location>,
    /// Name of the run and its folder [default: the local time]
    #[arg(long, value_name = "NAME", help_heading = "Output")]
    pub(crate) run_name: Option<String>,
    /// Free text about the run
    #[arg(long, value_name = "TEXT", help_heading = "Output")]
    pub(crate) description: Option<String>,
    /// Replace a run that the folder already holds
    #[arg(long, help_heading = "Output")]
    pub(crate) overwrite: bool,
    /// Show no progress
    #[arg(long, help_heading = "Output")]
    pub(crate) quiet: bool,
    /// Print only the statistics, as a JSON object
    #[arg(long, help_heading = "Output")]
    pub(crate) json: bool,
}

/// A duration in a configuration file: text like `"30s"` or a number of seconds.
fn duration_setting<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Duration>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "a time like \"30s\", or a number of seconds")]
    enum Setting {
        Text(String),
        Whole(u64),
        Seconds(f64),
    }
    let text = match Setting::deserialize(deserializer)? {
        Setting::Text(text) => text,
        Setting::Whole(seconds) => return Ok(Some(Duration::from_secs(seconds))),
        Setting::Seconds(seconds) => seconds.to_string(),
    };
    parse_duration(&text)
        .map(Some)
        .map_err(|reason| serde::de::Error::custom(format!("{text:?} is {reason}")))
}

/// The tracking server in a configuration file: its address, or true for the environment's, which
/// is the empty text on the command line.
fn mlflow_setting<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "a URI like \"http://localhost:5000\", or true")]
    enum Setting {
        Uri(String),
        Switch(bool),
    }
    Ok(match Setting::deserialize(deserializer)? {
        Setting::Uri(uri) => Some(uri),
        Setting::Switch(is_on) => is_on.then(String::new),
    })
}
