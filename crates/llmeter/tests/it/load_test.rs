//! Load tests: levels, what ends them, and what loads again.

use std::sync::Arc;
use std::time::Duration;

use llmeter::cost::{CostModel, PerRequest};
use llmeter::experiment::{Knee, LoadTest, LoadTestResult, TestEnd};
use llmeter::payload::Payload;
use llmeter::storage::Location;
use llmeter::{Interrupt, OpenAiChat, RunConfig};

use crate::golden::golden;
use crate::scripted::answers::{sized, whole_stream};
use crate::scripted::{Scripted, finish, write};

fn server() -> Scripted {
    let answer = sized("200 OK", "text/event-stream", &whole_stream(&["a", "b"]));
    Scripted::start(vec![vec![write(answer)]])
}

fn config(server: &Scripted, folder: &std::path::Path) -> RunConfig {
    server.config().output(folder).run_name("test")
}

fn run(test: LoadTest) -> llmeter::Result<LoadTestResult> {
    finish(move || test.run_blocking())
}

#[test]
fn each_level_is_a_run_in_a_folder_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let server = server();
    let test = LoadTest::new(config(&server, folder.path()), [3, 1, 3]).min_requests(2, 10);
    let test = run(test).unwrap();
    let counts = test.results.iter();
    let counts: Vec<_> = counts
        .map(|(clients, result)| (*clients, result.responses.len()))
        .collect();
    // As many as it takes for ten.
    assert_eq!(counts, [(1, 10), (3, 12)]);
    assert_eq!(test.ended_by, None);
    assert_eq!(test.test_name.as_deref(), Some("test"));
    for level in ["00001-clients", "00003-clients"] {
        let level = folder.path().join("test").join(level);
        assert!(level.join("summary.json").exists(), "{}", level.display());
    }
    let loaded = LoadTestResult::load(folder.path().join("test")).unwrap();
    for (clients, result) in &test.results {
        let again = &loaded.results[clients];
        assert_eq!(again.responses.len(), result.responses.len());
        assert_eq!(again.stats().ttft.p50, result.stats().ttft.p50);
    }
    assert_eq!(loaded.warnings, [""; 0]);
}

#[test]
fn a_test_is_resumed_where_it_was_broken_off() {
    let folder = tempfile::tempdir().unwrap();
    let server = server();
    let test = || LoadTest::new(config(&server, folder.path()), [1, 2, 3]).min_requests(1, 6);
    run(LoadTest::new(config(&server, folder.path()), [1, 2]).min_requests(1, 6)).unwrap();
    assert_eq!(server.requests(), 12);
    // A run that was killed has no summary.
    let broken = folder.path().join("test/00002-clients");
    std::fs::remove_file(broken.join("summary.json")).unwrap();
    std::fs::remove_file(broken.join("stats.json")).unwrap();
    assert!(run(test()).is_err(), "its folder is in use");
    let resumed = run(test().resume()).unwrap();
    assert_eq!(resumed.resumed, [1]);
    assert_eq!(resumed.results.len(), 3);
    assert_eq!(server.requests(), 24);
}

#[test]
fn levels_that_were_measured_otherwise_are_named_and_not_kept_silently() {
    let folder = tempfile::tempdir().unwrap();
    let server = server();
    let test = |config: RunConfig| LoadTest::new(config, [1, 2]).min_requests(1, 4).resume();
    let base = || config(&server, folder.path());
    run(test(base())).unwrap();
    assert_eq!(server.requests(), 8);
    let kept = run(test(base())).unwrap();
    assert_eq!((kept.resumed, server.requests()), (vec![1, 2], 8));

    let changed = || {
        let mut changed = base();
        changed.timeout = Duration::from_secs(7);
        let payload = OpenAiChat::create_payload("Another.", 8, Payload::new()).unwrap();
        changed.payloads = vec![Arc::new(payload)];
        // What has no part in the figures.
        changed.run_description = Some("again".to_owned());
        changed
    };
    let error = run(test(changed())).unwrap_err();
    let text = error.to_string();
    for part in [
        "1 client (",
        "2 clients",
        "`timeout` was 20 and is 7",
        "payloads",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("description"), "{text}");
    assert!(error.hint().unwrap().contains("`overwrite`"));
    assert_eq!(server.requests(), 8, "nothing is sent");

    let mut overwriting = changed();
    overwriting.overwrite = true;
    let again = run(test(overwriting)).unwrap();
    assert_eq!(again.resumed, [0; 0]);
    assert_eq!(again.warnings.len(), 2, "{:?}", again.warnings);
    assert_eq!(server.requests(), 16);
    assert_eq!(run(test(changed())).unwrap().resumed, [1, 2]);
}

#[test]
fn a_test_that_replaces_another_leaves_nothing_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let server = server();
    let test = |levels: &[usize], overwrites| {
        let mut base = config(&server, folder.path());
        base.overwrite = overwrites;
        LoadTest::new(base, levels.to_vec()).min_requests(1, 2)
    };
    run(test(&[1, 2], false)).unwrap();
    // Not even beside levels that it has not.
    let error = run(test(&[4], false)).unwrap_err();
    assert!(
        matches!(error, llmeter::Error::FolderInUse { .. }),
        "{error}"
    );
    run(test(&[1, 4], true)).unwrap();
    let place = folder.path().join("test");
    let loaded = LoadTestResult::load(place.as_path()).unwrap();
    assert_eq!(loaded.results.keys().copied().collect::<Vec<_>>(), [1, 4]);
    // A single run of that name, and a test again.
    let single = |overwrites| {
        let mut config = config(&server, folder.path());
        config.overwrite = overwrites;
        finish(move || llmeter::Runner::new(config).run_blocking())
    };
    assert!(matches!(
        single(false),
        Err(llmeter::Error::FolderInUse { .. })
    ));
    single(true).unwrap();
    assert!(!LoadTestResult::is_in(&place.as_path().into()));
    run(test(&[2], true)).unwrap();
    assert!(!place.join("summary.json").exists());
}

#[test]
fn levels_that_lost_something_are_not_kept() {
    let folder = tempfile::tempdir().unwrap();
    let server = server();
    let test = || {
        let base = config(&server, folder.path());
        LoadTest::new(base, [1, 2]).min_requests(1, 2).resume()
    };
    run(test()).unwrap();
    let level = folder.path().join("test/00002-clients");
    let lines = std::fs::read(level.join("responses.jsonl")).unwrap();
    std::fs::write(level.join("responses.jsonl"), &lines[..50]).unwrap();
    assert_eq!(run(test()).unwrap().resumed, [1]);
    assert_eq!(run(test()).unwrap().resumed, [1, 2]);
    for damage in ["", "{"] {
        let config = level.join("run_config.json");
        match damage {
            "" => std::fs::remove_file(config).unwrap(),
            damage => std::fs::write(config, damage).unwrap(),
        }
        let text = run(test()).unwrap_err().to_string();
        assert!(text.contains("run_config.json is missing"), "{text}");
    }
}

#[test]
fn what_lies_beside_levels_is_no_level() {
    let folder = tempfile::tempdir().unwrap();
    let server = server();
    run(LoadTest::new(config(&server, folder.path()), [1, 2])).unwrap();
    let place = folder.path().join("test");
    std::fs::write(place.join("llmeter-report.html"), "").unwrap();
    std::fs::create_dir(place.join("notes")).unwrap();
    let loaded = LoadTestResult::load(place.as_path()).unwrap();
    assert_eq!((loaded.results.len(), loaded.warnings), (2, Vec::new()));
}

#[test]
fn another_load_of_a_level_is_another_setting() {
    let folder = tempfile::tempdir().unwrap();
    let server = server();
    let test = |requests| {
        let base = config(&server, folder.path());
        LoadTest::new(base, [2]).min_requests(requests, 1).resume()
    };
    run(test(2)).unwrap();
    let text = run(test(3)).unwrap_err().to_string();
    assert!(text.contains("`requests` was 2 and is 3"), "{text}");
}

#[test]
fn the_limit_of_cost_counts_levels_that_were_kept() {
    let folder = tempfile::tempdir().unwrap();
    let server = server();
    let base = |limit| {
        let costs = CostModel::new()
            .with_request(PerRequest::new(1.0).unwrap())
            .unwrap();
        let mut base = config(&server, folder.path()).callback(Arc::new(costs));
        base.max_cost = Some(limit);
        base
    };
    let test = |limit, levels: &[usize]| {
        LoadTest::new(base(limit), levels.iter().copied())
            .min_requests(1, 4)
            .resume()
    };
    run(test(4.5, &[1])).unwrap();
    let spent = run(test(4.0, &[1, 2])).unwrap();
    assert_eq!(spent.ended_by, Some(TestEnd::Cost));
    assert_eq!((spent.resumed, spent.missing), (vec![1], vec![2]));
    assert_eq!(server.requests(), 4);
    // What is left buys no request.
    let spent = run(test(4.5, &[1, 2])).unwrap();
    assert_eq!(spent.ended_by, Some(TestEnd::Cost));
    assert_eq!((spent.warnings, spent.missing), (Vec::new(), vec![2]));
    assert_eq!(server.requests(), 4);
}

#[test]
fn a_level_that_the_limit_of_cost_broke_off_is_measured_again() {
    let folder = tempfile::tempdir().unwrap();
    let server = server();
    let test = |limit| {
        let costs = CostModel::new()
            .with_request(PerRequest::new(1.0).unwrap())
            .unwrap();
        let mut base = config(&server, folder.path()).callback(Arc::new(costs));
        base.max_cost = Some(limit);
        LoadTest::new(base, [1]).min_requests(1, 4).resume()
    };
    let broken = run(test(2.5)).unwrap();
    assert_eq!(broken.results[&1].responses.len(), 2);
    let whole = run(test(9.0)).unwrap();
    assert_eq!((whole.resumed.len(), server.requests()), (0, 6));
    let kept = run(test(9.0)).unwrap();
    assert_eq!((kept.resumed, server.requests()), (vec![1], 6));
}

#[test]
fn failures_end_a_test_and_what_is_missing_is_named() {
    let refusal = sized("500 Oops", "application/json", "{}");
    let server = Scripted::start(vec![vec![write(refusal)]]);
    let mut base = server.config();
    base.max_failures = Some(2);
    let test = run(LoadTest::new(base, [1, 2, 4])).unwrap();
    assert_eq!(
        test.ended_by,
        Some(TestEnd::Failures(1, "max_failures".to_owned()))
    );
    assert_eq!(test.results.len(), 1);
    assert_eq!(test.missing, [2, 4]);
    assert_eq!(test.knee(), Knee::Unknown);
}

#[test]
fn an_interrupted_test_keeps_what_it_has() {
    let server = server();
    let interrupt = Interrupt::new();
    let own = interrupt.clone();
    let test = LoadTest::new(server.config(), [1, 2, 3])
        .interrupted_by(interrupt)
        .observe(move |clients| {
            if clients == 2 {
                own.stop();
            }
            None
        });
    let test = run(test).unwrap();
    assert_eq!(test.ended_by, Some(TestEnd::Interrupted));
    assert_eq!(test.results[&1].responses.len(), 10);
    assert!(test.missing.contains(&3), "{:?}", test.missing);
}

#[test]
fn what_cannot_be_used_is_refused_before_anything_is_sent() {
    let server = server();
    for levels in [&[][..], &[0, 1]] {
        let test = LoadTest::new(server.config(), levels.iter().copied());
        assert!(run(test).is_err());
    }
    assert_eq!(server.requests(), 0);
}

#[test]
fn load_tests_of_the_python_package_load() {
    let test = LoadTestResult::load(
        golden()
            .join("outputs")
            .join("d2_load_test_by_runner/ladder"),
    )
    .unwrap();
    let levels: Vec<_> = test.results.keys().copied().collect();
    assert_eq!(levels, [1, 2, 4]);
    assert!(
        test.results
            .values()
            .all(|level| !level.responses.is_empty())
    );
    assert_eq!(test.test_name.as_deref(), Some("ladder"));
    // All levels in one folder, where the last one is left.
    let test = LoadTestResult::load(golden().join("outputs").join("d_load_test/ladder")).unwrap();
    assert_eq!(test.results.len(), 1);
    let missing = Location::from(golden().join("outputs").join("no-such-test"));
    assert!(LoadTestResult::load(missing).is_err());
    let empty = tempfile::tempdir().unwrap();
    let error = LoadTestResult::load(empty.path()).unwrap_err();
    assert!(error.to_string().contains("not a run folder"), "{error}");
}
