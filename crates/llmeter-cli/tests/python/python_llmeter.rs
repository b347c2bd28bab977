//! The Python llmeter 0.2.0 reads what real runs write, and runs again from their configuration.

use std::sync::Arc;
use std::time::Duration;

use llmeter::{Load, OpenAiChat, RunConfig, RunResult, Runner};
use llmeter_sim::{RunningSimulator, SimConfig, Simulator};
use serde_json::{Value, json};

use super::{python, run_script};

/// Fast, and uneven, so that a wrong percentile is seen.
fn simulator() -> RunningSimulator {
    Simulator::start(SimConfig {
        ttft: Duration::from_millis(8),
        itl: Duration::from_millis(1),
        jitter: 0.5,
        output_tokens: 16,
        reasoning_tokens: 3,
        ..SimConfig::default()
    })
    .unwrap()
}

/// A run with texts beyond ASCII, a payload for each of `limits`, and the key "unused".
fn config(simulator: &RunningSimulator, streaming: bool, limits: &[u64]) -> RunConfig {
    let endpoint = OpenAiChat::builder(simulator.base_url(), "some/model")
        .streaming(streaming)
        .api_key("unused")
        .build()
        .unwrap();
    let payloads = limits.iter().map(|&limit| {
        let prompt = "grüße an die 世界 😀 ".repeat(limit as usize);
        OpenAiChat::create_payload(prompt, limit, Default::default()).unwrap()
    });
    RunConfig::new(Arc::new(endpoint), payloads)
}

fn assert_succeeded(result: &RunResult, at_least: usize) {
    assert_eq!(result.stats_map()["failed_requests"], 0);
    assert!(result.responses.len() >= at_least);
    assert_eq!(result.warnings, [""; 0]);
}

#[test]
fn it_computes_the_same_statistics() {
    let Some(python) = python() else { return };
    let simulator = simulator();
    let output = tempfile::tempdir().unwrap();
    let base = config(&simulator, true, &[5, 12, 19]);
    let runner = Runner::new(base.clients(8).output(output.path()));
    let mut folders = Vec::new();
    for (name, load) in [
        ("by count", Load::Requests(20)),
        ("by time", Load::Duration(Duration::from_millis(1500))),
    ] {
        let result = runner
            .run_blocking_with(|run| {
                run.load = load;
                run.run_name = Some(name.to_owned());
                run.warmup = 8;
            })
            .unwrap();
        // With fewer, the percentiles of 0.2.0 leave the range of the data.
        assert_succeeded(&result, 120);
        folders.push(output.path().join(name));
    }
    let compared = run_script(&python, "python_reads_our_folders.py", &folders);
    println!("{compared}");
}

#[test]
fn it_runs_again_from_our_configuration() {
    let Some(python) = python() else { return };
    let simulator = simulator();
    let output = tempfile::tempdir().unwrap();
    for (name, streaming, load, class, requests, duration) in [
        (
            "stream",
            true,
            Load::Requests(4),
            "OpenAICompletionStreamEndpoint",
            json!(4),
            Value::Null,
        ),
        (
            "plain",
            false,
            Load::Duration(Duration::from_millis(200)),
            "OpenAICompletionEndpoint",
            json!(0),
            json!(0.2),
        ),
    ] {
        let mut run = config(&simulator, streaming, &[3, 9])
            .load(load.clone())
            .clients(2);
        run.output = Some(output.path().into());
        run.run_name = Some(name.to_owned());
        run.run_description = Some("«again»".to_owned());
        run.timeout = Duration::from_millis(7500);
        let sent: Vec<_> = run.payloads.iter().map(|sent| json!(**sent)).collect();
        assert_succeeded(&Runner::new(run).run_blocking().unwrap(), 1);

        let folder = output.path().join(name);
        let seen = run_script(&python, "python_loads_our_config.py", [&folder]);
        let mut seen: Value = serde_json::from_str(&seen).unwrap();
        let again = seen["again"].as_object_mut().unwrap();
        let total = again.remove("total_requests").unwrap().as_u64().unwrap();
        match load {
            Load::Requests(each) => assert_eq!(total, 2 * each),
            _ => assert!(total >= 2, "{total}"),
        }
        assert_eq!(
            seen,
            json!({
                "endpoint": class,
                "model_id": "some/model",
                "tokenizer": "DummyTokenizer",
                "clients": 2,
                "n_requests": requests,
                "run_duration": duration,
                "timeout": 7.5,
                "run_name": name,
                "run_description": "«again»",
                "low_memory": false,
                "payloads": sent,
                "again": {"failed_requests": 0},
            })
        );
    }
}
