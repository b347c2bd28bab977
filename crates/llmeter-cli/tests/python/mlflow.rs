//! Runs logged to a real MLflow server, and read back with MLflow's own client.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use llmeter::callback::{self, Hook, HookResult, MlflowCallback, async_trait};
use llmeter::saved::SavedObject;
use llmeter::{
    Callback, Interrupt, InvocationResponse, Load, OpenAiChat, RunConfig, RunResult, Runner,
};
use llmeter_sim::{RunningSimulator, SimConfig, Simulator};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

use super::{python, script};

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

/// A process that ends when its input does, even if this test is killed.
struct Script {
    process: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Script {
    fn start(python: &OsStr, name: &str, arguments: &[&OsStr], log: &Path) -> Self {
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
    fn line(&mut self, beginning: &str) -> Option<String> {
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
}

struct Mlflow {
    uri: String,
    server: Script,
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
            server,
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
        for script in [&mut self.client, &mut self.server] {
            // Ends their input, and with it them.
            drop(script.input.take());
            let _ = script.process.wait();
        }
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
    let loaded = RunResult::load(folder).unwrap();
    assert_eq!(loaded.stats(), result.stats());
    assert_eq!(loaded.responses, result.responses);
    result.callback_errors[0].first.clone()
}

/// What a run's parameters are to be.
fn params(result: &RunResult) -> Value {
    let stats = result.stats();
    let text = |name: &str| match &stats[name] {
        Value::Null => "None".to_owned(),
        Value::String(text) => text.chars().take(6000).collect(),
        other => other.to_string(),
    };
    PARAMS
        .iter()
        .map(|name| ((*name).to_owned(), text(name).into()))
        .collect()
}

/// What a run's metrics are to be, at one step each.
fn metrics(result: &RunResult, step: i64) -> BTreeMap<String, Value> {
    let time = result.summary.end_time.unwrap().as_millisecond();
    let stats = result.stats();
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

#[test]
fn a_run_arrives_whole() {
    let Some(python) = python() else { return };
    let mut mlflow = Mlflow::start(&python);
    let output = tempfile::tempdir().unwrap();
    let healthy = simulator(0.0);
    let description = "größer 世界 😀 ".repeat(700);
    let experiment = "größe: ночь/1";

    let mut first = config(&healthy, output.path(), "erster Lauf 😀");
    first.run_description = Some(description.clone());
    let callback = mlflow
        .callback()
        .experiment(experiment)
        .step(3)
        .artifacts(true);
    let result = run(
        first,
        callback.tag("gpu", "H100 ü").tag("llmeter.version", "mine"),
    );

    let logged = mlflow.only_run(experiment);
    assert_eq!(logged["params"], params(&result));
    assert_eq!(
        logged["params"]["run_description"]
            .as_str()
            .unwrap()
            .chars()
            .count(),
        6000
    );
    let expected = metrics(&result, 3);
    assert_eq!(as_map(&logged["metrics"]), expected);
    for name in [
        "time_to_first_token-p99",
        "failed_requests",
        "total_test_time",
    ] {
        assert!(expected.contains_key(name), "{name}");
    }
    assert_eq!(logged["status"], "FINISHED");
    assert_eq!(logged["run_name"], "erster Lauf 😀");
    let time = |time: Option<jiff::Timestamp>| json!(time.unwrap().as_millisecond());
    assert_eq!(logged["start_time"], time(result.summary.start_time));
    assert_eq!(logged["end_time"], time(result.summary.end_time));
    let tags = &logged["tags"];
    for (name, value) in [
        ("gpu", "H100 ü"),
        ("llmeter.version", "mine"),
        ("mlflow.runName", "erster Lauf 😀"),
        ("mlflow.source.name", "llmeter"),
        ("mlflow.source.type", "LOCAL"),
    ] {
        assert_eq!(tags[name], value);
    }
    assert_eq!(
        tags["llmeter.measurement_verdict"],
        result.stats()["measurement_verdict"]
    );
    let note = tags["mlflow.note.content"].as_str().unwrap();
    assert!(note.chars().count() == 5000 && description.starts_with(note));

    let folder = result.summary.output_path.as_ref().unwrap();
    let artifact = |name: &str| {
        let text = logged["artifacts"][name]
            .as_str()
            .unwrap_or_else(|| panic!("no {name}"));
        base64::engine::general_purpose::STANDARD
            .decode(text)
            .unwrap()
    };
    let mut names = BTreeSet::from([
        "charts/latency.html".to_owned(),
        "charts/latency.json".to_owned(),
    ]);
    for file in fs::read_dir(folder).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        assert_eq!(
            artifact(&name),
            fs::read(folder.join(&name)).unwrap(),
            "{name}"
        );
        names.insert(name);
    }
    assert_eq!(names.len(), 8);
    assert!(logged["artifacts"].as_object().unwrap().keys().eq(&names));
    assert!(
        String::from_utf8(artifact("charts/latency.html"))
            .unwrap()
            .contains("<svg")
    );
    serde_json::from_slice::<Value>(&artifact("charts/latency.json")).unwrap();

    // The same experiment, which exists now; every request fails.
    let failing = simulator(1.0);
    let result = run(
        config(&failing, output.path(), "second"),
        mlflow.callback().experiment(experiment),
    );
    let runs = mlflow.ask(json!(["runs", experiment]));
    assert_eq!(runs.as_array().unwrap().len(), 2);
    assert_eq!(runs[1]["status"], "FAILED");
    assert_eq!(as_map(&runs[1]["metrics"]), metrics(&result, 0));
    assert_eq!(runs[1]["artifacts"], json!({}));

    // Interrupted, without a description, in the experiment that every server has.
    let interrupt = Interrupt::new();
    let mut third = config(&healthy, output.path(), "third").load(Load::Requests(100_000));
    third
        .callbacks
        .push(Arc::new(StopAtOnce(interrupt.clone())));
    third.callbacks.push(Arc::new(mlflow.callback()));
    let result = Runner::new(third)
        .interrupted_by(interrupt)
        .run_blocking()
        .unwrap();
    assert!(result.interrupted);
    assert_eq!(result.callback_errors, []);
    let logged = mlflow.only_run("Default");
    assert_eq!(logged["status"], "KILLED");
    assert_eq!(logged["tags"]["llmeter.interrupted"], "true");
    assert_eq!(logged["params"]["run_description"], "None");
    assert!(
        !logged["metrics"]
            .as_object()
            .unwrap()
            .contains_key("interrupted")
    );
}

/// Interrupts its run at the first answer.
struct StopAtOnce(Interrupt);

#[async_trait]
impl Callback for StopAtOnce {
    fn saved(&self) -> llmeter::Result<SavedObject> {
        let class = "tests.StopAtOnce".to_owned();
        Ok(SavedObject {
            class,
            state: Map::new(),
        })
    }

    fn hooks(&self) -> &'static [Hook] {
        &[Hook::AfterInvoke]
    }

    async fn after_invoke(&self, _response: &mut InvocationResponse) -> HookResult {
        self.0.stop();
        Ok(())
    }
}

#[test]
fn children_and_runs_that_exist() {
    let Some(python) = python() else { return };
    let mut mlflow = Mlflow::start(&python);
    let output = tempfile::tempdir().unwrap();
    let simulator = simulator(0.0);
    let config = |name: &str| config(&simulator, output.path(), name);
    let id = |answer: Value| answer.as_str().unwrap().to_owned();

    // A child lies in its parent's experiment.
    let parent = id(mlflow.ask(json!(["create", "family", "parent"])));
    run(config("child"), mlflow.callback().parent_run_id(&parent));
    let runs = mlflow.ask(json!(["runs", "family"]));
    let runs = runs.as_array().unwrap();
    let child = runs.iter().find(|run| run["run_name"] == "child").unwrap();
    assert_eq!(runs.len(), 2);
    assert_eq!(child["tags"]["mlflow.parentRunId"], parent);
    assert_eq!(child["status"], "FINISHED");
    let parent_run = runs
        .iter()
        .find(|run| run["run_id"] == parent.as_str())
        .unwrap();
    assert_eq!(parent_run["metrics"], json!({}));

    // A run that exists is added to and not ended; what it holds already stays.
    let existing = id(mlflow.ask(json!(["create", "steps", "series"])));
    let one = run(config("one"), mlflow.callback().run_id(&existing).step(1));
    let two = run_with_failures(config("two"), mlflow.callback().run_id(&existing).step(2));
    let refused = failure(&two);
    assert!(
        refused.contains(&existing) && refused.contains("nested = true"),
        "{refused}"
    );
    let series = mlflow.ask(json!(["run", existing]));
    assert_eq!(series["status"], "RUNNING");
    assert_eq!(series["run_name"], "series");
    assert_eq!(series["params"], params(&one));
    let ttft = "time_to_first_token-p50";
    let both = [metrics(&one, 1), metrics(&two, 2)]
        .map(|mut all| all[ttft].as_array_mut().unwrap().remove(0));
    assert_eq!(series["metrics"][ttft], json!(both));

    // What is not there, or is no more.
    let gone = id(mlflow.ask(json!(["create", "gone", "gone"])));
    mlflow.ask(json!(["delete_run", gone]));
    mlflow.ask(json!(["delete_experiment", "gone"]));
    for (number, (callback, reason)) in [
        (mlflow.callback().run_id(&gone), "was deleted"),
        (
            mlflow.callback().run_id("0123456789abcdef0123456789abcdef"),
            "RESOURCE_DOES_NOT_EXIST",
        ),
        (mlflow.callback().parent_run_id(&gone), "was deleted"),
        (mlflow.callback().experiment("gone"), "it was deleted"),
    ]
    .into_iter()
    .enumerate()
    {
        let result = run_with_failures(config(&format!("refused {number}")), callback);
        let refused = failure(&result);
        assert!(refused.contains(reason), "{refused}");
    }

    // Artifacts that the server leaves to its clients.
    let local = output.path().join("kept here");
    for (experiment, location) in [
        ("local", local.to_str().unwrap()),
        ("cloud", "s3://bucket/x"),
    ] {
        mlflow.ask(json!(["create_experiment", experiment, location]));
    }
    run(
        config("local"),
        mlflow.callback().experiment("local").artifacts(true),
    );
    let logged = mlflow.only_run("local");
    assert!(
        logged["artifacts"]
            .as_object()
            .unwrap()
            .contains_key("stats.json")
    );
    assert!(local.join(logged["run_id"].as_str().unwrap()).exists());
    let cloud = mlflow.callback().experiment("cloud").artifacts(true);
    let refused = failure(&run_with_failures(config("cloud"), cloud));
    assert!(
        refused.contains("s3: storage") && refused.contains("--serve-artifacts"),
        "{refused}"
    );
    let logged = mlflow.only_run("cloud");
    assert_eq!(logged["status"], "FAILED");
    assert!(logged["metrics"].as_object().unwrap().contains_key(ttft));
}

#[test]
fn the_python_llmeter_logs_the_same_and_shares_the_file() {
    let Some(python) = python() else { return };
    let mut mlflow = Mlflow::start(&python);
    let output = tempfile::tempdir().unwrap();
    let simulator = simulator(0.0);
    for (name, ours, saved) in [
        ("plain", mlflow.callback(), MlflowCallback::new().step(7)),
        (
            "nested",
            mlflow.callback(),
            MlflowCallback::new().nested(true),
        ),
    ] {
        let result = run(
            config(&simulator, output.path(), name),
            ours.experiment(name),
        );
        let ours = mlflow.only_run(name);
        let file = output.path().join("callback.json");
        let saved = saved.saved().unwrap().to_json();
        fs::write(&file, saved.to_string()).unwrap();
        let folder = result.summary.output_path.unwrap();
        let theirs = mlflow.ask(json!(["log_with_python", folder, file]));
        assert_eq!(theirs["params"], ours["params"]);
        assert_eq!(theirs["nested"], name == "nested");
        let step = if name == "plain" { 7 } else { 0 };
        let [theirs_metrics, ours_metrics] = [&theirs, &ours].map(|run| as_map(&run["metrics"]));
        for (metric, values) in &theirs_metrics {
            let Some(value) = ours_metrics.get(metric) else {
                panic!("{metric} is logged by the Python llmeter alone");
            };
            assert_eq!(values[0][1], step);
            // Their percentiles leave the range of the data.
            if !metric.contains("-p9") {
                let [theirs, ours] = [values, value].map(|values| values[0][0].as_f64().unwrap());
                assert!(
                    (theirs - ours).abs() <= 1e-6 * ours.abs(),
                    "{metric}: {theirs}, {ours}"
                );
            }
        }
        let by_python = fs::read(theirs["saved"].as_str().unwrap()).unwrap();
        let loaded = callback::from_json(&serde_json::from_slice(&by_python).unwrap()).unwrap();
        assert_eq!(loaded.saved().unwrap().to_json(), saved);
    }
}

/// A server before another, which asks for this `Authorization` and repeats what it was given.
fn guarded(uri: &str, authorization: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let guarded = format!("http://127.0.0.1:{}", listener.local_addr().unwrap().port());
    let upstream = uri.strip_prefix("http://").unwrap().to_owned();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let upstream = upstream.clone();
            std::thread::spawn(move || guard(stream.unwrap(), &upstream, authorization));
        }
    });
    guarded
}

fn guard(mut stream: TcpStream, upstream: &str, wanted: &str) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let (mut head, mut given, mut length) = (String::new(), String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap() == 0 {
            return;
        }
        if let Some((name, value)) = line.split_once(':') {
            match name.to_ascii_lowercase().as_str() {
                "authorization" => given = value.trim().to_owned(),
                "content-length" => length = value.trim().parse().unwrap(),
                _ => {}
            }
        }
        head.push_str(&line);
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    if given != wanted {
        let message = format!("not {given}");
        let answer = json!({"error_code": "UNAUTHENTICATED", "message": message}).to_string();
        let length = answer.len();
        write!(
            stream,
            "HTTP/1.1 401 X\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{answer}"
        )
        .unwrap();
        return;
    }
    let mut server = TcpStream::connect(upstream).unwrap();
    server
        .write_all(
            head.replacen("\r\n", "\r\nconnection: close\r\n", 1)
                .as_bytes(),
        )
        .unwrap();
    server.write_all(&body).unwrap();
    std::io::copy(&mut server, &mut stream).ok();
}

#[test]
fn the_command_line_logs_with_credentials_and_keeps_them() {
    let Some(python) = python() else { return };
    let mut mlflow = Mlflow::start(&python);
    let simulator = simulator(0.0);
    let place = tempfile::tempdir().unwrap();
    // me:hush-hush
    let basic = guarded(&mlflow.uri, "Basic bWU6aHVzaC1odXNo");
    let token = guarded(&mlflow.uri, "Bearer hush-hush");
    let basic_with_user = basic.replace("http://", "http://me:hush-hush@");
    let user = ("MLFLOW_TRACKING_USERNAME", "me");
    let password = ("MLFLOW_TRACKING_PASSWORD", "hush-hush");
    let bearer = ("MLFLOW_TRACKING_TOKEN", "hush-hush");
    let cases: [(&str, &[&str], &[(&str, &str)], bool); 5] = [
        ("basic", &["--mlflow", &basic], &[user, password], true),
        (
            "token",
            &["--mlflow"],
            &[("MLFLOW_TRACKING_URI", &token), bearer],
            true,
        ),
        ("uri", &["--mlflow", &basic_with_user], &[], true),
        ("wrong", &["--mlflow", &basic], &[bearer], false),
        ("nobody", &["--mlflow", &basic], &[], false),
    ];
    for (name, flags, environment, is_logged) in cases {
        let mut command = Command::new(env!("CARGO_BIN_EXE_llmeter"));
        for (variable, _) in std::env::vars_os() {
            if variable.to_string_lossy().starts_with("MLFLOW_") {
                command.env_remove(variable);
            }
        }
        let output = command
            .args([
                "run",
                "--quiet",
                "--model",
                "m",
                "--prompt",
                "p",
                "--run-name",
                name,
            ])
            .args(["--base-url", simulator.base_url()])
            .args(["--mlflow-experiment", name, "--mlflow-artifacts"])
            .args(flags)
            .envs(environment.iter().copied())
            .env("LLMETER_LOG", "debug")
            .current_dir(place.path())
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].map(|out| String::from_utf8(out).unwrap());
        let said = said.concat();
        assert!(output.status.success(), "{name}: {said}");
        assert!(
            !said.contains("hush-hush") && !said.contains("aHVzaC1odXNo"),
            "{said}"
        );
        for file in fs::read_dir(place.path().join("runs").join(name)).unwrap() {
            let text = fs::read_to_string(file.unwrap().path()).unwrap();
            assert!(!text.contains("hush-hush"), "{text}");
        }
        if is_logged {
            assert!(!said.contains("MlflowCallback failed"), "{said}");
            let run = mlflow.only_run(name);
            assert_eq!(run["status"], "FINISHED");
            assert_eq!(run["artifacts"].as_object().unwrap().len(), 8);
        } else {
            assert!(
                said.contains("MlflowCallback failed in after_run"),
                "{said}"
            );
            assert!(
                said.contains("401") && said.contains("MLFLOW_TRACKING_TOKEN"),
                "{said}"
            );
        }
    }
}
