//! What hooks see and change, and in which order they are called.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use llmeter::callback::Hook;
use llmeter::{Error, Load, Runner, Verdict};
use serde_json::{Value, json};

use super::*;

#[test]
fn callbacks_are_called_in_their_order_for_each_request_also_when_hooks_wait() {
    let log = Log::default();
    let server = friendly();
    let mut config = config(&server, 40).clients(8);
    // Every request has a prompt of its own, and the first callback takes longer.
    config.load = Load::Requests(5);
    let mut slow = Probe::new("Slow", &log);
    slow.nap = Duration::from_millis(3);
    let number = AtomicUsize::new(0);
    slow.before_invoke = Box::new(move |request| {
        let number = number.fetch_add(1, Ordering::SeqCst);
        request.payload["messages"][0]["content"] = json!(format!("number {number}"));
        Ok(())
    });
    config.callbacks = vec![Arc::new(slow), Arc::new(Probe::new("Fast", &log))];
    let result = run(config);
    assert_eq!(result.responses.len(), 40);
    assert_eq!(result.callback_errors, []);

    let log = log.lock().unwrap();
    let ends = |hook| {
        let calls = log.iter().filter(|call| call.2 == hook);
        calls.map(|call| call.1).collect::<Vec<_>>()
    };
    assert_eq!(ends(Hook::BeforeRun), ["Slow", "Fast"]);
    assert_eq!(ends(Hook::AfterRun), ["Slow", "Fast"]);
    let first = log.iter().take(2).map(|call| call.2);
    assert!(first.eq([Hook::BeforeRun; 2]));
    let last = log.iter().rev().take(2).map(|call| call.2);
    assert!(last.eq([Hook::AfterRun; 2]));
    // Of each request: the changed prompt is seen by the second callback and by both at the end.
    let mut by_request = HashMap::<_, Vec<_>>::new();
    for (about, name, hook) in log.iter().filter(|call| call.0.starts_with("number")) {
        by_request.entry(about).or_default().push((*name, *hook));
    }
    assert_eq!(by_request.len(), 40);
    for (request, calls) in by_request {
        assert_eq!(
            calls,
            [
                ("Fast", Hook::BeforeInvoke),
                ("Slow", Hook::AfterInvoke),
                ("Fast", Hook::AfterInvoke)
            ],
            "{request}"
        );
    }
    // Requests do not wait for each other's hooks.
    let calls: Vec<_> = log
        .iter()
        .filter(|call| call.2 == Hook::AfterInvoke)
        .collect();
    assert!(
        calls
            .windows(2)
            .any(|pair| pair[0].0 != pair[1].0 && pair[1].1 == "Slow"),
        "a hook began while another request's was waiting"
    );
}

#[test]
fn before_run_may_change_the_run_and_the_saved_configuration_shows_it() {
    let log = Log::default();
    let server = friendly();
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(&server, 1).output(folder.path()).run_name("r");
    let mut changing = Probe::new("Changing", &log);
    changing.before_run = Box::new(|config| {
        config.clients = 3;
        config.load = Load::Requests(2);
        config.run_description = Some("changed".into());
        config.callbacks.clear();
        Ok(())
    });
    let mut checking = Probe::new("Checking", &log);
    checking.before_run = Box::new(|config| {
        assert_eq!(config.clients, 3);
        Ok(())
    });
    config.callbacks = vec![Arc::new(changing), Arc::new(checking)];
    let result = run(config);
    assert_eq!(result.responses.len(), 6);
    assert_eq!(server.requests(), 6);
    let saved = std::fs::read(folder.path().join("r/run_config.json")).unwrap();
    let saved: Value = serde_json::from_slice(&saved).unwrap();
    assert_eq!(saved["clients"], 3);
    assert_eq!(saved["n_requests"], 2);
    assert_eq!(saved["run_description"], "changed");
    // The list of callbacks is fixed when the run begins.
    assert_eq!(saved["callbacks"][0]["__llmeter_class__"], "tests.Changing");
    assert_eq!(saved["callbacks"][1]["__llmeter_class__"], "tests.Checking");
    assert_eq!(log.lock().unwrap().last().unwrap().2, Hook::AfterRun);
    assert_saved(&result);
}

#[test]
fn a_run_that_before_run_makes_impossible_or_forbids_does_not_start() {
    let acts: [(Act<RunConfig>, &str); 3] = [
        (
            refuse("not on a Friday"),
            "callback Strict failed in before_run, so that nothing was sent: not on a Friday",
        ),
        (panics(), "it panicked: what a hook"),
        (
            Box::new(|config| {
                config.clients = 0;
                Ok(())
            }),
            "clients 0: expected",
        ),
    ];
    for (act, words) in acts {
        let log = Log::default();
        let server = friendly();
        let folder = tempfile::tempdir().unwrap();
        let mut config = config(&server, 1).output(folder.path());
        let mut strict = Probe::new("Strict", &log);
        strict.before_run = act;
        config.callbacks = vec![Arc::new(strict)];
        let error = finish(move || Runner::new(config).run_blocking()).unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
        if words.contains("Strict") {
            assert!(matches!(
                error,
                Error::Callback {
                    hook: "before_run",
                    ..
                }
            ));
        }
        assert_eq!(server.requests(), 0);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        assert_eq!(log.lock().unwrap().len(), 1, "no other hook is called");
    }
}

#[test]
fn before_invoke_changes_a_request_and_nothing_else() {
    let log = Log::default();
    let server = friendly();
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(&server, 2)
        .clients(2)
        .output(folder.path())
        .run_name("r");
    config.load = Load::Requests(4);
    config.warmup = 3;
    let mut marking = Probe::new("Marking", &log);
    marking.before_invoke = Box::new(|request| {
        request.payload.insert("user".into(), "marked".into());
        Ok(())
    });
    config.callbacks = vec![Arc::new(marking)];
    let originals = config.payloads.clone();
    let result = run(config);
    assert_eq!(result.responses.len(), 8);
    let sent = server.bodies();
    assert_eq!(sent.len(), 11);
    assert!(
        sent.iter().all(|body| body.contains(r#""user":"marked""#)),
        "warm-up included"
    );
    for response in &result.responses {
        assert_eq!(response.input_payload.as_ref().unwrap()["user"], "marked");
    }
    assert!(
        originals
            .iter()
            .all(|payload| !payload.contains_key("user"))
    );
    let saved = std::fs::read_to_string(folder.path().join("r/payload.jsonl")).unwrap();
    assert!(!saved.contains("marked"));
    let log = log.lock().unwrap();
    let count = |hook| log.iter().filter(|call| call.2 == hook).count();
    assert_eq!(count(Hook::BeforeInvoke), 11, "no more than are sent");
    assert_eq!(count(Hook::AfterInvoke), 8, "warm-up excluded");
    assert_saved(&result);
}

#[test]
fn a_slow_before_invoke_shows_in_the_quality_of_the_measurement() {
    let quality = |nap: Duration| {
        let log = Log::default();
        let server = friendly();
        let mut config = config(&server, 1).clients(2);
        config.load = Load::Requests(10);
        let mut slow = Probe::new("Slow", &log);
        slow.nap = nap;
        config.callbacks = vec![Arc::new(slow)];
        run(config).quality.unwrap()
    };
    let slow = quality(Duration::from_millis(20));
    assert_eq!(slow.verdict, Verdict::ClientBound);
    // Two clients, of whose ten requests each only the preparing is ahead of the answer.
    assert!(slow.callback_wait > 0.1, "{}", slow.callback_wait);
    assert!(
        slow.reasons
            .iter()
            .any(|reason| reason.contains("before_invoke")),
        "{:?}",
        slow.reasons
    );
    assert_eq!(
        slow.stats()["measurement_callback_wait"],
        slow.callback_wait
    );
}
