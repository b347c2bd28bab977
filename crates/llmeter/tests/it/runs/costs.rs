//! Costs of whole runs, and the limit that stops them. Every answer has 7 input and 2 output
//! tokens, and every token costs 1.

use std::sync::Arc;
use std::time::Duration;

use llmeter::callback::CacheBuster;
use llmeter::cost::{CostModel, EndpointTime, InputTokens, OutputTokens};
use llmeter::run::SavedRun;
use llmeter::{Interrupt, Load, OpenAiChat, RunConfig, RunResult, Runner};

use super::stopping::{begin, waiting};
use super::{assert_saved, config, failure, friendly};
use crate::scripted::answers::{text, unfinished};
use crate::scripted::{Scripted, Step, finish, run, write};

const COST: f64 = 9.0;

fn model() -> CostModel {
    CostModel::new()
        .with_request(InputTokens::new(1e6).unwrap())
        .unwrap()
        .with_request(OutputTokens::new(1e6).unwrap())
        .unwrap()
}

/// A run of many requests that may cost so much.
fn limited(server: &Scripted, limit: f64) -> RunConfig {
    let mut config = config(server, 1)
        .clients(4)
        .load(Load::Requests(100))
        .callback(Arc::new(model()));
    config.max_cost = Some(limit);
    config
}

/// A payload of three words whose answer has at most so many tokens.
fn with_output_limit(config: &mut RunConfig, most: u64) {
    let payload = OpenAiChat::create_payload("one two three", most, Default::default());
    config.payloads = vec![Arc::new(payload.unwrap())];
}

#[track_caller]
fn assert_stopped(result: &RunResult, server: &Scripted, requests: usize, limit: f64) {
    assert_eq!(server.requests(), requests);
    let stats = result.stats_map();
    assert_eq!(stats["cost_limit"], limit);
    assert_eq!(stats["cost_limit_reached"], true);
    assert!(!result.interrupted);
    let warned = result
        .warnings
        .iter()
        .filter(|one| one.contains("cost limit"));
    assert_eq!(warned.count(), 1, "{:?}", result.warnings);
    let summary = llmeter::report::summary(result);
    assert!(summary.contains("stopped at the cost limit"), "{summary}");
}

#[test]
fn a_run_has_the_costs_of_its_requests_and_of_its_time() {
    let folder = tempfile::tempdir().unwrap();
    let server = Scripted::start(vec![failure(), super::whole()]);
    let model = model()
        .with_run(EndpointTime::new(3600.0).unwrap())
        .unwrap();
    let config = config(&server, 1)
        .load(Load::Requests(4))
        .callback(Arc::new(model))
        .output(folder.path());
    let result = run(config);
    let stats = result.stats_map();
    assert_eq!(stats["failed_requests"], 1);
    assert_eq!(stats["cost_InputTokens"], 21.0);
    assert_eq!(stats["cost_OutputTokens"], 6.0);
    assert_eq!(stats["cost_per_request-p99"], COST);
    assert_eq!(stats["cost_per_request-count"], 3);
    assert_eq!(stats["cost_per_request-p90-beyond"], 0);
    assert_eq!(stats["cost_unknown_requests"], 1);
    let time = stats["cost_EndpointTime"].as_f64().unwrap();
    assert_eq!(time, result.summary.total_test_time.unwrap().ceil());
    assert_eq!(stats["cost_total"], 27.0 + time);
    assert_saved(&result);
}

/// Defect D8 of the Python system: in low memory the costs of requests are missing from the total.
#[test]
fn low_memory_changes_no_total() {
    let folder = tempfile::tempdir().unwrap();
    let server = friendly();
    let mut config = config(&server, 1)
        .clients(3)
        .load(Load::Requests(5))
        .callback(Arc::new(model()))
        .output(folder.path());
    config.low_memory = true;
    let result = run(config);
    assert!(result.responses.is_empty());
    let stats = result.stats_map();
    assert_eq!(stats["cost_total"], 15.0 * COST);
    assert_eq!(stats["cost_per_request-average"], COST);
    let tokens = result.annotation_summary("cost_OutputTokens").unwrap();
    assert_eq!((tokens.count, tokens.sum, tokens.p50), (15, 30.0, 2.0));
    let cost = model().calculate_run_cost(&result).unwrap();
    assert_eq!(cost.total(), Some(15.0 * COST));
    let mut loaded = RunResult::load(result.summary.output_path.unwrap()).unwrap();
    assert_eq!(loaded.stats_map()["cost_total"], stats["cost_total"]);
    assert_eq!(loaded.annotation_summary("cost_OutputTokens"), Some(tokens));
    model().apply(&mut loaded).unwrap();
    for (key, value) in stats.iter().filter(|(key, _)| key.starts_with("cost_")) {
        assert_eq!(&loaded.stats_map()[key], value, "{key}");
    }
}

/// Defect D7 of the Python system: an interrupted run with a price for its time has no costs.
#[test]
fn an_interrupted_run_has_its_costs() {
    let folder = tempfile::tempdir().unwrap();
    let server = waiting();
    let model = model()
        .with_run(EndpointTime::new(3600.0).unwrap())
        .unwrap();
    let (run, interrupt) = begin(&server, folder.path(), |run| {
        run.callbacks = vec![Arc::new(model)];
    });
    interrupt.stop();
    server.release();
    let result = run.join().unwrap();
    assert!(result.interrupted);
    let stats = result.stats_map();
    let time = stats["cost_EndpointTime"].as_f64().unwrap();
    assert!(time > 0.0);
    assert_eq!(stats["cost_total"], 4.0 * COST + time);
    assert_saved(&result);
}

#[test]
fn a_limit_is_kept_by_the_dearest_request_so_far() {
    let folder = tempfile::tempdir().unwrap();
    let server = friendly();
    let mut config = limited(&server, 50.0).output(folder.path());
    config.run_name = Some("limited".to_owned());
    let result = run(config);
    // A sixth request would make it 54.
    assert_stopped(&result, &server, 5, 50.0);
    assert_eq!(result.stats_map()["cost_total"], 5.0 * COST);
    assert_eq!(result.summary.n_requests, Some(1));
    let path = result.summary.output_path.clone().unwrap();
    assert_eq!(
        RunResult::load(&path).unwrap().stats_map(),
        result.stats_map()
    );
    let again = SavedRun::load(path)
        .unwrap()
        .into_config(Some("NO_KEY"))
        .unwrap();
    assert_eq!(again.max_cost, Some(50.0));
    assert_eq!(again.callbacks.len(), 1);
}

/// While nothing is known of what requests cost, only one is under way.
#[test]
fn an_unknown_cost_is_found_out_by_one_request() {
    let server = waiting();
    let config = limited(&server, 50.0);
    let run = std::thread::spawn(move || run(config));
    server.wait_for_request();
    assert_eq!(server.requests(), 1);
    server.release();
    assert_stopped(&run.join().unwrap(), &server, 5, 50.0);
}

#[test]
fn a_limit_is_kept_by_what_requests_may_cost() {
    // With a limit of 10 the first request has room only if its three words are three tokens.
    for (most, limit, requests) in [(2, 50.0, 5), (40, 100.0, 6), (2, 45.0, 5), (2, 10.0, 1)] {
        let server = friendly();
        let mut config = limited(&server, limit);
        with_output_limit(&mut config, most);
        let result = run(config);
        assert_stopped(&result, &server, requests, limit);
        assert_eq!(result.responses.len(), requests);
    }
}

#[test]
fn requests_that_callbacks_change_are_estimated_too() {
    let server = friendly();
    let mut config = limited(&server, 50.0).callback(Arc::new(CacheBuster::default()));
    with_output_limit(&mut config, 2);
    let result = run(config);
    // The mark makes the prompt longer than the server says it is.
    let sent = server.requests();
    assert!((1..=5).contains(&sent), "{sent}");
    assert_stopped(&result, &server, sent, 50.0);
}

#[test]
fn warm_up_is_spent_as_well() {
    let server = friendly();
    let mut config = limited(&server, 50.0);
    config.warmup = 3;
    let result = run(config);
    assert_stopped(&result, &server, 5, 50.0);
    assert_eq!(result.responses.len(), 2);
}

#[test]
fn a_request_that_broke_may_have_cost_what_was_estimated() {
    let script = vec![write(unfinished(&text("one"))), Step::Close];
    let server = Scripted::start(vec![script]);
    let mut config = limited(&server, 50.0);
    with_output_limit(&mut config, 2);
    let result = run(config);
    // Four times three words and two tokens: 14.
    assert_stopped(&result, &server, 3, 50.0);
}

#[test]
fn refused_requests_cost_nothing() {
    let server = Scripted::start(vec![failure()]);
    let mut config = limited(&server, 50.0).load(Load::Requests(3));
    with_output_limit(&mut config, 2);
    let result = run(config);
    assert_eq!(server.requests(), 12, "three, each tried four times");
    assert_eq!(result.stats_map()["cost_limit_reached"], false);
    let is_of_costs = |warning: &String| warning.contains("cost");
    assert!(!result.warnings.iter().any(is_of_costs));
}

#[test]
fn time_alone_ends_a_run() {
    let server = friendly();
    let time = EndpointTime::with_granularity(3600.0, 0.001).unwrap();
    let mut config = config(&server, 1)
        .load(Load::Duration(Duration::from_secs(600)))
        .callback(Arc::new(CostModel::new().with_run(time).unwrap()));
    config.max_cost = Some(0.3);
    let result = run(config);
    let sent = server.requests();
    assert!(sent > 0);
    assert_stopped(&result, &server, sent, 0.3);
}

/// No request ends before the limit is reached: the clock alone tells.
#[test]
fn time_ends_a_run_whose_requests_do_not_end() {
    let server = waiting();
    let time = EndpointTime::with_granularity(3600.0, 0.001).unwrap();
    let mut config = config(&server, 1)
        .clients(2)
        .load(Load::Requests(100))
        .callback(Arc::new(CostModel::new().with_run(time).unwrap()));
    config.max_cost = Some(0.2);
    let (told, ticks) = std::sync::mpsc::channel();
    let observer = Arc::new(move |progress: &llmeter::Progress| {
        // Towards the end nobody listens any more.
        let _ = told.send(progress.elapsed);
    });
    let runner = Runner::new(config).observe(observer);
    let run = std::thread::spawn(move || finish(move || runner.run_blocking()).unwrap());
    // The guard looks before the observer is told.
    while ticks.recv().unwrap() < 0.3 {}
    server.release();
    assert_stopped(&run.join().unwrap(), &server, 2, 0.2);
}

#[test]
fn limits_that_cannot_be_kept_are_refused_before_anything_is_sent() {
    let server = friendly();
    let refused = |change: &dyn Fn(&mut RunConfig)| {
        let mut config = limited(&server, 50.0);
        change(&mut config);
        let error = Runner::new(config).run_blocking().unwrap_err();
        assert_eq!(server.requests(), 0);
        error.to_string()
    };
    let error = refused(&|run| run.callbacks.clear());
    assert!(error.contains("max_cost requires"), "{error}");
    let error = refused(&|run| run.callbacks = vec![Arc::new(CostModel::new())]);
    assert!(error.contains("max_cost requires"), "{error}");
    let error = refused(&|run| run.callbacks.push(Arc::new(model())));
    assert!(error.contains("2 cost models"), "{error}");
    for limit in [0.0, -1.0, f64::NAN] {
        let error = refused(&|run| run.max_cost = Some(limit));
        assert!(error.contains("more than 0"), "{error}");
    }
    let error = refused(&|run| with_output_limit(run, 64));
    assert!(
        error.contains("67.00, which one request alone may cost"),
        "{error}"
    );
    let error = refused(&|run| {
        let time = EndpointTime::with_granularity(60.0, 3600.0).unwrap();
        run.callbacks = vec![Arc::new(model().with_run(time).unwrap())];
    });
    assert!(
        error.contains("60.00, what the run costs from its first moment"),
        "{error}"
    );
}

#[test]
fn clients_that_wait_for_room_stop_with_the_run() {
    let server = waiting();
    let interrupt = Interrupt::new();
    let runner = Runner::new(limited(&server, 50.0)).interrupted_by(interrupt.clone());
    let run = std::thread::spawn(move || finish(move || runner.run_blocking()).unwrap());
    server.wait_for_request();
    interrupt.stop();
    server.release();
    let result = run.join().unwrap();
    assert!(result.interrupted);
    assert_eq!(result.responses.len(), 1);
    assert_eq!(server.requests(), 1);
    assert_eq!(result.stats_map()["cost_limit_reached"], false);
}
