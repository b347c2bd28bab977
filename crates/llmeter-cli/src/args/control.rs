//! The flags of `control`.

use clap::{Args, ValueEnum};
use llmeter::load::Rate;
use llmeter::run::NewLoad;
use llmeter::storage::Location;

use crate::examples::CONTROL_EXAMPLES;

#[derive(Debug, Args)]
#[command(after_long_help = CONTROL_EXAMPLES)]
pub(crate) struct ControlArguments {
    /// The folder of the run in progress
    #[arg(value_name = "DIR")]
    pub(crate) folder: Location,
    /// What to do besides [default: status]
    #[arg(value_name = "ACTION")]
    pub(crate) action: Option<ControlAction>,
    /// The arrival rate from now on, like 40/s; 0/s is a pause
    #[arg(long, value_name = "RATE", value_parser = Rate::of_text_or_zero)]
    pub(crate) rate: Option<Rate>,
    /// The clients from now on; those that are too many end their request first
    #[arg(short, long, visible_alias = "concurrency", value_name = "N")]
    pub(crate) clients: Option<u32>,
    /// Most requests in flight in an open loop from now on, or none
    #[arg(long, value_name = "N", value_parser = parse_limit)]
    pub(crate) max_in_flight: Option<Limit>,
    /// Print the run's state as a JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// What is done with a run beside changing its load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ControlAction {
    /// Print how it goes on
    Status,
    /// Send nothing more; what is in flight is waited for
    Stop,
}

/// A limit of requests in flight, or none.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limit(Option<u32>);

fn parse_limit(text: &str) -> Result<Limit, String> {
    match text {
        "none" => Ok(Limit(None)),
        text => match text.parse() {
            Ok(limit @ 1..) => Ok(Limit(Some(limit))),
            _ => Err("expected a whole number from 1 on, or none".to_owned()),
        },
    }
}

impl ControlArguments {
    pub(crate) fn load(&self) -> NewLoad {
        NewLoad {
            rate: self.rate,
            clients: self.clients,
            max_in_flight: self.max_in_flight.map(|Limit(limit)| limit),
        }
    }
}
