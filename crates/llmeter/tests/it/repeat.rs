//! Repeats of runs and load tests.

use llmeter::experiment::{LoadTest, Repeat, RepeatResult, TestEnd};
use llmeter::{Interrupt, Load, RunConfig};

use crate::scripted::answers::{sized, whole_stream};
use crate::scripted::{Scripted, finish, write};

fn server() -> Scripted {
    let answer = sized("200 OK", "text/event-stream", &whole_stream(&["a", "b"]));
    Scripted::start(vec![vec![write(answer)]])
}

fn config(server: &Scripted, folder: &std::path::Path) -> RunConfig {
    server
        .config()
        .output(folder)
        .run_name("test")
        .clients(2)
        .load(Load::Requests(5))
}

fn run(repeat: Repeat) -> llmeter::Result<RepeatResult> {
    finish(move || repeat.run_blocking())
}

#[test]
fn a_run_is_repeated_and_its_spread_told() {
    let folder = tempfile::tempdir().unwrap();
    let server = server();
    let done = run(Repeat::of_run(config(&server, folder.path()), 3)).unwrap();
    assert_eq!((done.repeats, done.missing, server.requests()), (3, 0, 30));
    let place = folder.path().join("test");
    assert!(place.join("00003-repeat/summary.json").exists());

    let spread = done.spread(2, "time_to_first_token-p50").unwrap();
    let values: Vec<_> = done.results[&2]
        .iter()
        .map(|one| one.stats().ttft.p50.unwrap())
        .collect();
    assert_eq!(spread.values, values);
    assert!(spread.between.is_some() && spread.within.is_some());
    assert!(
        done.spread(2, "requests_per_minute")
            .unwrap()
            .within
            .is_none()
    );
    assert_eq!(done.spread(2, "no_such_thing"), None);
    assert_eq!(done.spread(9, "requests_per_minute"), None);

    let loaded = RepeatResult::load(place.as_path()).unwrap();
    assert!(RepeatResult::is_in(&place.as_path().into()));
    assert_eq!(loaded.warnings, [""; 0]);
    assert_eq!(loaded.spread(2, "time_to_first_token-p50"), Some(spread));
    let text = llmeter::report::repeats(&loaded);
    assert_eq!(text, llmeter::report::repeats(&done));
    assert!(
        text.contains("2 clients, 3 repeats: 30 requests, 0 failed"),
        "{text}"
    );
    assert!(text.contains("SD between repeats"), "{text}");
}

#[test]
fn a_load_test_is_repeated_level_by_level() {
    let folder = tempfile::tempdir().unwrap();
    let server = server();
    let test = LoadTest::new(config(&server, folder.path()), [1, 3]).min_requests(1, 6);
    let done = run(Repeat::of_load_test(test, 2)).unwrap();
    assert_eq!(done.results.keys().copied().collect::<Vec<_>>(), [1, 3]);
    assert!(done.results.values().all(|level| level.len() == 2));
    let place = folder.path().join("test");
    assert!(place.join("00002-repeat/00003-clients/stats.json").exists());
    let loaded = RepeatResult::load(place.as_path()).unwrap();
    assert_eq!(loaded.repeats, 2);
    assert_eq!(
        llmeter::report::repeats(&loaded),
        llmeter::report::repeats(&done)
    );
}

#[test]
fn repeats_end_early_and_keep_what_they_have() {
    let server = server();
    let interrupt = Interrupt::new();
    let own = interrupt.clone();
    let base = server.config().load(Load::Requests(2));
    let repeat = Repeat::of_run(base, 4)
        .interrupted_by(interrupt)
        .observe(move |number| {
            if number == 3 {
                own.stop();
            }
            None
        });
    let done = run(repeat).unwrap();
    assert_eq!(done.ended_by, Some(TestEnd::Interrupted));
    assert!(done.missing >= 1);
    assert_eq!(done.results[&1][1].responses.len(), 2);
    let text = llmeter::report::repeats(&done);
    assert!(text.contains("interrupted"), "{text}");

    let refusal = sized("500 Oops", "application/json", "{}");
    let failing = Scripted::start(vec![vec![write(refusal)]]);
    let mut base = failing.config().load(Load::Requests(9));
    base.max_failures = Some(2);
    let done = run(Repeat::of_run(base, 4)).unwrap();
    assert!(matches!(done.ended_by, Some(TestEnd::Failures(1, _))));
    assert_eq!(done.missing, 3);
    assert!(run(Repeat::of_run(failing.config(), 0)).is_err());
}
