//! What a run says about itself.

use std::time::Duration;

use llmeter_sim::SimConfig;

use crate::support::{Place, quick, start};

#[test]
fn the_stamps_are_those_that_were_asked_for() {
    let (place, server) = (Place::new(), start(quick()));
    let url = server.base_url();
    place.run(&url, &["--stamps", "user"]).exits(0);
    assert_eq!(place.stats()["measurement_stamps"], "user");
    assert_eq!(place.json("llmeter.json")["stamps"], "user");
    place
        .run(&url, &["--stamps", "kernel", "--overwrite"])
        .exits(0);
    if cfg!(target_os = "linux") {
        assert_eq!(place.stats()["measurement_stamps"], "kernel");
        assert_eq!(place.stats()["measurement_kernel_stamped_rate"], 1.0);
    }
    assert_eq!(place.json("llmeter.json")["stamps"], "kernel");
}

#[test]
fn every_run_carries_a_verdict() {
    let (place, server) = (Place::new(), start(quick()));
    let said = place.run(&server.base_url(), &["--requests", "5"]).exits(0);
    let stats = place.stats();
    let verdict = stats["measurement_verdict"].as_str().unwrap();
    assert!(["clean", "degraded", "client-bound"].contains(&verdict));
    assert!(
        said.out.contains(&format!("measurement: {verdict}")),
        "{said:#?}"
    );
    for key in [
        "receive_delay-p50",
        "receive_delay-p99",
        "send_lateness-p99",
        "worker_busy",
    ] {
        assert!(stats[&format!("measurement_{key}")].is_number(), "{key}");
    }
}

/// Many workers on one core, stamps after the read, and a server that sends as fast as it can: the
/// workers keep each other from the core, which the verdict must notice.
#[cfg(target_os = "linux")]
#[test]
fn strict_fails_a_run_that_is_not_clean() {
    let place = Place::new();
    let server = start(SimConfig {
        ttft: Duration::ZERO,
        itl: Duration::ZERO,
        output_tokens: 2000,
        ..SimConfig::default()
    });
    let url = server.base_url();
    let line = |more: &str| {
        format!(
            "exec taskset -c $(taskset -cp $$ | sed 's/.*: //; s/[-,].*//') \"$LLMETER\" run \
             --base-url {url} --model m --prompt hi --max-tokens 1000 --clients 32 --requests 2 \
             --workers 8 --stamps user --run-name it --overwrite --quiet {more}"
        )
    };
    // A machine may be quick enough for it once, not again and again.
    let is_unclean = || {
        let said = place.shell(&line("--strict"));
        if place.stats()["measurement_verdict"] == "clean" {
            said.exits(0);
            return false;
        }
        let said = said.exits(4);
        said.one_error(&["--strict", "the measurement is "]);
        assert!(said.out.contains("measurement: "), "{said:#?}");
        true
    };
    assert!((0..20).any(|_| is_unclean()));
    // The same run is a success when nobody insists.
    place.shell(&line("")).exits(0);
}

#[test]
fn strict_passes_a_clean_run() {
    let (place, server) = (Place::new(), start(quick()));
    let said = place.run(&server.base_url(), &["--strict", "--requests", "20"]);
    // The machine may be busy with other tests: then 4 is right.
    let verdict = place.stats()["measurement_verdict"].clone();
    let expected = if verdict == "clean" { 0 } else { 4 };
    said.exits(expected);
}

#[cfg(unix)]
#[test]
fn too_few_open_files_are_one_line() {
    let (place, server) = (Place::new(), start(quick()));
    let url = server.base_url();
    place
        .shell(&format!(
            "ulimit -n 64; exec \"$LLMETER\" run --base-url {url} --model m --prompt hi --clients 50"
        ))
        .exits(1)
        .one_error(&["50 clients", "64", "ulimit -n"]);
    place
        .shell("ulimit -n 150; exec \"$LLMETER\" calibrate --clients 50")
        .exits(1)
        .one_error(&["50 clients", "150", "ulimit -n"]);
}

#[cfg(unix)]
#[test]
fn a_soft_limit_on_open_files_is_raised() {
    let (place, server) = (Place::new(), start(quick()));
    let url = server.base_url();
    place
        .shell(&format!(
            "ulimit -S -n 40; exec \"$LLMETER\" run --base-url {url} --model m --prompt hi \
             --clients 50"
        ))
        .exits(0);
}
