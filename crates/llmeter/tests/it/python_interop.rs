//! Folders that llmeter writes, read by the Python system and by llmeter itself.
//!
//! The first ones need a Python with `llmeter==0.2.0`, named by `LLMETER_TEST_PYTHON`; `cargo xtask test`
//! makes one.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use llmeter::cost::{CostModel, EndpointTime, InputTokens, OutputTokens};
use llmeter::endpoint::{
    Delivery, PathDetail, ResponseDetail, ScheduleDetail, SharedName, TokenSource,
};
use llmeter::payload::{Payload, bytes_value};
use llmeter::result::{RunFolder, RunResult, RunSummary};
use llmeter::stats::{Accumulator, Keep};
use llmeter::{Callback, Failure, FailureKind, InvocationResponse};
use proptest::prelude::*;
use serde_json::{Value, json};

const START: i64 = 1_790_000_000_000_000;

fn at(micros: i64) -> jiff::Timestamp {
    jiff::Timestamp::from_microsecond(START + micros).unwrap()
}

fn payloads() -> Vec<Arc<Payload>> {
    let payload = |value: Value| Arc::new(value.as_object().unwrap().clone());
    vec![
        payload(json!({"messages": [{"role": "user", "content": "grüße, 世界 😀"}]})),
        payload(json!({
            "messages": [{"role": "user", "content": "word ".repeat(2000)}],
            "image": bytes_value(&[7; 500]),
        })),
    ]
}

/// An answer as a streaming endpoint gives it, different for every `index`.
fn answer(index: u64, payload: &Arc<Payload>) -> InvocationResponse {
    let jitter = (index.wrapping_mul(2_654_435_761) % 1000) as f64 * 1e-6;
    let tokens = 8 + index % 57;
    let gaps: Vec<f32> = (1..tokens)
        .map(|token| ((0.01 + jitter / token as f64) * 1e7).round() as f32 / 1e7)
        .collect();
    let first = 0.05 + jitter * 3.7;
    let last = first + gaps.iter().map(|&gap| f64::from(gap)).sum::<f64>();
    InvocationResponse {
        response_text: Some("tök \"x\"\n\u{1f600} ".repeat(tokens as usize)),
        input_payload: Some(payload.clone()),
        id: Some(format!("chatcmpl-{index}")),
        input_prompt: Some(Arc::new(payload["messages"][0]["content"].clone())),
        time_to_first_token: Some(first),
        time_to_last_token: Some(last),
        num_tokens_input: Some(10 + index % 3),
        num_tokens_output: Some(tokens),
        num_tokens_input_cached: Some(index % 4),
        num_tokens_output_reasoning: (index.is_multiple_of(5)).then_some(3),
        time_per_output_token: Some((last - first) / (tokens - 1) as f64),
        request_time: Some(at(index as i64 * 9_137)),
        annotations: json!({"label": "α", "cost_total": index as f64 * 1e-6})
            .as_object()
            .unwrap()
            .clone()
            .into(),
        detail: ResponseDetail {
            time_to_first_answer_token: Some(first + 0.01),
            inter_token_latencies: gaps,
            content_frames: Some(tokens as u32),
            time_to_connect: (index < 4).then_some(0.0003),
            time_to_headers: Some(first - 0.001),
            status: Some(200),
            finish_reason: Some("stop".into()),
            reasoning_text: (index.is_multiple_of(5)).then(|| "hmm — so".to_owned()),
            receive_delay: Some(2e-5),
            ..ResponseDetail::default()
        },
        ..InvocationResponse::default()
    }
}

/// Writes a folder as a run does, and gives what the run would return.
pub(crate) fn write_run(path: &Path, failed: u64, total_test_time: f64) -> RunResult {
    let folder = RunFolder::create(path, false).unwrap();
    let payloads = payloads();
    folder
        .write_payloads(payloads.iter().map(|payload| &**payload))
        .unwrap();
    let config = json!({
        "endpoint": {
            "__llmeter_class__": "llmeter.endpoints.openai.OpenAICompletionStreamEndpoint",
            "__llmeter_state__": {"model_id": "m", "endpoint_name": "e", "provider": "openai"},
        },
        "output_path": path.to_str(), "clients": 4, "n_requests": 30,
    });
    folder.write_config(&config).unwrap();
    folder.write_own_config(&json!({"seed": 7})).unwrap();

    let mut accumulator = Accumulator::new(Keep::Values);
    let mut writer = folder.responses().unwrap();
    let mut responses = Vec::new();
    for index in 0..120 + failed {
        let mut response = answer(index, &payloads[(index % 2) as usize]);
        if index >= 120 {
            response.error = Some(Failure::new(
                FailureKind::Truncated,
                "the stream broke: «cut»",
            ));
            response.num_tokens_output = None;
        }
        accumulator.record(&response);
        writer.append(&response).unwrap();
        responses.push(response);
    }
    writer.flush().unwrap();

    let summary = RunSummary {
        total_requests: Some(responses.len() as u64),
        clients: 4,
        n_requests: Some(30),
        total_test_time: Some(total_test_time),
        model_id: Some("m".to_owned()),
        output_path: Some(path.into()),
        endpoint_name: Some("e".to_owned()),
        provider: Some("openai".to_owned()),
        run_name: Some("rün".to_owned()),
        run_description: None,
        start_time: Some(at(0)),
        first_request_time: Some(at(12)),
        last_request_time: Some(at(1_100_000)),
        end_time: Some(at(2_000_000)),
    };
    let computed = accumulator.stats(summary.total_test_time);
    let mut result = RunResult::new(summary, responses, computed);
    let quality = json!({"measurement_verdict": "clean", "measurement_stamps": "kernel"});
    result.add_stats(quality.as_object().unwrap().clone());
    folder
        .write_summary_and_stats(&result.summary, &result.stats_map())
        .unwrap();
    result
}

#[test]
fn the_python_system_reads_our_folders() {
    let base = tempfile::tempdir().unwrap();
    let folders = [base.path().join("fine"), base.path().join("failures")];
    write_run(&folders[0], 0, 1.734_562_91);
    write_run(&folders[1], 7, 1.734_562_91);
    if let Some(said) = python("python_reads_our_folders.py", &folders) {
        println!("{said}");
    }
}

/// What a script prints, if there is a Python to run it.
pub(crate) fn python(script: &str, arguments: &[impl AsRef<OsStr>]) -> Option<String> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    let Some(python) = set("LLMETER_TEST_PYTHON") else {
        let missing = "LLMETER_TEST_PYTHON names no Python; `cargo xtask test` makes one";
        assert!(set("CI").is_none(), "{missing}");
        eprintln!("not compared: {missing}");
        return None;
    };
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/python");
    let output = Command::new(python)
        .arg(scripts.join(script))
        .args(arguments)
        .output()
        .unwrap();
    let [out, err] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    assert!(output.status.success(), "{out}{err}");
    Some(out)
}

/// A cost model of either system gives the same costs in the other. Sums there are rounded at each
/// step, and percentiles may leave the range of the data there (defect D17).
#[test]
fn cost_models_go_both_ways() {
    let base = tempfile::tempdir().unwrap();
    let folder = base.path().join("run");
    write_run(&folder, 0, 1.734_562_91);
    let ours = CostModel::new()
        .with_request(InputTokens::new(3.0).unwrap())
        .unwrap()
        .with_named_request(
            "answers",
            Arc::new(OutputTokens::with_granularity(15.0, 10).unwrap()),
        )
        .unwrap()
        .with_run(EndpointTime::with_granularity(36.0, 0.25).unwrap())
        .unwrap();
    let [file, own_file] = ["ours.json", "own.json"].map(|name| base.path().join(name));
    let saved = ours.saved().unwrap().unwrap().to_json();
    fs::write(&file, saved.to_string()).unwrap();
    let Some(said) = python("python_cost_model.py", &[&file, &folder, &own_file]) else {
        return;
    };
    let said: Value = serde_json::from_str(&said).unwrap();
    let own = serde_json::from_slice(&fs::read(own_file).unwrap()).unwrap();
    let own = CostModel::from_json(&own).unwrap();
    for (model, said, dimensions) in [(ours, &said["ours"], 3), (own, &said["own"], 5)] {
        let mut result = RunResult::load(&folder).unwrap();
        let cost = model.apply(&mut result).unwrap();
        assert_eq!(cost.dimensions.len(), dimensions);
        let requests = said["requests"].as_array().unwrap();
        assert_eq!(requests.len(), result.responses.len());
        for (response, said) in result.responses.iter().zip(requests) {
            for (name, said) in said.as_object().unwrap() {
                assert_eq!(&response.annotations[&format!("cost_{name}")], said);
            }
        }
        let stats = result.stats_map();
        for (key, said) in said["stats"].as_object().unwrap() {
            let (here, there) = (stats[key].as_f64().unwrap(), said.as_f64().unwrap());
            assert!((here / there - 1.0).abs() < 1e-9, "{key}: {here} {there}");
        }
    }
}

/// Defect D12: a result is the same before and after it was on disk.
#[test]
fn we_read_our_folders() {
    let base = tempfile::tempdir().unwrap();
    let path = base.path().join("run");
    let written = write_run(&path, 7, 1.734_562_91);
    let loaded = RunResult::load(&path).unwrap();
    assert_eq!(loaded.warnings, [""; 0]);
    assert_eq!(loaded.responses, written.responses);
    assert_eq!(loaded.summary, written.summary);
    assert_eq!(loaded.stats_map(), written.stats_map());
    let without = RunResult::load_without_responses(&path).unwrap();
    assert_eq!(without.stats_map(), written.stats_map());
}

/// Defect D37: every answer repeats the whole payload.
#[test]
fn a_large_payload_is_written_once_and_shared_when_read() {
    let base = tempfile::tempdir().unwrap();
    let path = base.path().join("run");
    write_run(&path, 0, 1.0);
    let text = fs::read_to_string(path.join("responses.jsonl")).unwrap();
    assert_eq!(
        text.matches(&"word ".repeat(2000)).count(),
        2,
        "payload and prompt, once"
    );
    assert_eq!(text.matches("\"payload_of\": \"chatcmpl-1\"").count(), 60);
    let responses = RunResult::load(&path).unwrap().responses;
    for pair in responses.windows(3) {
        let [first, _, third] = pair else {
            unreachable!()
        };
        let payloads = [first, third].map(|r| r.input_payload.clone().unwrap());
        assert!(Arc::ptr_eq(&payloads[0], &payloads[1]));
        let prompts = [first, third].map(|r| r.input_prompt.clone().unwrap());
        assert!(Arc::ptr_eq(&prompts[0], &prompts[1]));
    }
}

/// A server whose ids are all the same must not mix payloads up.
#[test]
fn payloads_are_kept_apart_when_ids_are_not() {
    let base = tempfile::tempdir().unwrap();
    let folder = RunFolder::create(base.path(), false).unwrap();
    let mut writer = folder.responses().unwrap();
    let large = |letter: &str| {
        let text = letter.repeat(3000);
        Arc::new(json!({ "text": text }).as_object().unwrap().clone())
    };
    let small = Arc::new(json!({"text": "s"}).as_object().unwrap().clone());
    let (a, b) = (large("a"), large("b"));
    let sent = [&small, &a, &a, &b, &a, &b, &b, &small, &a];
    for payload in sent {
        let response = InvocationResponse {
            id: Some("same".to_owned()),
            input_payload: Some(payload.clone()),
            ..InvocationResponse::default()
        };
        writer.append(&response).unwrap();
    }
    drop(writer);
    let responses = RunResult::load(base.path()).unwrap().responses;
    let read: Vec<_> = responses
        .iter()
        .map(|response| response.input_payload.as_ref().unwrap())
        .collect();
    assert_eq!(read, sent);
}

/// What is flushed is there, whatever becomes of the process.
#[test]
fn flushed_answers_are_whole_lines() {
    let base = tempfile::tempdir().unwrap();
    let folder = RunFolder::create(base.path(), false).unwrap();
    let mut writer = folder.responses().unwrap();
    let payloads = payloads();
    for index in 0..500 {
        writer.append(&answer(index, &payloads[0])).unwrap();
        if index % 100 == 99 {
            writer.flush().unwrap();
            let result = RunResult::load(base.path()).unwrap();
            assert_eq!(result.responses.len() as u64, index + 1);
            assert!(result.interrupted);
        }
    }
}

/// 100,000 answers of 64 tokens, with texts and gaps, stay below 150 MB; measured on a tenth.
#[cfg(target_os = "linux")]
#[test]
fn many_answers_need_little_memory() {
    // Measured in a process of its own, which neither writes nor runs other tests.
    if let Some(path) = std::env::var_os("LLMETER_TEST_LOAD") {
        let before = resident();
        let result = RunResult::load(path).unwrap();
        let grown = resident() - before;
        assert_eq!(result.responses.len(), 10_000);
        println!("10,000 answers: {grown} kB");
        assert!(grown < 15_000, "{grown} kB");
        return;
    }
    let base = tempfile::tempdir().unwrap();
    let folder = RunFolder::create(base.path(), false).unwrap();
    let payload = &payloads()[0];
    let mut writer = folder.responses().unwrap();
    for index in 0..10_000 {
        let mut response = answer(index, payload);
        response.response_text = Some("word ".repeat(64));
        response.annotations.clear();
        response.num_tokens_output = Some(64);
        response.detail.inter_token_latencies = vec![0.010_000_3; 63];
        response.detail.reasoning_text = None;
        writer.append(&response).unwrap();
    }
    drop(writer);
    let status = Command::new(std::env::current_exe().unwrap())
        .args([
            "python_interop::many_answers_need_little_memory",
            "--exact",
            "--nocapture",
        ])
        .env("LLMETER_TEST_LOAD", base.path())
        .status()
        .unwrap();
    assert!(status.success());
}

#[cfg(target_os = "linux")]
/// Memory in kB without what is mapped from files: the program's own pages come in as they are used.
fn resident() -> i64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("RssAnon:"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn text() -> impl Strategy<Value = String> {
    // Any characters, control characters and those beyond the basic plane included.
    proptest::collection::vec(any::<char>(), 0..20).prop_map(String::from_iter)
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            object(inner).prop_map(Value::Object),
        ]
    })
}

fn object(value: impl Strategy<Value = Value>) -> impl Strategy<Value = Payload> {
    proptest::collection::vec((text(), value), 0..4).prop_map(Payload::from_iter)
}

fn seconds() -> impl Strategy<Value = Option<f64>> {
    proptest::option::of(0.0..1e6_f64)
}

fn gap() -> impl Strategy<Value = f32> {
    (0_u32..30_000_000).prop_map(|steps| (f64::from(steps) / 1e7) as f32)
}

prop_compose! {
    fn detail()(
        times in (seconds(), seconds(), seconds(), seconds(), seconds(), seconds()),
        gaps in proptest::collection::vec(gap(), 0..20),
        dropped in any::<u32>(),
        frames in any::<Option<u32>>(),
        status in any::<Option<u16>>(),
        client in any::<Option<u32>>(),
        delivery in proptest::sample::select(vec![
            None,
            Some(Delivery::Empty),
            Some(Delivery::NonStreaming),
            Some(Delivery::Buffered),
        ]),
        texts in (
            proptest::option::of(text()),
            proptest::option::of(text()),
            proptest::option::of(text()),
        ),
        sources in (proptest::option::of(text()), proptest::option::of(text())),
    ) -> ResponseDetail {
        ResponseDetail {
            time_to_first_answer_token: times.0,
            num_tokens_input_source: sources.0.as_deref().map(TokenSource::named),
            num_tokens_output_source: sources.1.as_deref().map(TokenSource::named),
            inter_token_latencies: gaps,
            inter_token_latencies_dropped: dropped,
            longest_gap: Some(0.25),
            delivery,
            text_dropped: dropped,
            content_frames: frames,
            time_to_connect: times.1,
            time_to_tls: times.2,
            time_to_headers: times.3,
            status,
            finish_reason: texts.0.as_deref().map(Into::into),
            reasoning_text: texts.1,
            retry_wait: times.4,
            stale_connection_wait: times.5,
            time_to_failure: Some(1.5),
            failure_pause: times.1,
            transport_end: texts.2.as_deref().map(SharedName::new).unwrap_or_default(),
            left_open_wait: times.0,
            send_lateness: times.4,
            stage: dropped,
            session: dropped,
            turn: dropped,
            read_rate: dropped,
            receive_delay: times.5,
            client,
            workload: texts.0.as_deref().map(SharedName::new).unwrap_or_default(),
            server: texts.0.as_deref().map(SharedName::new).unwrap_or_default(),
            payload_index: frames,
            asked_input_tokens: frames.unwrap_or(0),
            asked_output_tokens: frames.unwrap_or(0),
            schedule: times.0.map(|due| {
                Box::new(ScheduleDetail {
                    due_time: Some(due),
                    in_flight_wait: times.1,
                    connection_wait: times.2,
                    scheduled_time_to_first_token: times.3,
                    scheduled_time_to_last_token: times.4,
                    think_time: times.1,
                    session_time: times.2,
                    session_think_time: times.3,
                    session_response_time: times.4,
                })
            }),
            path: times.5.map_or_else(Default::default, |trip| {
                PathDetail {
                    network_round_trip: Some(trip),
                    network_min_round_trip: times.0,
                    network_retransmissions: frames,
                    network_out_of_order: client,
                    network_repeated: Some(dropped),
                    network_hole_wait: times.1,
                    send_delay: times.2,
                    server_time: times.3,
                    server_queue_time: times.4,
                    server_prompt_time: times.0,
                    server_generation_time: times.1,
                    server_gateway_time: times.2,
                    server_time_to_first_token: times.3,
                    time_to_first_token_rest: times.4,
                }
                .into()
            }),
        }
    }
}

prop_compose! {
    fn response()(
        texts in (proptest::option::of(text()), proptest::option::of(text()), proptest::option::of(text())),
        payload in proptest::option::of(object(value())),
        prompt in proptest::option::of(value().prop_filter("null is none", |v| !v.is_null())),
        times in (seconds(), seconds(), seconds()),
        tokens in any::<(Option<u64>, Option<u64>, Option<u64>, Option<u64>)>(),
        retries in any::<Option<u32>>(),
        micros in proptest::option::of(0_i64..1 << 40),
        annotations in object(value()),
        detail in detail(),
    ) -> InvocationResponse {
        InvocationResponse {
            response_text: texts.0,
            input_payload: payload.map(Arc::new),
            id: texts.1,
            input_prompt: prompt.map(Arc::new),
            time_to_first_token: times.0,
            time_to_last_token: times.1,
            num_tokens_input: tokens.0,
            num_tokens_output: tokens.1,
            num_tokens_input_cached: tokens.2,
            num_tokens_output_reasoning: tokens.3,
            time_per_output_token: times.2,
            error: texts.2.map(|text| Failure::new(FailureKind::Truncated, text)),
            retries,
            request_time: micros.map(at),
            annotations: annotations.into(),
            detail,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_line_gives_back_its_answer(response in response()) {
        let line = llmeter::result::response_to_json(&response);
        prop_assert!(line.is_ascii());
        let read = llmeter::result::response_from_json(&line).unwrap();
        prop_assert_eq!(&read, &response);
        // The Python system's keys come first, all of them and in order.
        let map = response.to_map();
        prop_assert_eq!(&serde_json::from_str::<Value>(&line).unwrap(), &Value::Object(map.clone()));
        let fields = InvocationResponse::FIELDS.iter();
        let contract: Vec<_> = fields.filter(|field| field.is_contract).map(|field| field.key).collect();
        prop_assert!(map.keys().take(contract.len()).eq(&contract));
    }
}
