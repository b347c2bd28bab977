//! The meter measures the simulator's APIs, and what it says is the truth that the simulator logged.

use std::time::Duration;

use llmeter::endpoint::{ApiMode, EndpointSettings};
use llmeter::payload::Payload;
use llmeter::{InvocationResponse, Load, RunConfig, RunSettings, Runner};
use llmeter_sim::{Outcome, RunningSimulator, SimConfig, TruthRecord};
use serde_json::{Value, json};

use super::server;

/// APIs of the OpenAI family that generate.
fn generating() -> impl Iterator<Item = ApiMode> {
    ApiMode::all().filter(|api| {
        let spec = api.api.spec();
        api.name.contains("openai") && !spec.limit_fields.is_empty()
    })
}

/// Four requests to an API, and what the simulator knows of them.
fn measure(
    api: ApiMode,
    change: impl FnOnce(&mut SimConfig),
    extra: Value,
) -> Vec<(InvocationResponse, TruthRecord)> {
    let simulator = server(|config| {
        config.api_key = Some("sk-test".to_owned());
        change(config);
    });
    let mut payload = api.create_payload("one two three", 64).unwrap();
    payload.extend::<Payload>(extra.as_object().unwrap().clone());
    let responses = run(&simulator, api, payload);
    let mut truth = simulator.truth();
    let pairs = responses.into_iter().map(|response| {
        // Embeddings have no id.
        let own = truth
            .iter()
            .position(|record| Some(&record.id) == response.id.as_ref());
        let record = truth.remove(own.unwrap_or_default());
        (response, record)
    });
    pairs.collect()
}

fn run(simulator: &RunningSimulator, api: ApiMode, payload: Payload) -> Vec<InvocationResponse> {
    let endpoint = api.endpoint(&EndpointSettings {
        model: Some("some/model".to_owned()),
        api_key: Some("sk-test".into()),
        ..api.example(&simulator.base_url().replace("/v1", ""))
    });
    let config = RunConfig::new(endpoint.unwrap(), [payload]).load(Load::Requests(4));
    let result = Runner::new(config).run_blocking().unwrap();
    assert_eq!(result.responses.len(), 4);
    result.responses
}

fn words(text: Option<&String>) -> u64 {
    text.map_or(0, |text| text.split_whitespace().count() as u64)
}

#[test]
fn each_api_is_measured_as_it_is_answered() {
    for api in generating() {
        for (reasoning, tokens_per_frame) in [(0, 1), (3, 1), (3, 2)] {
            let change = |config: &mut SimConfig| {
                config.reasoning_tokens = reasoning;
                config.tokens_per_frame = tokens_per_frame;
            };
            for (response, truth) in measure(api, change, json!({})) {
                let name = api.name;
                assert_eq!(response.error, None, "{name}");
                assert_eq!(truth.outcome, Outcome::Ok, "{name}");
                assert_eq!(response.num_tokens_input, Some(3), "{name}");
                assert_eq!(
                    response.num_tokens_output,
                    Some(truth.completion_tokens),
                    "{name}"
                );
                let told = words(response.response_text.as_ref())
                    + words(response.detail.reasoning_text.as_ref());
                assert_eq!(told, truth.completion_tokens, "{name}");
                assert_eq!(
                    response.input_prompt.as_deref(),
                    Some(&json!("one two three"))
                );
                let streams = name.ends_with("-stream");
                let frames = streams.then_some(truth.writes.len() as u32);
                assert_eq!(response.detail.content_frames, frames, "{name}");
                assert_eq!(response.time_to_first_token.is_some(), streams, "{name}");
                // Only the older Completions do not tell reasoning apart.
                if !name.contains("completions") {
                    let counted = response.num_tokens_output_reasoning;
                    assert_eq!(counted, Some(u64::from(reasoning)), "{name}");
                    assert_eq!(
                        words(response.detail.reasoning_text.as_ref()),
                        u64::from(reasoning)
                    );
                }
            }
        }
    }
}

#[test]
fn limits_and_calls_of_tools_are_understood() {
    let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}});
    let flat = json!({"type": "function", "name": "f", "parameters": schema});
    let nested = json!({"type": "function", "function": {"name": "f", "parameters": schema}});
    for api in generating() {
        let is_responses = api.name.contains("responses");
        let limit = if is_responses {
            "max_output_tokens"
        } else {
            "max_tokens"
        };
        for (response, _) in measure(api, |_| {}, json!({ limit: 3 })) {
            assert_eq!(response.error, None, "{}", api.name);
            assert_eq!(response.num_tokens_output, Some(3), "{}", api.name);
            let reason = if is_responses {
                "max_output_tokens"
            } else {
                "length"
            };
            assert_eq!(
                response.detail.finish_reason.as_deref(),
                Some(reason),
                "{}",
                api.name
            );
        }
        if api.name.contains("completions") {
            continue;
        }
        let tool = if is_responses { &flat } else { &nested };
        let extra = json!({"tools": [tool], "tool_choice": "required"});
        for (response, truth) in measure(api, |_| {}, extra) {
            assert_eq!(response.error, None, "{}", api.name);
            assert_eq!(words(response.response_text.as_ref()), 0, "{}", api.name);
            if api.name.ends_with("-stream") {
                let frames = response.detail.content_frames;
                assert_eq!(frames, Some(truth.writes.len() as u32), "{}", api.name);
                let first = response.time_to_first_token;
                assert_eq!(
                    response.detail.time_to_first_answer_token, first,
                    "{}",
                    api.name
                );
            }
        }
    }
}

#[test]
fn faults_are_failures_in_each_api() {
    for api in generating() {
        for (response, truth) in measure(api, |config| config.error_rate = 1.0, json!({})) {
            assert_eq!(truth.outcome, Outcome::Error, "{}", api.name);
            let error = response.error.unwrap().to_string();
            assert!(
                error.starts_with("HTTP 500") && error.contains("had an error"),
                "{error}"
            );
        }
        for (response, _) in measure(api, |config| config.cut_rate = 1.0, json!({})) {
            assert!(response.error.is_some(), "{}", api.name);
            let kept = words(response.response_text.as_ref());
            let expected = if api.name.ends_with("-stream") { 4 } else { 0 };
            assert_eq!(kept, expected, "{}", api.name);
        }
    }
}

#[test]
fn embeddings_are_counted_and_timed() {
    let api = ApiMode::named("openai-embeddings").unwrap();
    let extra = json!({"input": ["a b", "c", "d e f"]});
    for (response, truth) in measure(api, |_| {}, extra) {
        assert_eq!(response.error, None);
        assert_eq!((truth.prompt_tokens, truth.completion_tokens), (6, 0));
        assert_eq!(
            (response.num_tokens_input, response.num_tokens_output),
            (Some(6), None)
        );
        assert_eq!(response.detail.num_tokens_output_source, None);
        assert_eq!(
            (response.response_text, response.time_to_first_token),
            (None, None)
        );
        assert!(response.time_to_last_token.is_some());
        assert_eq!(response.annotations["vectors"], 3);
        assert_eq!(response.annotations["vector_dimensions"], 16);
        let rate = response.annotations["vectors_per_second"].as_f64().unwrap();
        let expected = 3.0 / response.time_to_last_token.unwrap();
        assert!((rate / expected - 1.0).abs() < 1e-3, "{rate} {expected}");
    }
}

#[test]
fn what_servers_say_of_their_own_times_is_kept() {
    let simulator = server(|config| {
        config.ttft = Duration::from_millis(30);
        config.itl = Duration::from_millis(2);
        config.output_tokens = 6;
    });
    let base_url = simulator.base_url().replace("/v1", "");
    for (name, expected) in [
        (
            "ollama",
            Some(json!({"prompt_eval_duration": 30_000_000, "eval_duration": 10_000_000})),
        ),
        (
            "ollama-stream",
            Some(json!({"prompt_eval_duration": 30_000_000, "load_duration": 0})),
        ),
        (
            "tgi",
            Some(json!({"inference_time": 40, "time_per_token": 6, "validation_time": 0})),
        ),
        // A stream's head is sent before there is anything to tell.
        ("tgi-stream", None),
    ] {
        let api = ApiMode::named(name).unwrap();
        let settings = EndpointSettings {
            base_url: Some(base_url.clone()),
            model: Some("m".to_owned()),
            ..EndpointSettings::default()
        };
        let payload = api.create_payload("one two three", 64).unwrap();
        let config = RunConfig::new(api.endpoint(&settings).unwrap(), [payload]);
        let response = Runner::new(config)
            .run_blocking()
            .unwrap()
            .responses
            .remove(0);
        assert_eq!(response.error, None, "{name}");
        assert_eq!(response.num_tokens_input, Some(3), "{name}");
        let timings = response.annotations.get("server_timings");
        let Some(expected) = expected else {
            assert_eq!(timings, None, "{name}");
            continue;
        };
        for (field, value) in expected.as_object().unwrap() {
            assert_eq!(timings.unwrap().get(field), Some(value), "{name}: {field}");
        }
    }
}

#[test]
fn conversations_go_on_with_the_answers_in_every_api() {
    for name in [
        "openai-chat-stream",
        "openai-chat",
        "openai-responses-stream",
        "anthropic-messages-stream",
        "gemini-stream",
        "ollama-stream",
        "openai-completions-stream",
        "tgi-stream",
    ] {
        let simulator = server(|config| {
            config.output_tokens = 8;
            (config.prefix_cache, config.cache_block) = (Some(10_000), 4);
        });
        let api = ApiMode::named(name).unwrap();
        let endpoint = api.endpoint(&EndpointSettings {
            model: Some("m".to_owned()),
            api_key: Some("sk-test".into()),
            ..api.example(&simulator.base_url().replace("/v1", ""))
        });
        let mut config = RunConfig::new(endpoint.unwrap(), []);
        let settings: RunSettings = serde_json::from_value(json!({
            "data": "synthetic:prompt_tokens=10,output_tokens=8,turns=3",
            "sessions": 2, "max_sessions": 3,
        }))
        .unwrap();
        settings.apply(&mut config).unwrap();
        let result = Runner::new(config).run_blocking().unwrap();
        let failure = result.responses.iter().find_map(|one| one.error_text());
        assert_eq!(failure, None, "{name}");
        assert_eq!(result.stats().sessions_completed, Some(3), "{name}");
        // A turn has the 8 words of the answer before it and 10 of its own: what was read and generated
        // before is in the cache only if it was said in the same words.
        let mut cached: Vec<u64> = simulator
            .truth()
            .iter()
            .map(|record| record.cached_tokens)
            .collect();
        cached.sort_unstable();
        assert_eq!(cached, [0, 0, 0, 16, 16, 16, 36, 36, 36], "{name}");
    }
}
