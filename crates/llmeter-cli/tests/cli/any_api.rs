//! `--endpoint http`: an API that is described instead of programmed, in every framing.

use serde_json::{Value, json};

use crate::support::{Place, quick, start};

fn address(server: &llmeter_sim::RunningSimulator, path: &str) -> String {
    server.base_url().replace("/v1", path)
}

/// Each answer's text, and the counts of its tokens.
fn answers(place: &Place) -> Vec<Value> {
    let lines = place.responses().into_iter();
    lines
        .map(|line| {
            assert_eq!(line["error"], Value::Null, "{line}");
            let words = line["response_text"].as_str().unwrap().split_whitespace();
            json!([
                words.count(),
                line["num_tokens_output"],
                line["input_prompt"]
            ])
        })
        .collect()
}

#[test]
fn a_stream_of_events_is_described_by_flags_and_repeated_from_its_folder() {
    let (place, server) = (Place::new(), start(quick()));
    place.file(
        "body.json",
        r#"{"model": {{ model }}, "stream": true, "stream_options": {"include_usage": true},
            "messages": [{"role": "user", "content": {{ prompt }}}], "max_tokens": {{ max_tokens }}}"#,
    );
    let said = place.run(
        &address(&server, "/v1/chat/completions"),
        &[
            "--endpoint",
            "http",
            "--body",
            "@body.json",
            "--framing",
            "sse",
            "--jmespath",
            "text=choices[0].delta.content",
            "--jmespath",
            "output-tokens=usage.completion_tokens",
            "--jmespath",
            "end=choices[0].finish_reason",
            "--max-tokens",
            "4",
            "--requests",
            "2",
        ],
    );
    said.exits(0);
    let expected = json!([4, 4, "Say something."]);
    assert_eq!(answers(&place), [expected.clone(), expected.clone()]);
    let stats = place.stats();
    assert!(stats["time_to_first_token-p50"].as_f64().unwrap() > 0.0);
    assert_eq!(stats["provider"], "http");

    // The template is in the folder, so that its file is not needed again.
    std::fs::remove_file(place.path().join("body.json")).unwrap();
    let again = ["run", "--from", "runs/it", "--run-name", "again"];
    place.llmeter(again).exits(0);
    let said =
        place.llmeter(
            again
                .into_iter()
                .chain(["--overwrite", "--jmespath", "text=nowhere"]),
        );
    let said = said.exits(3);
    assert!(
        said.err.contains("no frame had a text at nowhere"),
        "{said:?}"
    );
}

#[test]
fn lines_and_event_streams_are_described_in_a_file() {
    for (path, body, framing, places) in [
        (
            "/api/chat",
            r#"{"model": {{ model }}, "messages": [{"role": "user", "content": {{ prompt }}}],
                "options": {"num_predict": 4}}"#,
            "ndjson",
            r#"{ text = "message.content", end = "done", output-tokens = "eval_count" }"#,
        ),
        (
            "/model/m/converse-stream",
            r#"{"messages": [{"role": "user", "content": [{"text": {{ prompt }}}]}],
                "inferenceConfig": {"maxTokens": 4}}"#,
            "event-stream",
            r#"["text=delta.text", "end=stopReason", "output-tokens=usage.outputTokens"]"#,
        ),
    ] {
        let (place, server) = (Place::new(), start(quick()));
        place.file(
            "run.toml",
            format!(
                "endpoint = 'http'\nmodel = 'm'\nbody = '''{body}'''\nframing = '{framing}'\n\
                 jmespath = {places}\nrun-name = 'it'\nprompt = 'Say it.'\nrequests = 1\n"
            ),
        );
        let url = address(&server, path);
        let said = place.llmeter(["run", "--config", "run.toml", "--base-url", &url]);
        said.exits(0);
        assert_eq!(answers(&place), [json!([4, 4, "Say it."])], "{framing}");
    }
}

#[test]
fn an_answer_at_once_needs_no_framing() {
    let (place, server) = (Place::new(), start(quick()));
    let payload =
        r#"{"model": "m", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 4}"#;
    place.file("payload.json", payload);
    let said = place.run(
        &address(&server, "/v1/chat/completions"),
        &[
            "--endpoint",
            "http",
            "--payload",
            "payload.json",
            "--jmespath",
            "text=choices[0].message.content",
            "--jmespath",
            "output-tokens=usage.completion_tokens",
        ],
    );
    said.exits(0);
    assert_eq!(answers(&place), [json!([4, 4, "Hello"])]);
}

#[test]
fn what_does_not_fit_is_refused_before_anything_is_sent() {
    let place = Place::new();
    let refused = |arguments: &[&str]| {
        let said = place.run("http://127.0.0.1:9/x", arguments).exits(2);
        said.err
    };
    for (arguments, part) in [
        (
            vec!["--body", "{}"],
            "--body only applies to --endpoint http",
        ),
        (
            vec!["--endpoint", "gemini", "--jmespath", "text=a"],
            "bedrock-invoke, sagemaker and http",
        ),
        (
            vec!["--endpoint", "http", "--jmespath", "text"],
            "expected a place like text=choices[0].text",
        ),
        (
            vec!["--endpoint", "http", "--framing", "sse"],
            "text=choices[0].delta.content",
        ),
        (
            vec!["--endpoint", "http", "--body", "{\"a\": \"{{ prompt }}\"}"],
            "write {{ prompt }}, not \"{{ prompt }}\"",
        ),
        (
            vec!["--endpoint", "http", "--body", "{{ prompt"],
            "a template (",
        ),
    ] {
        let reason = refused(&arguments);
        assert!(reason.contains(part), "{arguments:?}: {reason}");
    }
}

#[test]
fn embeddings_show_vectors_and_no_tokens_that_are_not_generated() {
    let (place, server) = (Place::new(), start(quick()));
    place.file(
        "batch.jsonl",
        "{\"input\": [\"one\", \"two\", \"three\"]}\n",
    );
    let arguments = [
        "--endpoint",
        "openai-embeddings",
        "--payload",
        "batch.jsonl",
        "--requests",
        "4",
    ];
    let said = place.run(&server.base_url(), &arguments).exits(0);
    let stats = place.stats();
    assert_eq!(stats["total_vectors"], 12);
    let seconds = stats["total_test_time"].as_f64().unwrap();
    let rate = stats["vectors_per_second"].as_f64().unwrap();
    assert!((rate * seconds - 12.0).abs() < 1e-9, "{rate} {seconds}");
    assert!(
        said.out.contains("vectors per second (one for each input)"),
        "{}",
        said.out
    );
    assert!(!said.out.contains("output token"), "{}", said.out);
    let probe = [
        "probe",
        "--endpoint",
        "openai-embeddings",
        "--payload",
        "batch.jsonl",
    ];
    let url = server.base_url();
    let probe = probe
        .into_iter()
        .chain(["--base-url", &url, "--model", "m"]);
    let said = place.llmeter(probe).exits(0);
    assert!(said.out.contains("  vectors       3, of "), "{}", said.out);
    assert!(!said.out.contains("tokens out"), "{}", said.out);
}
