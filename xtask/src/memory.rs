//! What recorded requests cost in memory: two runs that differ in their length alone.

use std::process::Command;

use anyhow::{Result, bail};
use clap::Args;

use crate::processes::{self, SimulatorProcess};

#[derive(Args)]
pub(crate) struct MemoryArguments {
    /// Requests of the longer run beyond those of the shorter, over all clients
    #[arg(long, default_value_t = 100_000)]
    requests: usize,
}

const CLIENTS: usize = 64;
/// Requests of the shorter run, for each client: enough that what does not grow with the run, the
/// queue to the recorder above all, has its full size.
const SHORT: usize = 400;
const TOKENS: usize = 64;

pub(crate) fn memory(arguments: &MemoryArguments) -> Result<()> {
    let llmeter = processes::build_llmeter()?;
    let (server_core, meter_core) = processes::server_and_client_cores()?;
    let simulator = SimulatorProcess::unpaced(&llmeter, server_core, TOKENS)?;
    let folder = tempfile::tempdir()?;
    let peak = |requests: usize, mode: Option<&str>| -> Result<f64> {
        let usage = processes::run_on(
            meter_core,
            Command::new(&llmeter)
                .args([
                    "run", "--quiet", "--json", "--model", "m", "--prompt", "Go.",
                ])
                .args([
                    "--base-url",
                    &simulator.base_url,
                    "--overwrite",
                    "--run-name",
                    "run",
                ])
                .args(["--clients", &CLIENTS.to_string()])
                .args(["--requests", &requests.to_string()])
                .args(mode)
                .arg("--output")
                .arg(folder.path()),
        )?;
        if usage.code != Some(0) {
            bail!("the meter ended with {:?}: {}", usage.code, usage.output);
        }
        Ok(usage.peak_memory as f64 / 1e6)
    };
    let long = SHORT + arguments.requests / CLIENTS;
    for (name, mode) in [("normal", None), ("--low-memory", Some("--low-memory"))] {
        let (short_run, long_run) = (peak(SHORT, mode)?, peak(long, mode)?);
        println!(
            "{name:>12}: {short_run:.1} MB after {} requests of {TOKENS} tokens, {long_run:.1} MB \
             after {}: {:.1} MB per 100,000",
            CLIENTS * SHORT,
            CLIENTS * long,
            (long_run - short_run) * 1e5 / (CLIENTS * (long - SHORT)) as f64,
        );
    }
    simulator.stop()
}
