//! A network that delays and loses packets.

use std::process::Command;

use llmeter::RunResult;
use tempfile::tempdir;

use super::{python, script};

/// Seconds that a packet takes each way.
const DELAY: f64 = 0.02;

/// A run through a link that loses one of so many packets with data; `None` where namespaces are not permitted.
fn run(lose: u32, stamps: &str) -> Option<RunResult> {
    let python = python()?;
    let folder = tempdir().unwrap();
    let output = Command::new(python)
        .arg(script("lossy_link.py"))
        .arg(env!("CARGO_BIN_EXE_llmeter"))
        .args([&(DELAY * 1e3).to_string(), &lose.to_string()])
        .args(["--ttft=10ms", "--itl=4ms", "--output-tokens=60", "--"])
        .args(["run", "--url=http://10.77.0.2:8000/v1", "--no-proxy"])
        .args(["--model=m", "--prompt=Hello", "-c=2", "-n=10"])
        .args(["--stamps", stamps, "--run-name=run", "--output"])
        .arg(folder.path())
        .output()
        .unwrap();
    let out = String::from_utf8_lossy(&output.stdout);
    if let Some(reason) = out.strip_prefix("not permitted: ") {
        eprintln!("not tested: network namespaces are not permitted: {reason}");
        return None;
    }
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{out}\n{err}");
    Some(RunResult::load(folder.path().join("run")).unwrap())
}

#[test]
fn lost_packets_and_the_round_trip_are_seen() {
    // Whether packets may be captured is another question than whether namespaces may be made; root may do both.
    let Some(result) = run(25, "packet") else {
        return;
    };
    assert_eq!(result.stats().failed_requests, 0);
    let trip = 2.0 * DELAY;
    for response in &result.responses {
        let path = response.path();
        assert!(path.network_min_round_trip.unwrap() >= trip, "{path:?}");
        assert!(path.network_round_trip.unwrap() >= trip, "{path:?}");
        assert!(path.send_delay.unwrap() < response.time_to_first_token.unwrap());
        assert!(response.time_to_first_token.unwrap() >= trip);
    }
    let stats = result.stats();
    // Ten answers have 600 tokens, of whose packets 24 or more got lost.
    assert!(stats.network_delayed_responses > 0);
    assert!(stats.network_out_of_order > 0);
    // A hole is filled a round trip after it was seen, at the earliest; what fills it may be lost as well.
    let waited = result.responses.iter().map(|response| {
        let path = response.path();
        (
            path.network_hole_wait.unwrap_or(0.0),
            response.time_to_last_token.unwrap(),
        )
    });
    let waited: Vec<_> = waited.collect();
    assert!(waited.iter().any(|(wait, _)| *wait >= DELAY), "{waited:?}");
    assert!(
        waited.iter().all(|(wait, whole)| wait < whole),
        "{waited:?}"
    );
    assert_eq!(stats.measurement_stamps.as_deref(), Some("packet"));
    assert_eq!(stats.measurement_packets_dropped, Some(0));
}

#[test]
fn requests_that_got_lost_are_seen_without_privilege() {
    // Every third request is lost once.
    let Some(result) = run(3, "kernel") else {
        return;
    };
    let stats = result.stats();
    assert_eq!(stats.failed_requests, 0);
    assert!(stats.network_retransmissions > 0);
    assert!(stats.network_out_of_order > 0);
    assert_eq!(stats.network_delayed_responses, 0, "only packets tell");
    let again =
        |response: &&llmeter::InvocationResponse| response.path().network_retransmissions.is_some();
    assert!(result.responses.iter().any(|response| again(&response)));
    assert!(
        result
            .responses
            .iter()
            .all(|response| response.path().send_delay.is_none())
    );
}
