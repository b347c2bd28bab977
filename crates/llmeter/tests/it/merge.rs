//! Several runs that were one load, as one run.

use std::path::{Path, PathBuf};

use llmeter::Error;
use llmeter::experiment::Merge;
use llmeter::result::RunResult;
use serde_json::{Map, Value, json};

/// A run's folder: these lines of responses, and a summary and statistics that go with them.
fn write_run(folder: &Path, lines: &[&str], own: &Value, more: &Value) {
    std::fs::create_dir_all(folder).unwrap();
    let file = |name: &str, text: String| std::fs::write(folder.join(name), text).unwrap();
    file(
        "responses.jsonl",
        lines.iter().map(|line| format!("{line}\n")).collect(),
    );
    file("llmeter.json", own.to_string());
    let summary = json!({
        "total_requests": lines.len(), "clients": 4, "n_requests": 100, "total_test_time": 30.5,
        "model_id": "m", "run_name": "r", "start_time": "2026-01-02T03:04:05Z",
        "first_request_time": "2026-01-02T03:04:05.000001Z",
        "last_request_time": "2026-01-02T03:04:34Z", "end_time": "2026-01-02T03:04:36Z",
    });
    file("summary.json", summary.to_string());
    let mut stats = summary.as_object().unwrap().clone();
    stats.extend(more.as_object().unwrap().clone());
    file("stats.json", Value::Object(stats).to_string());
}

/// Lines of a run in the order in which its responses ended: some fail, some refer to the payload of
/// another, and some have costs.
fn lines(count: u32) -> Vec<String> {
    let large = "word ".repeat(1_000);
    let line = |number: u32| {
        let chance = f64::from(number * 7919 % 101) / 101.0;
        let ended = f64::from(number) * 0.03 + 1.0;
        let took = 0.3 + chance * 0.5;
        let sent = ended - took + 1e-6;
        let (seconds, micros) = (sent as u32, (sent.fract() * 1e6) as u32);
        let mut line = json!({
            "id": format!("r{number}"), "response_text": "a b c",
            "input_payload": null, "input_prompt": null,
            "time_to_first_token": 0.1 + chance * 0.1, "time_to_last_token": took,
            "time_per_output_token": 0.01 + chance * 1e-3,
            "num_tokens_input": 5 + number % 3, "num_tokens_output": 3, "error": null, "retries": 0,
            "request_time": format!("2026-01-02T03:04:{:02}.{micros:06}Z", 5 + seconds),
            "annotations": {"cost_InputTokens": chance},
            "inter_token_latencies": [0.01 + chance * 1e-3, 0.0123],
        });
        if number % 17 == 3 {
            line["error"] = json!("refused");
            line["error_kind"] = json!("connection");
        }
        // The first of every four carries the payload of them all.
        let head = number - number % 4;
        line["payload_of"] = format!("r{head}").into();
        if head == number {
            line["input_payload"] = json!({"prompt": large.clone(), "n": number});
        }
        line.to_string()
    };
    (0..count).map(line).collect()
}

/// Folders with a part of the lines each. What shares a payload stays together.
fn split(base: &Path, lines: &[String], parts: usize, more: &[Value]) -> Vec<PathBuf> {
    let folders = (0..parts).map(|part| {
        let folder = base.join(format!("part-{part}"));
        let mine = lines.iter().enumerate();
        let mine = mine.filter(|(number, _)| number / 4 % parts == part);
        let mine: Vec<_> = mine.map(|(_, line)| line.as_str()).collect();
        let own =
            json!({"format": 1, "slo": ["ttft < 180ms"], "shard": format!("{}/{parts}", part + 1)});
        write_run(&folder, &mine, &own, &more[part % more.len()]);
        folder
    });
    folders.collect()
}

/// What responses say, without what is about the folder and the merge.
fn figures(mut stats: Map<String, Value>) -> Map<String, Value> {
    stats.retain(|key, _| {
        !matches!(
            key.as_str(),
            "output_path"
                | "run_name"
                | "clients"
                | "n_requests"
                | "first_request_time"
                | "last_request_time"
        ) && !key.starts_with("merged_")
            && !key.starts_with("stall")
            && !key.starts_with("measurement_verdict")
            && !key.starts_with("measurement_reasons")
    });
    stats
}

#[test]
fn a_merged_run_has_the_statistics_of_one_run_to_the_last_digit() {
    let base = tempfile::tempdir().unwrap();
    let lines = lines(960);
    let whole = base.path().join("whole");
    let own = json!({"format": 1, "slo": ["ttft < 180ms"]});
    let all: Vec<_> = lines.iter().map(String::as_str).collect();
    write_run(&whole, &all, &own, &json!({}));
    let expected = RunResult::load(&whole).unwrap();
    assert!(
        expected
            .stats_map()
            .contains_key("time_to_first_token-p90-ci_low")
    );
    for parts in [1, 3, 7] {
        let folders = split(base.path(), &lines, parts, &[json!({})]);
        let output = base.path().join(format!("merged-{parts}"));
        let merged = Merge::new(folders.iter().map(PathBuf::as_path), output.as_path());
        let merged = merged.run().unwrap();
        assert_eq!(
            figures(merged.result.stats_map()),
            figures(expected.stats_map()),
            "{parts} parts"
        );
        assert_eq!(merged.result.summary.clients, 4 * parts as u64);
        // What is loaded is what was returned, and every line has its payload again.
        let loaded = RunResult::load(&output).unwrap();
        assert_eq!(loaded.warnings, [""; 0]);
        assert_eq!(figures(loaded.stats_map()), figures(expected.stats_map()));
        assert_eq!(loaded.responses, expected.responses);
        assert_eq!(loaded.stats().merged_parts, Some(parts as u64));
        let lines = std::fs::read_to_string(output.join("llmeter.json")).unwrap();
        assert!(!lines.contains("shard"), "{lines}");
    }
}

#[test]
fn the_worst_verdict_counts_and_what_meters_lost_adds_up() {
    let base = tempfile::tempdir().unwrap();
    let of = |verdict: &str, reasons: Value, wait: f64| {
        json!({
            "measurement_verdict": verdict, "measurement_reasons": reasons,
            "measurement_recorder_wait": wait, "measurement_worker_busy": wait,
            "measurement_connections": 4, "measurement_percentiles": "sketch", "own_statistic": 1,
        })
    };
    let more = [
        of("clean", json!([]), 0.25),
        of("client-bound", json!(["too few cores"]), 0.5),
        of("degraded", json!(["a clock step"]), 0.125),
    ];
    let folders = split(base.path(), &lines(120), 3, &more);
    let output = base.path().join("merged");
    let merged = Merge::new(folders.iter().map(PathBuf::as_path), output.as_path());
    let merged = merged.run().unwrap();
    let stats = merged.result.stats();
    assert_eq!(stats.measurement_verdict.as_deref(), Some("client-bound"));
    assert_eq!(stats.measurement_reasons.len(), 2);
    assert!(stats.measurement_reasons[0].contains("part-1: too few cores"));
    assert_eq!(stats.measurement_recorder_wait, Some(0.875));
    assert_eq!(stats.measurement_worker_busy, Some(0.5));
    assert_eq!(stats.measurement_connections, Some(12));
    assert_eq!(stats.measurement_percentiles.as_deref(), Some("sketch"));
    let verdicts: Vec<_> = merged
        .parts
        .iter()
        .map(|part| part.verdict.as_deref())
        .collect();
    assert_eq!(
        verdicts,
        [Some("clean"), Some("client-bound"), Some("degraded")]
    );
    let left_out = merged.result.warnings.join("\n");
    assert!(left_out.contains("own_statistic"), "{left_out}");
}

#[test]
fn missing_and_broken_parts_are_named() {
    let base = tempfile::tempdir().unwrap();
    let folders = split(base.path(), &lines(120), 4, &[json!({})]);
    std::fs::remove_dir_all(&folders[2]).unwrap();
    let torn = folders[3].join("responses.jsonl");
    let text = std::fs::read_to_string(&torn).unwrap();
    std::fs::write(&torn, &text[..text.len() - 40]).unwrap();
    let output = base.path().join("merged");
    let merge = Merge::new(folders.iter().map(PathBuf::as_path), output.as_path());
    let error = merge.run().unwrap_err().to_string();
    for part in ["part-2 (there is no such folder)", "shard 3/4 is missing"] {
        assert!(error.contains(part), "{error}");
    }
    assert!(
        !output.exists(),
        "nothing is left of a merge that was refused"
    );
    let merged = merge.clone().allow_missing(true).run().unwrap();
    let problems: Vec<_> = merged
        .parts
        .iter()
        .map(|part| part.problem.is_some())
        .collect();
    assert_eq!(problems, [false, false, true, true]);
    assert_eq!(merged.result.summary.total_requests, Some(91));
    let warnings = merged.result.warnings.join("\n");
    for part in [
        "part-2 is left out",
        "shard 3/4 is missing",
        "part-3: ",
        "truncated",
    ] {
        assert!(warnings.contains(part), "{warnings}");
    }
    let listed = &merged.result.stats().merged_from;
    assert_eq!(listed.len(), 4);
    assert_eq!(listed[2]["problem"], "there is no such folder");

    let again = merge.clone().allow_missing(true).run().unwrap_err();
    assert!(matches!(again, Error::FolderInUse { .. }), "{again}");
    let twice = Merge::new([&*folders[0], &*folders[0]], base.path().join("twice"));
    assert!(
        twice
            .run()
            .unwrap_err()
            .to_string()
            .contains("each part once")
    );
    // Given up in the middle, nothing is left.
    let given_up = Merge::new([&*folders[0]], base.path().join("given-up"));
    let given_up = given_up.allow_missing(true);
    assert!(
        given_up.run_with(|_| false).is_ok(),
        "too short to be asked"
    );
}
