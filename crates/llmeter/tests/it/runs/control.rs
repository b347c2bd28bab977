//! Runs whose load is changed while they are in progress.

use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use llmeter::load::{Arrivals, Rate};
use llmeter::run::{ControlStatus, NewLoad, RunControl, RunPhase};
use llmeter::{Load, RunConfig, RunResult, Runner};
use serde_json::{Value, json};

use super::{assert_saved, config, friendly, whole};
use crate::scripted::{Scripted, Step};

/// Carries out a run that can be controlled, in `run` of a folder.
fn start(mut config: RunConfig, base: &Path) -> (JoinHandle<RunResult>, RunControl, PathBuf) {
    config = config.output(base);
    config.run_name = Some("run".to_owned());
    let work = std::thread::spawn(move || {
        let runner = Runner::new(config).controllable();
        runner.run_blocking().unwrap()
    });
    let folder = base.join("run");
    let control = RunControl::of(folder.as_path()).unwrap();
    wait_until(&control, |status| status.phase == RunPhase::Running);
    (work, control, folder)
}

/// Asks until the run says so.
fn wait_until(control: &RunControl, is_so: impl Fn(&ControlStatus) -> bool) -> ControlStatus {
    loop {
        match control.status() {
            Ok(status) if is_so(&status) => return status,
            _ => std::thread::yield_now(),
        }
    }
}

/// Asks until a change has taken effect.
fn wait_for(control: &RunControl, changed: &ControlStatus) {
    let at = changed.changes.last().unwrap().time;
    wait_until(control, |status| status.elapsed > at);
}

fn rate(text: &str) -> NewLoad {
    NewLoad {
        rate: Some(Rate::of_text_or_zero(text).unwrap()),
        ..NewLoad::default()
    }
}

fn clients(clients: u32) -> NewLoad {
    NewLoad {
        clients: Some(clients),
        ..NewLoad::default()
    }
}

fn limit(limit: Option<u32>) -> NewLoad {
    NewLoad {
        max_in_flight: Some(limit),
        ..NewLoad::default()
    }
}

fn of_stages(result: &RunResult, key: &str) -> Vec<Value> {
    let stats = result.stats_map();
    let stages = stats["stages"].as_array().unwrap();
    stages.iter().map(|stage| stage[key].clone()).collect()
}

#[test]
fn a_rate_is_changed_and_the_schedule_stays_exact() {
    let server = friendly();
    let base = tempfile::tempdir().unwrap();
    // The second request would be due after a quarter of an hour.
    let mut config = config(&server, 1).rate("0.001/s".parse().unwrap());
    (config.arrivals, config.load) = (Arrivals::Constant, Load::Requests(4));
    config.workers = Some(2);
    let (work, control, folder) = start(config, base.path());
    let paused = control.change(&rate("0/s")).unwrap();
    assert_eq!(paused.rate.as_deref(), Some("0/s"));
    wait_for(&control, &paused);
    let changed = control.change(&rate("100/s")).unwrap();
    let result = work.join().unwrap();
    let [first, second] = [0, 1].map(|number| changed.changes[number].time);
    let due = |number: u32| {
        let mut responses = result.responses.iter();
        let response = responses.find(|response| response.detail.client == Some(number));
        response.unwrap().schedule().due_time.unwrap()
    };
    assert_eq!(due(0), 0.0);
    for number in 1..4 {
        // What was expected before has been counted already.
        let expected = second + (f64::from(number) - first * 0.001) / 100.0;
        assert!(
            (due(number) - expected).abs() < 1e-6,
            "{} {expected}",
            due(number)
        );
    }
    assert_eq!(of_stages(&result, "load"), ["0.001/s", "0/s", "100/s"]);
    assert_eq!(of_stages(&result, "total_requests"), [1, 0, 3]);
    assert_eq!(
        of_stages(&result, "start"),
        [json!(0.0), json!(first), json!(second)]
    );
    let changes = &result.stats().control_changes;
    let change = json!({"time": second, "setting": "rate", "from": "0/s", "to": "100/s"});
    assert_eq!((changes.len(), &changes[1]), (2, &change));
    let said = llmeter::report::summary(&result);
    assert!(said.contains("rate 0/s → 100/s"), "{said}");
    assert_saved(&result);
    // What was changed is in the configuration as well, and the socket is gone.
    let own = std::fs::read_to_string(folder.join("llmeter.json")).unwrap();
    let own: Value = serde_json::from_str(&own).unwrap();
    assert_eq!(own["control_changes"], json!(changes));
    assert!(!folder.join("control.sock").exists());
    let over = control.status().unwrap_err().to_string();
    assert!(over.ends_with("run: no run is in progress there"), "{over}");
}

/// Threads of this process whose names begin so.
#[cfg(target_os = "linux")]
fn threads(name: &str) -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten();
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok());
    names.filter(|comm| comm.starts_with(name)).count()
}

#[test]
fn clients_come_and_go_in_mid_run() {
    let server = Scripted::start(vec![[vec![Step::WaitForRelease], whole()].concat()]);
    let base = tempfile::tempdir().unwrap();
    let mut config = config(&server, 1);
    (config.clients, config.load) = (1, Load::Requests(2));
    config.workers = Some(3);
    let (work, control, _) = start(config, base.path());
    server.wait_for_request();
    // Who comes later is on workers that are there from the start.
    #[cfg(target_os = "linux")]
    assert_eq!(threads("worker-"), 3);
    let changed = control.change(&clients(3)).unwrap();
    assert_eq!(changed.clients, Some(3));
    server.wait_for_request();
    server.wait_for_request();
    let changed = control.change(&clients(1)).unwrap();
    wait_for(&control, &changed);
    server.release();
    let result = work.join().unwrap();
    // Those who had to leave ended their request, and began none.
    let mut sent: Vec<_> = result
        .responses
        .iter()
        .map(|one| one.detail.client)
        .collect();
    sent.sort_unstable();
    assert_eq!(sent, [Some(0), Some(0), Some(1), Some(2)]);
    assert_eq!(result.stats().failed_requests, 0);
    assert_eq!(
        (result.summary.clients, result.summary.total_requests),
        (3, Some(4))
    );
    assert_eq!(
        of_stages(&result, "load"),
        ["1 client", "3 clients", "1 client"]
    );
    assert_eq!(of_stages(&result, "total_requests"), [1, 2, 1]);
    assert_saved(&result);
}

#[test]
fn a_limit_of_requests_in_flight_is_set_and_lifted() {
    let server = Scripted::start(vec![[vec![Step::WaitForRelease], whole()].concat()]);
    let base = tempfile::tempdir().unwrap();
    let mut config = config(&server, 1).rate("0.001/s".parse().unwrap());
    (config.arrivals, config.load) = (Arrivals::Burst(3), Load::Requests(9));
    let (work, control, _) = start(config, base.path());
    for _ in 0..3 {
        server.wait_for_request();
    }
    // Three are in flight, which is more than there may be from now on.
    let limited = control.change(&limit(Some(2))).unwrap();
    assert_eq!(limited.max_in_flight, Some(2));
    let changed = control.change(&rate("100000/s")).unwrap();
    wait_for(&control, &changed);
    assert_eq!(control.status().unwrap().in_flight, Some(3));
    control.change(&limit(Some(5))).unwrap();
    server.wait_for_request();
    server.wait_for_request();
    wait_until(&control, |status| status.in_flight == Some(5));
    control.change(&limit(None)).unwrap();
    server.release();
    let result = work.join().unwrap();
    let stats = result.stats();
    assert_eq!((stats.total_requests, stats.failed_requests), (Some(9), 0));
    assert_eq!(stats.in_flight_limit, None);
    assert!(
        stats.peak_in_flight >= Some(5) && stats.in_flight_waits >= Some(2),
        "{stats:?}"
    );
}

#[test]
fn a_run_that_is_stopped_is_complete() {
    let server = Scripted::start(vec![[vec![Step::WaitForRelease], whole()].concat()]);
    let base = tempfile::tempdir().unwrap();
    let mut config = config(&server, 1);
    (config.clients, config.load) = (2, Load::Requests(100));
    let (work, control, _) = start(config, base.path());
    server.wait_for_request();
    server.wait_for_request();
    assert_eq!(control.stop().unwrap().phase, RunPhase::Stopping);
    let refused = control.change(&clients(4)).unwrap_err().to_string();
    assert!(refused.contains("the run is stopping"), "{refused}");
    server.release();
    let result = work.join().unwrap();
    assert_eq!(result.summary.total_requests, Some(2));
    let stats = result.stats();
    assert!(!result.interrupted && stats.failed_requests == 0 && stats.stopped_by.is_none());
    let said = llmeter::report::summary(&result);
    assert!(said.contains("as asked for by llmeter control"), "{said}");
    let page = llmeter::report::markdown(&llmeter::report::Report::of_run(&result));
    let has = |title: &str| page.contains(&format!("## {title}\n"));
    assert!(has("Stages of the load"), "{page}");
    assert!(!has("Servers") && !has("Workloads"), "{page}");
}

#[test]
fn what_cannot_be_changed_is_refused() {
    type Change = fn(&mut RunConfig);
    let cases: [(Change, NewLoad, &str); 7] = [
        (
            |run| run.shard = Some("1/1".parse().unwrap()),
            clients(2),
            "it is part 1/1 of a load",
        ),
        (
            |run| run.stages = Some("1 client for 1h".parse().unwrap()),
            clients(2),
            "its load is in stages",
        ),
        (
            |run| run.max_requests = Some(9),
            clients(2),
            "max_requests shares",
        ),
        (
            |_| {},
            rate("5/s"),
            "it is a load of clients, which has no rate",
        ),
        (
            |_| {},
            limit(Some(3)),
            "they are the limit of requests in flight",
        ),
        (|_| {}, clients(0), "0 clients: expected from 1"),
        (
            |run| run.rate = "0.001/s".parse().ok(),
            clients(2),
            "there are no clients to change",
        ),
    ];
    for (change, load, expected) in cases {
        let server = Scripted::start(vec![[vec![Step::WaitForRelease], whole()].concat()]);
        let base = tempfile::tempdir().unwrap();
        let mut config = config(&server, 1);
        (config.arrivals, config.load) = (Arrivals::Constant, Load::Requests(1));
        change(&mut config);
        let (work, control, _) = start(config, base.path());
        server.wait_for_request();
        let refused = control.change(&load).unwrap_err().to_string();
        assert!(refused.contains(expected), "{refused} is not {expected}");
        control.stop().unwrap();
        server.release();
        let stats = work.join().unwrap().stats_map();
        let changes = stats["control_changes"].as_array().unwrap();
        assert_eq!(changes.len(), 1, "{changes:?}");
        assert_eq!(changes[0]["setting"], "stop");
    }
}

#[test]
fn who_cannot_be_asked_says_why() {
    let base = tempfile::tempdir().unwrap();
    let refused = |place: &str| match RunControl::of(place).and_then(|run| run.status()) {
        Err(reason) => reason.to_string(),
        Ok(status) => panic!("{status:?}"),
    };
    let there = base.path().to_str().unwrap().to_owned();
    assert_eq!(
        refused(&there),
        format!("{there}: no run is in progress there")
    );
    let nowhere = format!("{there}/nowhere");
    assert_eq!(
        refused(&nowhere),
        format!("{nowhere}: there is no such folder")
    );
    let cloud = refused("s3://bucket/run");
    assert!(
        cloud.starts_with("s3://bucket/run: a run whose folder is in the cloud"),
        "{cloud}"
    );
}
