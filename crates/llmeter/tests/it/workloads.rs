//! Classes of workload side by side.

use std::sync::Arc;

use llmeter::experiment::{Workload, Workloads, WorkloadsResult};
use llmeter::storage::Location;
use llmeter::{Error, Interrupt, Load, RunConfig, RunResult, SavedRun};
use serde_json::{Value, json};

use crate::scripted::answers::*;
use crate::scripted::{Scripted, Step, payload, write};

fn whole() -> Vec<Step> {
    vec![
        write(unfinished(&(role() + &text("one")))),
        write(chunk(&text(" two"))),
        write(chunk(&(stop() + &usage(7, 2) + DONE))),
        write(LAST_CHUNK),
    ]
}

fn class(
    name: &str,
    share: Option<f64>,
    server: &Scripted,
    change: impl FnOnce(&mut RunConfig),
) -> Workload {
    let mut config = server.config();
    config.payloads = vec![Arc::new(payload(name))];
    change(&mut config);
    Workload {
        name: name.to_owned(),
        share,
        config,
    }
}

fn figure(result: &RunResult, class: usize, key: &str) -> Value {
    result.stats_map()["workloads"][class][key].clone()
}

#[test]
fn each_class_is_a_run_and_all_of_them_are_one() {
    let server = Scripted::start(vec![whole()]);
    let failing = Scripted::start(vec![vec![write(sized("500 X", "text/plain", "no"))]]);
    let folder = tempfile::tempdir().unwrap();
    let classes = [
        class("chat", None, &server, |config| {
            (config.clients, config.load) = (2, Load::Requests(3));
            config.slos = vec!["ttft < 10s".parse().unwrap()];
        }),
        class("batch", None, &failing, |config| {
            config.rate = Some("200/s".parse().unwrap());
            config.load = Load::Requests(4);
        }),
    ];
    let mix = Workloads::new(classes, folder.path())
        .run_name(Some("mix".to_owned()))
        .slos(vec!["failed_requests_rate < 50%".parse().unwrap()]);
    let done = mix.run_blocking().unwrap();
    assert_eq!((server.requests(), failing.requests()), (6, 4));
    let stats = done.whole.stats();
    assert_eq!((stats.total_requests, stats.failed_requests), (Some(10), 4));
    let of_classes = done.classes.iter().map(|(_, class)| class.warnings.len());
    assert_eq!(done.whole.warnings.len(), of_classes.sum::<usize>());
    let names: Vec<_> = done.classes.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["chat", "batch"]);
    for (at, (name, class)) in done.classes.iter().enumerate() {
        assert_eq!(figure(&done.whole, at, "workload"), *name);
        let own = class.stats_map();
        for key in [
            "total_requests",
            "failed_requests",
            "goodput_rate",
            "due_requests",
        ] {
            let expected = own.get(key).cloned().unwrap_or_default();
            assert_eq!(figure(&done.whole, at, key), expected, "{name} {key}");
        }
        let is_own = |response: &llmeter::InvocationResponse| {
            response.detail.workload.as_str() == Some(name)
        };
        assert!(class.responses.iter().all(is_own));
        // An ordinary folder, which can be repeated.
        let place = Location::from(folder.path().join("mix").join(name).as_path());
        let loaded = RunResult::load(place.clone()).unwrap();
        assert_eq!(loaded.stats_map(), own);
        SavedRun::load(place).unwrap().into_config(None).unwrap();
    }
    assert_eq!(figure(&done.whole, 0, "load"), "2 clients");
    assert_eq!(figure(&done.whole, 1, "load"), "200/s");
    // The whole is one, too.
    let place = Location::from(folder.path().join("mix").as_path());
    let loaded = WorkloadsResult::load(place.clone()).unwrap();
    let of = |result: &RunResult, key: &str| result.stats_map()[key].clone();
    for key in [
        "workloads",
        "total_requests",
        "time_to_first_token-p50",
        "measurement_verdict",
    ] {
        assert_eq!(of(&loaded.whole, key), of(&done.whole, key));
    }
    assert_eq!(loaded.whole.responses.len(), 10);
    assert_eq!(loaded.classes.len(), 2);
    let text = llmeter::report::summary(&loaded.whole);
    assert!(
        text.contains("workload") && text.contains("batch"),
        "{text}"
    );
    let Err(Error::NotARun { reason, .. }) = SavedRun::load(place) else {
        panic!("one class is not the whole");
    };
    assert!(reason.contains("several workloads"), "{reason}");
    // It is not replaced unless that is wanted.
    assert!(matches!(mix.run_blocking(), Err(Error::FolderInUse { .. })));
    mix.overwrite(true).run_blocking().unwrap();
}

#[test]
fn a_load_is_divided_and_others_are_told_of_a_class_alone() {
    let server = Scripted::start(vec![whole()]);
    let folder = tempfile::tempdir().unwrap();
    let shared = |config: &mut RunConfig| {
        config.rate = Some("500/s".parse().unwrap());
        config.load = Load::Requests(10);
    };
    let classes = [
        class("most", Some(70.0), &server, shared),
        class("few", Some(30.0), &server, shared),
    ];
    let done = Workloads::new(classes, folder.path())
        .alone(true)
        .run_blocking()
        .unwrap();
    // Each alone, and both together.
    assert_eq!(server.requests(), 20);
    assert_eq!(figure(&done.whole, 0, "total_requests"), json!(7));
    assert_eq!(figure(&done.whole, 1, "total_requests"), json!(3));
    assert_eq!(figure(&done.whole, 1, "share"), json!(0.3));
    let times = figure(&done.whole, 0, "times_alone");
    let alone = figure(&done.whole, 0, "alone");
    let key = "time_to_first_token-p50";
    let together = figure(&done.whole, 0, key).as_f64().unwrap();
    let ratio = together / alone[key].as_f64().unwrap();
    assert_eq!(times[key].as_f64(), Some(ratio));
    let folder = done.whole.summary.output_path.clone().unwrap();
    RunResult::load(folder.join("alone").join("few")).unwrap();
}

#[test]
fn one_stop_ends_all_classes_and_keeps_what_they_have() {
    let silent = Scripted::start(vec![vec![Step::WaitForRelease]]);
    let server = Scripted::start(vec![whole()]);
    let folder = tempfile::tempdir().unwrap();
    let interrupt = Interrupt::new();
    let endless = |config: &mut RunConfig| {
        config.load = Load::Duration(std::time::Duration::from_secs(600));
        config.grace = std::time::Duration::ZERO;
    };
    let classes = [
        class("quick", None, &server, endless),
        class("silent", None, &silent, endless),
    ];
    let mix = Workloads::new(classes, folder.path()).interrupted_by(interrupt.clone());
    let work = std::thread::spawn(move || mix.run_blocking());
    silent.wait_for_request();
    server.wait_for_request();
    interrupt.abort();
    let done = work.join().unwrap().unwrap();
    assert!(done.whole.interrupted);
    assert!(done.classes.iter().all(|(_, class)| class.interrupted));
    let recorded: u64 = done
        .classes
        .iter()
        .filter_map(|(_, class)| class.summary.total_requests)
        .sum();
    assert_eq!(done.whole.summary.total_requests, Some(recorded));
}

#[test]
fn classes_have_names_of_their_own_and_all_can_begin_or_none() {
    let server = Scripted::start(vec![whole()]);
    let folder = tempfile::tempdir().unwrap();
    let nothing = |_: &mut RunConfig| {};
    for names in [["a", "a"], ["a", "../b"], ["a", "alone"]] {
        let classes = names.map(|name| class(name, None, &server, nothing));
        let error = Workloads::new(classes, folder.path()).run_blocking();
        assert!(error.unwrap_err().to_string().starts_with("workload"));
    }
    let gone = |config: &mut RunConfig| {
        let endpoint = llmeter::OpenAiChat::builder("http://127.0.0.1:1/v1", "m").build();
        config.endpoint = Arc::new(endpoint.unwrap());
    };
    let classes = [
        class("here", None, &server, nothing),
        class("gone", None, &server, gone),
    ];
    let error = Workloads::new(classes, folder.path()).run_blocking();
    assert!(matches!(error, Err(Error::Unreachable { .. })), "{error:?}");
    assert_eq!(server.requests(), 0);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}
