//! The flags of `list` and `view`.

use clap::{Args, ValueEnum};
use llmeter::catalog::SortKey;
use llmeter::stats::Condition;
use llmeter::storage::Location;

use crate::examples::{LIST_EXAMPLES, VIEW_EXAMPLES};

#[derive(Debug, Args)]
#[command(after_long_help = LIST_EXAMPLES)]
pub(crate) struct ListArguments {
    /// The folder to look through: a path, or a URL like s3://bucket/prefix
    #[arg(value_name = "FOLDER", default_value = "runs")]
    pub(crate) folder: Location,
    /// Only runs that fulfil this, like 'ttft-p99 < 500ms' (repeatable)
    ///
    /// Of an experiment one run has to.
    #[arg(long = "where", value_name = "CONDITION", value_parser = parse_condition)]
    pub(crate) conditions: Vec<Condition>,
    /// Only runs with this text in the name of their model
    #[arg(long, value_name = "TEXT")]
    pub(crate) model: Option<String>,
    /// Only runs that began since then: 2026-11-28, 2026-11-28T09:30, or 7d, 12h
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,
    /// Order: when, name, kind, model, state, verdict, or a figure like ttft-p50
    #[arg(long, value_name = "KEY", default_value = "when", value_parser = parse_key)]
    pub(crate) sort: SortKey,
    /// The other way round
    #[arg(long)]
    pub(crate) reverse: bool,
    /// Print so many at most
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<usize>,
    /// Form of the list
    #[arg(long, value_name = "FORM", default_value = "text")]
    pub(crate) format: ListFormat,
    /// Draw with ASCII characters only [default: if the locale is not UTF-8]
    #[arg(long)]
    pub(crate) ascii: bool,
}

/// The form of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ListFormat {
    /// A table for people, as wide as the terminal
    Text,
    /// For programs
    Json,
    /// A line for each run
    Csv,
}

fn parse_condition(text: &str) -> Result<Condition, String> {
    let check = |condition: Condition| condition.check_of_run(false).map(|()| condition);
    text.parse()
        .and_then(check)
        .map_err(|reason| reason.to_string())
}

fn parse_key(text: &str) -> Result<SortKey, String> {
    text.parse().map_err(|reason: llmeter::Error| {
        let reason = reason.to_string();
        // The flag and its value are named by whoever shows it.
        match reason.split_once(&format!("{text}: ")) {
            Some((_, expected)) => expected.to_owned(),
            None => reason,
        }
    })
}

#[derive(Debug, Args)]
#[command(after_long_help = VIEW_EXAMPLES)]
pub(crate) struct ViewArguments {
    /// The folder to look through: a path, or a URL like s3://bucket/prefix
    #[arg(value_name = "FOLDER", default_value = "runs")]
    pub(crate) folder: Location,
    /// Port of 127.0.0.1 to listen at; 0 takes a free one
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    pub(crate) port: u16,
    /// Open the page in a browser
    #[arg(long)]
    pub(crate) open: bool,
}
