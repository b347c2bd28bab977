//! What prompts that are made cost in memory and time while they are sent.

use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::Value;

use crate::processes::{self, Profile, SimulatorProcess};

#[derive(Args)]
pub(crate) struct PromptsArguments {
    /// Requests of the runs
    #[arg(long, value_delimiter = ',', default_value = "10000,40000")]
    requests: Vec<u64>,
    /// Requests a second; as fast as 64 clients can without it
    #[arg(long)]
    rate: Option<String>,
    /// Tokens of a prompt
    #[arg(long, default_value_t = 1000)]
    tokens: u64,
    /// What counts the tokens
    #[arg(long, default_value = "whitespace")]
    tokenizer: String,
}

/// Runs in low memory, so that what is left is what the prompts need.
pub(crate) fn prompts(arguments: &PromptsArguments) -> Result<()> {
    let llmeter = processes::build_llmeter(Profile::Release)?;
    let (server_core, _) = processes::server_and_client_cores()?;
    let simulator = SimulatorProcess::unpaced(&llmeter, server_core, 1)?;
    let folder = tempfile::tempdir()?;
    println!("requests   seconds   peak memory   waited for data   lateness p99   verdict");
    for requests in &arguments.requests {
        let mut command = Command::new(&llmeter);
        command
            .args(["run", "--quiet", "--json", "--low-memory", "--model", "m"])
            .args([
                "--base-url",
                &simulator.base_url,
                "--overwrite",
                "--run-name",
                "run",
            ])
            .args([
                "--tokenizer",
                &arguments.tokenizer,
                "--max-requests",
                &requests.to_string(),
            ])
            .arg(format!(
                "--data=synthetic:prompt_tokens={},output_tokens=1",
                arguments.tokens
            ))
            .arg("--output")
            .arg(folder.path());
        match &arguments.rate {
            Some(rate) => command.args(["--rate", rate]),
            None => command.args(["--clients", "64", "--duration", "1h"]),
        };
        let usage = processes::run_anywhere(&mut command)?;
        if usage.code != Some(0) {
            bail!("the meter ended with {:?}: {}", usage.code, usage.output);
        }
        let stats: Value = serde_json::from_str(&usage.output)?;
        let number = |key: &str| stats[key].as_f64();
        let late = number("send_lateness-p99").map(|late| format!("{:.3} ms", late * 1e3));
        println!(
            "{requests:>8}  {:>8.1}  {:>9.1} MB  {:>14.3} s  {:>13}   {}",
            number("total_test_time").context("no total_test_time")?,
            usage.peak_memory as f64 / 1e6,
            number("measurement_data_wait").unwrap_or(0.0),
            late.as_deref().unwrap_or("—"),
            stats["measurement_verdict"].as_str().unwrap_or("—"),
        );
    }
    simulator.stop()
}
