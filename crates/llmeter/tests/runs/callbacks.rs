//! Hooks of callbacks in whole runs.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use llmeter::callback::{Callback, Hook, HookError, HookResult, async_trait};
use llmeter::payload::Payload;
use llmeter::saved::SavedObject;
use llmeter::{Error, Interrupt, InvocationResponse, Load, RunConfig, RunResult, Runner, Verdict};
use serde_json::{Map, Value, json};

use super::scripted::{Scripted, Step, finish, run};
use super::{assert_saved, config, friendly, lines, whole};

/// Calls of hooks: what the call was about, the callback's name, the hook.
type Log = Arc<Mutex<Vec<(String, &'static str, Hook)>>>;

/// What a [`Probe`] does at a hook, beside noting that it was called.
type Act<T> = Box<dyn Fn(&mut T) -> HookResult + Send + Sync>;

/// A callback made of closures, which notes every call.
struct Probe {
    name: &'static str,
    log: Log,
    before_run: Act<RunConfig>,
    before_invoke: Act<Payload>,
    after_invoke: Act<InvocationResponse>,
    after_run: Act<RunResult>,
    /// How long each hook on a request waits.
    nap: Duration,
}

impl Probe {
    fn new(name: &'static str, log: &Log) -> Self {
        Self {
            name,
            log: log.clone(),
            before_run: Box::new(|_| Ok(())),
            before_invoke: Box::new(|_| Ok(())),
            after_invoke: Box::new(|_| Ok(())),
            after_run: Box::new(|_| Ok(())),
            nap: Duration::ZERO,
        }
    }

    fn note(&self, about: impl Into<String>, hook: Hook) {
        let mut log = self.log.lock().unwrap();
        log.push((about.into(), self.name, hook));
    }

    async fn nap(&self) {
        if !self.nap.is_zero() {
            tokio::time::sleep(self.nap).await;
        }
    }
}

fn prompt(payload: &Payload) -> String {
    payload["messages"][0]["content"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[async_trait]
impl Callback for Probe {
    fn saved(&self) -> llmeter::Result<SavedObject> {
        Ok(SavedObject {
            class: format!("tests.{}", self.name),
            state: Map::new(),
        })
    }

    async fn before_run(&self, config: &mut RunConfig) -> HookResult {
        self.note("", Hook::BeforeRun);
        (self.before_run)(config)
    }

    async fn before_invoke(&self, payload: &mut Payload) -> HookResult {
        self.note(prompt(payload), Hook::BeforeInvoke);
        self.nap().await;
        (self.before_invoke)(payload)
    }

    async fn after_invoke(&self, response: &mut InvocationResponse) -> HookResult {
        let payload = response.input_payload.as_ref().unwrap();
        self.note(prompt(payload), Hook::AfterInvoke);
        self.nap().await;
        (self.after_invoke)(response)
    }

    async fn after_run(&self, result: &mut RunResult) -> HookResult {
        self.note("", Hook::AfterRun);
        (self.after_run)(result)
    }
}

/// Refuses each time.
fn refuse<T>(reason: &'static str) -> Act<T> {
    Box::new(move |_| Err(HookError::new(reason)))
}

fn panics<T>() -> Act<T> {
    Box::new(|_| panic!("what a hook"))
}

fn annotate(key: &'static str, value: Value) -> Act<InvocationResponse> {
    Box::new(move |response| {
        response.annotations.insert(key.into(), value.clone());
        Ok(())
    })
}

fn failures(result: &RunResult) -> Vec<(String, Hook, u64, String)> {
    let failures = result.callback_errors.iter();
    failures
        .map(|failure| {
            let failure = failure.clone();
            (failure.callback, failure.hook, failure.count, failure.first)
        })
        .collect()
}

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
    slow.before_invoke = Box::new(move |payload| {
        let number = number.fetch_add(1, Ordering::SeqCst);
        payload["messages"][0]["content"] = json!(format!("number {number}"));
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
            "clients: 0 is not usable",
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
                    hook: Hook::BeforeRun,
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
    marking.before_invoke = Box::new(|payload| {
        payload.insert("user".into(), "marked".into());
        Ok(())
    });
    config.callbacks = vec![Arc::new(marking)];
    let originals = config.payloads.clone();
    let result = run(config);
    assert_eq!(result.responses.len(), 8);
    let sent = server.seen.requests.lock().unwrap();
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
fn a_failing_before_invoke_costs_that_request_only() {
    for by_panic in [false, true] {
        let log = Log::default();
        let server = friendly();
        let folder = tempfile::tempdir().unwrap();
        let mut config = config(&server, 4).clients(4).output(folder.path());
        config.load = Load::Requests(8);
        let mut picky = Probe::new("Picky", &log);
        picky.before_invoke = Box::new(move |payload| match prompt(payload).as_str() {
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
            let error = response.error.as_ref().unwrap();
            assert!(
                error.starts_with("callback Picky failed in before_invoke: "),
                "{error}"
            );
            assert!(error.ends_with("not p2"), "{error}");
            assert_eq!(prompt(response.input_payload.as_ref().unwrap()), "p2");
            assert_eq!(response.request_time, None);
            assert_eq!(response.time_to_last_token, None);
        }
        assert_eq!(result.stats()["failed_requests"], 8);
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
fn a_payload_that_the_endpoint_refuses_after_a_change_is_a_failed_request() {
    let log = Log::default();
    let server = friendly();
    let mut config = config(&server, 1);
    let mut breaking = Probe::new("Breaking", &log);
    breaking.before_invoke = Box::new(|payload| {
        // Bytes are for APIs with attachments; this one has JSON only.
        payload.insert("image".into(), json!({"__llmeter_bytes__": "AAAA"}));
        Ok(())
    });
    config.callbacks = vec![Arc::new(breaking)];
    let result = run(config);
    let error = result.responses[0].error.as_ref().unwrap();
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
        assert_eq!(result.stats()["total_requests"], 30);
        assert_eq!(result.stats()["failed_requests"], 0);
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
        assert_eq!(saved.stats()["half_done"], 1);
        assert_eq!(saved.responses.len(), 2);
        result.contribute_stats(Map::from_iter([("seen".into(), json!(2))]))?;
        // A statistic that is no number is refused, which fails this hook.
        result.contribute_stats(Map::from_iter([("bad".into(), json!("text"))]))?;
        Ok(())
    });
    config.callbacks = vec![Arc::new(spoiling), Arc::new(reading)];
    let result = run(config);
    assert_eq!(result.stats()["half_done"], 1);
    assert_eq!(result.stats()["seen"], 2);
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
    assert_eq!(result.stats()["counted"], 2);
    assert_saved(&result);
}

/// A callback with a hook that never ends.
struct Hanging(Hook);

#[async_trait]
impl Callback for Hanging {
    fn saved(&self) -> llmeter::Result<SavedObject> {
        Ok(SavedObject {
            class: "tests.Hanging".into(),
            state: Map::new(),
        })
    }

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

    async fn before_invoke(&self, _: &mut Payload) -> HookResult {
        std::future::pending().await
    }

    async fn after_invoke(&self, response: &mut InvocationResponse) -> HookResult {
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

#[test]
fn a_callback_that_cannot_be_saved_is_refused_before_anything_is_sent() {
    struct Unsaveable;
    #[async_trait]
    impl Callback for Unsaveable {
        fn saved(&self) -> llmeter::Result<SavedObject> {
            Err(Error::invalid(
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
