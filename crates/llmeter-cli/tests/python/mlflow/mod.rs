//! Runs logged to a real MLflow server, and read back with MLflow's own client.

mod checks;
mod credentials;
mod runs;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use llmeter::callback::Hook;
use llmeter::mlflow::MlflowCallback;
use llmeter::{Load, OpenAiChat, RunConfig, RunResult, Runner};
use llmeter_sim::{RunningSimulator, SimConfig, Simulator};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

use crate::scripts::Script;

/// The parameters of the Python llmeter.
const PARAMS: [&str; 9] = [
    "total_requests",
    "clients",
    "n_requests",
    "model_id",
    "output_path",
    "endpoint_name",
    "provider",
    "run_name",
    "run_description",
];

struct Mlflow {
    uri: String,
    // It ends with this.
    _server: Script,
    client: Script,
    folder: TempDir,
}

impl Mlflow {
    fn start(python: &OsStr) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let logs = ["server.log", "client.log"].map(|name| folder.path().join(name));
        let place = [folder.path().as_os_str()];
        let mut server = Script::start(python, "mlflow_server.py", &place, &logs[0]);
        let Some(uri) = server.line("serving ") else {
            panic!(
                "no MLflow server: {}",
                fs::read_to_string(&logs[0]).unwrap()
            );
        };
        let client = Script::start(python, "mlflow_client.py", &[uri.as_ref()], &logs[1]);
        Self {
            uri,
            _server: server,
            client,
            folder,
        }
    }

    /// What MLflow's client answers; `mlflow_client.py` tells what it can be asked.
    #[track_caller]
    fn ask(&mut self, question: Value) -> Value {
        let input = self.client.input.as_mut().unwrap();
        writeln!(input, "{question}").unwrap();
        match self.client.line("answer ") {
            Some(answer) => serde_json::from_str(&answer).unwrap(),
            None => {
                let log = fs::read_to_string(self.folder.path().join("client.log")).unwrap();
                panic!("{question}: {log}")
            }
        }
    }

    #[track_caller]
    fn only_run(&mut self, experiment: &str) -> Value {
        let runs = self.ask(json!(["runs", experiment]));
        assert_eq!(runs.as_array().unwrap().len(), 1, "{runs}");
        runs[0].clone()
    }

    fn callback(&self) -> MlflowCallback {
        MlflowCallback::new().tracking_uri(&self.uri).unwrap()
    }
}

impl Drop for Mlflow {
    fn drop(&mut self) {
        // Before the server that it talks to.
        self.client.end();
    }
}

fn simulator(error_rate: f64) -> RunningSimulator {
    Simulator::start(SimConfig {
        ttft: Duration::from_millis(5),
        itl: Duration::from_millis(1),
        jitter: 0.5,
        output_tokens: 8,
        error_rate,
        ..SimConfig::default()
    })
    .unwrap()
}

fn config(simulator: &RunningSimulator, output: &Path, name: &str) -> RunConfig {
    let endpoint = OpenAiChat::builder(simulator.base_url(), "some/model")
        .build()
        .unwrap();
    let payload = OpenAiChat::create_payload("a prompt", 8, Map::new()).unwrap();
    RunConfig::new(Arc::new(endpoint), [payload])
        .clients(3)
        .load(Load::Requests(4))
        .output(output)
        .run_name(name)
}

#[track_caller]
fn run(config: RunConfig, callback: MlflowCallback) -> RunResult {
    let result = run_with_failures(config, callback);
    assert_eq!(result.callback_errors, []);
    result
}

fn run_with_failures(config: RunConfig, callback: MlflowCallback) -> RunResult {
    let result = Runner::new(config.callback(Arc::new(callback)))
        .run_blocking()
        .unwrap();
    assert!(result.summary.total_requests > Some(0));
    result
}

#[track_caller]
fn failure(result: &RunResult) -> String {
    assert_eq!(result.callback_errors.len(), 1);
    assert_eq!(result.callback_errors[0].hook, Hook::AfterRun);
    // What was measured is saved all the same.
    let folder = result.summary.output_path.as_ref().unwrap();
    let loaded = RunResult::load(folder.clone()).unwrap();
    assert_eq!(loaded.stats_map(), result.stats_map());
    assert_eq!(loaded.responses, result.responses);
    result.callback_errors[0].first.clone()
}

/// What a run's parameters are to be.
fn params(result: &RunResult) -> Value {
    let stats = result.stats_map();
    let text = |name: &str| match &stats[name] {
        Value::Null => "None".to_owned(),
        Value::String(text) => text.chars().take(6000).collect(),
        other => other.to_string(),
    };
    PARAMS
        .iter()
        .map(|name| ((*name).to_owned(), Value::from(text(name))))
        .collect()
}

/// What a run's metrics are to be, at one step each.
fn metrics(result: &RunResult, step: i64) -> BTreeMap<String, Value> {
    let time = result.summary.end_time.unwrap().as_millisecond();
    let stats = result.stats_map();
    let numbers = stats
        .into_iter()
        .filter(|(name, _)| !PARAMS.contains(&name.as_str()));
    numbers
        .filter_map(|(name, value)| Some((name, json!([[value.as_f64()?, step, time]]))))
        .collect()
}

fn as_map(value: &Value) -> BTreeMap<String, Value> {
    value.as_object().unwrap().clone().into_iter().collect()
}
