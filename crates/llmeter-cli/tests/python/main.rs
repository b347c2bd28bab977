//! Tests that need Python: the official clients of LLM APIs, the Python llmeter, a server of S3's
//! protocol, llama.cpp's server, the LiteLLM proxy, and MLflow's server.
//!
//! `cargo xtask test` installs what they need and names the Python in `LLMETER_TEST_PYTHON`.
//! Without that variable they only say so and pass, except where `CI` is set.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers outside test functions are test code too"
)]

mod aws;
mod claude_clouds;
mod export;
mod http2;
mod litellm;
mod llm_server;
mod lossy_link;
mod mlflow;
mod network;
mod openai_client;
mod other_apis;
mod other_clients;
mod package;
mod payloads;
mod python_llmeter;
mod report;
mod s3;
mod scripts;
mod viewer;

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::process::Command;

/// The Python to drive, or `None` when there is none and that is allowed.
fn python() -> Option<OsString> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    let python = set("LLMETER_TEST_PYTHON");
    let missing = "LLMETER_TEST_PYTHON names no Python; `cargo xtask test` makes one";
    if python.is_none() {
        assert!(set("CI").is_none(), "{missing}");
        eprintln!("not tested: {missing}");
    }
    python
}

/// A script in the workspace's `tests/python`.
fn script(name: &str) -> PathBuf {
    let workspace = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    workspace.join("../../tests/python").join(name)
}

/// Runs a script that must succeed, and returns what it printed.
fn run_script(
    python: &OsStr,
    name: &str,
    arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
) -> String {
    let output = Command::new(python)
        .arg(script(name))
        .args(arguments)
        // Python's way of looking for proxies must not lead these tests astray.
        .env("NO_PROXY", "*")
        .env("OPENAI_API_KEY", "unused")
        .env("LLMETER_DISABLE_ALL_PROGRESS_BARS", "1")
        .output()
        .unwrap();
    let [out, err] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    assert!(output.status.success(), "{name} failed:\n{out}{err}");
    out.into_owned()
}
