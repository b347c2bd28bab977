//! Servers that fail: they are not hammered, and what cannot get better ends the run.

use std::time::Duration;

use llmeter::{Connections, Load, RunConfig, RunResult, RunSettings};

use super::{assert_saved, config, failure, whole};
use crate::scripted::answers::{DONE, chunked, sized};
use crate::scripted::{Scripted, Step, run, write};

fn refusal(status: &str) -> Vec<Step> {
    let body = r#"{"error": {"message": "no such luck"}}"#;
    vec![write(sized(status, "application/json", body))]
}

fn result(scripts: Vec<Vec<Step>>, change: impl FnOnce(&mut RunConfig)) -> (RunResult, Scripted) {
    let server = Scripted::start(scripts);
    let mut config = config(&server, 1);
    change(&mut config);
    (run(config), server)
}

fn pauses(result: &RunResult) -> Vec<f64> {
    let pauses = result.responses.iter();
    pauses
        .map(|response| response.detail.failure_pause.unwrap_or(0.0))
        .collect()
}

#[test]
fn a_client_whose_request_failed_waits_longer_each_time_until_one_succeeds() {
    let closing = || vec![Step::Close];
    for failing in [failure as fn() -> Vec<Step>, closing] {
        let scripts = vec![failing(), failing(), failing(), whole(), failing(), whole()];
        let (result, server) = result(scripts, |config| {
            config.load = Load::Requests(7);
            // On a kept connection, a request that is not answered is sent again.
            config.connections = Connections::New;
        });
        assert_eq!(server.requests(), 7);
        let pauses = pauses(&result);
        // At least half of what a pause may be at most.
        let least = [0.0, 0.05, 0.1, 0.2, 0.0, 0.05, 0.0];
        for (pause, least) in pauses.iter().zip(least) {
            assert!(*pause >= least, "{pauses:?}");
        }
        assert_eq!(pauses[0], 0.0);
        let stats = result.stats_map();
        let total = stats["total_failure_pause"].as_f64().unwrap();
        assert!((total - pauses.iter().sum::<f64>()).abs() < 1e-9, "{total}");
        // What is waited for by intention is no lateness of the meter.
        let late = result.responses[3].detail.send_lateness.unwrap();
        assert!(late < pauses[3], "{late} {pauses:?}");
    }
}

/// Only the decoder sees it, which a worker does not wait for as long as all goes well.
#[test]
fn a_failure_within_a_stream_is_one_too() {
    let error = format!("data: {{\"error\": \"no\"}}\n\n{DONE}");
    let failing = vec![write(chunked(&error))];
    let (result, _) = result(vec![failing], |config| config.load = Load::Requests(3));
    let pauses = pauses(&result);
    assert_eq!(pauses[0], 0.0);
    assert!(pauses[1] >= 0.05 && pauses[2] >= 0.1, "{pauses:?}");
}

#[test]
fn a_run_that_ends_by_time_sends_few_requests_to_a_failing_server() {
    let (result, server) = result(vec![failure()], |config| {
        config.clients = 4;
        config.load = Load::Duration(Duration::from_secs(1));
    });
    // 0.05 + 0.1 + 0.2 + 0.4 + 0.8 s is more than the run has.
    assert!(server.requests() <= 4 * 5, "{}", server.requests());
    assert!(!result.stats_map().contains_key("stopped_by"));
}

#[test]
fn whoever_tests_overload_sends_on() {
    let (result, server) = result(vec![refusal("401 X")], |config| {
        config.failure_pause = false;
        config.load = Load::Requests(50);
    });
    assert_eq!(server.requests(), 50);
    assert!(pauses(&result).iter().all(|pause| *pause == 0.0));
    assert!(!result.stats_map().contains_key("total_failure_pause"));
}

#[test]
fn a_run_whose_first_requests_fail_for_good_ends_with_the_servers_words() {
    for (status, is_warmup) in [
        ("401 X", false),
        ("403 X", true),
        ("404 X", false),
        ("400 X", false),
        ("422 X", true),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let (result, server) = result(vec![refusal(status)], |config| {
            config.output = Some(folder.path().into());
            config.load = Load::Requests(100);
            config.warmup = if is_warmup { 100 } else { 0 };
        });
        assert_eq!(server.requests(), 3, "{status}");
        assert!(!result.interrupted);
        let stats = result.stats_map();
        assert_eq!(stats["stopped_by"], "lasting_failures");
        let recorded = if is_warmup { 0 } else { 3 };
        assert_eq!(result.summary.n_requests, Some(recorded));
        let notice = result
            .warnings
            .iter()
            .find(|warning| warning.contains("stopped"));
        assert!(notice.unwrap().contains("no such luck"), "{notice:?}");
        let summary = llmeter::report::summary(&result);
        assert!(summary.contains("stopped by failures"), "{summary}");
        assert_saved(&result);
    }
}

#[test]
fn a_refusal_for_good_within_a_success_ends_a_run_as_well() {
    let wrong_key =
        r#"{"message": "no", "type": "invalid_request_error", "code": "invalid_api_key"}"#;
    for (error, requests) in [
        (wrong_key, 3),
        (r#"{"message": "no", "code": 403}"#, 3),
        (r#"{"message": "no", "type": "overloaded_error"}"#, 5),
        (r#"{"message": "no"}"#, 5),
    ] {
        let stream = chunked(&format!("data: {{\"error\": {error}}}\n\n"));
        let (result, server) = result(vec![vec![write(stream)]], |config| {
            config.load = Load::Requests(5);
        });
        assert_eq!(server.requests(), requests, "{error}");
        let stopped = result.stats_map().get("stopped_by").cloned();
        assert_eq!(stopped.is_some(), requests == 3, "{error}");
    }
}

#[test]
fn failures_that_may_pass_do_not_end_a_run() {
    for status in ["500 X", "503 X", "429 X"] {
        let (_, server) = result(vec![refusal(status)], |config| {
            config.load = Load::Requests(4);
        });
        assert_eq!(server.requests(), 4, "{status}");
    }
    let (_, server) = result(vec![whole(), refusal("401 X")], |config| {
        config.load = Load::Requests(5);
    });
    assert_eq!(server.requests(), 5, "one has succeeded");
}

#[test]
fn limits_of_failures_end_a_run() {
    let (result, server) = result(vec![whole(), failure(), failure(), whole()], |config| {
        config.max_failures = Some(2);
        config.load = Load::Requests(100);
    });
    // The client waits after the second failure, so that the limit is known before it sends again.
    assert_eq!(server.requests(), 3);
    assert_eq!(result.stats_map()["stopped_by"], "max_failures");
    let scripts: Vec<_> = (0..40)
        .map(|n| if n % 2 == 0 { whole() } else { failure() })
        .collect();
    let (result, server) = self::result(scripts, |config| {
        config.stop_on_error_rate = Some(0.4);
        config.load = Load::Requests(40);
    });
    assert_eq!(server.requests(), 20);
    let stats = result.stats_map();
    assert_eq!(stats["stopped_by"], "error_rate");
    assert_eq!(stats["failed_requests"], 10);
}

#[test]
fn the_limits_are_settings() {
    let settings = r#"{"no_failure_pause": true, "max_failures": 7, "stop_on_error_rate": 0.25}"#;
    let settings: RunSettings = serde_json::from_str(settings).unwrap();
    let server = super::friendly();
    let mut config = config(&server, 1);
    settings.apply(&mut config).unwrap();
    assert!(!config.failure_pause);
    assert_eq!(
        (config.max_failures, config.stop_on_error_rate),
        (Some(7), Some(0.25))
    );
    for (rate, fits) in [(0.0, true), (1.0, false), (-0.1, false), (f64::NAN, false)] {
        config.stop_on_error_rate = Some(rate);
        assert_eq!(config.validate().is_ok(), fits, "{rate}");
    }
    config.stop_on_error_rate = None;
    config.max_failures = Some(0);
    let error = config.validate().unwrap_err().to_string();
    assert_eq!(error, "max_failures 0: expected 1 or more");
}
