//! New runs, children, and runs that exist.

use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;

use base64::Engine;
use llmeter::callback::{self, Hook, HookResult, RequestData, async_trait};
use llmeter::mlflow::MlflowCallback;
use llmeter::{Callback, Interrupt, InvocationResponse, Load, Runner};
use serde_json::{Value, json};

use super::{Mlflow, as_map, config, failure, metrics, params, run, run_with_failures, simulator};
use crate::python;

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
        result.stats_map()["measurement_verdict"]
    );
    let note = tags["mlflow.note.content"].as_str().unwrap();
    assert!(note.chars().count() == 5000 && description.starts_with(note));

    let folder = result.summary.output_path.as_ref().unwrap();
    let folder = folder.local_path().unwrap();
    let artifact = |name: &str| {
        let text = logged["artifacts"][name]
            .as_str()
            .unwrap_or_else(|| panic!("no {name}"));
        base64::engine::general_purpose::STANDARD
            .decode(text)
            .unwrap()
    };
    let mut names = BTreeSet::from(["report.html".to_owned()]);
    for file in fs::read_dir(folder).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        assert_eq!(
            artifact(&name),
            fs::read(folder.join(&name)).unwrap(),
            "{name}"
        );
        names.insert(name);
    }
    assert_eq!(names.len(), 7);
    assert!(logged["artifacts"].as_object().unwrap().keys().eq(&names));
    let page = String::from_utf8(artifact("report.html")).unwrap();
    assert!(page.starts_with("<!doctype html>") && page.contains("id=\"chart-ttlt-ecdf\""));

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
    fn hooks(&self) -> &'static [Hook] {
        &[Hook::AfterInvoke]
    }

    async fn after_invoke(&self, _: &mut InvocationResponse, _: &mut RequestData) -> HookResult {
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
    let both = [metrics(&one, 1), metrics(&two, 2)].map(|all| all[ttft][0].clone());
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
        let saved = saved.saved().unwrap().unwrap().to_json();
        fs::write(&file, saved.to_string()).unwrap();
        let folder = result.summary.output_path.unwrap();
        let folder = folder.local_path().unwrap();
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
        assert_eq!(loaded.saved().unwrap().unwrap().to_json(), saved);
    }
}
