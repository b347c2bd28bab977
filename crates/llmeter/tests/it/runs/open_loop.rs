//! Loads whose requests arrive by the clock.

use std::time::Duration;

use llmeter::load::Arrivals;
use llmeter::{
    Error, Interrupt, InvocationResponse, Load, RunConfig, RunResult, RunSettings, Runner,
    SavedRun, Setting, Verdict,
};

use super::{assert_saved, config, friendly, whole};
use crate::scripted::{Scripted, Step, run};

fn open_loop(server: &Scripted, payloads: usize, rate: &str, arrivals: Arrivals) -> RunConfig {
    let mut config = config(server, payloads).rate(rate.parse().unwrap());
    config.arrivals = arrivals;
    config
}

/// A server that answers once it is released, or at once if it was.
fn waiting() -> Scripted {
    Scripted::start(vec![[vec![Step::WaitForRelease], whole()].concat()])
}

/// Responses in the order in which they were due.
fn by_due(result: &RunResult) -> Vec<&InvocationResponse> {
    let mut responses: Vec<_> = result.responses.iter().collect();
    responses.sort_by_key(|response| response.detail.client);
    responses
}

#[test]
fn requests_are_sent_by_the_clock_and_have_latencies_from_their_due_time() {
    let server = waiting();
    let folder = tempfile::tempdir().unwrap();
    let mut config = open_loop(&server, 2, "50/s", Arrivals::Constant).output(folder.path());
    config.load = Load::Requests(4);
    let work = std::thread::spawn(move || run(config));
    // All are in flight before the first response begins.
    for _ in 0..4 {
        server.wait_for_request();
    }
    server.release();
    let result = work.join().unwrap();
    assert_eq!(server.connections(), 4);
    let responses = by_due(&result);
    for (number, response) in responses.iter().enumerate() {
        let detail = &response.detail;
        assert_eq!(response.schedule().due_time, Some(0.02 * number as f64));
        let late = detail.send_lateness.unwrap();
        assert!(
            late >= response.schedule().connection_wait.unwrap()
                && response.schedule().connection_wait > Some(0.0)
        );
        let from_due = response.time_to_first_token.map(|time| time + late);
        assert_eq!(response.schedule().scheduled_time_to_first_token, from_due);
        let from_due = response.time_to_last_token.map(|time| time + late);
        assert_eq!(response.schedule().scheduled_time_to_last_token, from_due);
        assert_eq!(response.schedule().in_flight_wait, None);
    }
    let stats = result.stats();
    assert_eq!((stats.clients, stats.n_requests), (Some(1), Some(4)));
    assert_eq!(
        (stats.due_requests, stats.peak_in_flight),
        (Some(4), Some(4))
    );
    assert!((stats.offered_rate.unwrap() - 50.0).abs() < 1e-3);
    assert_eq!((stats.in_flight_waits, stats.unsent_requests), (None, 0));
    let of_all = stats.scheduled_ttlt.average.unwrap();
    assert!(of_all >= stats.ttlt.average.unwrap() + stats.send_lateness.average.unwrap() - 1e-9);
    assert_eq!(result.warnings, [""; 0]);
    assert_saved(&result);
    // The folder has what it takes to repeat it.
    let loaded = SavedRun::load(result.summary.output_path.clone().unwrap()).unwrap();
    assert_eq!(
        (loaded.settings.clients, loaded.settings.requests),
        (None, Some(4))
    );
    assert_eq!(loaded.settings.rate, Some("50/s".parse().unwrap()));
    assert_eq!(
        loaded.into_config(None).unwrap().arrivals,
        Arrivals::Constant
    );
}

#[test]
fn a_limit_of_requests_in_flight_makes_others_wait_and_counts_them() {
    let server = waiting();
    let mut config = open_loop(&server, 1, "100/s", Arrivals::Burst(3));
    (config.load, config.max_in_flight) = (Load::Requests(3), Some(1));
    let work = std::thread::spawn(move || run(config));
    server.wait_for_request();
    server.release();
    let result = work.join().unwrap();
    assert_eq!((server.requests(), server.connections()), (3, 1));
    let waits: Vec<_> = by_due(&result)
        .iter()
        .map(|response| response.schedule().in_flight_wait.unwrap_or(0.0))
        .collect();
    assert!(
        waits[0] == 0.0 && waits[1] > 0.0 && waits[2] > waits[1],
        "{waits:?}"
    );
    for response in &result.responses {
        let detail = &response.detail;
        assert!(detail.send_lateness.unwrap() >= response.schedule().in_flight_wait.unwrap_or(0.0));
    }
    let stats = result.stats();
    assert_eq!(
        (stats.in_flight_limit, stats.peak_in_flight),
        (Some(1), Some(1))
    );
    assert_eq!((stats.in_flight_waits, stats.unsent_requests), (Some(2), 0));
    let sum = waits.iter().sum::<f64>();
    assert!((stats.in_flight_wait.unwrap() - sum).abs() < 1e-9, "{sum}");
}

#[test]
fn what_still_waits_when_the_time_is_over_is_not_sent_and_makes_the_load_lower() {
    // Whoever is answered is so after the end.
    let late = [vec![Step::Pause(Duration::from_millis(200))], whole()].concat();
    let server = Scripted::start(vec![late]);
    let mut config = open_loop(&server, 1, "80/s", Arrivals::Constant);
    config.load = Load::Duration(Duration::from_millis(100));
    (config.max_in_flight, config.workers) = (Some(2), Some(2));
    let result = run(config);
    assert_eq!((server.requests(), result.responses.len()), (2, 2));
    let stats = result.stats();
    assert_eq!((stats.due_requests, stats.unsent_requests), (Some(8), 6));
    assert_eq!(stats.offered_rate, Some(80.0));
    assert_eq!(stats.achieved_rate, Some(20.0));
    let quality = result.quality.unwrap();
    assert_eq!(quality.verdict, Verdict::Degraded);
    let reason = quality.reasons.join("\n");
    assert!(
        reason.contains("75.0 % lower than asked for (20.0000 of 80.0000 requests/s)"),
        "{reason}"
    );
    assert!(reason.contains("6 requests had not been sent"), "{reason}");
}

/// A load that its number of requests ends is no lower than it was asked to be.
#[test]
fn what_would_have_come_after_a_stop_was_never_due() {
    let server = waiting();
    let mut config = open_loop(&server, 1, "1000/s", Arrivals::Constant);
    config.load = Load::Duration(Duration::from_secs(3600));
    config.max_in_flight = Some(1);
    let interrupt = Interrupt::new();
    let runner = Runner::new(config).interrupted_by(interrupt.clone());
    let work = std::thread::spawn(move || runner.run_blocking().unwrap());
    server.wait_for_request();
    interrupt.stop();
    server.release();
    let result = work.join().unwrap();
    let stats = result.stats();
    let (due, sent) = (stats.due_requests.unwrap(), result.responses.len() as u64);
    assert_eq!(due, sent + stats.unsent_requests);
    // The whole would be 3.6 millions.
    assert!(due < 1_000_000, "{due}");
    assert!(stats.offered_in_flight <= Some(due as f64));
}

#[test]
fn a_load_that_ends_early_by_its_number_keeps_its_rate() {
    let server = friendly();
    let mut config = open_loop(&server, 1, "100/s", Arrivals::Constant);
    config.load = Load::Duration(Duration::from_secs(30));
    config.max_requests = Some(5);
    let stats = run(config).stats();
    assert_eq!(stats.due_requests, Some(5));
    assert!((stats.offered_rate.unwrap() - 100.0).abs() < 1e-3);
}

#[test]
fn a_warm_up_arrives_at_the_same_rate_and_is_over_before_the_run() {
    let server = friendly();
    let mut config = open_loop(&server, 3, "200/s", Arrivals::Poisson);
    (config.load, config.warmup, config.workers) = (Load::EachPayloadOnce, 4, Some(1));
    let result = run(config);
    assert_eq!((server.requests(), result.responses.len()), (7, 3));
    let stats = result.stats();
    assert_eq!(
        (stats.warmup_requests, stats.due_requests),
        (Some(4), Some(3))
    );
    let mut payloads: Vec<_> = result
        .responses
        .iter()
        .map(|response| response.detail.payload_index)
        .collect();
    payloads.sort_unstable();
    assert_eq!(payloads, [Some(0), Some(1), Some(2)]);
}

#[test]
fn what_has_no_meaning_together_is_refused() {
    let server = friendly();
    let refusal = |change: &dyn Fn(&mut RunConfig)| {
        let mut config = config(&server, 1);
        change(&mut config);
        config.validate().unwrap_err().to_string()
    };
    let rate = "20/s".parse().unwrap();
    assert_eq!(
        refusal(&|run| (run.rate, run.clients) = (Some(rate), 2)),
        "give rate or clients, not both"
    );
    assert_eq!(
        refusal(&|run| run.max_in_flight = Some(2)),
        "max_in_flight requires rate, stages or replay"
    );
    assert_eq!(
        refusal(&|run| (run.rate, run.max_in_flight) = (Some(rate), Some(0))),
        "max_in_flight 0: expected 1 or more"
    );
    let of_schedule = |run: &mut RunConfig| {
        run.rate = Some(rate);
        run.load = Load::each_payload_once_in_all(1, 1, 0);
    };
    assert_eq!(
        refusal(&of_schedule),
        "rate is not supported by a load with a schedule of its own"
    );
    let arrivals = RunSettings {
        arrivals: Some(Arrivals::Constant),
        ..RunSettings::default()
    };
    let error = arrivals.apply(&mut config(&server, 1)).unwrap_err();
    assert_eq!(error.to_string(), "arrivals requires rate or stages");
    let mut settings = RunSettings::default();
    let error = settings.set(Setting::Rate, &"fast".into()).unwrap_err();
    assert!(matches!(error, Error::Invalid { .. }));
    assert_eq!(
        error.to_string(),
        "rate \"fast\": expected a rate like 20/s, 90/min or 500/h, above 0 and up to 1000000/s"
    );
    // A lower layer's load gives way.
    let lower = RunSettings {
        clients: Some(4),
        ..RunSettings::default()
    };
    settings.set(Setting::Rate, &30.into()).unwrap();
    assert_eq!(settings.clone().over(lower.clone()).clients, None);
    assert_eq!(lower.over(settings).rate, None);
}

#[test]
fn every_figure_is_told_of_each_stage() {
    let server = friendly();
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(&server, 1).output(folder.path());
    config.stages = Some("40/s for 100ms, 80/s for 100ms".parse().unwrap());
    config.arrivals = Arrivals::Constant;
    let result = run(config);
    let responses = by_due(&result);
    let stages: Vec<_> = responses.iter().map(|one| one.detail.stage).collect();
    assert_eq!(stages, [vec![1; 4], vec![2; 8]].concat());
    assert_eq!(responses[4].schedule().due_time, Some(0.1));
    let stats = result.stats();
    let of = |stage: usize, key: &str| stats.stages[stage][key].clone();
    assert_eq!(
        (of(0, "load"), of(1, "load")),
        ("40/s for 100ms".into(), "80/s for 100ms".into())
    );
    assert_eq!(
        (of(0, "offered_rate"), of(1, "offered_rate")),
        (40.0.into(), 80.0.into())
    );
    assert_eq!(
        (of(0, "total_requests"), of(1, "total_requests")),
        (4.into(), 8.into())
    );
    assert_eq!(
        (of(0, "time_to_first_token-count"), of(1, "end")),
        (4.into(), 0.2.into())
    );
    assert_eq!(
        (stats.due_requests, stats.offered_rate),
        (Some(12), Some(60.0))
    );
    assert_saved(&result);
    let saved = SavedRun::load(result.summary.output_path.clone().unwrap()).unwrap();
    assert_eq!(saved.settings.stages, result_stages());
    let again = saved.into_config(None).unwrap();
    again.validate().unwrap();
    assert_eq!((again.stages, again.clients), (result_stages(), 1));
}

fn result_stages() -> Option<llmeter::load::Stages> {
    Some("40/s for 100ms, 80/s for 100ms".parse().unwrap())
}

#[test]
fn stages_of_clients_are_a_closed_loop() {
    let server = friendly();
    let mut config = config(&server, 1);
    config.stages = Some(
        "1 client for 60ms, ramp to 3 clients over 40ms"
            .parse()
            .unwrap(),
    );
    let result = run(config);
    let stats = result.stats();
    assert_eq!(
        (stats.clients, stats.due_requests, stats.stages.len()),
        (Some(3), None, 2)
    );
    let clients = |stage: u32| {
        let responses = result.responses.iter();
        let clients = responses.filter(move |one| one.detail.stage == stage);
        clients.filter_map(|one| one.detail.client).max()
    };
    assert_eq!(clients(1), Some(0), "one client alone");
    assert!(clients(2) >= Some(1), "more come in the ramp");
    assert!(
        result
            .responses
            .iter()
            .all(|one| one.schedule().due_time.is_none())
    );
    let counted: u64 = stats
        .stages
        .iter()
        .filter_map(|stage| stage["total_requests"].as_u64())
        .sum();
    assert_eq!(Some(counted), stats.total_requests);
}
