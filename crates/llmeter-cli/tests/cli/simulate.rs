//! `llmeter simulate`.

use std::fs;
use std::io::{BufRead, BufReader};

use llmeter_sim::read_truth;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::{Place, end_of};

#[test]
fn it_serves_and_stops_on_a_signal_with_the_truth_complete() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let place = Place::new();
        let mut child = place
            .command([
                "simulate",
                "--port",
                "0",
                "--ttft",
                "5ms",
                "--itl",
                "1ms",
                "--output-tokens",
                "4",
                "--truth",
                "truth.jsonl",
            ])
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let mut first = String::new();
        lines.read_line(&mut first).unwrap();
        let url = first
            .split_whitespace()
            .find(|word| word.starts_with("http://"))
            .unwrap_or_else(|| panic!("{first}"));
        place
            .run(url, &["--clients", "3", "--requests", "5"])
            .exits(0);
        kill(Pid::from_raw(child.id() as i32), signal).unwrap();
        let said = end_of(child).exits(0);
        assert_eq!(said.err, "");
        let mut last = String::new();
        lines.read_line(&mut last).unwrap();
        assert_eq!(last, "served 15 requests\n");
        let truth = read_truth(place.path().join("truth.jsonl")).unwrap();
        assert_eq!(truth.len(), 15);
        let mut ids: Vec<&str> = truth.iter().map(|record| record.id.as_str()).collect();
        let responses = place.responses();
        let mut measured: Vec<&str> = responses
            .iter()
            .map(|line| line["id"].as_str().unwrap())
            .collect();
        ids.sort_unstable();
        measured.sort_unstable();
        assert_eq!(ids, measured);
    }
}

#[test]
fn it_serves_https_and_says_how_it_is_trusted() {
    let place = Place::new();
    let quick = [
        "simulate",
        "--port",
        "0",
        "--ttft",
        "5ms",
        "--output-tokens",
        "4",
    ];
    for (flags, says, trusting) in [
        (
            &["--tls", "--ca-file", "sim.pem"][..],
            "clients trust it with --ca-file sim.pem\n",
            &["--ca-file", "sim.pem"][..],
        ),
        (
            &["--tls"],
            "clients need --insecure, since nobody vouches for its certificate\n",
            &["--insecure"],
        ),
    ] {
        let arguments = quick.iter().chain(flags).copied();
        let mut child = place.command(arguments).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let (mut first, mut second) = (String::new(), String::new());
        lines.read_line(&mut first).unwrap();
        lines.read_line(&mut second).unwrap();
        let mut words = first.split_whitespace();
        let url = words.find(|word| word.starts_with("https://")).unwrap();
        assert_eq!(second, says);
        for http2 in [&[][..], &["--http2"]] {
            let flags = [trusting, http2, &["--overwrite"]].concat();
            place.run(url, &flags).exits(0);
        }
        kill(Pid::from_raw(child.id() as i32), Signal::SIGTERM).unwrap();
        end_of(child).exits(0);
    }
}

#[test]
fn a_certificate_that_cannot_be_used_is_one_line() {
    let place = Place::new();
    place.file("empty.pem", "");
    let simulate = |arguments: &[&str]| {
        place.llmeter(["simulate", "--port", "0"].iter().chain(arguments).copied())
    };
    simulate(&["--cert", "empty.pem", "--key", "empty.pem"])
        .exits(1)
        .one_error(&["empty.pem: there is no certificate"]);
    simulate(&["--tls", "--ca-file", "nowhere/ca.pem"])
        .exits(1)
        .one_error(&["cannot write nowhere/ca.pem"]);
    assert!(
        simulate(&["--ca-file", "ca.pem"])
            .exits(2)
            .err
            .contains("--tls")
    );
    assert!(
        simulate(&["--cert", "empty.pem"])
            .exits(2)
            .err
            .contains("--key")
    );
}

/// Whoever reads the announcement may end the server at once: the truth file is written all the
/// same.
#[test]
fn a_signal_right_after_the_announcement_is_not_missed() {
    let place = Place::new();
    let mut child = place.command(["simulate", "--port", "0"]).spawn().unwrap();
    let mut first = String::new();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    lines.read_line(&mut first).unwrap();
    kill(Pid::from_raw(child.id() as i32), Signal::SIGTERM).unwrap();
    end_of(child).exits(0);
}

#[test]
fn an_address_that_is_taken_is_one_line() {
    let place = Place::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let said = place.llmeter(["simulate", "--port", &port]).exits(1);
    said.one_error(&["cannot listen", &port]);
    assert_eq!(said.err.matches("in use").count(), 1, "{said:#?}");
}

#[test]
fn a_truth_file_that_cannot_be_written_is_one_line() {
    let place = Place::new();
    let said = place
        .llmeter(["simulate", "--port", "0", "--truth", "nowhere/truth.jsonl"])
        .exits(1);
    said.one_error(&["nowhere/truth.jsonl"]);
    assert!(fs::metadata(place.path().join("nowhere")).is_err());
}
