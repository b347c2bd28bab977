//! The Python package itself, by its own tests in `tests/python/package`.

use std::process::Command;

use super::{python, script};

#[test]
fn its_tests_pass() {
    let Some(python) = python() else { return };
    let Some(package) = std::env::var_os("LLMETER_TEST_PACKAGE").filter(|path| !path.is_empty())
    else {
        assert!(
            std::env::var_os("CI").is_none(),
            "`cargo xtask test` builds it"
        );
        eprintln!("not tested: LLMETER_TEST_PACKAGE names no built Python package");
        return;
    };
    let output = Command::new(python)
        .args(["-m", "pytest", "-q", "-p", "no:cacheprovider"])
        .args(["-p", "llmeter.pytest_plugin"])
        .arg(script("package"))
        .env("PYTHONPATH", package)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("NO_PROXY", "*")
        .env("LLMETER_DISABLE_ALL_PROGRESS_BARS", "1")
        .env_remove("OPENAI_API_KEY")
        .output()
        .unwrap();
    let [out, err] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    assert!(output.status.success(), "{out}{err}");
    println!("{out}");
}
