//! Python scripts that run beside a test.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use super::script;

/// A process that ends when its input does, even if this test is killed.
pub(super) struct Script {
    process: Child,
    pub(super) input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Script {
    pub(super) fn start(python: &OsStr, name: &str, arguments: &[&OsStr], log: &Path) -> Self {
        let mut process = Command::new(python)
            .arg(script(name))
            .args(arguments)
            .env("NO_PROXY", "*")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(fs::File::create(log).unwrap())
            .spawn()
            .unwrap();
        Self {
            input: process.stdin.take(),
            output: BufReader::new(process.stdout.take().unwrap()),
            process,
        }
    }

    /// The rest of the next line that begins like this.
    pub(super) fn line(&mut self, beginning: &str) -> Option<String> {
        loop {
            let mut line = String::new();
            if self.output.read_line(&mut line).unwrap() == 0 {
                return None;
            }
            if let Some(rest) = line.trim_end().strip_prefix(beginning) {
                return Some(rest.to_owned());
            }
        }
    }

    /// Ends the script's input, and with it the script.
    pub(super) fn end(&mut self) {
        drop(self.input.take());
        let _ = self.process.wait();
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        self.end();
    }
}
