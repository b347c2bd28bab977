//! What recorded requests cost in memory: runs that differ in their length alone.

use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::Value;

use crate::processes::{self, Profile, SimulatorProcess};

#[derive(Args)]
pub(crate) struct MemoryArguments {
    /// Requests of the runs, over all clients
    #[arg(long, value_delimiter = ',', default_value = "6400,25600,64000,128000")]
    requests: Vec<usize>,
    /// Only the runs with --low-memory
    #[arg(long)]
    low_memory: bool,
}

const CLIENTS: usize = 64;
const TOKENS: usize = 64;

/// Memory of one run, in bytes.
#[derive(Clone, Copy)]
struct Memory {
    peak: f64,
    /// The maximum that waited for the recorder: part of the peak, and a matter of how busy the core
    /// is. The rest is what grows with the run, or does not.
    backlog: f64,
}

pub(crate) fn memory(arguments: &MemoryArguments) -> Result<()> {
    let llmeter = processes::build_llmeter(Profile::Release)?;
    let (server_core, meter_core) = processes::server_and_client_cores()?;
    let simulator = SimulatorProcess::unpaced(&llmeter, server_core, TOKENS)?;
    let folder = tempfile::tempdir()?;
    let measure = |requests: usize, mode: Option<&str>| -> Result<Memory> {
        let usage = processes::run_on(
            meter_core,
            Command::new(&llmeter)
                .args(simulator.run())
                .args(["--overwrite", "--run-name", "run"])
                .args(["--clients", &CLIENTS.to_string()])
                .args(["--requests", &requests.div_ceil(CLIENTS).to_string()])
                .args(mode)
                .arg("--output")
                .arg(folder.path()),
        )?;
        if usage.code != Some(0) {
            bail!("the meter ended with {:?}: {}", usage.code, usage.output);
        }
        let stats: Value = serde_json::from_str(&usage.output)?;
        Ok(Memory {
            peak: usage.peak_memory as f64,
            backlog: stats["measurement_recorder_backlog_bytes"]
                .as_f64()
                .context("no measurement_recorder_backlog_bytes")?,
        })
    };
    println!(
        "{:>12}  {:>8}  {:>9}  {:>18}  {:>18}",
        "mode", "requests", "peak", "of it the backlog", "rest, per 100,000"
    );
    let modes = [("normal", None), ("low memory", Some("--low-memory"))];
    for (name, mode) in modes.into_iter().skip(usize::from(arguments.low_memory)) {
        let mut first: Option<(usize, Memory)> = None;
        for &requests in &arguments.requests {
            let memory = measure(requests, mode)?;
            let (fewest, smallest) = *first.get_or_insert((requests, memory));
            let growth = match requests.checked_sub(fewest) {
                Some(more @ 1..) => {
                    let held = |memory: Memory| memory.peak - memory.backlog;
                    let growth = (held(memory) - held(smallest)) * 1e5 / more as f64;
                    format!("{:.1} MB", growth / 1e6)
                }
                _ => "—".to_owned(),
            };
            println!(
                "{name:>12}  {requests:>8}  {:>6.1} MB  {:>15.1} MB  {growth:>18}",
                memory.peak / 1e6,
                memory.backlog / 1e6,
            );
        }
    }
    simulator.stop()
}
