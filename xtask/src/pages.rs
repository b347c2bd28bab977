//! How long a report takes to make, to open in Chromium, and to pan.

use std::process::Command;

use anyhow::{Result, bail};
use clap::Args;

use crate::processes::{self, Profile, SimulatorProcess};
use crate::test::{python, workspace_root};

#[derive(Args)]
pub(crate) struct PagesArguments {
    /// Requests of the run that is reported
    #[arg(long, default_value_t = 100_000)]
    requests: usize,
    /// Output tokens of each
    #[arg(long, default_value_t = 16)]
    tokens: usize,
}

const CLIENTS: usize = 64;

pub(crate) fn pages(arguments: &PagesArguments) -> Result<()> {
    let llmeter = processes::build_llmeter(Profile::Release)?;
    let (server_core, core) = processes::server_and_client_cores()?;
    let simulator = SimulatorProcess::unpaced(&llmeter, server_core, arguments.tokens)?;
    let folder = tempfile::tempdir()?;
    let per_client = arguments.requests.div_ceil(CLIENTS).to_string();
    let mut run = Command::new(&llmeter);
    run.args(simulator.run())
        .args(["--run-name", "run", "--clients", &CLIENTS.to_string()])
        .args(["--requests", &per_client, "--output"])
        .arg(folder.path());
    let made = processes::run_on(core, &mut run)?;
    if made.code != Some(0) {
        bail!("the meter ended with {:?}: {}", made.code, made.output);
    }
    simulator.stop()?;
    let page = folder.path().join("page.html");
    let mut report = Command::new(&llmeter);
    report
        .arg("report")
        .arg(folder.path().join("run"))
        .arg("--output")
        .arg(&page);
    let made = processes::run_on(core, &mut report)?;
    if made.code != Some(0) {
        bail!("the report ended with {:?}: {}", made.code, made.output);
    }
    println!(
        "report of {} requests: {:.1} s of processor time, {:.0} MB of memory, a page of {:.1} MB",
        arguments.requests,
        made.cpu.as_secs_f64(),
        made.peak_memory as f64 / 1e6,
        std::fs::metadata(&page)?.len() as f64 / 1e6
    );
    let root = workspace_root()?;
    let mut browser = Command::new(python(&root)?);
    browser
        .arg(root.join("tests/python/page_speed.py"))
        .arg(&page);
    if !browser.status()?.success() {
        bail!("the page could not be looked at");
    }
    Ok(())
}
