//! Every test there is, by one command.
//!
//! Some tests drive Python: the official clients that judge the simulator, the Python llmeter that
//! reads our run folders, a real LLM server. Their packages go to a virtual environment under the
//! target folder, which is made anew when `tests/python/requirements.txt` changes.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::python_package;

/// Names the Python of the tests that need one.
pub(crate) const PYTHON_VARIABLE: &str = "LLMETER_TEST_PYTHON";
/// Names the folder with the Python package and its extension.
const PACKAGE_VARIABLE: &str = "LLMETER_TEST_PACKAGE";
const REQUIREMENTS: &str = "tests/python/requirements.txt";
/// The oldest Python for which all required packages exist.
const PYTHON_AT_LEAST: (u32, u32) = (3, 11);

#[derive(Args)]
pub(crate) struct TestArguments {
    /// Skip the tests that need Python
    #[arg(long)]
    no_python: bool,
}

pub(crate) fn test(arguments: &TestArguments) -> Result<()> {
    let root = workspace_root()?;
    let (python, package) = thread::scope(|scope| -> Result<_> {
        let python = (!arguments.no_python).then(|| scope.spawn(|| python(&root)));
        // Builds the examples, too. Packages are fetched meanwhile.
        let package = python_package::extension(&root)?;
        let python =
            python.map(|python| python.join().unwrap_or_else(|_| bail!("a thread panicked")));
        Ok((python.transpose()?, package))
    })?;
    let cargo = |arguments: &[&str]| {
        let mut command = cargo(&root);
        command.args(arguments);
        match &python {
            Some(python) => command
                .env(PYTHON_VARIABLE, python)
                .env(PACKAGE_VARIABLE, &package),
            None => command
                .env_remove(PYTHON_VARIABLE)
                .env_remove(PACKAGE_VARIABLE)
                .env_remove("CI"),
        };
        run(&mut command)
    };
    if has(&root, "nextest") {
        cargo(&["nextest", "run", "--workspace"])?;
    } else {
        let targets = ["--lib", "--bins", "--tests"];
        cargo(&[&["test", "--workspace", "--no-fail-fast"], &targets[..]].concat())?;
    }
    cargo(&["test", "--workspace", "--doc"])
}

pub(crate) fn workspace_root() -> Result<PathBuf> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = package.parent().context("xtask lies in no workspace")?;
    Ok(root.to_owned())
}

/// Where cargo puts what it builds.
pub(crate) fn target_folder(root: &Path) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or("target".into(), PathBuf::from);
    root.join(target)
}

pub(crate) fn cargo(root: &Path) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root);
    command
}

/// Whether cargo has a command.
pub(crate) fn has(root: &Path, command: &str) -> bool {
    succeeds(cargo(root).args([command, "--version"]))
}

/// The Python of an environment that has all required packages; makes the environment if need be.
pub(crate) fn python(root: &Path) -> Result<PathBuf> {
    let wanted = fs::read_to_string(root.join(REQUIREMENTS))
        .with_context(|| format!("cannot read {REQUIREMENTS}"))?;
    let environment = target_folder(root).join("python");
    let python = environment.join(if cfg!(windows) {
        "Scripts/python.exe"
    } else {
        "bin/python"
    });
    // Written last, so that an environment that was left half made is made anew.
    let stamp = environment.join("installed-requirements.txt");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) && works(&python) {
        return Ok(python);
    }
    let base = base_python()?;
    eprintln!("making a Python environment in {}", environment.display());
    if environment.exists() {
        fs::remove_dir_all(&environment)
            .with_context(|| format!("cannot remove {}", environment.display()))?;
    }
    let made = Command::new(&base)
        .args(["-m", "venv"])
        .arg(&environment)
        .status();
    if !made.is_ok_and(|status| status.success()) {
        bail!(
            "{base} cannot make a virtual environment; \
             on Debian and Ubuntu: apt-get install python3-venv"
        );
    }
    // The file names every package with its version: there is nothing to resolve.
    let installed = Command::new(&python)
        .args(["-m", "pip", "install", "--quiet", "--no-deps"])
        .args(["--disable-pip-version-check", "--no-input", "--requirement"])
        .arg(root.join(REQUIREMENTS))
        .status()
        .context("cannot start pip")?;
    if !installed.success() {
        bail!(
            "pip could not install the packages of {REQUIREMENTS} (is the network there?); \
             --no-python skips the tests that need them"
        );
    }
    fs::write(&stamp, wanted).with_context(|| format!("cannot write {}", stamp.display()))?;
    Ok(python)
}

/// A Python of the system that is new enough.
pub(crate) fn base_python() -> Result<String> {
    let (major, minor) = PYTHON_AT_LEAST;
    let test = format!("import sys; sys.exit(sys.version_info < ({major}, {minor}))");
    let mut candidates = ["python3", "python"].into_iter();
    let found = candidates.find(|python| succeeds(Command::new(python).args(["-c", &test])));
    found.map(str::to_owned).with_context(|| {
        format!(
            "no Python {major}.{minor} or newer on the path, which some tests drive; on Debian \
             and Ubuntu: apt-get install python3 python3-venv; --no-python skips those tests"
        )
    })
}

fn works(python: &Path) -> bool {
    // An environment stops working when the Python that it was made from goes.
    succeeds(Command::new(python).args(["-c", "import pip"]))
}

/// Whether a command runs and succeeds; its output goes nowhere.
fn succeeds(command: &mut Command) -> bool {
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

pub(crate) fn run(command: &mut Command) -> Result<()> {
    let words: Vec<_> = command.get_args().map(OsStr::to_string_lossy).collect();
    let words = words.join(" ");
    eprintln!("cargo {words}");
    let status = command
        .status()
        .with_context(|| format!("cannot start cargo {words}"))?;
    if !status.success() {
        bail!("cargo {words} failed");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Other features make another build of a crate, and of all that depend on it.
    #[test]
    fn commands_and_tests_share_their_builds() {
        let root = workspace_root().unwrap();
        let built = |of: &[&str]| -> BTreeSet<String> {
            let output = cargo(&root)
                .args(["tree", "--locked", "--offline", "--edges", "normal,build"])
                .args(["--format", "{p} {f}", "--prefix", "none", "--no-dedupe"])
                .args(of)
                .output()
                .unwrap();
            let [out, err] =
                [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
            assert!(output.status.success(), "{err}");
            let lines = out.lines().map(|line| line.trim_end_matches(" (*)"));
            lines.map(str::to_owned).collect()
        };
        let of_all = built(&["--workspace"]);
        let alone: Vec<_> = built(&["--package", "xtask"])
            .difference(&of_all)
            .cloned()
            .collect();
        assert!(
            alone.is_empty(),
            "xtask's own: {alone:?}; name the features of the whole workspace in xtask/Cargo.toml"
        );
    }
}
