//! What servers and gateways state of themselves.

use llmeter::InvocationResponse;
use serde_json::json;

use crate::scripted::answers::*;
use crate::scripted::{one, one_with, write};

/// The answer of a stream with these headers.
fn stream(headers: &str, last: &str) -> Vec<u8> {
    let head = STREAM_HEAD.replacen("\r\n", &format!("\r\n{headers}"), 1);
    let body = [text("one").as_str(), &stop(), last, DONE].concat();
    [head.as_bytes(), &chunk(&body), LAST_CHUNK.as_bytes()].concat()
}

fn near(found: Option<f64>, expected: f64) -> bool {
    found.is_some_and(|found| (found - expected).abs() < 1e-9)
}

/// The parts make the whole.
#[track_caller]
fn assert_parts(response: &InvocationResponse, server: f64) {
    let path = response.path();
    assert!(near(path.server_time_to_first_token, server), "{path:?}");
    let rest = path.time_to_first_token_rest.unwrap();
    let trip = path.network_min_round_trip.or(path.network_round_trip);
    // Only Linux tells of the network.
    assert_eq!(trip.is_some(), cfg!(target_os = "linux"));
    let sum = rest + server + trip.unwrap_or(0.0);
    assert!(near(response.time_to_first_token, sum), "{path:?}");
}

#[test]
fn headers_of_a_stream_state_the_server_s_part() {
    let headers = "openai-processing-ms: 12\r\nX-Envoy-Upstream-Service-Time: 15\r\n\
                   Server-Timing: queue;dur=3\r\n";
    let response = one(vec![write(stream(headers, ""))]);
    assert_eq!(response.error, None);
    let path = response.path();
    assert!(
        near(path.server_time, 0.012) && near(path.server_queue_time, 0.003),
        "{path:?}"
    );
    assert_parts(&response, 0.012);
    let stated = &response.annotations["server_time_headers"];
    assert_eq!(
        *stated,
        json!({"openai-processing-ms": "12", "x-envoy-upstream-service-time": "15",
            "server-timing": "queue;dur=3"})
    );
}

#[test]
fn a_header_of_the_user_s_own_is_known() {
    let response = one_with(vec![write(stream("X-Backend: 0.25\r\n", ""))], |config| {
        config.server_time_headers = vec!["x-backend=s".parse().unwrap()];
    });
    assert!(near(response.path().server_time, 0.25));
    assert_parts(&response, 0.25);
}

#[test]
fn timings_of_the_body_are_the_server_s_parts() {
    let end =
        json!({"choices": [], "timings": {"prompt_n": 3, "prompt_ms": 7.5, "predicted_ms": 20.0}});
    let response = one(vec![write(stream("", &event(&end)))]);
    let path = response.path();
    assert!(near(path.server_prompt_time, 0.0075), "{path:?}");
    assert!(near(path.server_generation_time, 0.02), "{path:?}");
    assert_eq!(path.server_time, None);
    assert_parts(&response, 0.0075);
}

#[test]
fn a_server_that_states_nothing_leaves_no_parts() {
    let response = one(vec![write(stream("X-Request-Id: 7\r\n", ""))]);
    let path = response.path();
    assert_eq!(
        (path.server_time, path.time_to_first_token_rest),
        (None, None)
    );
    assert!(!response.annotations.contains_key("server_time_headers"));
}
