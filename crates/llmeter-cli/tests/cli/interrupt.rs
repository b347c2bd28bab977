//! Ctrl-C, SIGTERM and SIGHUP.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Child;
use std::time::Duration;

use llmeter::RunResult;
use llmeter_sim::{RunningSimulator, SimConfig};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::{Place, end_of, quick, start, until};

fn send(child: &Child, signal: Signal) {
    kill(Pid::from_raw(child.id() as i32), signal).unwrap();
}

fn served(server: &RunningSimulator, count: u64) {
    until("requests were answered", || {
        server.requests_served() >= count
    });
}

/// A server of which half of the answers fall silent, so that something is always in flight.
fn half_silent() -> RunningSimulator {
    start(SimConfig {
        stall_rate: 0.5,
        ..quick()
    })
}

#[test]
fn one_signal_stops_and_saves() {
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        let (place, server) = (Place::new(), start(quick()));
        let child = place
            .run_command(
                &server.base_url(),
                &["--clients", "4", "--requests", "1000000"],
            )
            .spawn()
            .unwrap();
        served(&server, 40);
        send(&child, signal);
        let said = end_of(child).exits(130);
        // A run that stops within a blink need not say that it is stopping.
        assert!(
            said.err.is_empty() || said.err.starts_with("stopping"),
            "{said:#?}"
        );
        assert!(said.out.contains("interrupted"), "{said:#?}");
        assert!(said.out.contains("requests per minute"), "{said:#?}");
        let count = place.responses().len() as u64;
        assert!(count >= 40, "{count}");
        // What was in flight was waited for, and nothing was sent after the signal.
        assert_eq!(count, server.requests_served());
        assert_eq!(place.stats()["total_requests"], count);
        assert_eq!(place.stats()["failed_requests"], 0);
        let shown = place.llmeter(["show", "runs/it"]).exits(0);
        assert!(shown.out.contains("interrupted"), "{shown:#?}");
        assert!(RunResult::load(place.folder()).unwrap().interrupted);
    }
}

#[test]
fn what_stays_in_flight_is_cut_after_a_grace() {
    let (place, server) = (Place::new(), half_silent());
    let child = place
        .run_command(
            &server.base_url(),
            &["--clients", "16", "--duration", "10m", "--json"],
        )
        .spawn()
        .unwrap();
    served(&server, 8);
    send(&child, Signal::SIGINT);
    let said = end_of(child).exits(130);
    let stats = said.object();
    assert!(stats["failed_requests"].as_u64().unwrap() > 0, "{stats:?}");
    assert!(stats["total_requests"].as_u64().unwrap() >= 8, "{stats:?}");
    assert_eq!(stats, place.stats());
}

#[test]
fn a_second_signal_leaves_at_once() {
    let (place, server) = (Place::new(), half_silent());
    let mut child = place
        .run_command(
            &server.base_url(),
            &["--clients", "16", "--duration", "10m"],
        )
        .spawn()
        .unwrap();
    let responses = place.folder().join("responses.jsonl");
    until("something was written down", || {
        fs::read_to_string(&responses).is_ok_and(|text| text.contains('\n'))
    });
    let mut lines = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    send(&child, Signal::SIGINT);
    lines.read_line(&mut line).unwrap();
    assert!(line.starts_with("stopping"), "{line}");
    send(&child, Signal::SIGTERM);
    end_of(child).exits(130);
    // It did not wait for the grace: nothing was summed up.
    assert!(!place.folder().join("summary.json").exists());
    assert!(!place.responses().is_empty());
    let shown = place.llmeter(["show", "runs/it"]).exits(0);
    assert!(shown.out.contains(" by "), "{shown:#?}");
}

/// A terminal that closes says so through its shell and by itself, at different times.
#[test]
fn a_second_hangup_waits_for_the_files() {
    let (place, server) = (Place::new(), half_silent());
    let mut child = place
        .run_command(
            &server.base_url(),
            &["--clients", "16", "--duration", "10m"],
        )
        .spawn()
        .unwrap();
    served(&server, 8);
    let mut lines = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    send(&child, Signal::SIGHUP);
    lines.read_line(&mut line).unwrap();
    assert!(line.starts_with("stopping"), "{line}");
    send(&child, Signal::SIGHUP);
    end_of(child).exits(130);
    assert!(place.folder().join("summary.json").exists());
}

/// As `nohup` starts it.
#[cfg(target_os = "linux")]
#[test]
fn a_hangup_that_is_to_be_ignored_is() {
    let (place, server) = (Place::new(), start(quick()));
    let run = place.run_command(&server.base_url(), &["--duration", "10m"]);
    let mut command = std::process::Command::new("sh");
    command.args(["-c", "trap '' HUP; exec \"$0\" \"$@\""]);
    command.arg(run.get_program()).args(run.get_args());
    let variables = run.get_envs();
    for (name, value) in variables.filter_map(|(name, value)| Some((name, value?))) {
        command.env(name, value);
    }
    let child = command
        .current_dir(place.path())
        .env_remove("OPENAI_API_KEY")
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    served(&server, 5);
    send(&child, Signal::SIGHUP);
    let count = server.requests_served();
    served(&server, count + 50);
    send(&child, Signal::SIGINT);
    end_of(child).exits(130);
}

/// As `timeout` and the like do: they signal their child, and then the process group that it is in.
#[test]
fn a_signal_that_comes_twice_at_the_same_moment_is_one() {
    let (place, server) = (Place::new(), start(quick()));
    let child = place
        .run_command(&server.base_url(), &["--duration", "10m"])
        .spawn()
        .unwrap();
    served(&server, 5);
    send(&child, Signal::SIGINT);
    send(&child, Signal::SIGTERM);
    let said = end_of(child).exits(130);
    assert!(said.out.contains("interrupted"), "{said:#?}");
}

#[test]
fn a_killed_run_leaves_a_readable_folder() {
    let (place, server) = (Place::new(), start(quick()));
    let mut child = place
        .run_command(&server.base_url(), &["--clients", "4", "--duration", "10m"])
        .spawn()
        .unwrap();
    let responses = place.folder().join("responses.jsonl");
    until("something was written down", || {
        fs::read_to_string(&responses).is_ok_and(|text| text.contains('\n'))
    });
    child.kill().unwrap();
    child.wait().unwrap();
    let shown = place.llmeter(["show", "runs/it"]).exits(0);
    assert!(shown.out.contains("TTFT"), "{shown:#?}");
}

#[test]
fn a_calibration_that_is_interrupted_says_so() {
    let place = Place::new();
    let mut child = place
        .command(["calibrate", "--duration", "10m", "--clients", "2"])
        .spawn()
        .unwrap();
    // The first progress line tells that it is under way.
    let mut lines = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    lines.read_line(&mut line).unwrap();
    assert!(line.starts_with("calibrating: "), "{line}");
    send(&child, Signal::SIGINT);
    let said = end_of(child).exits(130);
    assert_eq!(said.out, "");
}

#[test]
fn signals_during_a_quiet_run_are_quiet() {
    let place = Place::new();
    let server = start(SimConfig {
        itl: Duration::from_millis(2),
        ..quick()
    });
    let child = place
        .run_command(&server.base_url(), &["--duration", "10m", "--quiet"])
        .spawn()
        .unwrap();
    served(&server, 5);
    send(&child, Signal::SIGINT);
    let said = end_of(child).exits(130);
    assert_eq!(said.err, "");
}

#[test]
fn an_interrupted_demo_shows_what_it_has() {
    let place = Place::new();
    let child = place.command(["demo"]).spawn().unwrap();
    until("the first load is under way", || {
        let sessions = fs::read_dir(place.path().join("runs"))
            .into_iter()
            .flatten();
        sessions.flatten().any(|session| {
            let responses = session.path().join("00001-clients/responses.jsonl");
            fs::read_to_string(responses).is_ok_and(|text| text.contains('\n'))
        })
    });
    send(&child, Signal::SIGINT);
    let said = end_of(child).exits(130);
    assert!(said.out.contains("TTFT p50"), "{said:#?}");
    assert!(said.out.contains("interrupted"), "{said:#?}");
}

/// A server that never accepts: connecting to it takes until the timeout.
#[cfg(target_os = "linux")]
#[test]
fn a_signal_while_connecting_is_heeded_at_once() {
    use nix::sys::socket::{
        AddressFamily, Backlog, SockFlag, SockType, SockaddrIn, bind, getsockname, listen, socket,
    };
    use std::net::{SocketAddr, TcpStream};
    use std::os::fd::AsRawFd;

    let flags = SockFlag::SOCK_CLOEXEC;
    let listener = socket(AddressFamily::Inet, SockType::Stream, flags, None).unwrap();
    bind(listener.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, 0)).unwrap();
    listen(&listener, Backlog::new(0).unwrap()).unwrap();
    let port = getsockname::<SockaddrIn>(listener.as_raw_fd())
        .unwrap()
        .port();
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let mut waiting = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(300)) {
        waiting.push(stream);
    }

    let place = Place::new();
    let child = place
        .run_command(&format!("http://{address}/v1"), &[])
        .spawn()
        .unwrap();
    let threads = format!("/proc/{}/task", child.id());
    until("signals are caught", || {
        fs::read_dir(&threads).unwrap().flatten().any(|thread| {
            fs::read_to_string(thread.path().join("comm")).is_ok_and(|name| name == "signals\n")
        })
    });
    let start = std::fs::metadata(place.path()).unwrap().modified().unwrap();
    send(&child, Signal::SIGINT);
    let said = end_of(child).exits(130);
    assert!(said.out.contains("0 requests by 1 client"), "{said:#?}");
    assert!(!said.out.contains("measurement"), "{said:#?}");
    place.file("ended", "");
    let end = std::fs::metadata(place.path().join("ended"))
        .unwrap()
        .modified()
        .unwrap();
    // Far less than the ten seconds that a run waits for its server.
    assert!(end.duration_since(start).unwrap() < Duration::from_secs(6));
    assert!(RunResult::load(place.folder()).unwrap().interrupted);
}

#[test]
fn an_interrupted_heatmap_shows_what_it_has() {
    let (place, server) = (Place::new(), start(quick()));
    let url = server.base_url();
    let child = place
        .command([
            "heatmap",
            "--base-url",
            &url,
            "--model",
            "m",
            "--run-name",
            "map",
            "--input-lengths",
            "4,8",
            "--output-lengths",
            "2,4",
            "--requests-per-combination",
            "5000",
        ])
        .spawn()
        .unwrap();
    served(&server, 20);
    send(&child, Signal::SIGINT);
    let said = end_of(child).exits(130);
    assert!(
        said.out.contains("Not measured, by input×output: 4×2"),
        "{said:#?}"
    );
    let shown = place.llmeter(["show", "runs/map"]).exits(0);
    assert!(shown.out.contains("Not measured"), "{shown:#?}");
}

#[test]
fn an_interrupted_ab_test_keeps_its_rounds() {
    let (place, server) = (Place::new(), start(quick()));
    let url = server.base_url();
    for name in ["a.toml", "b.toml"] {
        place.file(
            name,
            format!("base-url = \"{url}\"\nmodel = \"m\"\nprompt = \"Hi\"\n"),
        );
    }
    let child = place
        .command([
            "ab",
            "--a",
            "a.toml",
            "--b",
            "b.toml",
            "--run-name",
            "test",
            "--margin",
            "0",
            "--requests",
            "3",
        ])
        .spawn()
        .unwrap();
    served(&server, 20);
    send(&child, Signal::SIGINT);
    let said = end_of(child).exits(130);
    assert!(said.out.contains("Interrupted."), "{said:#?}");
    let shown = place.llmeter(["show", "runs/test"]).exits(0);
    assert!(shown.out.contains("a.toml"), "{shown:#?}");
}
