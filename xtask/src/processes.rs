//! The processes that the benchmarks are made of, each pinned to a core.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal::{Signal, kill};
use nix::sys::time::TimeValLike;
use nix::unistd::Pid;

use crate::test::{cargo, run, workspace_root};

/// How a program is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    Dev,
    Release,
}

/// Builds the command line and returns its path.
pub(crate) fn build_llmeter(profile: Profile) -> Result<PathBuf> {
    build("llmeter", profile)
}

/// Builds these commands, some of which are measured themselves, and returns their path.
pub(crate) fn build_xtask(profile: Profile) -> Result<PathBuf> {
    build("xtask", profile)
}

fn build(program: &str, profile: Profile) -> Result<PathBuf> {
    let (flag, folder) = match profile {
        Profile::Dev => (None, "debug"),
        Profile::Release => (Some("--release"), "release"),
    };
    // With the features of the workspace, as tests are built: nothing is built twice.
    let build = ["build", "--quiet", "--workspace", "--bin", program];
    run(cargo(&workspace_root()?).args(build).args(flag))?;
    // This program is in the folder of its own profile.
    let this = std::env::current_exe()?;
    let target = this.ancestors().nth(2).context("xtask has no folder")?;
    Ok(target.join(folder).join(program))
}

/// The core of the simulator and that of the client: the same if there is only one.
pub(crate) fn server_and_client_cores() -> Result<(usize, usize)> {
    let set = sched_getaffinity(Pid::from_raw(0))?;
    let mut cores = (0..CpuSet::count()).filter(|&core| set.is_set(core).unwrap_or(false));
    let first = cores.next().context("this process may use no core")?;
    Ok((first, cores.next_back().unwrap_or(first)))
}

/// Starts a process on one core.
pub(crate) fn spawn_on(core: usize, command: &mut Command) -> Result<Child> {
    // A child inherits its parent's cores.
    let this = Pid::from_raw(0);
    let before = sched_getaffinity(this)?;
    let mut one = CpuSet::new();
    one.set(core)?;
    sched_setaffinity(this, &one)?;
    let child = command.spawn();
    sched_setaffinity(this, &before)?;
    child.with_context(|| format!("cannot start {:?}", command.get_program()))
}

/// A simulator in a process of its own.
pub(crate) struct SimulatorProcess {
    child: Child,
    pub(crate) base_url: String,
}

impl SimulatorProcess {
    pub(crate) fn start(llmeter: &Path, core: usize, arguments: &[String]) -> Result<Self> {
        let mut child = spawn_on(
            core,
            Command::new(llmeter)
                .args(["simulate", "--port", "0"])
                .args(arguments)
                .stdout(Stdio::piped()),
        )?;
        let mut line = String::new();
        let out = child.stdout.take().context("the simulator has no output")?;
        BufReader::new(out).read_line(&mut line)?;
        let base_url = line
            .split_whitespace()
            .find(|word| word.starts_with("http"))
            .with_context(|| format!("the simulator said {line:?} instead of its address"))?
            .to_owned();
        Ok(Self { child, base_url })
    }

    /// Starts one that sends `tokens` as fast as it can.
    pub(crate) fn unpaced(llmeter: &Path, core: usize, tokens: usize) -> Result<Self> {
        let pace = ["--ttft=0ms", "--itl=0ms"].map(str::to_owned);
        let tokens = format!("--output-tokens={tokens}");
        Self::start(llmeter, core, &[&pace[..], &[tokens]].concat())
    }

    /// The arguments of a quiet run against it that prints its statistics.
    pub(crate) fn run(&self) -> [&str; 9] {
        let url = self.base_url.as_str();
        [
            "run",
            "--quiet",
            "--json",
            "--model",
            "m",
            "--prompt",
            "Go.",
            "--base-url",
            url,
        ]
    }

    /// Stops it, so that its truth log is complete.
    pub(crate) fn stop(mut self) -> Result<()> {
        kill(Pid::from_raw(self.child.id() as i32), Signal::SIGTERM)?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for SimulatorProcess {
    fn drop(&mut self) {
        // Already gone after `stop`.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a finished process used.
pub(crate) struct Usage {
    /// Processor time, user and system.
    pub(crate) cpu: Duration,
    /// Largest resident memory, in bytes.
    pub(crate) peak_memory: u64,
    pub(crate) output: String,
    pub(crate) code: Option<i32>,
}

/// Runs a process on one core to its end.
pub(crate) fn run_on(core: usize, command: &mut Command) -> Result<Usage> {
    watched(|| spawn_on(core, command.stdout(Stdio::piped())))
}

/// Runs a process on any cores to its end.
pub(crate) fn run_anywhere(command: &mut Command) -> Result<Usage> {
    watched(|| Ok(command.stdout(Stdio::piped()).spawn()?))
}

fn watched(spawn: impl FnOnce() -> Result<Child>) -> Result<Usage> {
    let before = children_cpu()?;
    let mut child = spawn()?;
    let status_file = format!("/proc/{}/status", child.id());
    let out = child.stdout.take().context("no output")?;
    let reader = std::thread::spawn(move || std::io::read_to_string(out));
    let mut peak_memory = 0;
    let status = loop {
        if let Some(high) = high_water_mark(&status_file) {
            peak_memory = high;
        }
        if let Some(status) = child.try_wait()? {
            break status;
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    let output = reader
        .join()
        .map_err(|_| anyhow::anyhow!("reading the output panicked"))??;
    Ok(Usage {
        cpu: children_cpu()?.saturating_sub(before),
        peak_memory,
        output,
        code: status.code(),
    })
}

fn children_cpu() -> Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Ok(Duration::from_micros(micros as u64))
}

fn high_water_mark(status_file: &str) -> Option<u64> {
    let text = std::fs::read_to_string(status_file).ok()?;
    let line = text.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kilobytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes * 1024)
}
