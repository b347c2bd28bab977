//! How long a report takes to make, to open in Chromium, and to pan; and how long the viewer's list takes.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail, ensure};
use clap::Args;

use crate::every_page::Viewer;
use crate::processes::{self, Profile, SimulatorProcess};
use crate::test::{python, workspace_root};

#[derive(Args)]
pub(crate) struct PagesArguments {
    /// Requests of the runs that are reported
    #[arg(long, value_delimiter = ',', default_value = "100000,1000000")]
    requests: Vec<usize>,
    /// Output tokens of each
    #[arg(long, default_value_t = 16)]
    tokens: usize,
    /// Runs that the viewer lists
    #[arg(long, default_value_t = 10_000)]
    runs: usize,
}

const CLIENTS: usize = 64;
/// The largest page, in bytes.
const LARGEST_PAGE: u64 = 6_000_000;
/// What a report may take: up to so many requests, so many seconds and bytes.
const LIMITS: [(usize, f64, u64); 2] = [
    (100_000, 5.0, 500_000_000),
    (1_000_000, 60.0, 2_000_000_000),
];
/// What a list is made of.
const LISTED: [&str; 3] = ["summary.json", "stats.json", "run_config.json"];

pub(crate) fn pages(arguments: &PagesArguments) -> Result<()> {
    let llmeter = processes::build_llmeter(Profile::Release)?;
    let folder = tempfile::tempdir()?;
    let mut missed = Vec::new();
    for &requests in &arguments.requests {
        let run = folder.path().join(requests.to_string());
        run_of(&llmeter, &run, requests, arguments.tokens)?;
        missed.extend(report_of(&llmeter, &run, requests)?);
        let page = run.with_extension("html");
        missed.extend(look("page_speed.py", &[page.as_os_str()])?);
        // A large run's files would lie beside those of the next.
        fs::remove_dir_all(&run)?;
    }
    missed.extend(list(&llmeter, folder.path(), arguments.runs)?);
    ensure!(
        missed.is_empty(),
        "beyond the limits: {}",
        missed.join("; ")
    );
    Ok(())
}

/// Makes a run with at least so many requests.
fn run_of(llmeter: &Path, run: &Path, requests: usize, tokens: usize) -> Result<()> {
    let (server_core, core) = processes::server_and_client_cores()?;
    let simulator = SimulatorProcess::unpaced(llmeter, server_core, tokens)?;
    let clients = CLIENTS.min(requests).max(1);
    let mut command = Command::new(llmeter);
    command
        .args(simulator.run())
        .args(["--clients", &clients.to_string()])
        .args(["--requests", &requests.div_ceil(clients).to_string()])
        .arg("--run-name")
        .args(run.file_name())
        .arg("--output")
        .args(run.parent());
    let made = processes::run_on(core, &mut command)?;
    if made.code != Some(0) {
        bail!("the meter ended with {:?}: {}", made.code, made.output);
    }
    simulator.stop()
}

/// Makes the report of a run beside it, and says which limits it missed.
fn report_of(llmeter: &Path, run: &Path, requests: usize) -> Result<Vec<String>> {
    let (_, core) = processes::server_and_client_cores()?;
    let page = run.with_extension("html");
    let mut report = Command::new(llmeter);
    report.arg("report").arg(run).arg("--output").arg(&page);
    #[expect(clippy::disallowed_methods, reason = "how long a process takes")]
    let start = std::time::Instant::now();
    let made = processes::run_on(core, &mut report)?;
    let seconds = start.elapsed().as_secs_f64();
    if made.code != Some(0) {
        bail!("the report ended with {:?}: {}", made.code, made.output);
    }
    let size = fs::metadata(&page)?.len();
    println!(
        "report of {requests} requests: {seconds:.1} s, {:.1} s of processor time, {:.0} MB of memory, a page of \
         {:.1} MB",
        made.cpu.as_secs_f64(),
        made.peak_memory as f64 / 1e6,
        size as f64 / 1e6
    );
    let mut missed = Vec::new();
    if let Some((_, time, memory)) = LIMITS.iter().find(|(most, ..)| requests <= *most) {
        if seconds > *time {
            missed.push(format!(
                "{requests} requests take {seconds:.1} s, more than {time} s"
            ));
        }
        if made.peak_memory > *memory {
            let peak = made.peak_memory;
            missed.push(format!(
                "{requests} requests take {peak} bytes, more than {memory}"
            ));
        }
    }
    if size > LARGEST_PAGE {
        missed.push(format!(
            "the page of {requests} requests has {size} bytes, more than {LARGEST_PAGE}"
        ));
    }
    Ok(missed)
}

/// Lists many runs in the viewer.
fn list(llmeter: &Path, place: &Path, runs: usize) -> Result<Vec<String>> {
    let one = place.join("one");
    run_of(llmeter, &one, 4, 4)?;
    for at in 0..runs {
        let copy = place
            .join("runs")
            .join(format!("{:03}", at / 100))
            .join(format!("{at:06}"));
        fs::create_dir_all(&copy)?;
        for file in LISTED {
            fs::copy(one.join(file), copy.join(file))?;
        }
    }
    println!("a viewer of {runs} runs");
    let viewer = Viewer::start(llmeter, place, "runs")?;
    look(
        "viewer_speed.py",
        &[OsStr::new(&viewer.address), OsStr::new(&runs.to_string())],
    )
}

/// Has Chromium look at something. A line that begins with `beyond: ` tells of a limit that was missed.
fn look(script: &str, arguments: &[&OsStr]) -> Result<Vec<String>> {
    let root = workspace_root()?;
    let mut browser = Command::new(python(&root)?);
    browser
        .arg(root.join("tests/python").join(script))
        .args(arguments);
    let output = browser.output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    print!("{said}");
    if !output.status.success() {
        bail!(
            "{script} failed: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let missed = said
        .lines()
        .filter_map(|line| line.strip_prefix("beyond: "));
    Ok(missed.map(str::to_owned).collect())
}
