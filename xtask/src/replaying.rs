//! How close to their due times the requests of a trace arrive at a server.

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use clap::Args;
use llmeter::RunResult;
use llmeter_sim::comparison::ErrorSummary;
use llmeter_sim::read_truth;

use crate::processes::{self, Profile, SimulatorProcess};
use crate::test::workspace_root;

#[derive(Args)]
pub(crate) struct ReplayingArguments {
    /// The trace [default: the sample of Azure's]
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
    /// How much faster than the trace
    #[arg(long, value_delimiter = ',', default_value = "1,20")]
    speed: Vec<f64>,
    /// The part of the trace that is replayed at speed 1
    #[arg(long, default_value = "..40s")]
    window: String,
}

const SAMPLE: &str = "crates/llmeter/tests/data/traces/azure_2023_conv_head.csv";
/// How late 99 % of the requests may be, in seconds.
const TOLERANCE: f64 = 1e-3;

pub(crate) fn replaying(arguments: &ReplayingArguments) -> Result<()> {
    let llmeter = processes::build_llmeter(Profile::Release)?;
    let (server_core, meter_core) = processes::server_and_client_cores()?;
    let sample = workspace_root()?.join(SAMPLE);
    let trace = arguments.trace.as_ref().unwrap_or(&sample);
    println!(
        "  speed  requests  own lateness p50        p99  at the server p50        p99        max  verdict"
    );
    let mut are_punctual = true;
    for speed in &arguments.speed {
        let folder = tempfile::tempdir()?;
        let truth = folder.path().join("truth.jsonl");
        let settings = [
            "--ttft=50ms".to_owned(),
            "--itl=10ms".to_owned(),
            format!("--truth={}", truth.display()),
        ];
        let simulator = SimulatorProcess::start(&llmeter, server_core, &settings)?;
        let mut command = Command::new(&llmeter);
        command
            .args(["run", "--quiet", "--json", "--model", "m", "--base-url"])
            .arg(&simulator.base_url)
            .arg("--replay")
            .arg(trace)
            .args([
                "--speed",
                &speed.to_string(),
                "--run-name",
                "run",
                "--output",
            ])
            .arg(folder.path());
        if *speed == 1.0 {
            command.args(["--window", &arguments.window]);
        }
        let usage = processes::run_on(meter_core, &mut command)?;
        simulator.stop()?;
        let result = RunResult::load(folder.path().join("run"))
            .with_context(|| format!("the meter said: {}", usage.output))?;
        // When each request arrived, by the server's clock.
        let arrivals: HashMap<String, i64> = read_truth(&truth)?
            .into_iter()
            .map(|record| (record.id, record.arrival_ns))
            .collect();
        let arrival = |id: Option<&String>| Some(*arrivals.get(id?)? as f64 * 1e-9);
        let times = result.responses.iter().filter_map(|response| {
            let due = response.schedule().due_time?;
            Some((arrival(response.id.as_ref())?, due))
        });
        let offsets: Vec<f64> = times.map(|(arrival, due)| arrival - due).collect();
        ensure!(
            !offsets.is_empty() && offsets.len() == result.responses.len(),
            "{} of {} requests are in the truth log",
            offsets.len(),
            result.responses.len()
        );
        // The clocks have no common start: the most punctual request is taken for it.
        let start = offsets.iter().copied().fold(f64::INFINITY, f64::min);
        let late: Vec<f64> = offsets.iter().map(|offset| offset - start).collect();
        let summary = ErrorSummary::new(&late).unwrap_or_default();
        let latest = late.iter().copied().fold(0.0, f64::max);
        let stats = result.stats();
        let own = stats.send_lateness;
        let milliseconds = |seconds: f64| format!("{:.3} ms", seconds * 1e3);
        println!(
            "{speed:>7}  {:>8}  {:>16}  {:>9}  {:>17}  {:>9}  {:>9}  {}",
            late.len(),
            milliseconds(own.p50.unwrap_or(f64::NAN)),
            milliseconds(own.p99.unwrap_or(f64::NAN)),
            milliseconds(summary.p50),
            milliseconds(summary.p99),
            milliseconds(latest),
            stats.measurement_verdict.as_deref().unwrap_or("—"),
        );
        for reason in &stats.measurement_reasons {
            println!("         {reason}");
        }
        are_punctual &= summary.p99 < TOLERANCE;
    }
    ensure!(
        are_punctual,
        "more than 1 % of the requests are 1 ms late or more"
    );
    Ok(())
}
