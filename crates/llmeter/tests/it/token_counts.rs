//! Token counts that servers report oddly, elsewhere or not at all.

use std::sync::Arc;
use std::time::Duration;

use llmeter::cost::{CostModel, InputTokens, OutputTokens};
use llmeter::endpoint::{ApiMode, TokenSource};
use llmeter::payload::tokenizer_from_spec;
use llmeter::{InvocationResponse, Load, RunConfig, RunResult};
use serde_json::{Value, json};

use crate::scripted::answers::{
    DONE, LAST_CHUNK, STREAM_HEAD, chunk, chunked, event, object, sized, stop, text,
};
use crate::scripted::{Scripted, Step, run, write};

const PROMPT: &str = "one two three";
/// The output tokens that a request allows.
const LIMIT: u64 = 512;

fn run_with(api: &str, answer: Vec<u8>, change: impl FnOnce(&mut RunConfig)) -> RunResult {
    let api = ApiMode::named(api).unwrap();
    let server = Scripted::start(vec![vec![write(answer)]]);
    let settings = api.example(server.base_url.trim_end_matches("/v1"));
    let payload = api.create_payload(PROMPT, LIMIT).unwrap();
    let mut config = RunConfig::new(api.endpoint(&settings).unwrap(), [payload]);
    change(&mut config);
    run(config)
}

fn ask(api: &str, answer: Vec<u8>) -> InvocationResponse {
    run_with(api, answer, |_| {}).responses.remove(0)
}

/// A chat stream of these frames after a piece of text, with its end.
fn chat(pieces: &[&str], frames: &[Value]) -> Vec<u8> {
    let mut body: String = pieces.iter().map(|piece| text(piece)).collect();
    body += &stop();
    body.extend(frames.iter().map(event));
    chunked(&(body + DONE))
}

fn counts(response: &InvocationResponse) -> [Option<u64>; 2] {
    assert_eq!(response.error, None);
    [response.num_tokens_input, response.num_tokens_output]
}

fn sources(response: &InvocationResponse) -> [Option<&str>; 2] {
    let detail = &response.detail;
    let sources = [
        &detail.num_tokens_input_source,
        &detail.num_tokens_output_source,
    ];
    sources.map(|source| source.as_ref().map(TokenSource::as_str))
}

/// Reasoning that is no part of the output, as each API would say it, and the tokens that were
/// generated all the same.
fn left_out() -> Vec<(&'static str, Vec<u8>)> {
    let usage = json!({
        "prompt_tokens": 32, "completion_tokens": 2, "total_tokens": 351,
        "completion_tokens_details": {"reasoning_tokens": 317},
    });
    let completion = json!({
        "choices": [{"message": {"content": "a b"}, "finish_reason": "stop"}], "usage": usage,
    });
    let responses_usage = json!({
        "input_tokens": 32, "output_tokens": 2, "total_tokens": 351,
        "output_tokens_details": {"reasoning_tokens": 317},
    });
    let delta = |piece: &str| event(&json!({"type": "response.output_text.delta", "delta": piece}));
    let end = json!({
        "type": "response.completed",
        "response": {"status": "completed", "usage": responses_usage},
    });
    let responses = delta("a") + &delta(" b") + &event(&end);
    vec![
        (
            "openai-chat-stream",
            chat(&["a", " b"], &[json!({"choices": [], "usage": usage})]),
        ),
        (
            "openai-chat",
            sized("200 OK", "application/json", &completion.to_string()),
        ),
        ("openai-responses-stream", chunked(&responses)),
    ]
}

#[test]
fn reasoning_that_was_left_out_of_the_output_is_added() {
    for (api, answer) in left_out() {
        let response = ask(api, answer);
        assert_eq!(counts(&response), [Some(32), Some(319)], "{api}");
        assert_eq!(
            sources(&response),
            [Some("reported"), Some("corrected")],
            "{api}"
        );
    }
}

#[test]
fn the_time_of_a_token_follows_the_corrected_count() {
    let usage = json!({
        "prompt_tokens": 32, "completion_tokens": 2, "total_tokens": 351,
        "completion_tokens_details": {"reasoning_tokens": 317},
    });
    let begin = [STREAM_HEAD.as_bytes(), &chunk(&text("a"))].concat();
    let end = text(" b") + &stop() + &event(&json!({"choices": [], "usage": usage})) + DONE;
    let response = crate::scripted::one(vec![
        write(begin),
        Step::Pause(Duration::from_millis(50)),
        write([chunk(&end), LAST_CHUNK.as_bytes().to_vec()].concat()),
    ]);
    let (first, last) = (response.time_to_first_token, response.time_to_last_token);
    let time = (last.unwrap() - first.unwrap()) / 318.0;
    assert_eq!(response.time_per_output_token, Some(time));
}

#[test]
fn costs_follow_the_corrected_counts() {
    let (api, answer) = left_out().remove(0);
    let result = run_with(api, answer, |config| {
        let model = CostModel::new().with_request(OutputTokens::new(1_000_000.0).unwrap());
        config.callbacks.push(Arc::new(model.unwrap()));
    });
    assert_eq!(result.stats().cost_total, Some(319.0));
    assert_eq!(
        result.stats().output_token_sources,
        [("corrected".to_owned(), 1.0)]
    );
    assert!(llmeter::report::summary(&result).contains("output token counts: 100 % corrected"));
}

#[test]
fn counts_that_cannot_be_reconciled_are_marked() {
    let usage = json!({"prompt_tokens": 32, "completion_tokens": 2, "total_tokens": 40});
    let response = ask(
        "openai-chat-stream",
        chat(&["a", " b"], &[json!({"choices": [], "usage": usage})]),
    );
    assert_eq!(counts(&response), [Some(32), Some(2)]);
    assert_eq!(
        sources(&response),
        [Some("contradictory"), Some("contradictory")]
    );
}

/// What each API responds with this number of output tokens, as JSON writes it.
fn with_output(tokens: &str) -> Vec<(&'static str, String)> {
    let mut bodies = vec![
        (
            "openai-chat",
            r#"{"choices": [{"message": {"content": "a b"}}], "usage": {"completion_tokens": N}}"#,
        ),
        (
            "openai-completions",
            r#"{"choices": [{"text": "a b"}], "usage": {"completion_tokens": N}}"#,
        ),
        (
            "openai-responses",
            r#"{"output": [{"type": "message", "content": [{"type": "output_text", "text": "a b"}]}],
                "status": "completed", "usage": {"output_tokens": N}}"#,
        ),
        (
            "anthropic-messages",
            r#"{"content": [{"type": "text", "text": "a b"}], "usage": {"output_tokens": N}}"#,
        ),
        (
            "gemini",
            r#"{"candidates": [{"content": {"parts": [{"text": "a b"}]}}],
                "usageMetadata": {"candidatesTokenCount": N}}"#,
        ),
        (
            "ollama",
            r#"{"message": {"content": "a b"}, "done": true, "eval_count": N}"#,
        ),
        (
            "tgi",
            r#"{"generated_text": "a b", "details": {"generated_tokens": N}}"#,
        ),
    ];
    let bodies = bodies.drain(..);
    bodies
        .map(|(api, body)| (api, body.replace('N', tokens)))
        .collect()
}

#[test]
fn counts_that_cannot_be_are_none_for_any_api() {
    for tokens in ["-5", "2.5", "1e308", "18446744073709551615", "5000000"] {
        for (api, body) in with_output(tokens) {
            let response = ask(api, sized("200 OK", "application/json", &body));
            assert_eq!(counts(&response)[1], Some(2), "{api} {tokens}");
            assert_eq!(sources(&response)[1], Some("estimated"), "{api} {tokens}");
        }
    }
}

#[test]
fn more_than_the_request_allows_is_marked_for_any_api() {
    for (tokens, source) in [("512", "reported"), ("513", "contradictory")] {
        for (api, mut body) in with_output(tokens) {
            body.push_str(&" ".repeat(600));
            let response = ask(api, sized("200 OK", "application/json", &body));
            assert_eq!(counts(&response)[1], tokens.parse().ok(), "{api}");
            assert_eq!(sources(&response)[1], Some(source), "{api}");
        }
    }
}

#[test]
fn the_count_in_the_beginning_of_a_message_is_none_of_the_whole() {
    let start = json!({
        "type": "message_start",
        "message": {"usage": {"input_tokens": 7, "output_tokens": 1}},
    });
    let delta = |text: &str| {
        event(&json!({
            "type": "content_block_delta", "delta": {"type": "text_delta", "text": text},
        }))
    };
    let end = |usage: Value| {
        let delta = json!({"stop_reason": "end_turn"});
        event(&json!({"type": "message_delta", "delta": delta, "usage": usage}))
            + &event(&json!({"type": "message_stop"}))
    };
    let stream = |deltas: &[&str], usage: Value| {
        let deltas: String = deltas.iter().map(|text| delta(text)).collect();
        let body = event(&start) + &deltas + &end(usage);
        ask("anthropic-messages-stream", chunked(&body))
    };
    for (deltas, usage, count, source) in [
        (&["a"][..], Value::Null, 1, "reported"),
        (&["a", "b", " c"], Value::Null, 3, "estimated"),
        (
            &["a", "b", " c"],
            json!({"output_tokens": 9}),
            9,
            "reported",
        ),
    ] {
        let response = stream(deltas, usage);
        assert_eq!(counts(&response), [Some(7), Some(count)], "{deltas:?}");
        assert_eq!(sources(&response)[1], Some(source), "{deltas:?}");
    }
}

#[test]
fn usage_is_found_where_providers_put_it() {
    let usage = json!({"prompt_tokens": 32, "completion_tokens": 5, "total_tokens": 37});
    let choice =
        json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop", "usage": usage}]});
    let groq = json!({"choices": [], "x_groq": {"id": "req", "usage": usage}});
    let gateway = json!({"choices": [], "usage": {"input_tokens": 32, "output_tokens": 5}});
    let timings = json!({"prompt_n": 30, "cache_n": 2, "predicted_n": 5, "predicted_ms": 2.5});
    let llama_cpp = json!({"choices": [], "timings": timings});
    for frame in [choice, groq, gateway, llama_cpp] {
        let response = ask(
            "openai-chat-stream",
            chat(&["a", " b"], std::slice::from_ref(&frame)),
        );
        assert_eq!(counts(&response), [Some(32), Some(5)], "{frame}");
        assert_eq!(
            sources(&response),
            [Some("reported"), Some("reported")],
            "{frame}"
        );
    }
}

#[test]
fn zero_is_no_count_of_what_came() {
    let usage = json!({"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0});
    let response = ask(
        "openai-chat-stream",
        chat(
            &["a", "b", "c", " d"],
            &[json!({"choices": [], "usage": usage})],
        ),
    );
    // Two words, but four frames.
    assert_eq!(counts(&response), [Some(3), Some(4)]);
    assert_eq!(sources(&response), [Some("estimated"), Some("estimated")]);
}

#[test]
fn a_later_zero_does_not_replace_a_count() {
    let usage = |output: u64| json!({"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": output}});
    let response = ask(
        "openai-chat-stream",
        chat(&["a", " b"], &[usage(2), usage(0)]),
    );
    assert_eq!(counts(&response), [Some(7), Some(2)]);
}

#[test]
fn text_without_spaces_is_not_counted_by_words() {
    let pieces = vec!["漢"; 50];
    let result = run_with("openai-chat-stream", chat(&pieces, &[]), |_| {});
    let response = &result.responses[0];
    assert_eq!(counts(response), [Some(3), Some(50)]);
    assert_eq!(sources(response), [Some("estimated"), Some("estimated")]);
    let summary = llmeter::report::summary(&result);
    assert!(
        summary.contains("output token counts: 100 % estimated"),
        "{summary}"
    );

    // Where there are no frames, nothing is known.
    let completion = object(json!({}), Some("stop"));
    let mut completion = completion;
    completion["choices"][0]["message"] = json!({"content": "漢".repeat(50)});
    let answer = sized("200 OK", "application/json", &completion.to_string());
    let response = ask("openai-chat", answer);
    assert_eq!(counts(&response), [Some(3), None]);
    assert_eq!(sources(&response), [Some("estimated"), Some("unknown")]);
}

#[cfg(feature = "tiktoken")]
#[test]
fn a_tokenizer_is_named() {
    let result = run_with(
        "openai-chat-stream",
        chat(&["Hello", " world"], &[]),
        |config| {
            config.tokenizer = tokenizer_from_spec("tiktoken:o200k_base").unwrap();
        },
    );
    let response = &result.responses[0];
    assert_eq!(counts(response), [Some(3), Some(2)]);
    let named = Some("tokenizer tiktoken:o200k_base");
    assert_eq!(sources(response), [named, named]);
}

#[cfg(feature = "tiktoken")]
#[test]
fn what_a_tokenizer_cannot_count_is_no_failure() {
    let spaces = " ".repeat(1_000_000);
    let result = run_with("openai-chat-stream", chat(&["a", &spaces], &[]), |config| {
        config.tokenizer = tokenizer_from_spec("tiktoken:o200k_base").unwrap();
    });
    let response = &result.responses[0];
    assert_eq!(counts(response), [Some(3), None]);
    let warnings = result
        .warnings
        .iter()
        .filter(|text| text.contains("cannot count"));
    assert_eq!(warnings.count(), 1, "{:?}", result.warnings);
}

#[test]
fn few_frames_of_much_text_are_no_estimate() {
    let long = "漢".repeat(100);
    let response = ask("openai-chat-stream", chat(&[&long], &[]));
    assert_eq!(counts(&response), [Some(3), None]);
    assert_eq!(sources(&response), [Some("estimated"), Some("unknown")]);
}

#[test]
fn costs_of_unknown_counts_are_unknown_and_limits_keep_their_estimate() {
    let mut completion = object(json!({}), Some("stop"));
    completion["choices"][0]["message"] = json!({"content": "漢".repeat(50)});
    let answer = sized("200 OK", "application/json", &completion.to_string());
    let result = run_with("openai-chat", answer, |config| {
        let model = CostModel::new()
            .with_request(InputTokens::new(1.0).unwrap())
            .unwrap()
            .with_request(OutputTokens::new(1_000_000.0).unwrap())
            .unwrap();
        config.callbacks.push(Arc::new(model));
        config.load = Load::Requests(20);
        // A request may take so many tokens for 1 each.
        config.max_cost = Some(3.5 * LIMIT as f64);
    });
    let stats = result.stats();
    assert_eq!(stats.total_requests, Some(3));
    assert_eq!(stats.cost_unknown_requests, 3);
    assert_eq!(stats.cost_limit_reached, Some(true));
}

#[test]
fn what_nobody_counts_is_unknown_and_not_zero() {
    let text = "\u{6f22}\u{5b57}".repeat(40);
    let completion = json!({
        "choices": [{"message": {"content": text}, "finish_reason": "stop"}],
    });
    let answer = sized("200 OK", "application/json", &completion.to_string());
    let result = run_with("openai-chat", answer, |config| {
        let api = ApiMode::named("openai-chat").unwrap();
        config.payloads = vec![Arc::new(api.create_payload(text.as_str(), LIMIT).unwrap())];
        let prices = CostModel::new()
            .with_request(InputTokens::new(1.0).unwrap())
            .and_then(|model| model.with_request(OutputTokens::new(1.0)?));
        config.callbacks = vec![Arc::new(prices.unwrap())];
    });
    let response = &result.responses[0];
    assert_eq!(counts(response), [None, None]);
    assert_eq!(sources(response), [Some("unknown"); 2]);
    let stats = result.stats_map();
    assert_eq!(stats["num_tokens_output_source-unknown"], 1.0);
    assert_eq!(stats["output_tps"], Value::Null);
    assert_eq!(stats["average_input_tokens_per_minute"], Value::Null);
    let summary = llmeter::report::summary(&result);
    for line in ["input tokens", "output tokens"] {
        let shown = summary.lines().find(|one| one.starts_with(line)).unwrap();
        assert!(shown.ends_with("\u{2014}"), "{summary}");
    }
    assert!(
        summary.contains("output token counts: 100 % unknown"),
        "{summary}"
    );
    assert!(
        summary.contains("the cost is not known: 1 request"),
        "{summary}"
    );
    assert!(!summary.contains("output tokens per second"), "{summary}");
}

#[test]
fn several_choices_are_marked_and_have_no_tpot() {
    let second = json!({
        "choices": [{"index": 1, "delta": {"content": "b"}, "finish_reason": null}],
    });
    let begin = [
        STREAM_HEAD.as_bytes(),
        &chunk(&(text("a") + &event(&second))),
    ]
    .concat();
    let usage = json!({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 4}});
    let end = event(&second) + &text("a") + &stop() + &event(&usage) + DONE;
    let server = Scripted::start(vec![vec![
        write(begin),
        Step::Pause(Duration::from_millis(20)),
        write([chunk(&end), LAST_CHUNK.as_bytes().to_vec()].concat()),
    ]]);
    let result = run(server.config());
    let response = &result.responses[0];
    assert_eq!(response.error, None);
    assert_eq!(response.annotations["choices"], 2);
    assert_eq!(response.response_text.as_deref(), Some("aa"));
    assert_eq!(response.time_per_output_token, None);
    let notes = llmeter::report::notes(&result);
    assert!(
        notes.iter().any(|note| note.contains("several choices")),
        "{notes:?}"
    );
}
