//! How long a run folder takes to load, here and in the Python package, side by side.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::Args;
use llmeter::result::RunResult;

use crate::processes::{self, Profile, SimulatorProcess, Usage};
use crate::test;

#[derive(Args)]
pub(crate) struct LoadingArguments {
    /// Responses in the folder
    #[arg(long, default_value_t = 100_000)]
    responses: usize,
    /// Output tokens of each
    #[arg(long, default_value_t = 64)]
    tokens: usize,
    /// Leave the Python package out
    #[arg(long)]
    no_python: bool,
}

const CLIENTS: usize = 64;
/// What the Python package does for the same: its statistics are computed when they are first asked
/// for.
const PYTHON: &str = "
import sys, time
from llmeter.results import Result
start = time.perf_counter()
result = Result.load(sys.argv[1])
stats = result.stats
print(time.perf_counter() - start, len(result.responses), stats['time_to_first_token-p50'])
";

/// What one loader says: seconds, responses, and the median TTFT that it found.
struct Loaded {
    seconds: f64,
    responses: usize,
    ttft: f64,
    memory: u64,
}

impl Loaded {
    fn from(usage: &Usage) -> Result<Self> {
        let said = usage.output.lines().last().unwrap_or_default();
        let words: Vec<f64> = said
            .split(' ')
            .filter_map(|word| word.parse().ok())
            .collect();
        let [seconds, responses, ttft] = words[..] else {
            bail!("the loader ended with {:?}: {}", usage.code, usage.output);
        };
        Ok(Self {
            seconds,
            responses: responses as usize,
            ttft,
            memory: usage.peak_memory,
        })
    }
}

pub(crate) fn loading(arguments: &LoadingArguments) -> Result<()> {
    let llmeter = processes::build_llmeter(Profile::Release)?;
    let loader = processes::build_xtask(Profile::Release)?;
    let (server_core, core) = processes::server_and_client_cores()?;
    let simulator = SimulatorProcess::unpaced(&llmeter, server_core, arguments.tokens)?;
    let folder = tempfile::tempdir()?;
    let per_client = arguments.responses.div_ceil(CLIENTS);
    let made = processes::run_on(
        core,
        Command::new(&llmeter)
            .args(simulator.run())
            .args(["--run-name", "run", "--clients", &CLIENTS.to_string()])
            .args(["--requests", &per_client.to_string(), "--output"])
            .arg(folder.path()),
    )?;
    if made.code != Some(0) {
        bail!("the meter ended with {:?}: {}", made.code, made.output);
    }
    simulator.stop()?;
    let run = folder.path().join("run");
    let bytes = std::fs::metadata(run.join("responses.jsonl"))?.len();
    println!(
        "{} responses of {} tokens, {:.0} MB",
        per_client * CLIENTS,
        arguments.tokens,
        bytes as f64 / 1e6
    );
    println!(
        "{:>20}  {:>9}  {:>10}  {:>12}",
        "", "time", "peak", "TTFT p50"
    );
    let mut ours = Command::new(loader);
    ours.arg("load-folder").arg(&run);
    let ours = show("here", &Loaded::from(&processes::run_on(core, &mut ours)?)?);
    if !arguments.no_python {
        let mut theirs = Command::new(test::python(&test::workspace_root()?)?);
        theirs.args(["-c", PYTHON]).arg(&run);
        let theirs = Loaded::from(&processes::run_on(core, &mut theirs)?)?;
        println!(
            "{:>20}  {:>8.1}x",
            "as often",
            show("Python package", &theirs) / ours
        );
    }
    Ok(())
}

fn show(name: &str, loaded: &Loaded) -> f64 {
    println!(
        "{name:>20}  {:>7.2} s  {:>7.0} MB  {:>9.6} s  ({} responses)",
        loaded.seconds,
        loaded.memory as f64 / 1e6,
        loaded.ttft,
        loaded.responses
    );
    loaded.seconds
}

#[derive(Args)]
pub(crate) struct LoadFolderArguments {
    folder: PathBuf,
}

/// Loads a folder with all its responses, and so computes its statistics anew.
#[expect(clippy::disallowed_methods, reason = "no measurement of a server")]
pub(crate) fn load_folder(arguments: &LoadFolderArguments) -> Result<()> {
    let start = std::time::Instant::now();
    let result = RunResult::load(arguments.folder.as_path() as &Path)?;
    let ttft = result.stats().ttft.p50;
    let seconds = start.elapsed().as_secs_f64();
    let ttft = ttft.context("the run has no time to first token")?;
    println!("{seconds} {} {ttft}", result.responses.len());
    Ok(())
}
