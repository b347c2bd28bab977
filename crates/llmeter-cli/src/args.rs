//! What can be written on the command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{PossibleValue, PossibleValuesParser};
use clap::error::ErrorKind;
use clap::{Args, Parser, Subcommand, ValueEnum};
use llmeter::endpoint::{APIS, Api};
use llmeter::storage::Location;
use serde::Deserialize;

use crate::examples::{
    CALIBRATE_EXAMPLES, CALLBACKS_EXAMPLES, COST_EXAMPLES, DEMO_EXAMPLES, EXAMPLES, RUN_EXAMPLES,
    SHOW_EXAMPLES, SIMULATE_EXAMPLES,
};
use crate::exit::Exit;
use crate::output;
use crate::prices::Prices;

/// Measure how fast, how steady and how costly a large-language-model endpoint is.
///
/// llmeter sends requests under a chosen load, takes the time of every streamed token as the kernel
/// received it, and tells how far its own figures can be trusted.
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
    /// Print the summary of a run folder
    Show(ShowArguments),
    /// Work out what the run in a folder cost
    Cost(CostArguments),
    /// List the callbacks that a run can use, or write a file for one
    Callbacks(CallbacksArguments),
    /// Measure what this machine adds to the times it reports
    Calibrate(CalibrateArguments),
    /// Serve a simulated LLM (OpenAI chat completions, Anthropic, Gemini, Ollama, TGI)
    Simulate(SimulateArguments),
}

#[derive(Debug, Args)]
#[command(after_long_help = DEMO_EXAMPLES)]
pub(crate) struct DemoArguments {
    /// Folder for the run folders; s3://bucket/prefix, gs:// and az:// URLs are folders, too
    #[arg(long, value_name = "DIR", default_value = "runs")]
    pub(crate) output: Location,
    /// Show no progress
    #[arg(long)]
    pub(crate) quiet: bool,
}

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

/// Who takes the receive stamps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Stamps {
    /// The kernel, as packets arrive (Linux)
    Kernel,
    /// llmeter, after each read
    User,
}

impl From<Stamps> for llmeter::StampSource {
    fn from(stamps: Stamps) -> Self {
        match stamps {
            Stamps::Kernel => Self::Kernel,
            Stamps::User => Self::User,
        }
    }
}

/// Every flag of `run`. The same names, without the dashes, are the keys of a `--config` file.
#[derive(Debug, Clone, Default, Args, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
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

    /// API to speak [default: openai-chat-stream]
    #[arg(long, value_name = "API", value_parser = api_names(), help_heading = "Endpoint")]
    #[serde(deserialize_with = "endpoint_setting")]
    pub(crate) endpoint: Option<String>,
    /// Address of the API, as its own SDK takes it: for OpenAI's with /v1
    #[arg(long, value_name = "URL", help_heading = "Endpoint")]
    pub(crate) base_url: Option<String>,
    /// Model to ask for
    #[arg(long, value_name = "ID", help_heading = "Endpoint")]
    pub(crate) model: Option<String>,
    /// AWS region [default: AWS_REGION, AWS_DEFAULT_REGION, or the profile's]
    #[arg(long, value_name = "REGION", help_heading = "Endpoint")]
    pub(crate) region: Option<String>,
    /// Environment variable that holds the API key [default: OPENAI_API_KEY, or what is usual for
    /// the API]
    ///
    /// A variable that is not set is fine for a server that needs no key.
    #[arg(long, value_name = "VAR", help_heading = "Endpoint")]
    pub(crate) api_key_env: Option<String>,
    /// Header line to send with every request (repeatable)
    #[arg(long = "header", value_name = "K: V", help_heading = "Endpoint")]
    #[serde(rename = "header", deserialize_with = "headers_setting")]
    pub(crate) headers: Vec<String>,
    /// Certificates to trust instead of the system's, as a PEM file
    #[arg(long, value_name = "FILE", help_heading = "Endpoint")]
    pub(crate) ca_file: Option<PathBuf>,

    /// Take any certificate: anybody could be the server
    #[arg(long, help_heading = "Endpoint", conflicts_with = "ca_file")]
    pub(crate) insecure: bool,

    /// Text to send as one user message
    #[arg(long, value_name = "TEXT", help_heading = "Payload")]
    pub(crate) prompt: Option<String>,
    /// Payloads to send: a JSON or JSONL file, or a folder of them
    #[arg(
        long,
        value_name = "FILE",
        help_heading = "Payload",
        conflicts_with = "prompt"
    )]
    pub(crate) payload: Option<Location>,
    /// Most tokens to generate, with --prompt [default: 256]
    #[arg(
        long,
        value_name = "N",
        help_heading = "Payload",
        conflicts_with = "payload"
    )]
    pub(crate) max_tokens: Option<u64>,
    /// How to count tokens that the server does not report: whitespace, tiktoken:NAME or hf:FILE
    /// [default: whitespace]
    #[arg(long, value_name = "HOW", help_heading = "Payload")]
    pub(crate) tokenizer: Option<String>,

    /// Clients, each with one request in flight at a time [default: 1]
    #[arg(long, value_name = "N", help_heading = "Load")]
    pub(crate) clients: Option<usize>,
    /// Requests per client [default: each payload once]
    #[arg(long, value_name = "N", help_heading = "Load")]
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
    pub(crate) lanes: Option<usize>,
    /// Keep no responses in memory; percentiles then come from a sketch
    #[arg(long, help_heading = "Measurement")]
    pub(crate) low_memory: bool,

    /// Folder for run folders: the run goes to DIR/RUN-NAME; s3://bucket/prefix, gs:// and az://
    /// URLs are folders, too [default: runs]
    #[arg(long, value_name = "DIR", help_heading = "Output")]
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

#[derive(Debug, Args)]
#[command(after_long_help = SHOW_EXAMPLES)]
pub(crate) struct ShowArguments {
    /// The run folder: a path, or a URL like s3://bucket/prefix/run
    #[arg(value_name = "DIR")]
    pub(crate) folder: Location,
    /// Print only the statistics, as a JSON object
    #[arg(long)]
    pub(crate) json: bool,
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
    pub(crate) prices: Prices,
    /// Add the costs to the folder's statistics, in place of those that are there
    #[arg(long)]
    pub(crate) write: bool,
    /// Print only the costs, as a JSON object
    #[arg(long)]
    pub(crate) json: bool,
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
    },
}

#[derive(Debug, Args)]
#[command(after_long_help = CALIBRATE_EXAMPLES)]
pub(crate) struct CalibrateArguments {
    /// Clients, each with one request in flight at a time
    #[arg(long, value_name = "N", default_value_t = 16)]
    pub(crate) clients: usize,
    /// How long to send
    #[arg(long, value_name = "TIME", default_value = "4s", value_parser = parse_duration)]
    pub(crate) duration: Duration,
    /// The simulator's time to first token
    #[arg(long, value_name = "TIME", default_value = "50ms", value_parser = parse_duration)]
    pub(crate) ttft: Duration,
    /// The simulator's time between tokens
    #[arg(long, value_name = "TIME", default_value = "10ms", value_parser = parse_duration)]
    pub(crate) itl: Duration,
    /// Tokens of each answer
    #[arg(long, value_name = "N", default_value_t = 64)]
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
#[command(after_long_help = SIMULATE_EXAMPLES)]
pub(crate) struct SimulateArguments {
    /// Address to listen on
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    pub(crate) host: std::net::IpAddr,
    /// Port to listen on; 0 takes a free one
    #[arg(long, value_name = "PORT", default_value_t = 8000)]
    pub(crate) port: u16,
    /// Time to first token
    #[arg(long, value_name = "TIME", default_value = "200ms", value_parser = parse_duration)]
    pub(crate) ttft: Duration,
    /// Time between frames
    #[arg(long, value_name = "TIME", default_value = "20ms", value_parser = parse_duration)]
    pub(crate) itl: Duration,
    /// Tokens of an answer; a request's own limit may make it shorter
    #[arg(long, value_name = "N", default_value_t = 128)]
    pub(crate) output_tokens: u32,
    /// Random spread of the times, as a share of them: 0.2 is ±20 %
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    pub(crate) jitter: f64,
    /// Tokens in one frame
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) tokens_per_frame: u32,
    /// Reasoning tokens before the answer
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) reasoning_tokens: u32,
    /// Share of requests that are answered with status 500
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    pub(crate) error_rate: f64,
    /// Share of streams that fall silent half-way
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    pub(crate) stall_rate: f64,
    /// Share of streams whose connection is cut half-way
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    pub(crate) cut_rate: f64,
    /// Requests worked on at a time; others queue, so that latency grows with load
    #[arg(long, value_name = "N")]
    pub(crate) max_concurrency: Option<usize>,
    /// Prompt tokens read per second, so that time to first token grows with the prompt
    #[arg(long, value_name = "TOKENS/S")]
    pub(crate) prefill_rate: Option<f64>,
    /// Seed of everything random
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
    /// Environment variable with the one API key that is accepted; without it none is asked for
    #[arg(long, value_name = "VAR")]
    pub(crate) api_key_env: Option<String>,
    /// Verify that requests to the APIs of AWS are signed with this access key (one made up for it)
    #[arg(long, value_name = "ID:SECRET", value_parser = parse_access_key)]
    pub(crate) verify_sigv4: Option<(String, String)>,
    /// Model that the list of models names
    #[arg(long, value_name = "ID", default_value = "llmeter-sim")]
    pub(crate) model: String,
    /// Worker threads
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) threads: usize,
    /// Write the true times of every request to this file, one JSON object a line
    #[arg(long, value_name = "FILE")]
    pub(crate) truth: Option<PathBuf>,
    /// Print nothing
    #[arg(long)]
    pub(crate) quiet: bool,
}

/// `ID:SECRET`. The message must not repeat what was given.
fn parse_access_key(text: &str) -> Result<(String, String), String> {
    let key = text
        .split_once(':')
        .map(|(id, secret)| (id.to_owned(), secret.to_owned()));
    key.filter(|(id, secret)| !id.is_empty() && !secret.is_empty())
        .ok_or_else(|| "not an access key; write it as ID:SECRET".to_owned())
}

/// The APIs that `--endpoint` takes.
fn api_names() -> PossibleValuesParser {
    let value = |api: &Api| PossibleValue::new(api.name).help(api.about);
    APIS.iter().map(value).collect::<Vec<_>>().into()
}

/// `30s`, `2m 30s`, `200ms`, or a plain number of seconds.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let parsed = match text.parse::<f64>() {
        Ok(seconds) => Duration::try_from_secs_f64(seconds).ok(),
        Err(_) => humantime::parse_duration(text).ok(),
    };
    parsed.ok_or_else(|| "not a time; write it like 30s, 200ms or 2m".to_owned())
}

/// The name of an API; a wrong one is refused where it stands in the file.
fn endpoint_setting<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<String>, D::Error> {
    let name = String::deserialize(deserializer)?;
    Api::named(&name).map_err(serde::de::Error::custom)?;
    Ok(Some(name))
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

/// Header lines in a configuration file: one text or a list.
fn headers_setting<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "a text like \"Name: value\", or a list of them")]
    enum Setting {
        One(String),
        List(Vec<String>),
    }
    Ok(match Setting::deserialize(deserializer)? {
        Setting::One(line) => vec![line],
        Setting::List(lines) => lines,
    })
}

/// Reads the command line. `Err` holds the code to leave with: help was asked for, or the command
/// line is wrong and the mistake has been printed, in one line.
pub(crate) fn parse() -> Result<Arguments, Exit> {
    Arguments::try_parse().map_err(|reason| {
        if !reason.use_stderr() {
            // Help or version; a reader that went away has seen enough of it.
            let _ = reason.print();
            return Exit::Done;
        }
        if reason.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
            let _ = reason.print();
        } else {
            output::note(&one_line(&reason.render().to_string()));
        }
        Exit::BadUsage
    })
}

/// The parser's message without the usage that it repeats.
fn one_line(message: &str) -> String {
    let mut line = String::new();
    for part in message.lines().map(str::trim) {
        if part.starts_with("Usage:") || part.starts_with("For more information") {
            break;
        }
        if part.is_empty() {
            continue;
        }
        if !line.is_empty() {
            line.push_str(if part.starts_with("tip:") { "; " } else { " " });
        }
        line.push_str(part);
    }
    // What Rust says of text that should be a number.
    line = line.replace("invalid digit found in string", "not a whole number");
    line + " (--help explains)"
}
