//! Run folders in a real server of S3's protocol, which Amazon's own client looks into.

mod failures;
mod runs;
mod viewer;

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use llmeter_sim::{RunningSimulator, SimConfig, Simulator};
use tempfile::TempDir;

use super::{python, run_script, script};

const BUCKET: &str = "results";
/// What must never be written anywhere.
const SECRET: &str = "this-is-the-secret-key";

/// A server with an empty bucket, and a folder to work in.
struct S3 {
    python: OsString,
    server: Child,
    url: String,
    folder: TempDir,
}

/// How the binary ended.
#[derive(Debug)]
struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl S3 {
    fn start(python: &OsStr) -> Self {
        Self::start_with(python, &[])
    }

    fn start_with(python: &OsStr, environment: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("tmp")).unwrap();
        let log = folder.path().join("server.log");
        let mut server = Command::new(python)
            .arg(script("s3_server.py"))
            .arg(BUCKET)
            .envs(environment.iter().copied())
            .env("NO_PROXY", "*")
            // It ends when this pipe does, even if this test is killed.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let mut said = String::new();
        let out = server.stdout.take().unwrap();
        BufReader::new(out).read_line(&mut said).unwrap();
        let url = match said.trim_end().strip_prefix("serving ") {
            Some(url) => url.to_owned(),
            None => panic!(
                "the server said {said:?}: {}",
                fs::read_to_string(log).unwrap()
            ),
        };
        Self {
            python: python.to_owned(),
            server,
            url,
            folder,
        }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Gives a process the server's address and credentials, and nothing of the user's.
    fn settle(&self, command: &mut Command) {
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("AWS_") {
                command.env_remove(name);
            }
        }
        command
            .current_dir(self.path())
            .env("TMPDIR", self.path().join("tmp"))
            .env("HOME", self.path())
            .env("NO_PROXY", "*")
            .env("AWS_ENDPOINT_URL", &self.url)
            .env("AWS_ACCESS_KEY_ID", "owner")
            .env("AWS_SECRET_ACCESS_KEY", SECRET)
            .env_remove("OPENAI_API_KEY")
            .env_remove("LLMETER_LOG")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
    }

    fn command<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_llmeter"));
        command.args(arguments);
        self.settle(&mut command);
        command
    }

    fn llmeter<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Said {
        self.command(arguments).output().unwrap().into()
    }

    /// `llmeter run` against the simulator, quiet.
    fn run_command(&self, simulator: &RunningSimulator, arguments: &[&str]) -> Command {
        let base_url = simulator.base_url();
        let mut all = vec!["run", "--base-url", &base_url, "--model", "m", "--quiet"];
        if !arguments.contains(&"--payload") {
            all.extend(["--prompt", "Say something."]);
        }
        all.extend(arguments);
        self.command(all)
    }

    fn run(&self, simulator: &RunningSimulator, arguments: &[&str]) -> Said {
        self.run_command(simulator, arguments)
            .output()
            .unwrap()
            .into()
    }

    /// Copies what is under a prefix to a new folder, with Amazon's own client, and returns it with
    /// the names; waits before for an object if one is named.
    fn objects(&self, prefix: &str, awaited: Option<&str>) -> (PathBuf, BTreeSet<String>) {
        let folder = tempfile::tempdir_in(self.path()).unwrap().keep();
        let mut arguments: Vec<&OsStr> = [&self.url, BUCKET, prefix].map(OsStr::new).to_vec();
        arguments.push(folder.as_os_str());
        arguments.extend(awaited.map(OsStr::new));
        let names = run_script(&self.python, "s3_objects.py", arguments);
        (folder, names.lines().map(str::to_owned).collect())
    }

    /// What lies in the folder for temporary files.
    fn temporary(&self) -> Vec<PathBuf> {
        fs::read_dir(self.path().join("tmp"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect()
    }

    fn stop(&mut self) {
        // Already gone if it crashed.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Said {
    #[track_caller]
    fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        for text in [&self.out, &self.err] {
            assert!(!text.contains(SECRET), "{self:#?}");
        }
        self
    }

    /// Checks that the error is one line which holds all of `parts`.
    #[track_caller]
    fn one_error(&self, parts: &[&str]) {
        assert_eq!(self.err.lines().count(), 1, "{self:#?}");
        assert!(self.err.starts_with("error: "), "{self:#?}");
        for part in parts {
            assert!(self.err.contains(part), "{part:?} is missing: {self:#?}");
        }
    }
}

fn simulator() -> RunningSimulator {
    Simulator::start(SimConfig {
        ttft: Duration::from_millis(5),
        itl: Duration::from_millis(1),
        output_tokens: 8,
        ..SimConfig::default()
    })
    .unwrap()
}

const FILES: [&str; 6] = [
    "llmeter.json",
    "payload.jsonl",
    "responses.jsonl",
    "run_config.json",
    "stats.json",
    "summary.json",
];
