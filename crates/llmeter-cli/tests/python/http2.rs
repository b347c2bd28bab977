//! Runs by HTTP/2 against Hypercorn.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use llmeter::RunResult;
use tempfile::TempDir;

use super::{python, script};

struct Hypercorn {
    process: Child,
    base_url: String,
    folder: TempDir,
}

impl Hypercorn {
    /// A server that ends a connection after so many requests. With TLS it agrees to the protocols.
    fn start(python: &OsStr, requests: usize, protocols: Option<&[&str]>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let mut command = Command::new(python);
        command.arg(script("http2_server.py"));
        command.args([if protocols.is_some() { "tls" } else { "plain" }]);
        command.arg(requests.to_string());
        if let Some(protocols) = protocols {
            command.arg(folder.path().join("ca.pem")).args(protocols);
        }
        let mut process = command
            // It ends when this pipe does, even if this test is killed.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let mut said = String::new();
        let out = process.stdout.take().unwrap();
        BufReader::new(out).read_line(&mut said).unwrap();
        let base_url = match said.trim_end().strip_prefix("serving ") {
            Some(base_url) => base_url.to_owned(),
            None => panic!(
                "the server said {said:?}: {}",
                std::fs::read_to_string(log).unwrap()
            ),
        };
        Self {
            process,
            base_url,
            folder,
        }
    }

    fn certificate(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    fn llmeter(&self, model: &str, more: &[&OsStr]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_llmeter"))
            .args(["run", "--http2", "--model", model, "--prompt", "hello"])
            .args(["--base-url", &self.base_url, "--clients", "2"])
            .args(["--requests", "6", "--run-name", "run", "--output"])
            .arg(self.folder.path())
            .args(more)
            .output()
            .unwrap()
    }

    /// A run that must succeed.
    fn run(&self, model: &str, more: &[&OsStr]) -> RunResult {
        let output = self.llmeter(model, more);
        let err = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{err}");
        RunResult::load(self.folder.path().join("run")).unwrap()
    }
}

impl Drop for Hypercorn {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        // It may be in the middle of a connection.
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// Every answer came by HTTP/2; gives how many came on each connection.
fn connections(result: &RunResult) -> BTreeMap<String, usize> {
    let mut connections = BTreeMap::new();
    assert_eq!(result.responses.len(), 12);
    for response in &result.responses {
        assert_eq!(response.error, None);
        assert_eq!(
            response.response_text.as_deref(),
            Some("five words in five frames")
        );
        assert_eq!(response.detail.content_frames, Some(5));
        let id = response.id.as_deref().unwrap();
        let port = id.strip_prefix("2-").expect("HTTP/2");
        *connections.entry(port.to_owned()).or_insert(0) += 1;
    }
    let stamps = match cfg!(target_os = "linux") {
        true => "kernel",
        false => "user",
    };
    assert_eq!(result.stats_map()["measurement_stamps"], stamps);
    connections
}

#[test]
fn a_client_keeps_its_connection_without_tls() {
    let Some(python) = python() else { return };
    let server = Hypercorn::start(&python, 100, None);
    let result = server.run("m", &[]);
    let counts: Vec<_> = connections(&result).into_values().collect();
    assert_eq!(counts, [6, 6]);
}

#[test]
fn a_client_and_a_server_agree_to_http2_over_tls() {
    let Some(python) = python() else { return };
    let server = Hypercorn::start(&python, 100, Some(&["h2", "http/1.1"]));
    let certificate = server.certificate();
    let result = server.run("m", &["--ca-file".as_ref(), certificate.as_ref()]);
    assert_eq!(connections(&result).len(), 2);
    let handshakes = result
        .responses
        .iter()
        .map(|response| response.detail.time_to_tls);
    assert_eq!(handshakes.flatten().count(), 2);
}

/// Hypercorn says goodbye (GOAWAY) to one request too many, does not answer it, and closes the
/// connection some time later.
#[test]
fn a_goodbye_fails_no_request() {
    let Some(python) = python() else { return };
    let server = Hypercorn::start(&python, 2, None);
    let result = server.run("m", &[]);
    let counts: Vec<_> = connections(&result).into_values().collect();
    assert_eq!(counts, [2; 6]);
    let retries = result
        .responses
        .iter()
        .filter_map(|response| response.retries);
    assert_eq!(
        retries.sum::<u32>(),
        4,
        "each time on a connection that had been used"
    );
}

#[test]
fn a_status_is_an_error_with_the_servers_words() {
    let Some(python) = python() else { return };
    let server = Hypercorn::start(&python, 100, None);
    let result = {
        // It would end at once.
        server.llmeter("unknown", &["--no-failure-pause".as_ref()]);
        RunResult::load(server.folder.path().join("run")).unwrap()
    };
    assert_eq!(result.responses.len(), 12);
    for response in &result.responses {
        let error = response.error_text();
        assert_eq!(error, Some("HTTP 404 Not Found: no such model"));
    }
}

#[test]
fn a_server_that_agrees_to_http1_alone_is_named() {
    let Some(python) = python() else { return };
    let server = Hypercorn::start(&python, 100, Some(&["http/1.1"]));
    let output = server.llmeter("m", &["--insecure".as_ref()]);
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(err.contains("the server does not speak HTTP/2"), "{err}");
    assert!(!server.folder.path().join("run/summary.json").exists());
}
