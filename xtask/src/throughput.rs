//! How many events a second the meter takes on one core, beside a bare hyper client.
//!
//! The simulator runs unpaced on one core and writes each frame by itself; the client has the
//! other. The two clients take turns, so that a change of the machine's mood meets both.

use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::Value;

use crate::processes::{self, SimulatorProcess};

#[derive(Args)]
pub(crate) struct ThroughputArguments {
    /// Connections
    #[arg(long, default_value_t = 64)]
    streams: usize,
    /// Requests on each connection
    #[arg(long, default_value_t = 20)]
    requests: usize,
    /// Tokens, which is events, of each answer
    #[arg(long, default_value_t = 512)]
    tokens: usize,
    /// How often each client is measured
    #[arg(long, default_value_t = 3)]
    rounds: usize,
}

pub(crate) fn throughput(arguments: &ThroughputArguments) -> Result<()> {
    let llmeter = processes::build_llmeter()?;
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
    let mut rates = [Vec::new(), Vec::new()];
    for round in 0..arguments.rounds {
        let bare = processes::run_on(
            client_core,
            Command::new(std::env::current_exe()?)
                .args(["bare-client", "--base-url", &simulator.base_url])
                .args(["--streams", &streams, "--requests", &requests])
                .args(["--tokens", &arguments.tokens.to_string()]),
        )?;
        let seconds: f64 = bare
            .output
            .trim()
            .parse()
            .context("the bare client failed")?;
        let meter = processes::run_on(
            client_core,
            Command::new(&llmeter)
                .args([
                    "run", "--quiet", "--json", "--model", "m", "--prompt", "Go.",
                ])
                .args(["--base-url", &simulator.base_url, "--clients", &streams])
                .args([
                    "--requests",
                    &requests,
                    "--max-tokens",
                    &arguments.tokens.to_string(),
                ])
                .args(["--run-name", &format!("round-{round}"), "--output"])
                .arg(folder.path()),
        )?;
        let stats: Value = serde_json::from_str(&meter.output)
            .with_context(|| format!("the meter ended with {:?}: {}", meter.code, meter.output))?;
        let time = stats["total_test_time"]
            .as_f64()
            .context("no total_test_time")?;
        if stats["failed_requests"] != 0 || stats["total_output_tokens"] != events {
            bail!("the meter lost events: {stats}");
        }
        for (client, (rates, (seconds, usage))) in ["bare hyper", "llmeter"]
            .into_iter()
            .zip(rates.iter_mut().zip([(seconds, &bare), (time, &meter)]))
        {
            println!(
                "{client:>12}  {:>12.0}  {:>11.2} µs",
                events / seconds,
                usage.cpu.as_secs_f64() * 1e6 / events
            );
            rates.push(events / seconds);
        }
    }
    simulator.stop()?;
    let [bare, meter] = rates.map(|mut rates: Vec<f64>| {
        rates.sort_by(f64::total_cmp);
        rates[rates.len() / 2]
    });
    println!(
        "llmeter takes {:.0} % of the bare client's events",
        meter / bare * 100.0
    );
    Ok(())
}
