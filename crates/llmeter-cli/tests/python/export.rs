//! Reports in the forms of other tools, read as those tools read them.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use super::{python, run_script};

/// A run of the Python package, with failures: golden folders hold both.
fn golden(name: &str) -> PathBuf {
    let workspace = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    workspace
        .join("../llmeter/tests/golden/outputs")
        .join(name)
        .join("run")
}

fn export(folder: &Path, format: &str, more: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_llmeter"))
        .arg("export")
        .arg(folder)
        .args(["--format", format])
        .args(more)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// A run of this llmeter against the simulator.
fn run(place: &TempDir) -> PathBuf {
    let server = llmeter_sim::Simulator::start(llmeter_sim::SimConfig {
        output_tokens: 8,
        ..llmeter_sim::SimConfig::default()
    })
    .unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_llmeter"))
        .args([
            "run",
            "--base-url",
            &server.base_url(),
            "--model",
            "m",
            "--prompt",
            "Hi",
        ])
        .args([
            "--clients",
            "4",
            "--requests",
            "6",
            "--run-name",
            "it",
            "--quiet",
        ])
        .args(["--description", "a: \"b\" # c"])
        .current_dir(place.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    place.path().join("runs/it")
}

#[test]
fn benchmark_reports_obey_their_schema() {
    let Some(python) = python() else {
        return;
    };
    let place = tempfile::tempdir().unwrap();
    let schema = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/python/schemas/benchmark_report_0.2.1.json");
    let report = place.path().join("report.yaml");
    let validated = |folder: &Path| -> Value {
        let file = report.to_str().unwrap();
        export(folder, "benchmark-report-0.2.1", &["--output", file]);
        let out = run_script(&python, "benchmark_report.py", [&schema, &report]);
        serde_json::from_str(&out).unwrap()
    };
    let own = validated(&run(&place));
    assert_eq!(own["version"], "0.2.1");
    assert_eq!(own["run"]["description"], "a: \"b\" # c");
    let load = &own["scenario"]["load"]["standardized"];
    assert_eq!(
        (&load["tool"], &load["concurrency"]),
        (&"llmeter".into(), &4.into())
    );
    let aggregate = &own["results"]["request_performance"]["aggregate"];
    assert_eq!(aggregate["requests"]["total"], 24);
    assert_eq!(aggregate["requests"]["output_length"]["mean"], 8.0);
    let ttft = &aggregate["latency"]["time_to_first_token"];
    assert!(ttft["p90"].is_f64(), "{ttft}");
    assert_eq!(ttft["p99"], Value::Null, "24 values have none");
    for folder in ["a_count_bound", "c_failures"] {
        let theirs = validated(&golden(folder));
        assert_eq!(
            theirs["scenario"],
            Value::Null,
            "which version it was is not known"
        );
        let requests = &theirs["results"]["request_performance"]["aggregate"]["requests"];
        assert!(requests["total"].as_u64() > Some(0), "{requests}");
    }
}

#[test]
fn records_of_requests_are_those_of_aiperf() {
    let place = tempfile::tempdir().unwrap();
    let text = export(&run(&place), "aiperf-jsonl", &[]);
    let records: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(records.len(), 24);
    for (index, record) in records.iter().enumerate() {
        let (metadata, metrics) = (&record["metadata"], &record["metrics"]);
        assert_eq!(metadata["session_num"], index);
        assert_eq!(metadata["benchmark_phase"], "profiling");
        let [start, end] = ["request_start_ns", "request_end_ns"].map(|key| metadata[key].as_i64());
        let latency = metrics["request_latency"]["value"].as_f64().unwrap();
        assert_eq!(metrics["request_latency"]["unit"], "ms");
        assert!(((end.unwrap() - start.unwrap()) as f64 / 1e6 - latency).abs() < 1e-3);
        assert_eq!(metrics["output_sequence_length"]["value"], 8);
        assert_eq!(
            metrics["inter_chunk_latency"]["value"]
                .as_array()
                .unwrap()
                .len(),
            7
        );
        assert_eq!(record["error"], Value::Null);
    }
    let text = export(&golden("c_failures"), "aiperf-jsonl", &[]);
    let failed = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let mut failed = failed.filter(|record| !record["error"].is_null());
    let failed = failed.next().unwrap();
    assert!(failed["error"]["message"].is_string());
    assert_eq!(failed["metrics"]["request_latency"], Value::Null);
}
