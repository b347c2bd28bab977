//! Run folders that a kill, a full disk or a careless hand left behind.

use std::fs;
use std::path::Path;

use crate::golden::{copy_folder, golden};
use llmeter::Error;
use llmeter::result::RunResult;
use tempfile::TempDir;

fn copy(name: &str) -> TempDir {
    let base = tempfile::tempdir().unwrap();
    copy_folder(&golden().join("outputs").join(name), base.path());
    base
}

/// Defect D21: one cut line makes the folder unreadable.
#[test]
fn answers_cut_at_any_byte_of_the_last_line() {
    for name in ["f2_sigkill/run", "a3_defaults/run"] {
        let base = copy(name);
        let file = base.path().join("responses.jsonl");
        let whole = fs::read(&file).unwrap();
        let count = whole.iter().filter(|&&byte| byte == b'\n').count();
        let last = whole[..whole.len() - 1]
            .iter()
            .rposition(|&byte| byte == b'\n')
            .unwrap()
            + 1;
        for length in last..=whole.len() {
            fs::write(&file, &whole[..length]).unwrap();
            let result = RunResult::load(base.path()).unwrap();
            let is_whole = length >= whole.len() - 1;
            let is_cut = length > last && !is_whole;
            let expected = if is_whole { count } else { count - 1 };
            assert_eq!(result.responses.len(), expected, "{length}");
            let skipped = result
                .warnings
                .iter()
                .filter(|w| w.contains("skipped 1 of"));
            assert_eq!(
                skipped.count(),
                usize::from(is_cut),
                "{:?}",
                result.warnings
            );
        }
    }
}

#[test]
fn blank_and_broken_lines_are_counted() {
    let base = copy("a3_defaults/run");
    let file = base.path().join("responses.jsonl");
    let whole = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("\n{{\"response\u{0}\n{whole}  \n\u{0}\u{0}")).unwrap();
    let result = RunResult::load(base.path()).unwrap();
    assert_eq!(result.responses.len(), 3);
    let [warning] = result.warnings.as_slice() else {
        panic!("{:?}", result.warnings);
    };
    assert!(
        warning.contains("skipped 4 of 7 lines (2 truncated or unreadable, 2 blank; first: line 2"),
        "{warning}"
    );
}

/// Figures are of one and the same set of responses, and what contradicts it is named.
#[test]
fn a_summary_and_lines_that_contradict_each_other_are_named() {
    let base = copy("a3_defaults/run");
    let file = base.path().join("responses.jsonl");
    let whole = fs::read_to_string(&file).unwrap();
    let requests = whole.lines().count() as u64;
    let load = || RunResult::load(base.path()).unwrap();
    let saved = RunResult::load_without_responses(base.path()).unwrap();
    let saved = saved.stats_map();
    // Lines that are gone, or cannot be read: the statistics that were saved know more.
    let first = whole.lines().next().unwrap();
    for left in [String::new(), format!("{first}\n"), "{oops\n".repeat(3)] {
        fs::write(&file, left).unwrap();
        let result = load();
        assert_eq!(result.stats_map(), saved);
        let said =
            format!("of {requests} responses are there; statistics are those that were saved");
        let is_said = |warning: &String| warning.contains(&said);
        assert!(result.warnings.iter().any(is_said), "{:?}", result.warnings);
    }
    // More lines than the summary counts.
    fs::write(&file, format!("{whole}{whole}")).unwrap();
    let result = load();
    let said = format!(
        "it counts {requests} requests, and there are {} responses",
        2 * requests
    );
    assert!(result.warnings[0].contains(&said), "{:?}", result.warnings);
}

#[test]
fn any_file_may_be_missing_or_empty_or_broken() {
    type Damage = fn(&Path);
    let damages: [(&str, Damage); 3] = [
        ("missing", |path| fs::remove_file(path).unwrap()),
        ("empty", |path| fs::write(path, "").unwrap()),
        ("broken", |path| {
            let text = fs::read(path).unwrap();
            fs::write(path, &text[..text.len() / 2]).unwrap();
        }),
    ];
    for (damage, apply) in damages {
        for name in [
            "run_config.json",
            "summary.json",
            "stats.json",
            "payload.jsonl",
        ] {
            let base = copy("a_count_bound/run");
            let whole = RunResult::load(base.path()).unwrap();
            apply(&base.path().join(name));
            let result = RunResult::load(base.path()).unwrap();
            assert_eq!(result.responses, whole.responses, "{damage} {name}");
            assert_eq!(result.stats_map(), whole.stats_map(), "{damage} {name}");
            let is_noticed = damage != "missing" && ["summary.json", "stats.json"].contains(&name);
            assert_eq!(
                result.warnings.len(),
                usize::from(is_noticed),
                "{damage} {name}"
            );
            assert!(
                !result.interrupted,
                "stats.json says what summary.json does"
            );
        }

        // Without summary and statistics, it is as after a kill.
        let base = copy("a_count_bound/run");
        for name in ["summary.json", "stats.json", "run_config.json"] {
            apply(&base.path().join(name));
        }
        let result = RunResult::load(base.path()).unwrap();
        assert!(result.interrupted);
        assert_eq!(result.summary.total_requests, Some(15));
        assert_eq!(
            result.stats_map()["requests_per_minute"],
            serde_json::Value::Null
        );
        assert_eq!(result.stats_map()["total_output_tokens"], 216);

        // Without answers, it is what was saved.
        let base = copy("a_count_bound/run");
        apply(&base.path().join("responses.jsonl"));
        let result = RunResult::load(base.path()).unwrap();
        let warnings = match damage {
            "empty" | "missing" => 1,
            // Of the line that is cut, and of those that are missing.
            _ => 2,
        };
        assert_eq!(result.warnings.len(), warnings, "{:?}", result.warnings);
        let tokens = result.stats_map()["total_output_tokens"].as_f64();
        assert_eq!(tokens, Some(216.0), "{damage}");
    }
}

#[test]
fn killed_before_the_first_answer() {
    let base = copy("f2_sigkill/run");
    fs::write(base.path().join("responses.jsonl"), "").unwrap();
    let result = RunResult::load(base.path()).unwrap();
    assert!(result.interrupted);
    assert_eq!(result.summary.total_requests, Some(0));
    assert_eq!(result.summary.n_requests, Some(500), "as configured");
    assert_eq!(result.stats_map()["failed_requests"], 0);
}

/// The endpoint of a killed run, from a configuration of either format.
#[test]
fn a_killed_run_knows_its_endpoint() {
    for name in ["a_count_bound/run", "k_legacy_v0_1_12/run"] {
        let base = copy(name);
        fs::remove_file(base.path().join("summary.json")).unwrap();
        fs::remove_file(base.path().join("stats.json")).unwrap();
        let summary = RunResult::load(base.path()).unwrap().summary;
        assert_eq!(summary.model_id.as_deref(), Some("mock-model"));
        assert_eq!(summary.endpoint_name.as_deref(), Some("mock-openai"));
        assert_eq!(summary.provider.as_deref(), Some("openai"));
        assert!(summary.first_request_time.is_some() && summary.end_time.is_some());
    }
}

#[test]
fn floats_that_json_does_not_have() {
    let base = copy("a_count_bound/run");
    for name in [
        "run_config.json",
        "summary.json",
        "stats.json",
        "responses.jsonl",
    ] {
        let file = base.path().join(name);
        let text = fs::read_to_string(&file).unwrap();
        let text = text
            .replacen("\"run_description\": null", "\"run_description\": NaN", 1)
            .replacen("\"retries\": null", "\"retries\": -Infinity", 1);
        fs::write(&file, text).unwrap();
    }
    let result = RunResult::load(base.path()).unwrap();
    assert_eq!(result.warnings, [""; 0]);
    assert_eq!(result.responses.len(), 15);
}

/// Costs that 0.1 wrote beside the other keys of a line.
#[test]
fn old_costs_become_annotations() {
    let base = copy("k_legacy_v0_1_12/run_cost");
    let file = base.path().join("responses.jsonl");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(
        &file,
        text.replace("\"retries\"", "\"cost_total\": 0.5, \"retries\""),
    )
    .unwrap();
    let result = RunResult::load(base.path()).unwrap();
    assert!(
        result
            .responses
            .iter()
            .all(|r| r.annotations["cost_total"] == 0.5)
    );
}

#[test]
fn what_is_no_run_is_refused_with_a_reason() {
    let base = tempfile::tempdir().unwrap();
    for path in [base.path().to_path_buf(), base.path().join("missing")] {
        let error = RunResult::load(&path).unwrap_err();
        assert!(matches!(error, Error::NotARun { .. }));
        assert!(
            error.to_string().contains(path.to_str().unwrap()),
            "{error}"
        );
    }
    fs::write(base.path().join("summary.json"), "{").unwrap();
    let error = RunResult::load(base.path()).unwrap_err().to_string();
    assert!(
        error.contains("summary.json: cannot be understood"),
        "{error}"
    );
}
