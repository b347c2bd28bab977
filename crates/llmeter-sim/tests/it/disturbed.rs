//! Experiments of one run: a spike, a cold start, drift under load.

use std::time::Duration;

use llmeter::experiment::{ColdStart, Drift, DriftExample, Recovery, Spike};
use llmeter::load::{Arrivals, StageLevel};
use llmeter::{OpenAiChat, RunConfig, RunResult, report};

use crate::server;

fn config(base_url: String, prompts: &[&str]) -> RunConfig {
    let endpoint = OpenAiChat::builder(base_url, "m").build().unwrap();
    let payloads = prompts
        .iter()
        .map(|prompt| OpenAiChat::create_payload(*prompt, 8, Default::default()).unwrap());
    RunConfig::new(std::sync::Arc::new(endpoint), payloads)
}

#[test]
fn a_queue_that_a_spike_leaves_has_to_be_worked_off() {
    // One request at a time, 20 ms each: 30 a second are usual, and 150 for half a second leave 50 more than
    // are answered, which at 20 a second take 2.5 s.
    let server = server(|config| {
        config.ttft = Duration::from_millis(20);
        config.output_tokens = 1;
        config.max_concurrency = Some(1);
    });
    let folder = tempfile::tempdir().unwrap();
    let mut base = config(server.base_url(), &["Hi"]);
    base.arrivals = Arrivals::Constant;
    base.output = Some(folder.path().into());
    base.run_name = Some("spike".into());
    let spike = Spike::new(
        base,
        StageLevel::Rate("30/s".parse().unwrap()),
        "150/s for 500ms".parse().unwrap(),
    )
    .around(Duration::from_millis(1500), Duration::from_secs(4))
    .window(Duration::from_millis(200));
    let result = spike.run_blocking().unwrap();
    let found = Recovery::of(&result);
    let names: Vec<_> = found.iter().map(|one| one.figure.as_str()).collect();
    assert_eq!(names, ["TTFT from due p50", "TTFT from due p90"]);
    for one in &found {
        // However slow this machine is, the queue takes that long.
        assert!(one.highest > Some(0.7), "{one:?}");
        assert!(
            one.recovered_after.is_none_or(|after| after >= 2.0),
            "{one:?}"
        );
        assert!(
            (one.watched - 4.0).abs() < 1e-9 && one.before > Some(0.015),
            "{one:?}"
        );
    }
    let stages = result.stats().stages;
    assert_eq!(stages.len(), 3);
    let saved = RunResult::load(folder.path().join("spike")).unwrap();
    assert_eq!(Recovery::of(&saved), found);
    assert!(report::summary(&saved).contains("after the spike"));
}

#[test]
fn a_spike_needs_time_before_it() {
    let refused = |usual: &str, before: u64, spike: &str| {
        let base = config("http://127.0.0.1:9/v1".to_owned(), &["Hi"]);
        let usual = StageLevel::Rate(usual.parse().unwrap());
        let spike = Spike::new(base, usual, spike.parse().unwrap());
        let spike = spike.around(Duration::from_secs(before), Duration::from_secs(1));
        spike.validate().unwrap_err().to_string()
    };
    let short = refused("2/s", 30, "9/s for 1s");
    assert!(
        short.contains("60.0s or more, which is six windows of 10.0s"),
        "{short}"
    );
    let mixed = refused("2/s", 90, "9 clients for 1s");
    assert!(
        mixed.contains("begins in rates goes on in rates"),
        "{mixed}"
    );
}

#[test]
fn a_server_that_is_awake_is_steady_soon() {
    let server = server(|config| {
        config.ttft = Duration::from_millis(5);
        config.output_tokens = 2;
    });
    let start = ColdStart::new(config(server.base_url(), &["Hi"])).responses(12);
    let result = start.run_blocking().unwrap();
    let stats = result.stats();
    // What is sent while the last one is looked at comes as well.
    assert!(stats.total_requests >= Some(12));
    assert_eq!(stats.cold_start_failures, Some(0));
    let [first, whole] = [stats.cold_start_first_token, stats.cold_start_response];
    assert!(first >= Some(0.005) && whole >= first, "{stats:?}");
    assert!(stats.cold_start_limit >= Some(0.005));
    let few = ColdStart::new(config(server.base_url(), &["Hi"])).responses(3);
    let refused = few.run_blocking().unwrap_err().to_string();
    assert!(refused.contains("10 or more"), "{refused}");
}

#[test]
fn nobody_is_waited_for_until_somebody_is_there() {
    // Nobody listens at a port that was free a moment ago.
    let place = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = place.local_addr().unwrap().port();
    drop(place);
    let base = config(format!("http://127.0.0.1:{port}/v1"), &["Hi"]);
    let start = ColdStart::new(base)
        .responses(10)
        .polling(Duration::from_millis(1), Duration::from_millis(300));
    let result = start.run_blocking().unwrap();
    let stats = result.stats();
    assert_eq!(stats.total_requests, Some(stats.failed_requests));
    assert_eq!(stats.cold_start_failures, stats.total_requests);
    assert!(stats.cold_start_failures >= Some(2) && stats.cold_start_response.is_none());
    assert!(report::summary(&result).contains("cold start: no response"));
}

#[test]
fn a_server_whose_answers_drift_is_found_out() {
    let prompts = ["one", "two", "three"];
    for (drift_from, drifts) in [(Some(2), true), (Some(1000), false)] {
        let server = server(|config| {
            config.ttft = Duration::from_millis(30);
            config.output_tokens = 8;
            config.drift_from = drift_from;
        });
        let folder = tempfile::tempdir().unwrap();
        let mut base = config(server.base_url(), &prompts);
        base.output = Some(folder.path().into());
        base.run_name = Some("drift".into());
        let result = Drift::new(base, 4).run_blocking().unwrap();
        let stats = result.stats();
        assert_eq!(
            (stats.drift_alone_compared, stats.drift_alone_differ),
            (Some(3), Some(0))
        );
        assert_eq!(stats.drift_compared, Some(12));
        assert_eq!(stats.drift_differ > Some(0), drifts, "{stats:?}");
        let examples = DriftExample::of(&result);
        assert_eq!(!examples.is_empty(), drifts);
        assert!(examples.iter().all(|one| one.alone != one.under_load));
        let saved = RunResult::load(folder.path().join("drift")).unwrap();
        assert_eq!(DriftExample::of(&saved), examples);
        let said = report::summary(&saved);
        assert!(said.contains("of 12 answers under load differ"), "{said}");
        assert!(
            said.contains("alone the server gave the same 3 answers twice"),
            "{said}"
        );
        let alone = RunResult::load(folder.path().join("drift/alone-2")).unwrap();
        assert_eq!(alone.summary.total_requests, Some(3));
    }
}
