//! Warm-up by time, the steady state, stalls and readers.

use std::time::Duration;

use llmeter_sim::SimConfig;

use crate::support::{Place, quick, start};

#[test]
fn warm_up_by_time_is_left_out() {
    let (place, server) = (Place::new(), start(quick()));
    let more = ["--clients", "2", "--requests", "3", "--warmup", "200ms"];
    place.run(&server.base_url(), &more).exits(0);
    let stats = place.stats();
    assert_eq!(stats["total_requests"], 6);
    assert_eq!(place.responses().len(), 6);
    // How many they are is a matter of time, but each client sends one at least.
    assert!(server.requests_served() >= 6 + 2);
}

#[test]
fn rates_of_the_steady_state_are_shown_on_request() {
    // Long enough that all clients are in flight together.
    let server = start(SimConfig {
        ttft: Duration::from_millis(30),
        ..quick()
    });
    let place = Place::new();
    let url = server.base_url();
    let more = ["--clients", "4", "--requests", "12"];
    let plain = place.run(&url, &more).exits(0);
    let stats = place.stats();
    assert!(!stats.contains_key("steady_rates"));
    // Four of 48 requests are each client's first: more than a twentieth.
    assert!(plain.out.contains("note: ramp-up and tail ("), "{plain:#?}");
    let count = |key: &str| stats[key].as_u64().unwrap();
    let all = count("steady_requests") + count("ramp_up_requests") + count("tail_requests");
    assert_eq!(all, 48);
    assert!(count("ramp_up_requests") >= 4);

    assert!(!stats.contains_key("steady_goodput"), "without SLOs");

    let slo = ["--steady", "--overwrite", "--slo", "ttft < 60s"];
    let more = [&more[..], &slo].concat();
    let said = place.run(&url, &more).exits(0);
    let stats = place.stats();
    assert_eq!(stats["steady_rates"], true);
    assert_eq!(stats["steady_goodput_rate"], 1.0);
    let per_minute = stats["steady_requests_per_minute"].as_f64().unwrap();
    let goodput = stats["steady_goodput"].as_f64().unwrap();
    assert!((goodput * 60.0 / per_minute - 1.0).abs() < 1e-9);
    assert!(said.out.contains("100 %, "), "{said:#?}");
    let left_out = format!(
        "with {} requests; {} of the ramp-up and {} of the tail are left out of them",
        stats["steady_requests"], stats["ramp_up_requests"], stats["tail_requests"]
    );
    assert!(said.out.contains(&left_out), "{left_out}: {said:#?}");
    assert!(!said.out.contains("note: ramp-up"), "{said:#?}");
}

#[test]
fn a_run_without_a_steady_state_says_so() {
    let (place, server) = (Place::new(), start(quick()));
    let more = ["--clients", "3", "--requests", "2", "--steady"];
    let said = place.run(&server.base_url(), &more).exits(0);
    assert!(said.out.contains("no steady state was found"), "{said:#?}");
}

/// A server whose frames come 30 ms apart at least, however loaded the machine is.
fn slow() -> SimConfig {
    SimConfig {
        ttft: Duration::ZERO,
        itl: Duration::from_millis(30),
        output_tokens: 5,
        ..SimConfig::default()
    }
}

#[test]
fn stalls_are_counted_from_the_gap_that_was_asked_for() {
    let (place, server) = (Place::new(), start(slow()));
    let url = server.base_url();
    let more = ["--requests", "4", "--stall"];
    let said = place.run(&url, &[&more[..], &["5ms"]].concat()).exits(0);
    let stats = place.stats();
    assert_eq!(stats["stall_threshold"], 0.005);
    assert_eq!(stats["stalled_responses"], 4);
    assert_eq!(stats["stalled_responses_rate"], 1.0);
    let note = "4 of 4 responses (100.0 %) stalled, with a gap of more than 5.00 ms";
    assert!(said.out.contains(note), "{said:#?}");

    let more = [&more[..], &["10m", "--overwrite"]].concat();
    let said = place.run(&url, &more).exits(0);
    assert_eq!(place.stats()["stalled_responses"], 0);
    assert!(!said.out.contains("stalled"), "{said:#?}");
}

#[test]
fn a_reader_waits_for_what_comes_later_than_it_reads() {
    let (place, server) = (Place::new(), start(slow()));
    let url = server.base_url();
    let more = ["--requests", "4", "--reading-speed"];
    let said = place.run(&url, &[&more[..], &["10000"]].concat()).exits(0);
    let stats = place.stats();
    assert_eq!(stats["reading_speed"], 10_000.0);
    assert_eq!(stats["late_responses_rate"], 1.0);
    assert!(stats["late_frames_rate"].as_f64().unwrap() > 0.0);
    let note = "a reader of 10,000 tokens/s has to wait for ";
    assert!(said.out.contains(note), "{said:#?}");

    // One token in a hundred seconds.
    let more = [&more[..], &["0.01", "--overwrite"]].concat();
    place.run(&url, &more).exits(0);
    assert_eq!(place.stats()["late_frames_rate"], 0.0);
    assert_eq!(place.stats()["late_responses_rate"], 0.0);
}
