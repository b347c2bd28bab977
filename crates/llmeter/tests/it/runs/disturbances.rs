//! Requests that are closed early, responses that are read slowly, and what is asked of a server before a run.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use llmeter::load::Arrivals;
use llmeter::{FailureKind, Load, RunConfig, Runner};

use super::{assert_saved, config, failure, friendly, whole};
use crate::scripted::answers::*;
use crate::scripted::{Scripted, Step, finish, run, write};
use llmeter_testing::ScriptedServer;

/// A token, and then nothing more.
fn one_token() -> Vec<Step> {
    vec![write(unfinished(&(role() + &text("one")))), Step::Hold]
}

#[test]
fn cancelled_requests_are_counted_apart_and_in_no_latency() {
    let server = Scripted::start(vec![one_token()]);
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(&server, 1).output(folder.path());
    (config.load, config.max_failures) = (Load::Requests(3), Some(1));
    config.cancel = Some("100%@50ms".parse().unwrap());
    let result = run(config);
    assert_eq!((server.requests(), server.connections()), (3, 3));
    for response in &result.responses {
        let error = response.error.as_ref().unwrap();
        assert_eq!(error.kind(), FailureKind::Cancelled);
        assert_eq!(error.message(), "cancelled after 0.05 s, as asked for");
        assert_eq!(
            response.response_text.as_deref(),
            Some("one"),
            "what came is kept"
        );
    }
    let stats = result.stats();
    assert_eq!(
        (stats.total_requests, stats.cancelled_requests),
        (Some(3), 3)
    );
    assert_eq!(
        (stats.failed_requests, stats.failed_requests_rate),
        (0, 0.0)
    );
    assert_eq!((stats.ttft.count, stats.stopped_by), (None, None));
    assert_eq!(result.failures(), []);
    assert_saved(&result);
}

#[test]
fn a_request_that_ends_in_time_is_not_cancelled() {
    let server = friendly();
    let mut config = config(&server, 1);
    config.cancel = Some("100%@1h".parse().unwrap());
    let stats = run(config).stats();
    assert_eq!((stats.cancelled_requests, stats.failed_requests), (0, 0));
    assert!(stats.ttft.average.is_some());
}

#[test]
fn slow_readers_have_connections_of_their_own_and_are_in_no_latency() {
    let server = friendly();
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(&server, 1).output(folder.path());
    config.load = Load::Requests(2);
    config.read_rate = Some("4KB/s".parse().unwrap());
    let result = run(config);
    assert_eq!((server.requests(), server.connections()), (2, 2));
    let bytes: usize = whole()
        .iter()
        .map(|step| match step {
            Step::Write(bytes) => bytes.len(),
            _ => 0,
        })
        .sum();
    // The last read is not waited for, which is of 200 bytes at most.
    let least = (bytes - 200) as f64 / 4000.0 * 2.0;
    assert!(result.summary.total_test_time.unwrap() >= least, "{least}");
    for response in &result.responses {
        assert_eq!((&response.error, response.detail.read_rate), (&None, 4000));
        assert_eq!(response.response_text.as_deref(), Some("one two"));
    }
    let stats = result.stats();
    assert_eq!((stats.slow_reader_requests, stats.ttlt.count), (2, None));
    assert_eq!(stats.total_output_tokens, 4);
    assert_saved(&result);

    let mut by_http2 = super::config(&server, 1);
    by_http2.read_rate = Some("4KB/s".parse().unwrap());
    by_http2.http2 = true;
    let refused = by_http2.validate().unwrap_err();
    assert_eq!(refused.to_string(), "read_rate is not supported by HTTP/2");
}

fn refusal(config: RunConfig) -> String {
    let result = finish(move || Runner::new(config).run_blocking());
    result.err().unwrap().to_string()
}

#[test]
fn a_server_is_prepared_before_the_run() {
    let done = vec![write("HTTP/1.1 204 No Content\r\n\r\n")];
    let server = Scripted::start(vec![done.clone(), done, whole()]);
    let mut config = config(&server, 1);
    config.before_run = vec![
        "POST /reset_prefix_cache".parse().unwrap(),
        "GET /start".parse().unwrap(),
    ];
    let result = run(config);
    assert_eq!(
        server.lines(),
        [
            "POST /reset_prefix_cache",
            "GET /start",
            "POST /v1/chat/completions"
        ]
    );
    assert_eq!(result.responses.len(), 1);

    let server = Scripted::start(vec![failure()]);
    let mut config = super::config(&server, 1);
    config.before_run = vec!["POST /reset".parse().unwrap()];
    assert_eq!(
        refusal(config),
        "POST /reset failed, so that nothing was sent: the server answered with status 500: {\"error\": \
         {\"message\": \"no such luck\"}}"
    );
    assert_eq!(server.requests(), 1, "nothing is sent then");
}

#[test]
fn a_server_is_prepared_before_each_stage() {
    let resets = AtomicUsize::new(0);
    let server = ScriptedServer::respond(move |request| {
        let is_reset = request.target == "/reset";
        match is_reset.then(|| resets.fetch_add(1, Ordering::Relaxed)) {
            None => [vec![Step::WaitForRelease], whole()].concat(),
            Some(1) => failure(),
            Some(_) => vec![write("HTTP/1.1 204 No Content\r\n\r\n")],
        }
    });
    let server = Scripted::with(server, "http");
    let mut config = super::config(&server, 1);
    config.arrivals = Arrivals::Constant;
    config.stages = Some(
        "50/s for 40ms, 50/s for 40ms, 50/s for 40ms"
            .parse()
            .unwrap(),
    );
    config.before_stage = vec!["POST /reset".parse().unwrap()];
    let work = std::thread::spawn(move || run(config));
    let resets = || {
        let lines = server.lines();
        lines.iter().filter(|line| *line == "POST /reset").count()
    };
    // No request has been answered when a stage begins: none of them waits for the call.
    while resets() < 3 {
        std::thread::yield_now();
    }
    server.release();
    let result = work.join().unwrap();
    assert_eq!((&*server.lines()[0], resets()), ("POST /reset", 3));
    assert_eq!(
        (result.responses.len(), result.stats().failed_requests),
        (6, 0)
    );
    let failed = "POST /reset before stage 2 failed: the server answered with status 500";
    assert!(
        result.warnings.iter().any(|one| one.starts_with(failed)),
        "{:?}",
        result.warnings
    );
    // Without stages there is nothing to be called before.
    let mut config = super::config(&server, 1);
    config.before_stage = vec!["POST /reset".parse().unwrap()];
    let refused = refusal(config);
    assert!(
        refused.contains("before_stage") && refused.contains("stages"),
        "{refused}"
    );
}

#[test]
fn a_server_that_is_not_ready_is_asked_again() {
    let starting = vec![write(sized("503 Starting", "application/json", "{}"))];
    let server = Scripted::start(vec![starting, whole()]);
    let mut config = config(&server, 1);
    config.wait_until_ready = Duration::from_secs(30);
    let result = run(config);
    assert_eq!((server.requests(), result.responses.len()), (3, 1));
    assert_eq!(result.stats().failed_requests, 0);

    // Waiting does not help who has the wrong key.
    let wrong = vec![write(sized("401 Unauthorized", "application/json", "{}"))];
    let server = Scripted::start(vec![wrong]);
    let mut config = super::config(&server, 1);
    config.wait_until_ready = Duration::from_secs(30);
    let refused = refusal(config);
    assert!(refused.contains("401"), "{refused}");
    assert_eq!(server.requests(), 1);
}
