//! The fuzz targets, one after the other, on the stable toolchain.
//!
//! They are built here rather than by cargo-fuzz, which would have to be installed first, asks for
//! nightly, and builds every dependency anew. What it adds to a build is a few flags, which here only
//! the crates of the workspace get; the rest is that of all other builds for development.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use llmeter::api::APIS;

use crate::layers::rust_files;
use crate::test::{cargo, target_folder, workspace_root};

/// Calls the compiler with the flags of libFuzzer's coverage.
const COMPILER: &str = "rustc.sh";

/// Memory that a target may use. They hold little more than an input and what it becomes.
const MEMORY_MB: u32 = 512;

#[derive(Args)]
pub(crate) struct FuzzArguments {
    /// The targets to run; all unless some are named
    targets: Vec<String>,
    /// Seconds for each target
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
    /// The seed of chance, by which a run can be repeated; another each time unless given
    #[arg(long, default_value_t = 0)]
    seed: u32,
    /// Only name the targets
    #[arg(long)]
    list: bool,
    /// Only build the targets
    #[arg(long, conflicts_with = "list")]
    build: bool,
}

pub(crate) fn fuzz(arguments: &FuzzArguments) -> Result<()> {
    let folder = workspace_root()?.join("fuzz");
    let all = all_targets(&folder)?;
    if arguments.list {
        println!("{}", all.join("\n"));
        return Ok(());
    }
    let unknown = |name: &&String| !all.contains(name);
    if let Some(name) = arguments.targets.iter().find(unknown) {
        bail!(
            "there is no fuzz target {name}; there are: {}",
            all.join(", ")
        );
    }
    let chosen = match arguments.targets.as_slice() {
        [] => &all,
        some => some,
    };
    let program = |target: &str| match is_api(target) {
        true => DECODING.to_owned(),
        false => target.to_owned(),
    };
    let needed: BTreeSet<String> = chosen.iter().map(|target| program(target)).collect();
    let programs = build(&folder, &needed)?;
    if arguments.build {
        return Ok(());
    }
    let mut failed = Vec::new();
    for target in chosen {
        let program = programs.join(program(target));
        let reason = run(&folder, &program, target, arguments)?;
        failed.extend(reason.map(|reason| format!("{target}: {reason}")));
    }
    ensure!(failed.is_empty(), "{}", failed.join("\n"));
    Ok(())
}

/// The program that decodes responses, of the API that a variable names.
const DECODING: &str = "decoding";
const API_VARIABLE: &str = "LLMETER_FUZZ_API";

/// The APIs, by the name of their last mode, which does not stream if any does not.
fn apis() -> impl Iterator<Item = &'static str> {
    let modes = APIS.iter().filter_map(|api| api.spec().modes.last());
    modes.map(|mode| mode.name)
}

fn is_api(target: &str) -> bool {
    apis().any(|name| name == target)
}

/// Every API is a target, and every file but that of the program that decodes.
fn all_targets(folder: &Path) -> Result<Vec<String>> {
    let mut names: Vec<_> = rust_files(&folder.join("targets"))?
        .iter()
        .filter_map(|file| Some(file.file_stem()?.to_str()?.to_owned()))
        .filter(|name| name != DECODING)
        .chain(apis().map(str::to_owned))
        .collect();
    names.sort();
    Ok(names)
}

/// Builds the targets; gives the folder of their programs.
fn build(folder: &Path, targets: &BTreeSet<String>) -> Result<PathBuf> {
    let root = workspace_root()?;
    let mut command = cargo(&root);
    // Of the whole workspace, so that dependencies have the features that they have in other builds.
    command
        .args(["build", "--locked", "--workspace"])
        .env("RUSTC_WORKSPACE_WRAPPER", folder.join(COMPILER));
    for target in targets {
        command.args(["--bin", target]);
    }
    let status = command.status().context("cannot start cargo")?;
    if !status.success() {
        bail!(
            "the fuzz targets could not be built; libFuzzer needs a C++ compiler, \
             on Debian and Ubuntu: apt-get install g++"
        );
    }
    Ok(target_folder(&root).join("debug"))
}

/// Runs one target. Gives the reason if it failed.
fn run(
    folder: &Path,
    program: &Path,
    target: &str,
    arguments: &FuzzArguments,
) -> Result<Option<String>> {
    let FuzzArguments { seconds, seed, .. } = arguments;
    let corpus = folder.join("corpus").join(target);
    let artifacts = folder.join("artifacts").join(target);
    for folder in [&corpus, &artifacts] {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let log = artifacts.join("log");
    let output =
        fs::File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
    let status = Command::new(program)
        .env(API_VARIABLE, target)
        // What it finds goes to the first.
        .arg(&corpus)
        .args(Some(folder.join("seeds").join(target)).filter(|seeds| seeds.is_dir()))
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-seed={seed}"))
        .arg(format!("-rss_limit_mb={MEMORY_MB}"))
        .arg(format!("-artifact_prefix={}/", artifacts.display()))
        .args(["-timeout=10", "-max_len=8192", "-print_final_stats=1"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(output)
        .status()
        .with_context(|| format!("cannot start {}", program.display()))?;
    let text = fs::read(&log).with_context(|| format!("cannot read {}", log.display()))?;
    let text = String::from_utf8_lossy(&text);
    let figure = |name: &str| {
        let line = text.lines().rev().find(|line| line.contains(name))?;
        line.rsplit(' ').next().map(str::to_owned)
    };
    let inputs = figure("stat::number_of_executed_units:");
    if status.success() {
        let inputs = inputs.unwrap_or_else(|| "some".to_owned());
        let coverage = coverage(&text).unwrap_or("?");
        println!("{target}: {inputs} inputs in {seconds} s, {coverage} places reached");
        return Ok(None);
    }
    eprintln!("{text}");
    Ok(Some(format!(
        "it failed ({status}); the input is in {}",
        artifacts.display()
    )))
}

/// The last count of places that libFuzzer's log tells.
fn coverage(log: &str) -> Option<&str> {
    let (_, after) = log.rsplit_once(" cov: ")?;
    after.split(' ').next()
}
