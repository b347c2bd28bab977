//! The simulator over real sockets.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers outside test functions are test code too"
)]

mod answers;
mod capacity;
mod client;
mod conformance;
mod dialects;
mod disturbed;
mod faults;
mod meter;
mod repeated_keys;
mod requests;
mod transports;
mod truth;

use std::time::Duration;

use llmeter_sim::{RunningSimulator, SimConfig, Simulator};

/// A server without delays that keeps its truth, with some settings changed.
fn server(change: impl FnOnce(&mut SimConfig)) -> RunningSimulator {
    let mut config = SimConfig {
        ttft: Duration::ZERO,
        itl: Duration::ZERO,
        output_tokens: 8,
        keep_truth: true,
        ..SimConfig::default()
    };
    change(&mut config);
    Simulator::start(config).unwrap()
}

/// Waits for what must come, and fails the test if it does not.
fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..3_000 {
        if holds() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("{what} did not come about");
}
