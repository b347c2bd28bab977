//! What is asked of a real server before a run, and runs that are logged later.

use std::process::{Command, Output};

use llmeter::mlflow::MlflowCallback;
use llmeter::{RunResult, Runner};
use serde_json::json;

use super::{Mlflow, as_map, config, params, simulator};
use crate::python;

#[test]
fn a_check_finds_what_a_run_could_not_be_logged_to() {
    let Some(python) = python() else { return };
    let mut mlflow = Mlflow::start(&python);
    let id = |value: serde_json::Value| value.as_str().unwrap().to_owned();
    let there = id(mlflow.ask(json!(["create", "there", "there"])));
    let gone = id(mlflow.ask(json!(["create", "gone", "gone"])));
    mlflow.ask(json!(["delete_run", gone]));
    mlflow.ask(json!(["delete_experiment", "gone"]));
    let callback = mlflow.callback();
    let never = "0123456789abcdef0123456789abcdef";
    let good: [(&str, MlflowCallback); 5] = [
        ("default", callback.clone()),
        ("named", callback.clone().experiment("there")),
        ("new", callback.clone().experiment("not made yet")),
        ("existing", callback.clone().run_id(&there)),
        ("child", callback.clone().parent_run_id(&there)),
    ];
    for (name, callback) in good {
        callback
            .check_blocking()
            .unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    // Looking makes nothing.
    let made = callback.clone().experiment("not made yet").run_id(never);
    for (callback, parts) in [
        (
            callback.clone().experiment("gone"),
            ["experiment", "deleted"],
        ),
        (
            callback.clone().parent_run_id(never),
            ["looking up the parent run", "404"],
        ),
        (
            callback.clone().parent_run_id(&gone),
            ["was deleted", &gone],
        ),
        (callback.clone().run_id(&gone), ["was deleted", &gone]),
        (made, ["looking up the run", never]),
    ] {
        let error = callback.check_blocking().unwrap_err().to_string();
        for part in parts {
            assert!(error.contains(part), "{part:?}: {error}");
        }
        // A run that requires it does not start.
        let simulator = simulator(0.0);
        let output = tempfile::tempdir().unwrap();
        let run = config(&simulator, output.path(), "never");
        let run = run.callback(std::sync::Arc::new(callback.required(true)));
        let error = Runner::new(run).run_blocking().unwrap_err().to_string();
        assert!(
            error.contains(parts[0]) && error.contains("nothing was sent"),
            "{error}"
        );
        assert_eq!(simulator.requests_served(), 0);
    }
}

fn llmeter(mlflow: &Mlflow, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_llmeter"));
    for (variable, _) in std::env::vars_os() {
        if variable.to_string_lossy().starts_with("MLFLOW_") {
            command.env_remove(variable);
        }
    }
    command
        .args(arguments)
        .current_dir(mlflow.folder.path())
        .output()
        .unwrap()
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

#[test]
fn a_saved_run_is_logged_later_as_it_would_have_been_at_its_end() {
    let Some(python) = python() else { return };
    let mut mlflow = Mlflow::start(&python);
    let simulator = simulator(0.25);
    let uri = mlflow.uri.clone();
    let base_url = simulator.base_url();
    let run = "run --quiet --model m --prompt p --requests 8 --run-name it --mlflow-artifacts \
               --mlflow-experiment";
    let mut arguments: Vec<&str> = run.split_whitespace().collect();
    arguments.extend(["first", "--base-url", &base_url, "--mlflow", &uri]);
    let output = llmeter(&mlflow, &arguments);
    assert!(output.status.success(), "{output:?}");
    let first = mlflow.only_run("first");
    let page = |run: &serde_json::Value| {
        let [experiment, id] =
            ["experiment_id", "run_id"].map(|key| run[key].as_str().unwrap().to_owned());
        format!("{uri}/#/experiments/{experiment}/runs/{id}")
    };
    assert_eq!(text(output.stderr), format!("MLflow: {}\n", page(&first)));

    let flags = [
        "mlflow",
        "runs/it",
        "--mlflow",
        &uri,
        "--mlflow-experiment",
        "later",
    ];
    let output = llmeter(&mlflow, &[&flags[..], &["--mlflow-artifacts"]].concat());
    assert!(output.status.success(), "{output:?}");
    let later = mlflow.only_run("later");
    assert_eq!(text(output.stdout), format!("{}\n", page(&later)));
    for key in [
        "params",
        "metrics",
        "tags",
        "status",
        "run_name",
        "start_time",
        "end_time",
    ] {
        assert_eq!(later[key], first[key], "{key}");
    }
    let folder = mlflow.folder.path().join("runs/it");
    let result = RunResult::load(folder).unwrap();
    let mut expected = params(&result);
    // As the run was told it, from where it ran.
    expected["output_path"] = "runs/it".into();
    assert_eq!(later["params"], expected);
    let names = |run: &serde_json::Value| as_map(&run["artifacts"]).into_keys().collect::<Vec<_>>();
    assert_eq!(names(&later), names(&first));
}
