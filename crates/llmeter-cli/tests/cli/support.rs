//! Starting the binary and looking at what it leaves behind.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use llmeter_sim::{RunningSimulator, SimConfig, Simulator};
use serde_json::{Map, Value};
use tempfile::TempDir;

/// How long a test waits for something that must happen.
const PATIENCE: Duration = Duration::from_secs(60);

/// A folder in which the binary works, with an environment of its own.
pub(crate) struct Place {
    folder: TempDir,
}

/// What the binary said, and how it ended.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file and returns its name.
    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
        name.to_owned()
    }

    /// The binary, ready to be started here.
    pub(crate) fn command<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_llmeter"));
        command.args(arguments);
        self.settle(&mut command);
        command
    }

    /// A shell line in which `$LLMETER` is the binary.
    pub(crate) fn shell(&self, line: &str) -> Said {
        let mut command = Command::new("sh");
        command.args(["-c", line]);
        command.env("LLMETER", env!("CARGO_BIN_EXE_llmeter"));
        self.settle(&mut command);
        said(command)
    }

    fn settle(&self, command: &mut Command) {
        command
            .current_dir(self.path())
            .env("XDG_CONFIG_HOME", self.path().join("config"))
            .env("XDG_CACHE_HOME", self.path().join("cache"))
            .env_remove("OPENAI_API_KEY")
            .env_remove("LLMETER_LOG")
            .env_remove("LLMETER_DISABLE_ALL_PROGRESS_BARS")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
    }

    /// Starts the binary and waits for its end.
    pub(crate) fn llmeter<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Said {
        said(self.command(arguments))
    }

    /// `llmeter run` against `url`, with a short prompt, into the folder `runs/it`.
    pub(crate) fn run(&self, url: &str, arguments: &[&str]) -> Said {
        said(self.run_command(url, arguments))
    }

    pub(crate) fn run_command(&self, url: &str, arguments: &[&str]) -> Command {
        let mut all = vec!["run", "--base-url", url, "--model", "some-model"];
        if !arguments.contains(&"--run-name") {
            all.extend(["--run-name", "it"]);
        }
        if !arguments.contains(&"--payload") && !arguments.contains(&"--prompt") {
            all.extend(["--prompt", "Say something."]);
        }
        all.extend(arguments);
        self.command(all)
    }

    /// Writes the folder `runs/NAME` of a run that was never made: 120 requests whose times vary evenly by a
    /// fifth, the same each time, of which `failed` in a hundred fail.
    pub(crate) fn made_run(&self, name: &str, clients: u64, failed: u64) {
        const REQUESTS: u64 = 120;
        let mut state = 7_u64;
        let mut luck = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            state >> 33
        };
        let mut varied = |mean: f64| mean * (0.8 + 0.4 * (luck() % 10_000) as f64 / 10_000.0);
        let (mut at, mut lines) = (0.0, String::new());
        for request in 0..REQUESTS {
            let (ttft, tpot) = (varied(0.05), varied(0.01));
            let ttlt = ttft + 7.0 * tpot;
            let is_failed = varied(1.0) < 0.8 + failed as f64 * 0.004;
            let of_success = |value: f64| match is_failed {
                true => Value::Null,
                false => value.into(),
            };
            let line = serde_json::json!({
                "id": request.to_string(),
                "response_text": "a text",
                "input_prompt": "a prompt",
                "time_to_first_token": of_success(ttft),
                "time_to_last_token": of_success(ttlt),
                "time_per_output_token": of_success(tpot),
                "num_tokens_input": 10,
                "num_tokens_output": 8,
                "error": is_failed.then_some("refused"),
                "request_time": format!("2026-01-02T03:04:{at:09.6}Z"),
            });
            lines.push_str(&format!("{line}\n"));
            at += ttlt;
        }
        self.file(&format!("runs/{name}/responses.jsonl"), lines);
        let summary = serde_json::json!({
            "total_requests": REQUESTS,
            "clients": clients,
            "n_requests": REQUESTS / clients,
            "total_test_time": at,
            "model_id": "m",
        });
        self.file(&format!("runs/{name}/summary.json"), summary.to_string());
    }

    /// The run folder that [`run`](Self::run) writes.
    pub(crate) fn folder(&self) -> PathBuf {
        self.path().join("runs/it")
    }

    /// A JSON file of that run folder.
    pub(crate) fn json(&self, name: &str) -> Value {
        serde_json::from_str(&fs::read_to_string(self.folder().join(name)).unwrap()).unwrap()
    }

    pub(crate) fn stats(&self) -> Map<String, Value> {
        object(self.json("stats.json"))
    }

    /// The lines of `responses.jsonl`.
    pub(crate) fn responses(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.folder().join("responses.jsonl")).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

/// Runs a command to its end.
pub(crate) fn said(mut command: Command) -> Said {
    let output = command.output().unwrap();
    Said {
        code: code(output.status),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

fn code(status: ExitStatus) -> i32 {
    status.code().unwrap_or(-1)
}

impl Said {
    /// Checks the exit code.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:#?}");
        self
    }

    /// Checks that the error is one line which holds all of `parts`, and nothing else was said.
    #[track_caller]
    pub(crate) fn one_error(&self, parts: &[&str]) {
        let mut lines = self.err.lines();
        assert!(
            lines.next().unwrap_or_default().starts_with("error: "),
            "{self:#?}"
        );
        assert!(
            lines.next().is_none_or(|line| line.starts_with("hint: ")),
            "{self:#?}"
        );
        assert_eq!(lines.next(), None, "{self:#?}");
        for part in parts {
            assert!(self.err.contains(part), "{part:?} is missing: {self:#?}");
        }
    }

    /// What an experiment printed before it said where its folder is.
    #[track_caller]
    pub(crate) fn before_saved(&self) -> &str {
        let (before, _) = self.out.split_once("Saved in ").unwrap();
        before
    }

    /// Standard output as a JSON object.
    #[track_caller]
    pub(crate) fn object(&self) -> Map<String, Value> {
        object(serde_json::from_str(&self.out).unwrap_or_else(|_| panic!("{self:#?}")))
    }
}

pub(crate) fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        other => panic!("{other} is no object"),
    }
}

/// A fast simulator.
pub(crate) fn quick() -> SimConfig {
    SimConfig {
        ttft: Duration::from_millis(5),
        itl: Duration::from_millis(1),
        output_tokens: 8,
        ..SimConfig::default()
    }
}

pub(crate) fn start(config: SimConfig) -> RunningSimulator {
    Simulator::start(config).unwrap()
}

/// Waits until `what` is true.
#[track_caller]
pub(crate) fn until(what: &str, mut is_true: impl FnMut() -> bool) {
    let pause = Duration::from_millis(5);
    let mut waited = Duration::ZERO;
    while !is_true() {
        assert!(waited < PATIENCE, "waited in vain until {what}");
        thread::sleep(pause);
        waited += pause;
    }
}

/// Waits for the end of a process whose outputs are piped.
pub(crate) fn end_of(child: Child) -> Said {
    let output = child.wait_with_output().unwrap();
    Said {
        code: code(output.status),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Every text that a run left in its folder, and everything that it said.
pub(crate) fn everything(place: &Place, said: &Said) -> String {
    fn read(folder: &Path, text: &mut String) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => read(&path, text),
                false => text.push_str(&String::from_utf8_lossy(&fs::read(path).unwrap())),
            }
        }
    }
    let mut text = format!("{}\n{}\n", said.out, said.err);
    read(&place.path().join("runs"), &mut text);
    text
}
