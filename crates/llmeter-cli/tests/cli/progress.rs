//! What is shown while a run goes on, and to whom.

use std::io::{BufRead, BufReader};
use std::time::Duration;

use llmeter_sim::SimConfig;

use crate::support::{Place, end_of, quick, said, start};

/// A run of more than five seconds.
fn long(place: &Place, url: &str, more: &[&str]) -> std::process::Command {
    let mut arguments = vec!["--duration", "5600ms", "--clients", "2"];
    arguments.extend(more);
    place.run_command(url, &arguments)
}

#[test]
fn without_a_terminal_a_line_comes_every_few_seconds() {
    let (place, server) = (Place::new(), start(quick()));
    let said = said(long(&place, &server.base_url(), &[])).exits(0);
    assert_eq!(said.err.lines().count(), 1, "{said:#?}");
    for part in [
        "run: reqs=",
        "5s",
        "rpm=",
        "output_tps=",
        "p50_ttft=",
        "p90_ttlt=",
        "fail=0",
    ] {
        assert!(said.err.contains(part), "{part:?} is missing: {said:#?}");
    }
    assert!(!said.err.contains('\u{1b}'), "{said:#?}");
    assert!(!said.out.contains("rpm="), "{said:#?}");
}

#[test]
fn quiet_runs_say_nothing_on_the_way() {
    let (place, server) = (Place::new(), start(quick()));
    let url = server.base_url();
    let mut quiet = long(&place, &url, &["--quiet", "--run-name", "a"]);
    let mut off = long(&place, &url, &["--run-name", "b"]);
    off.env("LLMETER_DISABLE_ALL_PROGRESS_BARS", "1");
    let children = [quiet.spawn().unwrap(), off.spawn().unwrap()];
    for child in children {
        let said = end_of(child).exits(0);
        assert_eq!(said.err, "");
        assert!(said.out.contains("measurement: "), "{said:#?}");
    }
}

/// A reader of the progress lines that goes away must not cost the measurement.
#[cfg(unix)]
#[test]
fn a_closed_stderr_does_not_end_a_run() {
    let (place, server) = (Place::new(), start(quick()));
    let mut child = long(&place, &server.base_url(), &[]).spawn().unwrap();
    drop(child.stderr.take());
    end_of(child).exits(0);
    assert!(place.stats()["total_requests"].as_u64().unwrap() > 100);
}

#[cfg(target_os = "linux")]
#[test]
fn a_terminal_gets_bars_that_are_gone_at_the_end() {
    let place = Place::new();
    let server = start(SimConfig {
        itl: Duration::from_millis(20),
        ..quick()
    });
    let line = format!(
        "command -v script >/dev/null || exit 99; \
         TERM=xterm script -qec \"'$LLMETER' run --base-url {} --model m --prompt hi \
         --duration 2s --clients 2 --run-name it >out\" typescript",
        server.base_url()
    );
    let said = place.shell(&line);
    if said.code == 99 {
        return;
    }
    let said = said.exits(0);
    let shown = std::fs::read_to_string(place.path().join("typescript")).unwrap();
    for part in [
        "reqs=",
        "of 2s",
        "━",
        "Throughput: rpm=",
        "TTFT: p50_ttft=",
        "Errors: fail=0",
    ] {
        assert!(shown.contains(part), "{part:?} is missing: {said:#?}");
    }
    let summary = std::fs::read_to_string(place.path().join("out")).unwrap();
    assert!(!summary.contains('\u{1b}'), "{summary}");
    assert!(summary.contains("measurement: "), "{summary}");
}

#[cfg(unix)]
#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let (place, server) = (Place::new(), start(quick()));
    place.run(&server.base_url(), &["--requests", "3"]).exits(0);
    for command in [
        "show runs/it",
        "show runs/it --json",
        "run --help",
        "--help",
    ] {
        let said = place.shell(&format!(
            "{{ \"$LLMETER\" {command}; echo code $? >&2; }} | head -1"
        ));
        assert_eq!(said.out.lines().count(), 1, "{said:#?}");
        assert_eq!(said.err, "code 0\n", "{said:#?}");
    }
    // A reader that is gone before anything is written.
    let mut child = place.command(["show", "runs/it"]).spawn().unwrap();
    drop(child.stdout.take());
    let mut errors = String::new();
    BufReader::new(child.stderr.take().unwrap())
        .read_line(&mut errors)
        .unwrap();
    assert_eq!(
        (child.wait().unwrap().code(), errors.as_str()),
        (Some(0), "")
    );
}
