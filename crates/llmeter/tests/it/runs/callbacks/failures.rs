//! Hooks that fail, panic or hang.

use std::sync::Arc;
use std::time::Duration;

use llmeter::callback::{
    Callback, Hook, HookError, HookResult, InvokeRequest, RequestData, async_trait,
};
use llmeter::saved::SavedObject;
use llmeter::{Error, Interrupt, InvocationResponse, Load, RunConfig, RunResult, Runner};
use serde_json::{Map, json};

use super::*;

#[test]
fn a_failing_before_invoke_costs_that_request_only() {
    for by_panic in [false, true] {
        let log = Log::default();
        let server = friendly();
        let folder = tempfile::tempdir().unwrap();
        let mut config = config(&server, 4).clients(4).output(folder.path());
        config.load = Load::Requests(8);
        let mut picky = Probe::new("Picky", &log);
        picky.before_invoke = Box::new(move |request| match prompt(&request.payload).as_str() {
            "p2" if by_panic => panic!("not p2"),
            "p2" => Err(HookError::new("not p2")),
            _ => Ok(()),
        });
        config.callbacks = vec![Arc::new(picky), Arc::new(Probe::new("Next", &log))];
        let result = run(config);
        assert_eq!(result.responses.len(), 32);
        let (failed, good): (Vec<_>, Vec<_>) = result
            .responses
            .iter()
            .partition(|response| response.error.is_some());
        assert_eq!((failed.len(), good.len()), (8, 24));
        assert_eq!(server.requests(), 24);
        for response in failed {
            let error = response.error_text().unwrap();
            assert!(
                error.starts_with("callback Picky failed in before_invoke: "),
                "{error}"
            );
            assert!(error.ends_with("not p2"), "{error}");
            assert_eq!(prompt(response.input_payload.as_ref().unwrap()), "p2");
            assert_eq!(response.request_time, None);
            assert_eq!(response.time_to_last_token, None);
        }
        assert_eq!(result.stats_map()["failed_requests"], 8);
        assert_eq!(result.callback_errors, []);
        let log = log.lock().unwrap();
        let next = log
            .iter()
            .filter(|call| call.1 == "Next" && call.2 == Hook::BeforeInvoke);
        assert_eq!(
            next.count(),
            24,
            "after a failure the others are not called"
        );
        let after = log
            .iter()
            .filter(|call| call.1 == "Picky" && call.2 == Hook::AfterInvoke);
        assert_eq!(after.count(), 32, "failed requests are answers, too");
        assert_saved(&result);
    }
}

#[test]
fn what_hooks_refuse_was_due_and_the_verdict_says_that_they_did() {
    let log = Log::default();
    let server = friendly();
    let mut config = config(&server, 2).rate("200/s".parse().unwrap());
    config.load = Load::Requests(8);
    let mut picky = Probe::new("Picky", &log);
    picky.before_invoke = Box::new(|request| match prompt(&request.payload).as_str() {
        "p1" => Err(HookError::new("not p1")),
        _ => Ok(()),
    });
    config.callbacks = vec![Arc::new(picky)];
    let result = run(config);
    let stats = result.stats();
    assert_eq!((stats.due_requests, stats.failed_requests), (Some(8), 4));
    let due = |response: &InvocationResponse| response.schedule().due_time;
    assert!(
        result
            .responses
            .iter()
            .all(|response| due(response).is_some())
    );
    assert!(stats.achieved_rate < stats.offered_rate);
    // They are in no flight, and were offered for as long as it took to refuse them.
    assert!(stats.offered_in_flight > stats.achieved_in_flight);
    let reasons = stats.measurement_reasons.join("; ");
    assert!(
        reasons.contains("4 requests were not sent, since callbacks' before_invoke failed"),
        "{reasons}"
    );
}

#[test]
fn a_payload_that_the_endpoint_refuses_after_a_change_is_a_failed_request() {
    let log = Log::default();
    let server = friendly();
    let mut config = config(&server, 1);
    let mut breaking = Probe::new("Breaking", &log);
    breaking.before_invoke = Box::new(|request| {
        // Bytes are for APIs with attachments; this one has JSON only.
        request
            .payload
            .insert("image".into(), json!({"__llmeter_bytes__": "AAAA"}));
        Ok(())
    });
    config.callbacks = vec![Arc::new(breaking)];
    let result = run(config);
    let error = result.responses[0].error_text().unwrap();
    assert!(error.contains("after callbacks changed it"), "{error}");
    assert_eq!(server.requests(), 0);
}

#[test]
fn a_failing_after_invoke_loses_nothing_and_the_others_still_run() {
    for low_memory in [false, true] {
        let log = Log::default();
        let server = friendly();
        let folder = tempfile::tempdir().unwrap();
        let mut config = config(&server, 3).clients(5).output(folder.path());
        config.load = Load::Requests(6);
        config.low_memory = low_memory;
        let mut refusing = Probe::new("Refusing", &log);
        refusing.after_invoke = refuse("no answer is good enough");
        let mut panicking = Probe::new("Panicking", &log);
        panicking.after_invoke = panics();
        panicking.nap = Duration::from_millis(1);
        let mut good = Probe::new("Good", &log);
        good.after_invoke = annotate("grade", json!({"letter": "é", "points": [1, 2.5]}));
        config.callbacks = vec![Arc::new(refusing), Arc::new(panicking), Arc::new(good)];
        let result = run(config);
        assert_eq!(result.stats_map()["total_requests"], 30);
        assert_eq!(result.stats_map()["failed_requests"], 0);
        assert_eq!(
            failures(&result),
            [
                (
                    "Refusing".into(),
                    Hook::AfterInvoke,
                    30,
                    "no answer is good enough".into()
                ),
                (
                    "Panicking".into(),
                    Hook::AfterInvoke,
                    30,
                    "it panicked: what a hook".into()
                ),
            ]
        );
        let summary = llmeter::report::summary(&result);
        assert!(
            summary.contains("Refusing failed in after_invoke 30 times, first: no answer is good"),
            "{summary}"
        );
        let folder = result.summary.output_path.clone().unwrap();
        assert_eq!(lines(&folder), 30);
        let loaded = RunResult::load(&folder).unwrap();
        assert_eq!(loaded.callback_errors, result.callback_errors);
        for response in &loaded.responses {
            assert_eq!(response.annotations["grade"]["letter"], "é");
            assert_eq!(response.annotations["grade"]["points"][1], 2.5);
        }
    }
}

#[test]
fn a_failing_after_run_loses_nothing_and_what_callbacks_contribute_is_saved() {
    let log = Log::default();
    let server = friendly();
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(&server, 2).output(folder.path());
    let mut spoiling = Probe::new("Spoiling", &log);
    spoiling.after_run = Box::new(|result| {
        result.contribute_stats(Map::from_iter([("half_done".into(), json!(1))]))?;
        panic!("then it broke");
    });
    let mut reading = Probe::new("Reading", &log);
    reading.after_run = Box::new(|result| {
        // The folder is complete, with what the callback before contributed.
        let folder = result
            .summary
            .output_path
            .clone()
            .ok_or(HookError::new("no folder"))?;
        let saved = RunResult::load(&folder)?;
        assert_eq!(saved.stats_map()["half_done"], 1);
        assert_eq!(saved.responses.len(), 2);
        result.contribute_stats(Map::from_iter([("seen".into(), json!(2))]))?;
        // A statistic that is no number is refused, which fails this hook.
        result.contribute_stats(Map::from_iter([("bad".into(), json!("text"))]))?;
        Ok(())
    });
    config.callbacks = vec![Arc::new(spoiling), Arc::new(reading)];
    let result = run(config);
    assert_eq!(result.stats_map()["half_done"], 1);
    assert_eq!(result.stats_map()["seen"], 2);
    let failures = failures(&result);
    assert_eq!(failures.len(), 2);
    assert_eq!(failures[0].3, "it panicked: then it broke");
    assert!(failures[1].3.contains("bad"), "{}", failures[1].3);
    assert_saved(&result);
    let loaded = RunResult::load(result.summary.output_path.as_ref().unwrap()).unwrap();
    assert_eq!(loaded.callback_errors, result.callback_errors);
}

#[test]
fn after_run_is_called_after_an_interruption_too() {
    let log = Log::default();
    let mut script = vec![Step::WaitForRelease];
    script.extend(whole());
    let server = Scripted::start(vec![script]);
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(&server, 1).clients(2).output(folder.path());
    config.load = Load::Requests(100);
    config.grace = Duration::from_secs(30);
    let mut counting = Probe::new("Counting", &log);
    counting.after_run = Box::new(|result| {
        let count = json!(result.responses.len());
        result.contribute_stats(Map::from_iter([("counted".into(), count)]))?;
        Ok(())
    });
    config.callbacks = vec![Arc::new(counting)];
    let interrupt = Interrupt::new();
    let runner = Runner::new(config).interrupted_by(interrupt.clone());
    let work = std::thread::spawn(move || finish(move || runner.run_blocking()).unwrap());
    server.wait_for_request();
    server.wait_for_request();
    interrupt.stop();
    server.release();
    let result = work.join().unwrap();
    assert!(result.interrupted);
    assert_eq!(result.stats_map()["counted"], 2);
    assert_saved(&result);
}

#[test]
fn a_callback_that_cannot_be_saved_is_refused_before_anything_is_sent() {
    struct Unsaveable;
    #[async_trait]
    impl Callback for Unsaveable {
        fn saved(&self) -> llmeter::Result<Option<SavedObject>> {
            Err(Error::field(
                "callback",
                "Unsaveable",
                "one that can be saved",
            ))
        }
    }
    let server = friendly();
    let config = config(&server, 1).callback(Arc::new(Unsaveable));
    let error = finish(move || Runner::new(config).run_blocking()).unwrap_err();
    assert!(error.to_string().contains("Unsaveable"), "{error}");
    assert_eq!(server.requests(), 0);
}

/// A callback with a hook that never ends.
struct Hanging(Hook);

#[async_trait]
impl Callback for Hanging {
    fn hooks(&self) -> &'static [Hook] {
        match self.0 {
            Hook::BeforeRun => &[Hook::BeforeRun],
            Hook::BeforeInvoke => &[Hook::BeforeInvoke],
            Hook::AfterInvoke => &[Hook::AfterInvoke],
            Hook::AfterRun => &[Hook::AfterRun],
        }
    }

    async fn before_run(&self, _: &mut RunConfig) -> HookResult {
        std::future::pending().await
    }

    async fn before_invoke(&self, _: &mut InvokeRequest) -> HookResult {
        std::future::pending().await
    }

    async fn after_invoke(
        &self,
        response: &mut InvocationResponse,
        _: &mut RequestData,
    ) -> HookResult {
        response.annotations.insert("begun".into(), true.into());
        std::future::pending().await
    }

    async fn after_run(&self, _: &mut RunResult) -> HookResult {
        std::future::pending().await
    }
}

/// An interruption gets through a hook that hangs, and what was measured is kept.
#[test]
fn a_hook_that_never_ends_does_not_outlive_an_interruption() {
    for hook in Hook::ALL {
        let log = Log::default();
        let server = friendly();
        let folder = tempfile::tempdir().unwrap();
        let mut config = config(&server, 3).output(folder.path());
        config.grace = Duration::from_millis(50);
        let interrupt = Interrupt::new();
        let mut other = Probe::new("Other", &log);
        let stop = interrupt.clone();
        // The interruption comes when the run has got as far as the hook.
        let at = *hook;
        match at {
            Hook::BeforeRun => {
                other.before_run = Box::new(move |_| {
                    stop.stop();
                    Ok(())
                })
            }
            Hook::BeforeInvoke => {
                other.before_invoke = Box::new(move |_| {
                    stop.stop();
                    Ok(())
                })
            }
            Hook::AfterInvoke => {
                other.after_invoke = Box::new(move |_| {
                    stop.stop();
                    Ok(())
                })
            }
            Hook::AfterRun => {
                other.after_run = Box::new(move |_| {
                    stop.stop();
                    Ok(())
                })
            }
        }
        config.callbacks = vec![Arc::new(other), Arc::new(Hanging(at))];
        let runner = Runner::new(config).interrupted_by(interrupt);
        let outcome = finish(move || runner.run_blocking());
        match at {
            Hook::BeforeRun => {
                let error = outcome.unwrap_err().to_string();
                assert!(error.contains("interrupted before it began"), "{error}");
                assert_eq!(server.requests(), 0);
            }
            Hook::BeforeInvoke => {
                let result = outcome.unwrap();
                assert!(result.interrupted);
                assert_eq!(server.requests(), 0);
                assert_saved(&result);
            }
            Hook::AfterInvoke | Hook::AfterRun => {
                let result = outcome.unwrap();
                assert!(!result.responses.is_empty());
                let failures = failures(&result);
                assert_eq!(failures.len(), 1, "{failures:?}");
                assert_eq!((failures[0].0.as_str(), failures[0].1), ("Hanging", at));
                assert!(failures[0].3.contains("still at work"), "{}", failures[0].3);
                if at == Hook::AfterInvoke {
                    assert_eq!(result.responses[0].annotations["begun"], true);
                }
                assert_saved(&result);
            }
        }
    }
}

const CHILD: &str = "LLMETER_TEST_PANICKING_RUN";

/// In a process of its own, whose standard error is looked at.
#[test]
fn panics_of_one_place_are_shown_once() {
    let name = "runs::callbacks::failures::panics_of_one_place_are_shown_once";
    if std::env::var_os(CHILD).is_none() {
        let child = std::process::Command::new(std::env::current_exe().unwrap())
            .args([name, "--exact", "--nocapture"])
            .env(CHILD, "1")
            .output()
            .unwrap();
        let said = String::from_utf8(child.stderr).unwrap();
        assert!(child.status.success(), "{said}");
        assert_eq!(said.matches("what a hook").count(), 1, "{said}");
        assert_eq!(said.matches("not this one").count(), 1, "{said}");
        assert_eq!(said.matches("panicked at").count(), 2, "{said}");
        return;
    }
    let log = Log::default();
    let server = friendly();
    let mut config = config(&server, 1);
    config.load = Load::Requests(20);
    let mut panicking = Probe::new("Panicking", &log);
    panicking.after_invoke = panics();
    let mut picky = Probe::new("Picky", &log);
    let count = std::sync::atomic::AtomicUsize::new(0);
    picky.before_invoke = Box::new(move |_| {
        if count.fetch_add(1, std::sync::atomic::Ordering::Relaxed) >= 10 {
            panic!("not this one");
        }
        Ok(())
    });
    config.callbacks = vec![Arc::new(panicking), Arc::new(picky)];
    let result = run(config);
    // All of them count.
    assert_eq!(failures(&result)[0].2, 20);
    assert_eq!(result.stats().failed_requests, 10);
}
