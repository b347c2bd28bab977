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
    assert_eq!(
        error,
        format!(
            "{} (shard 3/4): there is no such folder",
            folders[2].display()
        )
    );
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
        "part-2 (shard 3/4): ",
        "part-3: responses.jsonl: ",
        "truncated",
    ] {
        assert_eq!(warnings.matches(part).count(), 1, "{warnings}");
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

/// The settings of a run, as its folder has them.
fn write_config(folder: &Path, change: &Value) {
    let mut config = json!({
        "endpoint": {"__llmeter_class__": "llmeter.endpoints.openai.OpenAIEndpoint", "__llmeter_state__": {}},
        "clients": 8, "n_requests": 100, "run_duration": null, "timeout": 60,
    });
    let change = change.as_object().unwrap().clone();
    config.as_object_mut().unwrap().extend(change);
    std::fs::write(folder.join("run_config.json"), config.to_string()).unwrap();
}

fn own_of(folder: &Path) -> Value {
    let text = std::fs::read_to_string(folder.join("llmeter.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn change_own(folder: &Path, key: &str, value: Value) {
    let mut own = own_of(folder);
    own[key] = value;
    std::fs::write(folder.join("llmeter.json"), own.to_string()).unwrap();
}

fn merge(parts: &[&Path], output: &Path) -> llmeter::Result<llmeter::experiment::Merged> {
    Merge::new(parts.iter().copied(), output).run()
}

#[test]
fn no_response_counts_twice() {
    let base = tempfile::tempdir().unwrap();
    let folders = split(base.path(), &lines(120), 3, &[json!({})]);
    for (number, folder) in folders.iter().enumerate() {
        change_own(folder, "run_id", format!("run-{number}").into());
    }
    let two = base.path().join("two");
    let first_two = Merge::new(folders[..2].iter().map(PathBuf::as_path), two.as_path());
    let merged = first_two.allow_missing(true).run().unwrap();
    assert_eq!(own_of(&two)["merged_runs"], json!(["run-0", "run-1"]));
    assert_eq!(own_of(&two)["merged_shards"], json!(["1/3", "2/3"]));
    assert_eq!(merged.parts.len(), 2);

    // The shards of a merged run are those of its parts: nothing is missing, and all of them is a whole.
    let all = base.path().join("all");
    let whole = merge(&[&two, &folders[2]], &all).unwrap();
    assert_eq!(whole.result.summary.total_requests, Some(120));
    assert_eq!(own_of(&all)["merged_shards"], Value::Null);
    let from_one_step = base.path().join("one-step");
    let at_once = Merge::new(
        folders.iter().map(PathBuf::as_path),
        from_one_step.as_path(),
    );
    assert_eq!(
        figures(at_once.run().unwrap().result.stats_map()),
        figures(whole.result.stats_map())
    );

    // By their ids, whatever folders are called.
    let error = merge(&[&two, &folders[1]], &base.path().join("x")).unwrap_err();
    let error = error.to_string();
    assert!(
        error.contains("part-1: it has responses that") && error.contains("count twice"),
        "{error}"
    );
    // And by what they are, where nobody has written ids.
    for folder in [&two, &folders[1]] {
        std::fs::write(folder.join("llmeter.json"), "{}").unwrap();
    }
    let error = merge(&[&two, &folders[1]], &base.path().join("y")).unwrap_err();
    assert!(error.to_string().contains("count twice"), "{error}");
    assert!(!base.path().join("y").exists());
}

#[test]
fn what_is_wrong_with_a_part_is_named() {
    let base = tempfile::tempdir().unwrap();
    let clean = json!({"measurement_verdict": "clean", "measurement_reasons": []});
    let folders = split(base.path(), &lines(120), 2, &[clean]);
    // A killed run has left its lines alone; the other one's own settings are damaged.
    for name in ["summary.json", "stats.json"] {
        std::fs::remove_file(folders[0].join(name)).unwrap();
    }
    std::fs::write(folders[1].join("llmeter.json"), "{\"shard\": ").unwrap();
    let output = base.path().join("merged");
    let merge = Merge::new(folders.iter().map(PathBuf::as_path), output.as_path());
    let merged = merge.allow_missing(true).run().unwrap();
    let problems: Vec<_> = merged
        .parts
        .iter()
        .map(|part| part.problem.clone().unwrap_or_default())
        .collect();
    assert!(problems[0].contains("ended before its end"), "{problems:?}");
    assert!(
        problems[1].starts_with("llmeter.json: cannot be understood"),
        "{problems:?}"
    );
    let stats = merged.result.stats();
    assert_eq!(stats.measurement_verdict.as_deref(), Some("degraded"));
    assert!(
        stats.measurement_reasons[0].contains("part-0: its measurement was not judged"),
        "{:?}",
        stats.measurement_reasons
    );
}

#[test]
fn settings_that_differ_are_named() {
    let base = tempfile::tempdir().unwrap();
    let folders = split(base.path(), &lines(120), 3, &[json!({})]);
    write_config(&folders[0], &json!({}));
    write_config(&folders[1], &json!({"timeout": 30}));
    write_config(&folders[2], &json!({"run_name": "another"}));
    change_own(&folders[2], "seed", 7.into());
    change_own(&folders[1], "seed", 0.into());
    change_own(&folders[0], "seed", 0.into());
    std::fs::write(folders[0].join("payload.jsonl"), "{\"a\": 1}\n").unwrap();
    std::fs::write(folders[1].join("payload.jsonl"), "{\"a\": 2}\n").unwrap();
    let output = base.path().join("merged");
    let merge = Merge::new(folders.iter().map(PathBuf::as_path), output.as_path());
    let warnings = merge.run().unwrap().result.warnings;
    assert_eq!(
        warnings,
        [
            "the parts differ: `timeout` is 60 in part-0 and part-2, 30 in part-1",
            "the parts differ: `seed` is 0 in part-0 and part-1, 7 in part-2",
            "the parts differ: they sent other payloads",
        ]
    );
}

/// Lines of an open loop: due each 0.125 s in stages of 10 s, each sent a little late.
fn lines_by_clock(count: u32) -> Vec<String> {
    let line = |(number, line): (usize, String)| {
        let mut line: Value = serde_json::from_str(&line).unwrap();
        let due = number as f64 * 0.125;
        line["due_time"] = due.into();
        line["send_lateness"] = (f64::from(number as u32 % 3) * 0.03125).into();
        line["stage"] = (1 + due as u64 / 10).into();
        line.to_string()
    };
    lines(count).into_iter().enumerate().map(line).collect()
}

#[test]
fn stages_and_rates_of_an_open_loop_are_those_of_one_run() {
    let base = tempfile::tempdir().unwrap();
    // Eight a second, 160 in two stages.
    let lines = lines_by_clock(160);
    let stage = |(number, due): (u64, u64)| {
        let (start, end) = (number * 10, number * 10 + 10);
        json!({"start": start, "end": end, "offered_rate": due as f64 / 10.0})
    };
    let of_load = |due: u64, each: [u64; 2]| {
        json!({
            "due_requests": due, "offered_rate": 1, "achieved_rate": 1, "offered_in_flight": 2.0,
            "stages": [stage((0, each[0])), stage((1, each[1]))],
        })
    };
    let more: Vec<_> = [[28, 24], [28, 28], [24, 28]]
        .map(|each| of_load(each.iter().sum(), each))
        .into();
    let folders = split(base.path(), &lines, 3, &more);
    for folder in &folders {
        change_own(folder, "stages", "8/s for 10s, ramp to 8/s over 10s".into());
        write_config(folder, &json!({"run_duration": 20}));
    }
    let output = base.path().join("merged");
    let merge = Merge::new(folders.iter().map(PathBuf::as_path), output.as_path());
    let merged = merge.run().unwrap();
    let stats = merged.result.stats();
    assert_eq!((stats.clients, stats.due_requests), (Some(1), Some(160)));
    assert_eq!(
        (stats.offered_rate, stats.achieved_rate),
        (Some(8.0), Some(8.0))
    );
    assert_eq!(
        merged.result.summary.n_requests,
        Some(300),
        "those of all parts"
    );
    let stages = stats.stages;
    assert_eq!(stages.len(), 2);
    assert_eq!(stages[1]["load"], "ramp to 8/s over 10s");
    for (number, stage) in stages.iter().enumerate() {
        assert_eq!(stage["total_requests"], 80, "{number}");
        assert_eq!(
            (&stage["offered_rate"], &stage["achieved_rate"]),
            (&json!(8.0), &json!(8.0))
        );
        let of_stage = lines[number * 80..][..80].iter().map(String::as_str);
        let alone = base.path().join(format!("stage-{number}"));
        write_run(
            &alone,
            &of_stage.collect::<Vec<_>>(),
            &json!({"slo": ["ttft < 180ms"]}),
            &json!({}),
        );
        let alone = RunResult::load(&alone).unwrap().stats_map();
        for key in [
            "time_to_first_token-p50",
            "time_to_first_token-p90-ci_low",
            "failed_requests",
            "goodput_rate",
        ] {
            if let Some(expected) = alone.get(key) {
                assert_eq!(&stage[key], expected, "{key} of stage {number}");
            }
        }
    }
    let loaded = RunResult::load(&output).unwrap();
    assert_eq!(loaded.stats().stages, merged.result.stats().stages);
}
