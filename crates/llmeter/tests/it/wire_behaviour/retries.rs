//! Requests that are sent again, and servers that tell of their limits.

use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Duration;

use llmeter::{Load, RunConfig, RunResult};

use super::{assert_failed, assert_streamed};
use crate::scripted::answers::*;
use crate::scripted::{Scripted, Step, payload, run, write};

fn whole() -> Vec<u8> {
    chunked(&whole_stream(&["all"]))
}

/// An answer that asks to come back later.
fn refusal(status: &str, headers: &str, body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\n{headers}Content-Length: {}\r\n\r\n\
         {body}",
        body.len()
    )
    .into_bytes()
}

fn busy(headers: &str) -> Vec<Step> {
    let body = r#"{"error": {"message": "too many"}}"#;
    vec![write(refusal("429 Too Many Requests", headers, body))]
}

fn result(scripts: Vec<Vec<Step>>, change: impl FnOnce(&mut RunConfig)) -> (RunResult, Scripted) {
    let server = Scripted::start(scripts);
    let mut config = server.config();
    config.max_retries = 2;
    change(&mut config);
    (run(config), server)
}

#[test]
fn a_request_that_is_refused_for_now_is_sent_again_on_the_same_clock() {
    let of_aws = "400 Bad Request\r\nx-amzn-errortype: ThrottlingException:http://internal/";
    for status in ["429 Too Many Requests", "503 Service Unavailable", of_aws] {
        // A body of several segments must not be taken for part of the answer that counts.
        let long = format!(r#"{{"error": "{}"}}"#, "x".repeat(50_000));
        let scripts = vec![
            vec![write(refusal(status, "Retry-After: 0.2\r\n", &long))],
            vec![write(refusal(status, "Retry-After: 0\r\n", "{}"))],
            vec![write(whole())],
        ];
        let (result, server) = result(scripts, |_| {});
        let response = &result.responses[0];
        assert_streamed(response, &["all"]);
        assert_eq!(server.requests(), 3);
        assert_eq!(response.retries, Some(2));
        let waited = response.detail.retry_wait.unwrap();
        assert!((waited - 0.2).abs() < 1e-9, "{waited}");
        assert!(
            response.time_to_first_token.unwrap() >= 0.2,
            "one clock for all attempts"
        );
        let stats = result.stats_map();
        assert_eq!(stats["total_retries"], 2);
        assert_eq!(stats["total_retry_wait"], waited);
        let refused = u64::from(!status.starts_with("503")) * 2;
        assert_eq!(
            stats
                .get("rate_limited_answers")
                .map_or(0, |n| n.as_u64().unwrap()),
            refused
        );
    }
}

#[test]
fn after_the_last_attempt_the_refusal_is_the_answer() {
    let (result, server) = result(vec![busy("Retry-After: 0\r\n")], |_| {});
    assert_failed(&result.responses[0], "HTTP 429 Too Many Requests: too many");
    assert_eq!(result.responses[0].retries, Some(2));
    assert_eq!(server.requests(), 3);
    assert_eq!(result.stats_map()["rate_limited_answers"], 3);
    let summary = llmeter::report::summary(&result);
    assert!(summary.contains("3 responses with status 429"), "{summary}");
}

#[test]
fn nothing_is_sent_again_unless_the_user_allows_it_or_for_other_failures() {
    let (refused, server) = result(vec![busy("")], |config| config.max_retries = 0);
    assert_failed(&refused.responses[0], "HTTP 429");
    assert_eq!((server.requests(), refused.responses[0].retries), (1, None));
    assert!(!refused.stats_map().contains_key("total_retries"));

    let other = vec![write(refusal(
        "500 Internal Server Error",
        "Retry-After: 0\r\n",
        "{}",
    ))];
    let (failed, server) = result(vec![other], |_| {});
    assert_failed(&failed.responses[0], "HTTP 500");
    assert_eq!(server.requests(), 1);
}

#[test]
fn a_wait_beyond_the_timeout_is_not_begun() {
    let (result, server) = result(vec![busy("Retry-After: 3600\r\n")], |_| {});
    assert_failed(&result.responses[0], "HTTP 429");
    assert_eq!((server.requests(), result.responses[0].retries), (1, None));
}

#[test]
fn an_interruption_ends_the_waiting() {
    let server = Scripted::start(vec![busy("Retry-After: 15\r\n")]);
    let mut config = server.config().load(Load::Requests(5));
    config.max_retries = 1;
    config.grace = Duration::from_secs(10);
    let interrupt = llmeter::Interrupt::new();
    let runner = llmeter::Runner::new(config).interrupted_by(interrupt.clone());
    let work = std::thread::spawn(move || crate::scripted::finish(move || runner.run_blocking()));
    server.wait_for_request();
    interrupt.stop();
    let result = work.join().unwrap().unwrap();
    assert!(result.interrupted);
    assert_eq!(server.requests(), 1);
    assert!(result.stats_map()["total_test_time"].as_f64().unwrap() < 15.0);
}

#[test]
fn limits_that_servers_tell_of_are_in_the_statistics() {
    let answer = |remaining: u32| {
        let head = STREAM_HEAD.replace(
            "\r\n\r\n",
            &format!(
                "\r\nX-RateLimit-Limit-Requests: 500\r\nx-ratelimit-remaining-requests: {remaining}\
                 \r\nx-ratelimit-reset-requests: 120ms\r\n\r\n"
            ),
        );
        let mut bytes = head.into_bytes();
        bytes.extend(chunk(&whole_stream(&["all"])));
        bytes.extend_from_slice(LAST_CHUNK.as_bytes());
        vec![write(bytes)]
    };
    let scripts = vec![answer(9), answer(7), answer(8)];
    let (result, _) = result(scripts, |config| config.load = Load::Requests(3));
    let stats = result.stats_map();
    assert_eq!(stats["rate_limit_x-ratelimit-limit-requests"], 500.0);
    assert_eq!(stats["rate_limit_x-ratelimit-remaining-requests-min"], 7.0);
    assert_eq!(stats["rate_limit_x-ratelimit-reset-requests"], 0.12);
    assert!(!stats.contains_key("rate_limited_answers"));
}

#[test]
fn a_server_that_is_gone_is_tried_again() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    let endpoint = llmeter::OpenAiChat::builder(url, "m").build().unwrap();
    let mut config = RunConfig::new(Arc::new(endpoint), [payload("hello")]);
    config.load = Load::Requests(2);
    config.max_retries = 2;
    let work = std::thread::spawn(move || run(config));
    // The first connection is the check before the run, the second one the first request's.
    drop(listener.accept().unwrap());
    let (mut stream, _) = listener.accept().unwrap();
    // From here on nobody is there, which the client learns after its answer.
    drop(listener);
    let mut request = Vec::new();
    while !request.ends_with(b"}") {
        let mut buffer = [0; 4096];
        let count = stream.read(&mut buffer).unwrap();
        request.extend_from_slice(&buffer[..count]);
    }
    stream.write_all(&whole()).unwrap();
    drop(stream);
    let result = work.join().unwrap();
    assert_streamed(&result.responses[0], &["all"]);
    let response = &result.responses[1];
    let error = response.error_text().unwrap();
    assert!(error.contains("cannot connect"), "{error}");
    assert_eq!(response.retries, Some(2));
    assert_eq!(response.request_time, None, "it was never sent");
    assert!(response.detail.retry_wait.unwrap() >= 0.25 + 0.5);
}

#[test]
fn a_refusal_has_the_id_by_which_the_server_knows_it() {
    let (result, _server) = result(vec![busy("X-Request-Id: req_17\r\n")], |config| {
        config.max_retries = 0;
    });
    assert_failed(&result.responses[0], "too many");
    assert_eq!(result.responses[0].id.as_deref(), Some("req_17"));
    // An answer's own id says more.
    let own = String::from_utf8(whole()).unwrap();
    let own = own.replacen("\r\n", "\r\nrequest-id: req_18\r\n", 1);
    let server = Scripted::start(vec![vec![write(own.into_bytes())]]);
    assert_streamed(&run(server.config()).responses[0], &["all"]);
}
