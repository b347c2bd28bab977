//! Runs that are ended before their end.

use std::path::Path;
use std::time::Duration;

use llmeter::{Interrupt, Load, RunConfig, RunResult, Runner};

use super::{assert_saved, config, lines, whole};
use crate::scripted::answers::{chunk, text, unfinished};
use crate::scripted::{Scripted, Step, finish, run, write};

/// A server that waits with all its answers until it is released.
pub(crate) fn waiting() -> Scripted {
    let mut script = vec![Step::WaitForRelease];
    script.extend(whole());
    Scripted::start(vec![script])
}

/// Starts a run of four clients, and waits until each has sent a request.
pub(crate) fn begin(
    server: &Scripted,
    folder: &Path,
    change: impl FnOnce(&mut RunConfig),
) -> (std::thread::JoinHandle<RunResult>, Interrupt) {
    let mut config = config(server, 1)
        .clients(4)
        .load(Load::Requests(100))
        .output(folder);
    config.grace = Duration::from_secs(30);
    change(&mut config);
    let interrupt = Interrupt::new();
    let runner = Runner::new(config).interrupted_by(interrupt.clone());
    let run = std::thread::spawn(move || finish(move || runner.run_blocking()).unwrap());
    for _ in 0..4 {
        server.wait_for_request();
    }
    (run, interrupt)
}

/// Defects D1, D12 and D24 of the Python system: a stopped run there goes on sending, loses its
/// time and rates, and changes after it was returned.
#[test]
fn a_stopped_run_sends_no_more_and_finishes_what_is_in_flight() {
    for load in [Load::Requests(100), Load::Duration(Duration::from_secs(60))] {
        let folder = tempfile::tempdir().unwrap();
        let server = waiting();
        let (run, interrupt) = begin(&server, folder.path(), |run| run.load = load);
        interrupt.stop();
        server.release();
        let result = run.join().unwrap();
        assert!(result.interrupted);
        assert_eq!(server.requests(), 4);
        assert_eq!(result.responses.len(), 4);
        let stats = result.stats_map();
        assert_eq!(stats["failed_requests"], 0);
        assert_eq!(stats["interrupted"], true);
        assert!(result.summary.total_test_time.unwrap() > 0.0);
        assert!(stats["requests_per_minute"].as_f64().unwrap() > 0.0);
        assert_eq!(
            result.summary.n_requests,
            Some(1),
            "those that were recorded"
        );
        assert_saved(&result);
        // Nothing goes on behind the caller's back.
        std::thread::sleep(Duration::from_millis(100));
        assert_eq!(server.requests(), 4);
        assert_saved(&result);
    }
}

#[test]
fn what_outlasts_the_grace_time_is_cut_and_recorded() {
    let script = vec![
        write(unfinished(&text("half"))),
        write(chunk(&text(" way"))),
        Step::Hold,
    ];
    for is_impatient in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let server = Scripted::start(vec![script.clone()]);
        let (run, interrupt) = begin(&server, folder.path(), |run| {
            if !is_impatient {
                run.grace = Duration::from_millis(200);
            }
        });
        interrupt.stop();
        if is_impatient {
            interrupt.abort();
        }
        let result = run.join().unwrap();
        assert!(result.interrupted);
        assert_eq!(result.responses.len(), 4);
        for response in &result.responses {
            let error = response.error_text().unwrap();
            assert!(error.contains("the run was interrupted"), "{error}");
            assert!(response.request_time.is_some());
            if !is_impatient {
                assert_eq!(response.response_text.as_deref(), Some("half way"));
                assert!(response.time_to_first_token.is_some());
            }
        }
        assert!(result.summary.total_test_time.is_some());
        assert_eq!(server.requests(), 4);
        assert_saved(&result);
    }
}

#[test]
fn a_run_stopped_while_warming_up_has_no_answers_and_is_saved() {
    let folder = tempfile::tempdir().unwrap();
    let server = waiting();
    let (run, interrupt) = begin(&server, folder.path(), |run| run.warmup = 100);
    interrupt.stop();
    server.release();
    let result = run.join().unwrap();
    assert!(result.interrupted);
    assert_eq!(server.requests(), 4);
    assert_eq!(result.responses, []);
    let loaded = RunResult::load(result.summary.output_path.as_ref().unwrap()).unwrap();
    assert!(loaded.interrupted);
    assert_eq!(loaded.summary, result.summary);
}

#[test]
fn a_runner_that_was_stopped_before_sends_nothing() {
    let server = waiting();
    let interrupt = Interrupt::new();
    interrupt.stop();
    let runner = Runner::new(config(&server, 1)).interrupted_by(interrupt);
    let result = finish(move || runner.run_blocking()).unwrap();
    assert!(result.interrupted);
    assert_eq!(result.responses, []);
    assert_eq!(server.requests(), 0);
}

#[test]
fn a_time_bound_run_in_low_memory_is_stopped_without_loss() {
    let folder = tempfile::tempdir().unwrap();
    let server = super::friendly();
    let (run, interrupt) = begin(&server, folder.path(), |run| {
        run.load = Load::Duration(Duration::from_secs(60));
        run.low_memory = true;
    });
    for _ in 0..200 {
        server.wait_for_request();
    }
    interrupt.stop();
    let result = run.join().unwrap();
    assert!(result.interrupted);
    let recorded = result.summary.total_requests.unwrap() as usize;
    assert_eq!(recorded, server.requests());
    assert_eq!(
        lines(result.summary.output_path.as_ref().unwrap()),
        recorded
    );
    assert_eq!(result.stats_map()["failed_requests"], 0);
}

#[test]
fn dropping_the_future_stops_its_run_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let server = waiting();
    let config = config(&server, 1)
        .clients(2)
        .load(Load::Requests(2))
        .output(folder.path());
    let runner = Runner::new(config);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let dropped = folder.path().join("dropped");
    runtime.block_on(async {
        let run = runner.run_with(|run| run.run_name = Some("dropped".to_owned()));
        let mut run = std::pin::pin!(run);
        let begun = std::future::poll_fn(|context| {
            assert!(run.as_mut().poll(context).is_pending());
            std::task::Poll::Ready(())
        });
        begun.await;
        server.wait_for_request();
        server.wait_for_request();
    });
    // Nothing but the client ends these requests: the server has not been released.
    let finished = dropped.clone();
    finish(move || {
        while !finished.join("summary.json").exists() {
            std::thread::sleep(Duration::from_millis(1));
        }
    });
    let result = RunResult::load(&dropped).unwrap();
    assert!(result.interrupted);
    assert_eq!(result.responses.len(), 2);
    assert_eq!(server.requests(), 2);
    server.release();
    let result = finish(move || runner.run_blocking()).unwrap();
    assert!(!result.interrupted);
    assert_eq!(result.responses.len(), 4);
    assert_saved(&result);
}

#[test]
fn a_run_after_all_was_sent_is_complete() {
    let server = super::friendly();
    let result = run(config(&server, 3));
    assert!(!result.interrupted);
    assert!(!result.stats_map().contains_key("interrupted"));
}
