//! `cargo xtask screenshots`: the pictures that docs/reports.md shows.
//!
//! A run and a load test against the simulator, their reports, and Chromium's pictures of them. With `--all`
//! experiments of every kind, each page in every width and colour, and a look for texts over one another.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use clap::Args;

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
    let (core, _) = processes::server_and_client_cores()?;
    let pace = [
        "--ttft=60ms",
        "--itl=12ms",
        "--output-tokens=40",
        "--jitter=0.4",
        "--max-concurrency=12",
        "--error-rate=0.01",
    ];
    let simulator = SimulatorProcess::start(&llmeter, core, &pace.map(str::to_owned))?;
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
    if let Some(folder) = &arguments.all {
        // Addresses in the programs' own words: variants of a test are in files.
        for (variant, clients) in [("a", 2), ("b", 6)] {
            let settings = format!(
                "base_url = {:?}\nmodel = \"my-model\"\nprompt = \"Go.\"\nclients = {clients}\n",
                simulator.base_url
            );
            std::fs::write(place.path().join(format!("{variant}.toml")), settings)?;
        }
        let short = ["--clients", "4", "--requests", "40", "--warmup", "1s"];
        measure("run", "after", &[&prompt[..], &short].concat())?;
        let ladder = ["--clients", "1,4,16", "--requests", "10"];
        measure("load-test", "ladder-2", &[&prompt[..], &ladder].concat())?;
        let repeats = ["--clients", "4", "--requests", "10", "--repeat", "4"];
        measure("run", "repeats", &[&prompt[..], &repeats].concat())?;
        let lengths = ["--input-lengths", "16,64,256", "--output-lengths", "8,32"];
        measure(
            "heatmap",
            "heatmap",
            &[&lengths[..], &["--clients", "4"]].concat(),
        )?;
        let mut test = Command::new(&llmeter);
        test.args(["ab", "--quiet", "--a", "a.toml", "--b", "b.toml"]);
        test.args(["--requests", "8", "--max-rounds", "6", "--run-name", "ab"]);
        execute(test.current_dir(place.path()))?;
        let search = ["--slo", "ttft-p90 < 100ms", "--max", "32"];
        measure("capacity", "capacity", &[&prompt[..], &search].concat())?;
        simulator.stop()?;
        return all_pages(&llmeter, &python, &root, place.path(), folder);
    }
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

/// The pages of `--all`: a name and the folders that are reported together.
const PAGES: [(&str, &[&str]); 8] = [
    ("run", &["after"]),
    ("load-test", &["ladder"]),
    ("heatmap", &["heatmap"]),
    ("ab", &["ab"]),
    ("capacity", &["capacity"]),
    ("repeats", &["repeats"]),
    ("runs", &["before", "after"]),
    ("load-tests", &["ladder", "ladder-2"]),
];

/// Pictures of all pages of the runs in a place.
fn all_pages(
    llmeter: &Path,
    python: &Path,
    root: &Path,
    place: &Path,
    folder: &Path,
) -> Result<()> {
    let mut pages = Vec::new();
    for (name, runs) in PAGES {
        let page = place.join(format!("{name}.html"));
        let mut report = Command::new(llmeter);
        report.arg("report");
        report.args(runs.iter().map(|run| Path::new("runs").join(run)));
        execute(report.arg("--output").arg(&page).current_dir(place))?;
        pages.push(format!("{name}={}", page.display()));
    }
    let mut viewer = Command::new(llmeter);
    viewer.arg("view").current_dir(place);
    let mut viewer = viewer.stdout(Stdio::piped()).spawn()?;
    let taken = take_all(&mut viewer, python, root, folder, pages);
    viewer.kill()?;
    viewer.wait()?;
    taken
}

/// Pictures of pages and of a viewer's.
fn take_all(
    viewer: &mut Child,
    python: &Path,
    root: &Path,
    folder: &Path,
    mut pages: Vec<String>,
) -> Result<()> {
    let out = viewer.stdout.take().context("the viewer has no output")?;
    let mut line = String::new();
    BufReader::new(out).read_line(&mut line)?;
    let mut words = line.split_whitespace();
    let address = words.find(|word| word.starts_with("http"));
    let address = address.with_context(|| format!("the viewer said {line:?}"))?;
    pages.push(format!("viewer={address}"));
    let mut take = Command::new(python);
    take.arg(root.join("tests/python/page_pictures.py"));
    let output = take.arg(folder).args(&pages).output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    let failed = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{said}{failed}");
    println!("{}", folder.display());
    Ok(())
}

fn execute(command: &mut Command) -> Result<()> {
    let words: Vec<_> = command.get_args().map(OsStr::to_string_lossy).collect();
    let words = words.join(" ");
    let output = command
        .output()
        .with_context(|| format!("cannot start {words}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{words} failed: {said}");
    Ok(())
}
