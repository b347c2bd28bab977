//! `cargo xtask screenshots`: the pictures that docs/reports.md shows.
//!
//! A run and a load test against the simulator, their reports, and Chromium's pictures of them. With `--all`
//! those of [every page](crate::every_page).

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use clap::Args;

use crate::every_page;
use crate::processes::{self, Profile, SimulatorProcess};
use crate::test::{python, workspace_root};

#[derive(Args)]
pub(crate) struct ScreenshotsArguments {
    /// Seconds that the run takes, about
    #[arg(long, default_value_t = 20)]
    seconds: u32,
    /// Make pictures of every page into this folder instead: all reports and the viewer, 1280 and 390 pixels wide,
    /// light and dark; fails on texts over one another and on pages that scroll sideways
    #[arg(long, value_name = "FOLDER")]
    all: Option<PathBuf>,
}

/// A picture: its name, the folder that is reported, its height and what of the page it begins with.
const PICTURES: [(&str, &str, &str, &str); 3] = [
    ("report", "before", "660", ""),
    ("report-latency", "before", "480", "chart-ttft-percentiles"),
    ("report-load-test", "ladder", "500", "curve"),
];
/// The largest picture, in bytes: it is in each copy of the sources.
const MAX_SIZE: u64 = 150_000;

pub(crate) fn screenshots(arguments: &ScreenshotsArguments) -> Result<()> {
    let root = workspace_root()?;
    let python = python(&root)?;
    let llmeter = processes::build_llmeter(Profile::Dev)?;
    if let Some(folder) = &arguments.all {
        return every_page::pictures(&llmeter, &python, &root, folder);
    }
    let (core, _) = processes::server_and_client_cores()?;
    let simulator =
        SimulatorProcess::start(&llmeter, core, &every_page::BUSY_SERVER.map(str::to_owned))?;
    let place = tempfile::tempdir()?;
    let duration = format!("{}s", arguments.seconds);
    let measure = |command: &str, name: &str, load: &[&str]| -> Result<()> {
        let mut measure = Command::new(&llmeter);
        measure.args([command, "--quiet", "--model", "my-model"]);
        measure
            .args(["--base-url", &simulator.base_url, "--run-name", name])
            .args(load);
        execute(measure.current_dir(place.path()))
    };
    let prompt = ["--prompt", "Tell me a story."];
    measure(
        "run",
        "before",
        &[&prompt[..], &["--clients", "8", "--duration", &duration]].concat(),
    )?;
    let ladder = ["--clients", "1,2,4,8,16,24", "--requests", "20"];
    measure("load-test", "ladder", &[&prompt[..], &ladder].concat())?;
    simulator.stop()?;
    for (picture, run, height, anchor) in PICTURES {
        let page = place.path().join(format!("{run}.html"));
        let mut report = Command::new(&llmeter);
        report
            .arg("report")
            .arg(Path::new("runs").join(run))
            .arg("--output")
            .arg(&page);
        execute(report.current_dir(place.path()))?;
        let image = root.join("docs/images").join(format!("{picture}.png"));
        let mut take = Command::new(&python);
        take.arg(root.join("tests/python/screenshots.py"))
            .arg(&page)
            .arg(&image);
        execute(take.args([height, "1180", "light", anchor]))?;
        let size = std::fs::metadata(&image)?.len();
        ensure!(
            size <= MAX_SIZE,
            "{} has {size} bytes, more than {MAX_SIZE}",
            image.display()
        );
        println!("{}", image.display());
    }
    Ok(())
}

pub(crate) fn execute(command: &mut Command) -> Result<()> {
    let words: Vec<_> = command.get_args().map(OsStr::to_string_lossy).collect();
    let words = words.join(" ");
    let output = command
        .output()
        .with_context(|| format!("cannot start {words}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{words} failed: {said}");
    Ok(())
}
