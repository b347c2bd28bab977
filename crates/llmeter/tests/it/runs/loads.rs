//! How much is sent, in which order, and what of it counts.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use llmeter::{FailureKind, Load, Progress, RunResult, Runner};

use super::{config, failure, friendly, prompts, whole};
use crate::scripted::{Scripted, Step, finish, run};

/// Three clients that walk through eight payloads one and a half times.
fn orders(seed: u64) -> Vec<Vec<String>> {
    let server = friendly();
    let mut config = config(&server, 8).clients(3).load(Load::Requests(12));
    config.seed = seed;
    let result = run(config);
    assert_eq!(result.responses.len(), 36);
    assert_eq!(server.requests(), 36, "and not one more");
    assert_eq!(result.summary.total_requests, Some(36));
    assert_eq!(result.summary.n_requests, Some(12));
    assert!(!result.interrupted && !result.stats_map().contains_key("interrupted"));
    prompts(&result.responses, 3)
}

#[test]
fn clients_cycle_through_the_payloads_in_orders_of_their_own() {
    let first = orders(0);
    for order in &first {
        let mut once = order[..8].to_vec();
        once.sort();
        assert_eq!(once, ["p0", "p1", "p2", "p3", "p4", "p5", "p6", "p7"]);
        assert_eq!(order[8..], order[..4], "in a circle");
    }
    assert_ne!(first[0], first[1]);
    assert_ne!(first[1], first[2]);
    assert_ne!(first[2], first[0]);
    assert_eq!(orders(0), first, "the same seed, the same orders");
    assert_ne!(orders(1), first, "another seed, other orders");
}

#[test]
fn each_payload_once_is_the_default() {
    let server = friendly();
    let result = run(config(&server, 5).clients(2));
    assert_eq!(result.summary.n_requests, Some(5));
    for mut order in prompts(&result.responses, 2) {
        order.sort();
        assert_eq!(order, ["p0", "p1", "p2", "p3", "p4"]);
    }
}

#[test]
fn more_clients_than_requests_on_many_workers() {
    let server = friendly();
    let mut config = config(&server, 1).clients(64).load(Load::Requests(1));
    config.workers = Some(9);
    let result = run(config);
    let mut clients: Vec<_> = result
        .responses
        .iter()
        .map(|response| response.detail.client.unwrap())
        .collect();
    clients.sort_unstable();
    assert!(clients.into_iter().eq(0..64));
}

#[test]
fn a_run_ends_when_what_was_asked_for_is_known() {
    let server = friendly();
    let mut config = config(&server, 1)
        .clients(3)
        .load(Load::Duration(Duration::from_secs(60)));
    config.until = vec![
        "ttlt-p50 ±10s".parse().unwrap(),
        "ttft-mean ±10s".parse().unwrap(),
    ];
    let result = run(config);
    assert!(
        result.responses.len() >= 120,
        "two looks: {}",
        result.responses.len()
    );
    let stats = result.stats_map();
    assert_eq!(stats["until_reached"], true);
    assert!(!stats.contains_key("stopped_by"), "it is no failure");
    assert!(stats["total_test_time"].as_f64().unwrap() < 60.0);
}

#[test]
fn most_requests_are_those_of_all_clients_and_what_is_not_known_is_said() {
    let server = friendly();
    let mut config = config(&server, 1).clients(3).load(Load::Requests(1000));
    config.until = vec!["ttlt-p50 ±0.000001us".parse().unwrap()];
    // So many that two looks could be enough.
    config.max_requests = Some(130);
    let result = run(config);
    assert_eq!((result.responses.len(), server.requests()), (130, 130));
    assert_eq!(result.stats_map()["until_reached"], false);
    let mut warnings = result.warnings.iter();
    let said = warnings.any(|warning| warning.contains("before ttlt-p50 ±0.000001us was reached"));
    assert!(said, "{:?}", result.warnings);
}

#[test]
fn a_time_bound_run_begins_nothing_after_its_time_and_finishes_what_it_began() {
    let mut script = vec![Step::WaitForRelease];
    script.extend(whole());
    let server = Scripted::start(vec![script]);
    let time = Duration::from_secs(2);
    let config = config(&server, 1).clients(3).load(Load::Duration(time));
    let run = std::thread::spawn(move || run(config));
    for _ in 0..3 {
        server.wait_for_request();
    }
    // The run's time began before the requests came, so that it is over after this.
    std::thread::sleep(time);
    server.release();
    let result = run.join().unwrap();
    assert_eq!(server.requests(), 3);
    assert_eq!(result.stats_map()["failed_requests"], 0);
    assert_eq!(result.summary.total_requests, Some(3));
    assert_eq!(result.summary.n_requests, Some(1));
    assert!(!result.interrupted);
    assert!(result.summary.total_test_time.unwrap() >= time.as_secs_f64());
}

#[test]
fn a_time_bound_run_goes_on_until_its_time() {
    let server = friendly();
    let time = Duration::from_millis(300);
    let result = run(config(&server, 2).clients(2).load(Load::Duration(time)));
    assert_eq!(result.responses.len(), server.requests());
    assert!(result.responses.len() > 2);
    assert!(result.summary.total_test_time.unwrap() >= time.as_secs_f64());
    let rate = result.stats_map()["requests_per_minute"].as_f64().unwrap();
    let minutes = result.summary.total_test_time.unwrap() / 60.0;
    let requests = result.responses.len() as f64;
    assert!((rate * minutes / requests - 1.0).abs() < 1e-9);
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "a test of the clock from outside"
)]
fn warm_up_is_in_no_figure_and_in_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let mut slow_failure = vec![Step::Pause(Duration::from_millis(200))];
    slow_failure.extend(failure());
    let mut scripts = vec![slow_failure; 3];
    scripts.push(whole());
    let server = Scripted::start(scripts);
    let mut config = config(&server, 2).clients(2).load(Load::Requests(2));
    config.warmup = 3;
    config.output = Some(folder.path().into());
    let begin = Instant::now();
    let result = run(config);
    let outside = begin.elapsed().as_secs_f64();
    assert_eq!(server.requests(), 7);
    assert_eq!(result.responses.len(), 4);
    assert_eq!(result.stats_map()["failed_requests"], 0);
    assert_eq!(result.summary.total_requests, Some(4));
    // One client warmed up twice, and the other waited for it.
    assert!(result.summary.total_test_time.unwrap() <= outside - 0.4);
    for response in &result.responses {
        assert_eq!(
            response.detail.time_to_connect, None,
            "opened while warming up"
        );
        assert!(response.request_time >= result.summary.first_request_time);
    }
    assert!(result.summary.first_request_time >= result.summary.start_time);
    super::assert_saved(&result);
    assert_eq!(
        super::lines(result.summary.output_path.as_ref().unwrap()),
        4
    );
}

#[test]
fn every_failure_is_recorded() {
    let server = Scripted::start(vec![failure()]);
    let result = run(config(&server, 2).clients(2).load(Load::Requests(5)));
    let stats = result.stats_map();
    assert_eq!(result.responses.len(), 10);
    assert_eq!(stats["failed_requests"], 10);
    assert_eq!(stats["failed_requests_rate"], 1.0);
    assert_eq!(stats["total_output_tokens"], 0);
    assert!(!stats.contains_key("time_to_last_token-p50"));
    assert!(!stats.contains_key("time_to_first_token-p50"));
    let message = "HTTP 500 Internal Server Error: no such luck";
    let failures = result.failures();
    assert_eq!((failures.len(), failures[0].count), (1, 10));
    assert_eq!(failures[0].example.message(), message);
    assert_eq!(failures[0].example.kind(), FailureKind::HttpStatus);
    assert_eq!(result.stats_map()["failed_requests-http_status"], 10);
}

/// Defect D2 of the Python system: a timeout there ends the collection of answers.
#[test]
fn a_timeout_costs_one_request_and_no_more() {
    let mut scripts = vec![vec![Step::Hold]];
    scripts.extend(vec![whole(); 4]);
    let server = Scripted::start(scripts);
    let mut config = config(&server, 1).load(Load::Requests(5));
    config.timeout = Duration::from_secs(1);
    let result = run(config);
    assert_eq!(result.responses.len(), 5);
    assert_eq!(result.stats_map()["failed_requests"], 1);
    let error = result.responses[0].error_text().unwrap();
    assert!(error.contains("timed out after 1 s"), "{error}");
}

#[test]
fn a_server_that_goes_away_fails_what_is_left() {
    use std::io::{Read, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = std::thread::spawn(move || {
        // The first connection is the run's look whether anybody is there.
        drop(listener.accept().unwrap());
        let (mut stream, _) = listener.accept().unwrap();
        drop(listener);
        let mut request = Vec::new();
        while !request.ends_with(b"}") {
            let mut buffer = [0; 1024];
            let count = stream.read(&mut buffer).unwrap();
            request.extend_from_slice(&buffer[..count]);
        }
        let body = super::whole_stream(&["all"]);
        let status = "200 OK\r\nConnection: close";
        stream
            .write_all(&super::sized(status, "text/event-stream", &body))
            .unwrap();
    });
    let url = format!("http://127.0.0.1:{port}/v1");
    let endpoint = llmeter::OpenAiChat::builder(url, "m").build().unwrap();
    let mut config = config(&friendly(), 1).load(Load::Requests(3));
    config.endpoint = Arc::new(endpoint);
    let result = run(config);
    server.join().unwrap();
    assert_eq!(result.responses[0].error, None);
    for response in &result.responses[1..] {
        let error = response.error_text().unwrap();
        assert!(error.contains("cannot connect to 127.0.0.1"), "{error}");
        assert_eq!(response.request_time, None, "it was never sent");
        assert_eq!(response.time_to_last_token, None);
    }
    assert_eq!(result.responses.len(), 3);
}

fn observed(change: impl FnOnce(&mut llmeter::RunConfig)) -> (RunResult, Vec<Progress>) {
    let server = friendly();
    let mut config = config(&server, 1).clients(2).load(Load::Requests(3));
    change(&mut config);
    let told = Arc::new(Mutex::new(Vec::new()));
    let observer = {
        let told = told.clone();
        move |progress: &Progress| told.lock().unwrap().push(progress.clone())
    };
    let runner = Runner::new(config).observe(Arc::new(observer));
    let result = finish(move || runner.run_blocking()).unwrap();
    let told = std::mem::take(&mut *told.lock().unwrap());
    (result, told)
}

#[test]
fn the_last_word_to_an_observer_is_of_the_whole_run() {
    let time = Duration::from_millis(700);
    for load in [Load::Requests(3), Load::Duration(time)] {
        let (result, told) = observed(|config| config.load = load.clone());
        let last = told.last().unwrap();
        assert_eq!(Some(last.recorded), result.summary.total_requests);
        assert_eq!(Some(last.elapsed), result.summary.total_test_time);
        assert!(!last.is_stopping && !last.is_warming_up);
        let key = "requests_per_minute";
        assert_eq!(last.stats[key], result.stats_map()[key]);
        match load {
            Load::Duration(_) => {
                assert_eq!((last.planned, last.duration), (None, Some(0.7)));
                assert!(told.len() >= 2, "told while it went on, too");
            }
            _ => assert_eq!((last.planned, last.duration), (Some(6), None)),
        }
    }
}

#[test]
fn an_observer_that_panics_costs_nothing() {
    let server = friendly();
    let observer = |_: &Progress| panic!("the display broke");
    let runner = Runner::new(config(&server, 3)).observe(Arc::new(observer));
    let result = finish(move || runner.run_blocking()).unwrap();
    assert_eq!(result.responses.len(), 3);
}
