//! Run folders that the Python system wrote, versions 0.2.0 and 0.1.12.

use crate::golden::{close, copy_folder, exclusive, golden, lines, object, same, vectors};
use crate::schema;
use llmeter::payload::bytes_of;
use llmeter::result::{RunResult, RunSummary};
use serde_json::Value;

/// Folder, answers, failed, `total_requests`, `n_requests`, clients, tokens in and out.
const FOLDERS: [(&str, [u64; 7]); 27] = [
    ("a_count_bound/run", [15, 0, 15, 5, 3, 66, 216]),
    ("a2_non_streaming/run", [6, 0, 6, 3, 2, 24, 48]),
    ("a3_defaults/run", [3, 0, 3, 3, 1, 13, 40]),
    ("a4_single_request/run", [1, 0, 1, 1, 1, 4, 8]),
    ("b_time_bound/run", [58, 0, 58, 29, 2, 252, 784]),
    ("b2_low_memory/run", [20, 0, 20, 10, 2, 90, 264]),
    ("c_failures/run", [14, 10, 14, 7, 2, 8, 12]),
    ("c2_all_failed/run", [3, 3, 3, 3, 1, 0, 0]),
    ("c3_sdk_retry/run", [2, 0, 2, 2, 1, 8, 8]),
    ("d_load_test/ladder", [24, 0, 12, 3, 4, 104, 320]),
    (
        "d2_load_test_by_runner/ladder/00001-clients",
        [6, 0, 6, 6, 1, 26, 80],
    ),
    (
        "d2_load_test_by_runner/ladder/00002-clients",
        [6, 0, 6, 3, 2, 26, 80],
    ),
    (
        "d2_load_test_by_runner/ladder/00004-clients",
        [12, 0, 12, 3, 4, 52, 160],
    ),
    ("e_cost_model/run", [6, 0, 6, 3, 2, 32, 80]),
    ("f_sigint/run", [22, 0, 22, 11, 2, 96, 304]),
    ("f2_sigkill/run", [20, 0, 20, 500, 2, 90, 264]),
    ("g_no_usage/run", [6, 0, 6, 3, 2, 26, 80]),
    ("h_image_bedrock/run", [2, 0, 2, 2, 1, 12, 12]),
    ("h2_image_openai/run", [2, 0, 2, 2, 1, 12, 12]),
    ("j_other_endpoints/anthropic", [2, 0, 2, 2, 1, 6, 10]),
    ("j_other_endpoints/anthropic_stream", [2, 0, 2, 2, 1, 6, 10]),
    ("j_other_endpoints/bedrock_converse", [2, 0, 2, 2, 1, 6, 10]),
    (
        "j_other_endpoints/bedrock_converse_stream",
        [2, 0, 2, 2, 1, 6, 10],
    ),
    ("j_other_endpoints/openai_response", [2, 0, 2, 2, 1, 6, 10]),
    (
        "j_other_endpoints/openai_response_stream",
        [2, 0, 2, 2, 1, 6, 10],
    ),
    ("k_legacy_v0_1_12/run", [8, 4, 8, 4, 2, 16, 32]),
    ("k_legacy_v0_1_12/run_cost", [3, 0, 3, 3, 1, 12, 24]),
];

#[test]
fn every_folder_loads() {
    for (name, [answers, failed, total, per_client, clients, input, output]) in FOLDERS {
        let path = golden().join("outputs").join(name);
        let result = RunResult::load(&path).unwrap();
        let stats = result.stats_map();
        let is_killed = name == "f2_sigkill/run";

        assert_eq!(result.responses.len() as u64, answers, "{name}");
        assert_eq!(result.summary.total_requests, Some(total), "{name}");
        assert_eq!(result.summary.n_requests, Some(per_client), "{name}");
        assert_eq!(result.summary.clients, clients, "{name}");
        assert_eq!(result.summary.output_path, Some((&path).into()), "D13");
        assert_eq!(stats["failed_requests"], failed, "{name}");
        assert_eq!(stats["total_input_tokens"], input, "{name}");
        assert_eq!(stats["total_output_tokens"], output, "{name}");
        assert_eq!(result.interrupted, is_killed || name == "f_sigint/run");
        assert_eq!(
            result.warnings.len(),
            // Defect D12: the lines of two levels under the summary of one.
            usize::from(is_killed || name == "d_load_test/ladder"),
            "{:?}",
            result.warnings
        );
        assert!(result.summary.model_id.is_some() && result.summary.provider.is_some());
    }
}

#[test]
fn what_some_folders_hold() {
    let load = |name: &str| RunResult::load(golden().join("outputs").join(name)).unwrap();

    let stats = load("c2_all_failed/run").stats_map();
    let is_metric = |key: &String| key.contains('-') && !key.starts_with("failed_requests");
    assert!(!stats.keys().any(is_metric), "no metrics");

    let costs = load("e_cost_model/run");
    assert_eq!(costs.stats_map()["cost_total"], 0.021596);
    assert!(
        costs
            .responses
            .iter()
            .all(|r| r.annotations.contains_key("cost_total"))
    );
    assert_eq!(costs.get_dimension("cost_total").unwrap().len(), 6);

    let interrupted = load("f_sigint/run");
    assert_eq!(interrupted.stats_map()["interrupted"], true);
    assert_eq!(interrupted.stats_map()["total_test_time"], Value::Null);

    let legacy = load("k_legacy_v0_1_12/run_cost");
    assert_eq!(legacy.stats_map()["cost_total"], 0.010396);
    assert!(legacy.responses.iter().all(|r| r.annotations.is_empty()));

    let image = load("h_image_bedrock/run");
    let payload = image.responses[0].input_payload.as_ref().unwrap();
    let bytes = &payload["messages"][0]["content"][1]["image"]["source"]["bytes"];
    assert!(bytes_of(bytes).unwrap().starts_with(b"\x89PNG\r\n\x1a\n"));
}

/// What is saved again obeys the schemas, whoever wrote it first.
#[test]
fn every_folder_obeys_the_schemas() {
    for (name, _) in FOLDERS {
        let base = tempfile::tempdir().unwrap();
        let path = golden().join("outputs").join(name);
        // A killed run has no statistics, and lines of 0.1.12 lack a field.
        if ![
            "f2_sigkill/run",
            "k_legacy_v0_1_12/run",
            "k_legacy_v0_1_12/run_cost",
        ]
        .contains(&name)
        {
            schema::assert_obeyed(&path);
        }
        let mut result = RunResult::load(&path).unwrap();
        // Without a folder of its own, it writes the responses anew.
        result.summary.output_path = None;
        result.save(Some(&base.path().into())).unwrap();
        schema::assert_obeyed(base.path());
    }
}

/// `Result.load(folder).stats` of 0.2.0, key by key.
#[test]
fn statistics_agree_but_for_defects() {
    let mut named = std::collections::BTreeSet::new();
    for case in vectors("loaded_stats") {
        let folder = golden().join(case["folder"].as_str().unwrap());
        let result = RunResult::load(&folder).unwrap();
        let stats = result.stats_map();
        for (key, expected) in object(&case["load"]["stats"]) {
            let Some(value) = stats.get(key) else {
                named.insert(absent(key, &folder));
                continue;
            };
            if !same(value, expected) {
                named.insert(deviation(key, value, expected, &folder, &result.summary));
            }
        }
    }
    let named: Vec<_> = named.into_iter().collect();
    assert_eq!(named, ["D10", "D11", "D13", "D14", "D17", "D3"]);
}

/// Which defect makes a value differ; the value here is checked to be the right one.
fn deviation(
    key: &str,
    value: &Value,
    expected: &Value,
    folder: &std::path::Path,
    summary: &RunSummary,
) -> &'static str {
    let lines = lines(folder);
    match key {
        // The folder that it was loaded from, not the one that it was once written to.
        "output_path" => {
            assert_eq!(value.as_str(), folder.to_str());
            "D13"
        }
        // The same time, written with its fraction.
        "start_time" | "first_request_time" | "last_request_time" | "end_time" => {
            let instant = |text: &Value| text.as_str().unwrap().parse::<jiff::Timestamp>();
            assert_eq!(instant(value).unwrap(), instant(expected).unwrap());
            "D11"
        }
        // Over the run's true window; over the time until the end of processing in 0.2.0, whose
        // value for an interrupted run, which has no window, is not carried along (D12).
        "output_tps" => {
            let tokens: u64 = lines
                .iter()
                .filter_map(|l| l["num_tokens_output"].as_u64())
                .sum();
            match summary.total_test_time {
                Some(window) => assert_eq!(value.as_f64(), Some(tokens as f64 / window)),
                None => assert!(value.is_null()),
            }
            "D10"
        }
        _ => {
            // Three runs in one folder: all their answers, not a copy of what the last one said.
            let is_mixed = folder.ends_with("d_load_test/ladder");
            let (metric, statistic) = key
                .rsplit_once('-')
                .unwrap_or_else(|| panic!("{key} of {}: {value} for {expected}", folder.display()));
            let values = |is_all: bool| -> Vec<f64> {
                lines
                    .iter()
                    .filter(|line| is_all || line["error"].is_null())
                    .filter_map(|line| line[metric].as_f64())
                    .collect()
            };
            let (all, successful) = (values(true), values(false));
            let right = match statistic {
                "average" => successful.iter().sum::<f64>() / successful.len() as f64,
                percentile => exclusive(&successful, percentile[1..].parse().unwrap()),
            };
            assert!(
                close(value.as_f64().unwrap(), right),
                "{key}: {value} for {right}"
            );
            let there = expected.as_f64().unwrap();
            if is_mixed && metric == "time_per_output_token" {
                "D3"
            } else if all.len() > successful.len() {
                "D14"
            } else {
                assert!(
                    all.iter().all(|&v| v < there) || all.iter().all(|&v| v > there),
                    "{key} of {}: {value} for {expected} is not D17",
                    folder.display()
                );
                "D17"
            }
        }
    }
}

/// Which defect makes a key be there in 0.2.0 and not here.
fn absent(key: &str, folder: &std::path::Path) -> &'static str {
    let metric = key.rsplit_once('-').map_or(key, |(metric, _)| metric);
    assert!(
        lines(folder)
            .iter()
            .all(|line| !line["error"].is_null() || line[metric].is_null()),
        "{key} of {}",
        folder.display()
    );
    "D14"
}

/// Without answers the statistics are those of `stats.json`.
#[test]
fn without_answers_statistics_are_as_saved() {
    for case in vectors("loaded_stats") {
        let folder = golden().join(case["folder"].as_str().unwrap());
        let mut result = RunResult::load_without_responses(&folder).unwrap();
        assert_eq!(result.responses, []);
        let stats = result.stats_map();
        let expected = object(&case["load_without_responses"]["stats"]);
        if folder.ends_with("f2_sigkill/run") {
            // D12: there is no stats.json, and 0.2.0 reports 0 tokens for a run that had 264.
            assert_eq!(expected["total_output_tokens"], 0);
            assert_eq!(stats["total_output_tokens"], 264);
        } else {
            assert!(stats.keys().eq(expected.keys()), "{}", folder.display());
            for (key, expected) in expected {
                if RunSummary::fields().all(|field| field != key) {
                    assert_eq!(stats[key], *expected, "{key}");
                }
            }
        }
        result.load_responses().unwrap();
        let loaded = RunResult::load(&folder).unwrap();
        assert_eq!(
            result.stats_map(),
            loaded.stats_map(),
            "D12: {}",
            folder.display()
        );
    }
}

/// Defect D12 of the Python system: saving and loading changes statistics.
#[test]
fn saving_and_loading_changes_nothing() {
    for (name, _) in FOLDERS {
        let base = tempfile::tempdir().unwrap();
        let first = RunResult::load(golden().join("outputs").join(name)).unwrap();
        first.save(Some(&base.path().into())).unwrap();

        let mut expected = first.stats_map();
        expected.insert(
            "output_path".to_owned(),
            base.path().to_str().unwrap().into(),
        );
        let second = RunResult::load(base.path()).unwrap();
        assert_eq!(second.stats_map(), expected, "{name}");
        assert_eq!(second.responses, first.responses, "{name}");
        let is_mixed = usize::from(name == "d_load_test/ladder");
        assert_eq!(
            second.warnings.len(),
            is_mixed,
            "{name}: {:?}",
            second.warnings
        );
        assert_eq!(second.interrupted, first.interrupted, "{name}");
        let summary_only = RunResult::load_without_responses(base.path()).unwrap();
        assert_eq!(summary_only.stats_map(), expected, "{name}");
    }
}

/// Defect D13: a folder that was moved is still one folder.
#[test]
fn a_moved_folder_loads_its_answers() {
    let base = tempfile::tempdir().unwrap();
    copy_folder(&golden().join("outputs/a_count_bound/run"), base.path());
    let mut result = RunResult::load_without_responses(base.path()).unwrap();
    assert_eq!(result.load_responses().unwrap().len(), 15);
}
