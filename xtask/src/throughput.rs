//! How many events a second the meter takes on one core, beside a bare hyper client.
//!
//! The simulator runs unpaced on one core and writes each frame by itself; the client has the
//! other. The two clients take turns, so that a change of the machine's mood meets both.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::Value;

use crate::processes::{self, Profile, SimulatorProcess};

#[derive(Args)]
pub(crate) struct ThroughputArguments {
    /// Connections
    #[arg(long, default_value_t = 64)]
    streams: usize,
    /// Requests on each connection
    #[arg(long, default_value_t = 20)]
    requests: usize,
    /// Tokens, which is events, of each response
    #[arg(long, default_value_t = 512)]
    tokens: usize,
    /// How often each client is measured
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Another build of llmeter that takes turns, too
    #[arg(long, value_name = "FILE")]
    against: Option<PathBuf>,
}

pub(crate) fn throughput(arguments: &ThroughputArguments) -> Result<()> {
    let llmeter = processes::build_llmeter(Profile::Release)?;
    let bare_client = processes::build_xtask(Profile::Release)?;
    let (server_core, client_core) = processes::server_and_client_cores()?;
    let simulator = SimulatorProcess::unpaced(&llmeter, server_core, arguments.tokens)?;
    let events = (arguments.streams * arguments.requests * arguments.tokens) as f64;
    let (streams, requests) = (
        arguments.streams.to_string(),
        arguments.requests.to_string(),
    );
    let folder = tempfile::tempdir()?;
    println!(
        "{:>12}  {:>12}  {:>14}",
        "client", "events/s", "CPU per event"
    );
    let mut clients = vec![("bare hyper", None), ("llmeter", Some(llmeter.as_path()))];
    clients.extend(
        arguments
            .against
            .as_deref()
            .map(|other| ("other build", Some(other))),
    );
    let mut rates = vec![Vec::new(); clients.len()];
    for round in 0..arguments.rounds {
        for ((name, build), rates) in clients.iter().zip(&mut rates) {
            let (seconds, usage) = match build {
                None => {
                    let usage = processes::run_on(
                        client_core,
                        Command::new(&bare_client)
                            .args(["bare-client", "--base-url", &simulator.base_url])
                            .args(["--streams", &streams, "--requests", &requests])
                            .args(["--tokens", &arguments.tokens.to_string()]),
                    )?;
                    let seconds = usage.output.trim().parse::<f64>();
                    (seconds.context("the bare client failed")?, usage)
                }
                Some(build) => {
                    let usage = processes::run_on(
                        client_core,
                        Command::new(build)
                            .args(simulator.run())
                            .args(["--clients", &streams, "--requests", &requests])
                            .args(["--max-tokens", &arguments.tokens.to_string()])
                            .args(["--run-name", &format!("{name}-{round}"), "--output"])
                            .arg(folder.path()),
                    )?;
                    (time_of(&usage.output, events)?, usage)
                }
            };
            println!(
                "{name:>12}  {:>12.0}  {:>11.2} µs",
                events / seconds,
                usage.cpu.as_secs_f64() * 1e6 / events
            );
            rates.push(events / seconds);
        }
    }
    simulator.stop()?;
    let medians: Vec<f64> = rates
        .into_iter()
        .map(|mut rates| {
            rates.sort_by(f64::total_cmp);
            rates[rates.len() / 2]
        })
        .collect();
    for ((name, _), median) in clients.iter().zip(&medians).skip(1) {
        println!(
            "{name} takes {:.0} % of the bare client's events",
            median / medians[0] * 100.0
        );
    }
    Ok(())
}

/// The length of the run whose statistics these are, which must have every event.
fn time_of(stats: &str, events: f64) -> Result<f64> {
    let stats: Value =
        serde_json::from_str(stats).with_context(|| format!("the meter said: {stats}"))?;
    if stats["failed_requests"] != 0 || stats["total_output_tokens"] != events {
        bail!("the meter lost events: {stats}");
    }
    stats["total_test_time"]
        .as_f64()
        .context("no total_test_time")
}
