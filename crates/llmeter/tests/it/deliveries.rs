//! Successful responses that did not come as asked for: what marks them, and which figures leave them out.

use std::time::Duration;

use llmeter::api::Delivery;
use llmeter::report;
use llmeter::{FailureKind, InvocationResponse, Load, RunResult};
use serde_json::json;

use crate::scripted::answers::{
    DONE, LAST_CHUNK, STREAM_HEAD, chunk, chunked, completion, event, object, role, sized, stop,
    text, usage, whole_stream,
};
use crate::scripted::{Scripted, Step, one, run, write};

/// A stream whose content comes in pieces.
fn paced() -> Vec<Step> {
    let mut steps = vec![write(STREAM_HEAD), write(chunk(&role()))];
    for piece in ["a", "b", "c"] {
        steps.push(write(chunk(&text(piece))));
        steps.push(Step::Pause(Duration::from_millis(5)));
    }
    steps.push(write(chunk(&(stop() + &usage(7, 3) + DONE))));
    steps.push(write(LAST_CHUNK));
    steps
}

fn buffered() -> Vec<Step> {
    vec![write(chunked(&whole_stream(&["a", "b", "c"])))]
}

fn stream(body: &str) -> InvocationResponse {
    one(vec![write(chunked(body))])
}

fn several(scripts: Vec<Vec<Step>>) -> RunResult {
    let requests = scripts.len() as u64;
    let server = Scripted::start(scripts);
    run(server.config().load(Load::Requests(requests)))
}

/// A run during which this machine read in time: a burst that it may have made itself is not judged.
fn in_time(measure: impl Fn() -> RunResult) -> RunResult {
    let runs = std::iter::repeat_with(measure).take(50);
    let mut runs = runs.filter(|run| run.stats().measurement_uncertain_gaps_rate == Some(0.0));
    runs.next().expect("this machine is not always late")
}

#[test]
fn bursts_are_marked_counted_and_in_neither_itl_nor_tpot() {
    let result = in_time(|| several(vec![buffered(), paced(), buffered(), buffered()]));
    let deliveries: Vec<_> = result
        .responses
        .iter()
        .map(|one| one.detail.delivery)
        .collect();
    let burst = Some(Delivery::Buffered);
    assert_eq!(deliveries, [burst, None, burst, burst]);
    let stats = result.stats();
    assert_eq!(
        (stats.buffered_responses, stats.buffered_responses_rate),
        (3, 0.75)
    );
    let streamed = &result.responses[1];
    assert_eq!(stats.tpot.average, streamed.time_per_output_token);
    let gaps = &streamed.detail.inter_token_latencies;
    let mean = gaps.iter().map(|gap| f64::from(*gap)).sum::<f64>() / 2.0;
    assert!((stats.itl.average.unwrap() - mean).abs() < 1e-6);
    // When the first token came is as true as ever.
    assert!(
        result
            .responses
            .iter()
            .all(|one| one.time_to_first_token.is_some())
    );
    let notes = report::notes(&result);
    assert_eq!(notes.len(), 1);
    assert!(
        notes[0].starts_with("3 of 4 responses (75.0 %) came in one burst"),
        "{notes:?}"
    );
    assert!(report::summary(&result).contains(&format!("note: {}\n", notes[0])));
}

#[test]
fn a_run_of_bursts_has_no_itl() {
    let stats = in_time(|| several(vec![buffered(), buffered()])).stats_map();
    assert_eq!(stats["buffered_responses_rate"], 1.0);
    assert!(
        !stats
            .keys()
            .any(|key| key.starts_with("inter_token_latency"))
    );
    assert!(
        !stats
            .keys()
            .any(|key| key.starts_with("time_per_output_token"))
    );
    assert!(stats.contains_key("time_to_first_token-p50"));
    assert!(
        !several(vec![paced()])
            .stats_map()
            .contains_key("buffered_responses")
    );
}

#[test]
fn one_frame_is_no_burst() {
    assert_eq!(stream(&whole_stream(&["a"])).detail.delivery, None);
}

#[test]
fn empty_responses_are_in_no_latency() {
    let empty = vec![write(chunked(DONE))];
    let result = several(vec![empty.clone(), paced(), empty]);
    let stats = result.stats();
    assert_eq!((stats.failed_requests, stats.empty_responses), (0, 2));
    assert_eq!(stats.empty_responses_rate, 2.0 / 3.0);
    for index in [0, 2] {
        let response = &result.responses[index];
        assert_eq!(response.error, None);
        assert_eq!(response.detail.delivery, Some(Delivery::Empty));
        assert_eq!(response.time_to_first_token, None);
        assert_eq!(response.time_to_last_token, None);
    }
    assert_eq!(stats.ttlt.average, result.responses[1].time_to_last_token);
    let notes = report::notes(&result);
    assert!(
        notes[0].starts_with("2 of 3 responses (66.7 %) were empty"),
        "{notes:?}"
    );
}

#[test]
fn a_response_without_content_is_empty_whatever_it_says() {
    let end = |reason: &str| event(&object(json!({}), Some(reason))) + DONE;
    let ended = |reason: &str, tokens: Option<u64>| {
        let tokens = tokens.map(|tokens| usage(7, tokens)).unwrap_or_default();
        stream(&format!("{}{tokens}{}", role(), end(reason)))
            .detail
            .delivery
    };
    let empty = Some(Delivery::Empty);
    for (reason, tokens) in [
        ("stop", None),
        ("stop", Some(0)),
        ("content_filter", None),
        ("length", Some(0)),
        // Thoughts that are not shown, or a token without a text, come at no time.
        ("stop", Some(5)),
        ("length", Some(1)),
        ("length", None),
        ("tool_calls", None),
    ] {
        assert_eq!(ended(reason, tokens), empty, "{reason} {tokens:?}");
    }
    // Non-streaming responses can be empty as well.
    let body = completion("").replace("\"completion_tokens\":2", "\"completion_tokens\":0");
    let server = Scripted::start(vec![vec![write(sized(
        "200 OK",
        "application/json",
        &body,
    ))]]);
    let endpoint = llmeter::OpenAiChat::builder(&server.base_url, "m").streaming(false);
    let response = run(server.config_of(endpoint.build().unwrap()))
        .responses
        .remove(0);
    assert_eq!((response.error, response.detail.delivery), (None, empty));
}

#[test]
fn what_is_not_streamed_is_counted() {
    let whole = vec![write(sized(
        "200 OK",
        "application/json",
        &completion("a b"),
    ))];
    let result = several(vec![whole, paced()]);
    let stats = result.stats();
    assert_eq!(
        (
            stats.non_streaming_responses,
            stats.non_streaming_responses_rate
        ),
        (1, 0.5)
    );
    assert_eq!(stats.ttft.average, result.responses[1].time_to_first_token);
    let notes = report::notes(&result);
    assert!(
        notes[0].starts_with("1 of 2 responses (50.0 %) came as one document"),
        "{notes:?}"
    );
}

#[test]
fn marks_and_counts_are_the_same_from_files() {
    let folder = tempfile::tempdir().unwrap();
    let result = in_time(|| {
        let scripts = vec![buffered(), vec![write(chunked(DONE))], paced()];
        let server = Scripted::start(scripts);
        let mut config = server.config().load(Load::Requests(3));
        config.output = Some(folder.path().to_path_buf().into());
        run(config)
    });
    let path = result.summary.output_path.clone().unwrap();
    let loaded = RunResult::load(path.clone()).unwrap();
    let marks = |result: &RunResult| {
        let responses = result.responses.iter();
        responses.map(|one| one.detail.delivery).collect::<Vec<_>>()
    };
    assert_eq!(marks(&loaded), marks(&result));
    assert_eq!(
        marks(&loaded),
        [Some(Delivery::Buffered), Some(Delivery::Empty), None]
    );
    let without = RunResult::load_without_responses(path).unwrap();
    for loaded in [&loaded, &without] {
        assert_eq!(loaded.stats().buffered_responses, 1);
        assert_eq!(loaded.stats().empty_responses, 1);
        assert_eq!(loaded.stats().itl, result.stats().itl);
        assert_eq!(loaded.stats().ttlt, result.stats().ttlt);
        assert_eq!(report::notes(loaded), report::notes(&result));
    }
}

#[test]
fn failures_of_the_warm_up_leave_a_trace() {
    let refusal = r#"{"error": {"message": "the model is loading"}}"#;
    let refusal = vec![write(sized("503 X", "application/json", refusal))];
    let server = Scripted::start(vec![refusal.clone(), refusal, paced()]);
    let mut config = server.config().load(Load::Requests(1));
    config.warmup = 3;
    let result = run(config);
    let stats = result.stats();
    assert_eq!((stats.total_requests, stats.failed_requests), (Some(1), 0));
    assert_eq!(
        (stats.warmup_failed_requests, stats.warmup_requests),
        (2, Some(3))
    );
    let words = "HTTP 503 Service Unavailable: the model is loading";
    assert_eq!(stats.warmup_first_failure.as_deref(), Some(words));
    let note = format!("2 of 3 warm-up requests failed, the first with: {words}");
    assert_eq!(report::notes(&result), [note]);
    // Of a warm-up without failures the summary says nothing.
    let server = Scripted::start(vec![paced()]);
    let mut config = server.config().load(Load::Requests(1));
    config.warmup = 1;
    let result = run(config);
    assert!(report::notes(&result).is_empty());
    let stats = result.stats();
    assert_eq!(
        (stats.warmup_requests, stats.warmup_failed_requests),
        (Some(1), 0)
    );
    let length = stats.warmup_time.unwrap();
    assert!(length > 0.0 && length < 10.0, "{length}");
}

#[test]
fn failures_have_no_mark() {
    let response = stream(&(text("a") + &text("b")));
    let kind = response.error.map(|error| error.kind());
    assert_eq!(kind, Some(FailureKind::Truncated));
    assert_eq!(response.detail.delivery, None);
}
