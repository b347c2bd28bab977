//! How far the meter's figures are from the truth.
//!
//! The simulator runs on one core and logs when each request arrived (the kernel's stamp) and when
//! each frame was handed to the kernel; the meter runs on another. Both are joined by the answer's
//! id.

use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::Args;
use llmeter::RunResult;
use llmeter_sim::comparison::{Comparison, ErrorSummary};
use llmeter_sim::read_truth;

use crate::processes::{self, SimulatorProcess};

#[derive(Args)]
pub(crate) struct AccuracyArguments {
    /// Only check that the comparison works: two small levels, no judgement of times
    #[arg(long)]
    smoke: bool,
    /// Streams at a time
    #[arg(long, value_delimiter = ',', default_value = "1,64,256,1024,4096")]
    levels: Vec<usize>,
    /// API to speak: one whose answers are streamed
    #[arg(long, default_value = "openai-chat-stream")]
    endpoint: String,
    /// Who takes the receive stamps
    #[arg(long, default_value = "kernel")]
    stamps: String,
    /// How long each level sends
    #[arg(long, default_value = "8s")]
    duration: String,
    /// Answers that each client of each level gets before the measurement
    #[arg(long, default_value_t = 1)]
    warmup: usize,
}

/// From this many streams on, tokens come every 100 ms: more would be beyond one core of any client.
const SLOW_FROM: usize = 4096;

/// The address of an API in the simulator, whose own ends in `/v1`.
fn base_url(simulator: &str, endpoint: &str) -> String {
    let bare = simulator.trim_end_matches("/v1");
    match endpoint.split('-').next() {
        Some("openai") => simulator.to_owned(),
        Some("gemini") => format!("{bare}/v1beta"),
        _ => bare.to_owned(),
    }
}

pub(crate) fn accuracy(arguments: &AccuracyArguments) -> Result<()> {
    let llmeter = processes::build_llmeter()?;
    let (server_core, meter_core) = processes::server_and_client_cores()?;
    let folder = tempfile::tempdir()?;
    println!(
        "{:>7}  {:>8}  {:>9} {:>9}  {:>9} {:>9}  {:>9} {:>9}  {:>12}  {:>9}  {:>7}  {:>9}",
        "streams",
        "requests",
        "TTFT p50",
        "TTFT p99",
        "TTLT p50",
        "TTLT p99",
        "ITL p50",
        "ITL p99",
        "verdict",
        "events/s",
        "CPU/1k",
        "memory",
    );
    let levels = if arguments.smoke {
        vec![1, 64]
    } else {
        arguments.levels.clone()
    };
    let duration = if arguments.smoke {
        "2s"
    } else {
        &arguments.duration
    };
    for streams in levels {
        let truth_file = folder.path().join(format!("truth-{streams}.jsonl"));
        let itl = if streams >= SLOW_FROM {
            "100ms"
        } else {
            "10ms"
        };
        let simulator = SimulatorProcess::start(
            &llmeter,
            server_core,
            &[
                "--ttft=50ms".to_owned(),
                format!("--itl={itl}"),
                "--output-tokens=64".to_owned(),
                format!("--truth={}", truth_file.display()),
            ],
        )?;
        let name = format!("{streams:05}-clients");
        let usage = processes::run_on(
            meter_core,
            Command::new(&llmeter)
                .args([
                    "run",
                    "--quiet",
                    "--json",
                    "--model",
                    "truth",
                    "--prompt",
                    "How far off?",
                ])
                .args([
                    "--endpoint",
                    &arguments.endpoint,
                    "--base-url",
                    &base_url(&simulator.base_url, &arguments.endpoint),
                    "--region=us-east-1",
                    "--stamps",
                    &arguments.stamps,
                ])
                // For the APIs whose requests are signed; the simulator does not look.
                .env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
                .env("AWS_SECRET_ACCESS_KEY", "made-up")
                .args(["--clients", &streams.to_string(), "--duration", duration])
                .args(["--warmup", &(streams * arguments.warmup).to_string()])
                .args(["--run-name", &name])
                .arg("--output")
                .arg(folder.path()),
        )?;
        simulator.stop()?;
        let result = RunResult::load(folder.path().join(&name))
            .with_context(|| format!("the meter said: {}", usage.output))?;
        let comparison = Comparison::new(&result.responses, &read_truth(&truth_file)?);
        let failed = result
            .responses
            .iter()
            .filter(|r| r.error.is_some())
            .count();
        if failed > 0 || comparison.unmatched > 0 || comparison.ttft.is_empty() {
            bail!(
                "{streams} streams: {failed} failed, {} unknown to the simulator, {} compared",
                comparison.unmatched,
                comparison.ttft.len()
            );
        }
        let summaries = [&comparison.ttft, &comparison.ttlt, &comparison.itl]
            .map(|errors| ErrorSummary::new(errors).unwrap_or_default());
        let stats = result.stats();
        let tokens = (result.responses.len() + streams * arguments.warmup) as f64 * 64.0;
        let milliseconds = |seconds: f64| format!("{:.3} ms", seconds * 1e3);
        let mut line = format!("{streams:>7}  {:>8}", comparison.ttft.len());
        for errors in summaries {
            line += &format!(
                "  {:>9} {:>9}",
                milliseconds(errors.p50),
                milliseconds(errors.p99)
            );
        }
        println!(
            "{line}  {:>12}  {:>9.0}  {:>7}  {:>6.1} MB",
            stats
                .get("measurement_verdict")
                .and_then(|v| v.as_str())
                .unwrap_or("—"),
            stats
                .get("output_tps")
                .and_then(|v| v.as_f64())
                .unwrap_or(0.0),
            milliseconds(usage.cpu.as_secs_f64() * 1000.0 / tokens),
            usage.peak_memory as f64 / 1e6,
        );
    }
    Ok(())
}
