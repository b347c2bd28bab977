//! The Python package itself, by its own tests in `tests/python/package` and by the tests and notebooks
//! of the Python llmeter 0.2.0 (`tests/python/upstream`).

use std::ffi::{OsStr, OsString};
use std::process::Command;

use super::{python, script};

#[test]
fn its_tests_pass() {
    let Some((python, package)) = python().zip(package()) else {
        return;
    };
    let mut pytest = Command::new(python);
    pytest
        .args(["-m", "pytest", "-q", "-p", "no:cacheprovider"])
        .args(["-p", "llmeter.pytest_plugin"])
        .arg(script("package"))
        .env_remove("OPENAI_API_KEY");
    succeed(&mut pytest, &package);
}

#[test]
fn the_tests_of_python_llmeter_pass_as_listed() {
    succeed_script("upstream/run.py");
}

#[test]
fn the_notebooks_of_python_llmeter_run() {
    succeed_script("upstream/notebooks.py");
}

fn succeed_script(name: &str) {
    let Some((python, package)) = python().zip(package()) else {
        return;
    };
    succeed(Command::new(python).arg(script(name)), &package);
}

/// The folder with the built package, or `None` when there is none and that is allowed.
fn package() -> Option<OsString> {
    let package = std::env::var_os("LLMETER_TEST_PACKAGE").filter(|path| !path.is_empty());
    if package.is_none() {
        let is_ci = std::env::var_os("CI").is_some();
        assert!(!is_ci, "`cargo xtask test` builds it");
        eprintln!("not tested: LLMETER_TEST_PACKAGE names no built Python package");
    }
    package
}

fn succeed(command: &mut Command, package: &OsStr) {
    let output = command
        .env("PYTHONPATH", package)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("NO_PROXY", "*")
        .env("LLMETER_DISABLE_ALL_PROGRESS_BARS", "1")
        .output()
        .unwrap();
    let [out, err] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    assert!(output.status.success(), "{out}{err}");
    println!("{out}");
}
