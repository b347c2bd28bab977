//! Runs of data: what is sent, recorded and saved of it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use llmeter::callback::CacheBuster;
use llmeter::data::{DataRequest, DataSource};
use llmeter::payload::{Tokenizer, Whitespace};
use llmeter::report::Report;
use llmeter::run::SavedRun;
use llmeter::{InvocationResponse, Load, RunConfig, RunSettings, Verdict};
use serde_json::{Map, Value};

use super::*;
use crate::scripted::run;

/// A run of these settings against a server.
pub(super) fn run_of(server: &Scripted, settings: &Value) -> llmeter::Result<RunConfig> {
    let mut config = server.config();
    config.payloads.clear();
    let settings: RunSettings = serde_json::from_value(settings.clone()).unwrap();
    settings.apply(&mut config)?;
    Ok(config)
}

/// The prompt and the limit of every request, in an order of their own.
fn sent(server: &Scripted) -> Vec<(String, u64)> {
    let bodies = server.bodies().into_iter().map(|body| {
        let body: Value = serde_json::from_str(&body).unwrap();
        let prompt = body["messages"][0]["content"].as_str().unwrap();
        (prompt.to_owned(), body["max_tokens"].as_u64().unwrap())
    });
    let mut sent: Vec<_> = bodies.collect();
    sent.sort();
    sent
}

#[test]
fn clients_work_off_synthetic_data_together_and_a_folder_repeats_it() {
    let folder = tempfile::tempdir().unwrap();
    let settings = serde_json::json!({
        "data": "synthetic:prompt_tokens=40,prompt_tokens_stdev=9,output_tokens=2",
        "force_output_length": "vllm",
        "extra": {"temperature": 0},
        "clients": 3, "requests": 8, "warmup": 4, "seed": 5,
        "output": folder.path(), "run_name": "one",
    });
    let server = friendly();
    let result = run(run_of(&server, &settings).unwrap());
    let all = sent(&server);
    assert_eq!(result.responses.len(), 24);
    let different: BTreeSet<_> = all.iter().map(|(prompt, _)| prompt).collect();
    assert_eq!(
        different.len(),
        28,
        "no two are alike, those of the warm-up included"
    );
    let indices: BTreeSet<_> = result
        .responses
        .iter()
        .map(|response| response.detail.payload_index.unwrap())
        .collect();
    assert!(indices.into_iter().eq(0..24));
    let body: Value = serde_json::from_str(&server.bodies()[0]).unwrap();
    assert_eq!(
        (&body["ignore_eos"], &body["min_tokens"]),
        (&true.into(), &2.into())
    );
    assert_eq!(body["temperature"], 0);

    // The server says that every prompt has 7 tokens and every response 2.
    let stats = result.stats();
    let lengths = all.iter().map(|(prompt, _)| Whitespace.count(prompt));
    assert!(lengths.clone().min().unwrap() >= 5 && lengths.max().unwrap() <= 80);
    assert_eq!(stats.output_tokens_as_asked_rate, Some(1.0));
    let asked = stats.asked_input_tokens.average.unwrap();
    let beyond = stats.input_tokens_beyond_asked.unwrap();
    assert!((beyond - (7.0 - asked)).abs() < 1e-9, "{beyond} {asked}");
    // What is in the file is not kept in memory as well.
    assert_eq!(result.responses[0].input_prompt, None);
    let place = folder.path().join("one");
    assert!(!place.join("payload.jsonl").exists());
    let loaded = RunResult::load(place.as_path()).unwrap();
    assert_eq!(loaded.stats_map(), result.stats_map());
    for response in &loaded.responses {
        let prompt = response.input_prompt.as_ref().unwrap().as_str().unwrap();
        let asked = response.detail.asked_input_tokens;
        assert_eq!(Whitespace.count(prompt) as u32, asked);
    }

    // Repeated from its folder, with other clients and without a warm-up: the same requests.
    let mut saved = SavedRun::load(place.as_path()).unwrap();
    saved.settings.clients = Some(6);
    saved.settings.requests = Some(4);
    saved.settings.warmup = Some(llmeter::run::Warmup::Requests(0));
    let mut again = saved.into_config(None).unwrap();
    again.run_name = Some("two".to_owned());
    let before = server.requests();
    run(again);
    let repeated: BTreeSet<_> = server.bodies().into_iter().skip(before).collect();
    let first: BTreeSet<_> = server.bodies().into_iter().take(before).collect();
    assert_eq!(repeated.len(), 24);
    assert!(repeated.is_subset(&first));
}

#[test]
fn callbacks_change_what_data_gives() {
    let settings = serde_json::json!({
        "data": "synthetic:prompt_tokens=10,requests=6", "clients": 2,
    });
    let server = friendly();
    let mut config = run_of(&server, &settings).unwrap();
    config.callbacks = vec![Arc::new(CacheBuster::new(3))];
    let result = run(config);
    let all = sent(&server);
    // A request on a connection that the server gave up is sent once more.
    let again = result.quality.as_ref().unwrap().stale_connections;
    assert_eq!(all.len() as u64, 6 + again);
    assert_eq!(result.stats().failed_requests, 0);
    assert!(
        all.iter()
            .all(|(prompt, limit)| prompt.starts_with('[') && *limit == 128)
    );
    // Nobody knows how many tokens a changed prompt has.
    assert!(result.stats().asked_input_tokens.average.is_none());
    assert_eq!(result.stats().asked_output_tokens.average, Some(128.0));
}

#[test]
fn a_trace_is_replayed_in_its_order_at_its_times() {
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("trace.jsonl");
    let row = |time: u32, tokens: u32| {
        format!("{{\"timestamp\": {time}, \"input_length\": {tokens}, \"output_length\": 2}}\n")
    };
    let rows: String = (0..10).map(|n| row(n * 40, 10 + n)).collect();
    std::fs::write(&trace, rows + "nonsense\n").unwrap();
    let settings = serde_json::json!({
        "replay": trace, "speed": 4, "max_requests": 8, "output": folder.path(), "run_name": "replay",
    });
    let server = friendly();
    let result = run(run_of(&server, &settings).unwrap());
    assert_eq!(result.responses.len(), 8);
    let due = |response: &InvocationResponse| {
        let schedule = response.detail.schedule.as_ref();
        schedule.and_then(|schedule| schedule.due_time).unwrap()
    };
    let mut by_time: Vec<_> = result.responses.iter().collect();
    by_time.sort_by(|one, other| due(one).total_cmp(&due(other)));
    for (number, response) in by_time.into_iter().enumerate() {
        assert_eq!(response.detail.asked_input_tokens, 10 + number as u32);
        // Every 40 ms of the trace, at four times its speed.
        assert!((due(response) - 0.01 * number as f64).abs() < 1e-6);
        assert!(response.detail.send_lateness.unwrap() >= 0.0);
    }
    assert!(
        result
            .warnings
            .iter()
            .any(|warning| warning.contains("line 11 of the trace"))
    );

    // Its folder names the trace, which is not in it, and is itself a trace.
    let place = folder.path().join("replay");
    let report = Report::load(&[place.as_path().into()]).unwrap();
    let report = llmeter::report::markdown(&report);
    assert!(report.contains(&trace.display().to_string()), "{report}");
    let error = SavedRun::load(place.as_path())
        .unwrap()
        .into_config(None)
        .err()
        .unwrap();
    assert!(
        error.to_string().contains("which is not in its folder"),
        "{error}"
    );
    let again = serde_json::json!({"replay": place});
    let before = server.requests();
    run(run_of(&server, &again).unwrap());
    let bodies = server.bodies();
    let different = |bodies: &[String]| bodies.iter().cloned().collect::<BTreeSet<_>>();
    assert_eq!(different(&bodies[before..]), different(&bodies[..before]));
}

/// Data that takes its time.
#[derive(Debug)]
struct Slow;

impl DataSource for Slow {
    fn size(&self) -> Option<u64> {
        Some(4)
    }

    fn request(&self, index: u64) -> llmeter::Result<DataRequest> {
        std::thread::sleep(Duration::from_millis(30));
        Ok(DataRequest::of_payload(payload(&format!("p{index}"))))
    }
}

#[test]
fn a_run_that_waits_for_its_data_says_so() {
    let server = friendly();
    let mut config = server.config();
    config.payloads.clear();
    config.data = Some(Arc::new(Slow));
    config.load = Load::Requests(40);
    let result = run(config);
    let quality = result.quality.as_ref().unwrap();
    assert_eq!(quality.verdict, Verdict::ClientBound);
    assert!(quality.data_wait > 0.0 && quality.callback_wait == 0.0);
    let reasons = quality.reasons.join("; ");
    assert!(reasons.contains("for the data to be made"), "{reasons}");

    // By the clock as well, where the load is lower than asked for because of it.
    let mut config = server.config();
    config.payloads.clear();
    config.data = Some(Arc::new(Slow));
    config.load = Load::Requests(40);
    config.rate = Some("1000/s".parse().unwrap());
    let result = run(config);
    let quality = result.quality.as_ref().unwrap();
    assert_eq!(quality.verdict, Verdict::ClientBound);
    let reasons = quality.reasons.join("; ");
    assert!(
        reasons.contains("the data was not made in time"),
        "{reasons}"
    );
}

#[test]
fn the_limit_of_output_tokens_is_that_of_made_data_as_well() {
    let settings =
        serde_json::json!({"data": "synthetic:prompt_tokens=5,requests=2", "max_tokens": 9});
    let server = friendly();
    run(run_of(&server, &settings).unwrap());
    assert!(sent(&server).iter().all(|(_, limit)| *limit == 9));
}

#[test]
fn data_that_cannot_be_sent_is_refused_before_the_run() {
    let server = friendly();
    let traces = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/traces");
    let trace = format!("{traces}/azure_2023_conv_head.csv");
    let refused = |settings: Value| {
        let config = run_of(&server, &settings);
        let error = config.and_then(|config| config.validate()).unwrap_err();
        error.to_string()
    };
    for (settings, sentence) in [
        (
            serde_json::json!({"data": "synthetic:"}),
            "requests is required, e.g. 100",
        ),
        (
            serde_json::json!({"data": "synthetic:", "data_sample": 5}),
            "data_sample is not supported by synthetic data",
        ),
        (
            serde_json::json!({"data": "synthetic:output_tokens=4", "max_tokens": 9}),
            "max_tokens 9: expected none where the data has output_tokens, which is the limit",
        ),
        (
            serde_json::json!({"data_filter": "turn = 0"}),
            "data_filter requires data",
        ),
        (serde_json::json!({"speed": 2}), "speed requires replay"),
        (
            serde_json::json!({"replay": trace, "warmup": 2}),
            "warmup is not supported by a replay",
        ),
        (
            serde_json::json!({"force_output_length": "vllm"}),
            "force_output_length requires data or replay",
        ),
        (
            serde_json::json!({"data": "synthetic:", "extra": {"model": "x"}}),
            "extra model: expected a field that endpoint openai-chat-stream leaves to the payload",
        ),
    ] {
        assert_eq!(refused(settings), sentence);
    }
    let mut config = run_of(&server, &serde_json::json!({"data": "synthetic:"})).unwrap();
    config.payloads = vec![Arc::new(Map::new())];
    let error = config.validate().unwrap_err().to_string();
    assert_eq!(error, "give data or payload, not both");
    assert_eq!(server.requests(), 0);
}
