//! The Python package beside the one whose place it takes, and beside the command line.
//!
//! One script (`tests/python/peer.py`) runs with either package in the same Python, on one core; the simulator
//! has another.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use clap::Args;
use llmeter::RunResult;
use llmeter_sim::comparison::{Comparison, ErrorSummary};
use llmeter_sim::read_truth;
use serde::Deserialize;

use crate::processes::{self, SimulatorProcess};
use crate::{python_package, test};

#[derive(Args)]
pub(crate) struct PythonPeerArguments {
    /// Parts to measure
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        default_value = "rate,accuracy,cost,callbacks"
    )]
    parts: Vec<Part>,
    /// Leave the Python llmeter 0.2.0 out
    #[arg(long)]
    no_peer: bool,
    /// Turns of the command line and Python, of which the medians count
    #[arg(long, default_value_t = 5)]
    rounds: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// Requests per second and memory, with a server that sends as fast as it can
    Rate,
    /// Errors of TTFT with 256 streams
    Accuracy,
    /// Processor time of a token, beside the command line's
    Cost,
    /// Requests per second with hooks in Python
    Callbacks,
}

const TOKENS: usize = 64;
const SCRIPT: &str = "tests/python/peer.py";
const TRUTH: &str = "truth.jsonl";
/// Clients with a server that sends as fast as it can.
const CLIENTS: usize = 64;
/// Runs one after the other, all of which are kept.
const RUNS: usize = 8;
/// Streams of the comparison with the truth.
const STREAMS: usize = 256;
/// Lengths of runs by whose difference a token's cost is told, in requests of each client.
const SHORT: usize = 20;
const LONG: usize = 220;

/// One run, as the script tells of it.
#[derive(Debug, Deserialize)]
struct Measured {
    requests: f64,
    failed: f64,
    seconds: f64,
    cpu: f64,
    resident: f64,
    verdict: Option<String>,
}

struct Peers {
    llmeter: PathBuf,
    python: PathBuf,
    script: PathBuf,
    /// The folder with our package.
    ours: PathBuf,
    cores: (usize, usize),
}

pub(crate) fn python_peer(arguments: &PythonPeerArguments) -> Result<()> {
    let root = test::workspace_root()?;
    let (llmeter, ours) = python_package::released(&root)?;
    let peers = Peers {
        llmeter,
        python: python_package::test_python(&root)?,
        script: root.join(SCRIPT),
        ours,
        cores: processes::server_and_client_cores()?,
    };
    let mut packages = vec![("llmeter", Some(peers.ours.as_path()))];
    if !arguments.no_peer {
        packages.push(("0.2.0", None));
    }
    for part in &arguments.parts {
        match part {
            Part::Rate => peers.rate(&packages)?,
            Part::Accuracy => peers.accuracy(&packages)?,
            Part::Cost => peers.cost(arguments.rounds)?,
            Part::Callbacks => peers.callbacks(&packages)?,
        }
    }
    Ok(())
}

impl Peers {
    /// The script with a package, which the Python has itself if no folder is given.
    fn command(
        &self,
        package: Option<&Path>,
        simulator: &SimulatorProcess,
        load: [usize; 3],
    ) -> Command {
        let mut command = Command::new(&self.python);
        command
            .arg(&self.script)
            .arg(&simulator.base_url)
            .args(load.map(|number| number.to_string()))
            .env("NO_PROXY", "*")
            .env("LLMETER_DISABLE_ALL_PROGRESS_BARS", "1");
        match package {
            Some(folder) => command.env("PYTHONPATH", folder),
            None => command.env_remove("PYTHONPATH"),
        };
        command
    }

    fn run(&self, command: &mut Command) -> Result<(Vec<Measured>, processes::Usage)> {
        let usage = processes::run_on(self.cores.1, command)?;
        let runs = serde_json::Deserializer::from_str(&usage.output).into_iter::<Measured>();
        let runs = runs.collect::<Result<Vec<_>, _>>()?;
        ensure!(
            usage.code == Some(0) && runs.iter().all(|run| run.failed == 0.0),
            "the script ended with {:?}: {}",
            usage.code,
            usage.output
        );
        Ok((runs, usage))
    }

    fn rate(&self, packages: &[(&str, Option<&Path>)]) -> Result<()> {
        println!("{CLIENTS} clients, {TOKENS} tokens, a server that sends as fast as it can");
        println!(
            "{:>10}  {:>10}  {:>12}  {:>16}  {:>14}  {:>20}",
            "", "requests", "requests/s", "for each core", "CPU a token", "kept, per 1,000"
        );
        let mut rates = Vec::new();
        for (name, package) in packages {
            let simulator = SimulatorProcess::unpaced(&self.llmeter, self.cores.0, TOKENS)?;
            // Long enough that what a run needs for itself does not count.
            let requests = if package.is_some() { 400 } else { 10 };
            let load = [CLIENTS, requests, TOKENS];
            let mut command = self.command(*package, &simulator, load);
            let (runs, _) = self.run(command.args(["--runs", &RUNS.to_string()]))?;
            simulator.stop()?;
            // The first one warms up.
            let later = runs.get(1..).unwrap_or_default();
            let sum = |of: fn(&Measured) -> f64| later.iter().map(of).sum::<f64>();
            let requests = sum(|run| run.requests);
            let kept = kept_for_each(&runs).context("the script measured nothing")?;
            // The simulator may be what limits them.
            let rate = requests / sum(|run| run.cpu);
            println!(
                "{name:>10}  {requests:>10}  {:>12.1}  {rate:>16.1}  {:>11.2} µs  {:>17.2} MB",
                requests / sum(|run| run.seconds),
                1e6 / rate / TOKENS as f64,
                kept * 1e3 / 1e6,
            );
            rates.push(rate);
        }
        if let [ours, theirs] = rates[..] {
            println!(
                "{:>10}  {:>10}  {:>12}  {:>15.1}x",
                "",
                "",
                "",
                ours / theirs
            );
        }
        Ok(())
    }

    fn accuracy(&self, packages: &[(&str, Option<&Path>)]) -> Result<()> {
        println!("{STREAMS} streams, TTFT 50 ms, ITL 10 ms, {TOKENS} tokens: errors of TTFT");
        println!(
            "{:>10}  {:>10}  {:>12}  {:>12}  {:>12}",
            "", "requests", "mean", "p50", "p99"
        );
        for (name, package) in packages {
            let folder = tempfile::tempdir()?;
            let simulator = self.paced(50, 10, TOKENS, folder.path())?;
            let load = [STREAMS, if package.is_some() { 12 } else { 2 }, TOKENS];
            let mut command = self.command(*package, &simulator, load);
            let (runs, _) = self.run(command.arg("--output").arg(folder.path()))?;
            simulator.stop()?;
            let errors = errors_of(folder.path())?;
            let verdict = runs.first().and_then(|run| run.verdict.as_deref());
            println!(
                "{name:>10}  {:>10}  {:>9.3} ms  {:>9.3} ms  {:>9.3} ms  {}",
                runs.iter().map(|run| run.requests).sum::<f64>(),
                errors.mean * 1e3,
                errors.p50 * 1e3,
                errors.p99 * 1e3,
                verdict.unwrap_or_default()
            );
        }
        Ok(())
    }

    /// A simulator whose times are milliseconds, with a truth log.
    fn paced(&self, ttft: u32, itl: u32, tokens: usize, folder: &Path) -> Result<SimulatorProcess> {
        let pace = [
            format!("--ttft={ttft}ms"),
            format!("--itl={itl}ms"),
            format!("--output-tokens={tokens}"),
            format!("--truth={}", folder.join(TRUTH).display()),
        ];
        SimulatorProcess::start(&self.llmeter, self.cores.0, &pace)
    }

    /// What a further token costs, by two runs that differ in their length alone.
    fn cost(&self, rounds: usize) -> Result<()> {
        println!(
            "{CLIENTS} clients, a server that sends as fast as it can: CPU of a further token"
        );
        let (mut line, mut python) = (Vec::new(), Vec::new());
        let tokens = ((LONG - SHORT) * CLIENTS * TOKENS) as f64;
        for _ in 0..rounds {
            line.push(
                self.further(|simulator, requests| {
                    let mut command = Command::new(&self.llmeter);
                    command
                        .args(simulator.run())
                        .args(["--clients", &CLIENTS.to_string()])
                        .args(["--requests", &requests.to_string()]);
                    command
                })? / tokens,
            );
            python.push(
                self.further(|simulator, requests| {
                    self.command(Some(&self.ours), simulator, [CLIENTS, requests, TOKENS])
                })? / tokens,
            );
        }
        let (line, python) = (median(&mut line), median(&mut python));
        println!("command line {:.3} µs", line * 1e6);
        println!(
            "      Python {:.3} µs, {:+.1} %",
            python * 1e6,
            (python / line - 1.0) * 1e2
        );
        Ok(())
    }

    /// The processor seconds that a long run takes beyond a short one.
    fn further(&self, command: impl Fn(&SimulatorProcess, usize) -> Command) -> Result<f64> {
        let simulator = SimulatorProcess::unpaced(&self.llmeter, self.cores.0, TOKENS)?;
        let of = |requests| -> Result<f64> {
            let usage = processes::run_on(self.cores.1, &mut command(&simulator, requests))?;
            ensure!(
                usage.code == Some(0),
                "the meter ended with {:?}: {}",
                usage.code,
                usage.output
            );
            Ok(usage.cpu.as_secs_f64())
        };
        let further = of(LONG)? - of(SHORT)?;
        simulator.stop()?;
        Ok(further)
    }

    fn callbacks(&self, packages: &[(&str, Option<&Path>)]) -> Result<()> {
        println!(
            "256 clients, TTFT 50 ms, ITL 5 ms, 8 tokens, before_invoke and after_invoke in Python"
        );
        println!(
            "{:>10}  {:>10}  {:>12}  {:>14}  {:>14}",
            "", "requests", "requests/s", "CPU a request", "TTFT error p99"
        );
        for (name, package) in packages {
            let folder = tempfile::tempdir()?;
            let simulator = self.paced(50, 5, 8, folder.path())?;
            let load = [256, if package.is_some() { 40 } else { 2 }, 8];
            let mut command = self.command(*package, &simulator, load);
            let (runs, _) = self.run(
                command
                    .arg("--callbacks")
                    .arg("--output")
                    .arg(folder.path()),
            )?;
            simulator.stop()?;
            let run = runs.first().context("the script measured nothing")?;
            println!(
                "{name:>10}  {:>10}  {:>12.0}  {:>11.0} µs  {:>11.3} ms  {}",
                run.requests,
                run.requests / run.seconds,
                run.cpu * 1e6 / run.requests,
                errors_of(folder.path())?.p99 * 1e3,
                run.verdict.as_deref().unwrap_or_default()
            );
        }
        Ok(())
    }
}

/// The bytes that the process keeps for a further request. What a run needs for its work is left to the next
/// one, so that memory grows by what is kept only after some.
fn kept_for_each(runs: &[Measured]) -> Option<f64> {
    let half = runs.len().div_ceil(2);
    let (settled, last) = (runs.get(half.checked_sub(1)?)?, runs.last()?);
    let requests: f64 = runs[half..].iter().map(|run| run.requests).sum();
    (requests > 0.0).then(|| (last.resident - settled.resident) / requests)
}

/// The errors of TTFT in the run of a folder that has the truth, too.
fn errors_of(folder: &Path) -> Result<ErrorSummary> {
    let result = RunResult::load(folder.join("run-0"))?;
    let comparison = Comparison::new(&result.responses, &read_truth(folder.join(TRUTH))?);
    ensure!(
        comparison.unmatched == 0,
        "{} responses are unknown to the simulator",
        comparison.unmatched
    );
    ErrorSummary::new(&comparison.ttft).context("no response has a time to first token")
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
