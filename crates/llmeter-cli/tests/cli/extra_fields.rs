//! Fields that a user adds to payloads, and numbers in them.

use serde_json::{Value, json};

use crate::scripted::{Scripted, answer};
use crate::support::{Place, quick, start};

/// The payload that flags make.
fn payload(place: &Place, arguments: &[&str]) -> String {
    let all = ["payload"].iter().chain(arguments).copied();
    place.llmeter(all).exits(0).out
}

fn json_of(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn fields_are_added_to_payloads_of_flags_and_of_files() {
    let place = Place::new();
    let extra = [
        "--extra",
        "temperature=0",
        "--extra",
        "ignore_eos=true",
        "--extra",
        "user=me",
        "--extra",
        "chat_template_kwargs.enable_thinking=false",
    ];
    let of_prompt = [&["--prompt", "Hi"], &extra[..]].concat();
    let shown = json_of(&payload(&place, &of_prompt));
    let expected = json!({
        "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 256, "temperature": 0,
        "ignore_eos": true, "user": "me", "chat_template_kwargs": {"enable_thinking": false},
        "stream": true, "stream_options": {"include_usage": true},
    });
    assert_eq!(shown, expected);
    place.file(
        "two.jsonl",
        r#"{"messages": [], "temperature": 1.0, "chat_template_kwargs": {"x": 1}}
{"messages": []}
"#,
    );
    let of_file = [&["--payload", "two.jsonl"], &extra[..]].concat();
    let shown = json_of(&payload(&place, &of_file));
    for (index, kwargs) in [
        json!({"x": 1, "enable_thinking": false}),
        json!({"enable_thinking": false}),
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(shown[index]["temperature"], 0, "{shown}");
        assert_eq!(shown[index]["chat_template_kwargs"], kwargs);
    }
    place.file(
        "settings.toml",
        "prompt = \"Hi\"\n[extra]\ntemperature = 0\nignore_eos = true\nuser = \"me\"\n\
         chat_template_kwargs = { enable_thinking = false }\n",
    );
    let of_table = payload(&place, &["--config", "settings.toml"]);
    assert_eq!(json_of(&of_table), expected);
}

#[test]
fn fields_are_sent_and_saved_and_repeated() {
    let (place, server) = (Place::new(), start(quick()));
    let url = server.base_url();
    place
        .run(&url, &["--extra", "seed=123456789012345678901"])
        .exits(0);
    let saved = std::fs::read_to_string(place.folder().join("payload.jsonl")).unwrap();
    assert!(
        saved.contains("\"seed\": 123456789012345678901}"),
        "{saved}"
    );
    let again = [
        "run",
        "--from",
        "runs/it",
        "--extra",
        "top_k=5",
        "--run-name",
        "again",
    ];
    place.llmeter(again).exits(0);
    let saved = std::fs::read_to_string(place.path().join("runs/again/payload.jsonl")).unwrap();
    assert!(
        saved.contains("\"seed\": 123456789012345678901, \"top_k\": 5}"),
        "{saved}"
    );
}

#[test]
fn a_template_shows_what_it_makes_of_fields_and_a_run_tells_of_the_others() {
    let (place, server) = (Place::new(), Scripted::start(|_| answer()));
    let template = r#"{"q": {{ prompt }}, "t": {{ temperature }}, "k": {{ api_key }}}"#;
    let arguments = [
        "--endpoint",
        "http",
        "--body",
        template,
        "--prompt",
        "Hi",
        "--extra",
        "temperature=1.0",
        "--extra",
        "top_k=5",
    ];
    let shown = payload(&place, &arguments);
    let expected = json!({"q": "Hi", "t": 1.0, "k": "<API-key>"});
    assert_eq!(json_of(&shown), expected);
    let template = template.replace(r#", "k": {{ api_key }}"#, "");
    let run = [
        "run",
        "--quiet",
        "--base-url",
        &server.url,
        "--jmespath",
        "text=a",
    ];
    let said = place.llmeter([&run[..], &arguments[..3], &[&template], &arguments[4..]].concat());
    let warnings: Vec<_> = said
        .err
        .lines()
        .filter(|line| line.starts_with("warning: --extra"))
        .collect();
    assert_eq!(
        warnings,
        ["warning: --extra top_k: the template of --body does not use it, and it is not sent"]
    );
}

#[test]
fn fields_that_cannot_be_meant_are_refused() {
    let place = Place::new();
    place.file("one.json", r#"{"messages": [], "options": 7}"#);
    for (arguments, words) in [
        (
            &["--prompt", "Hi", "--extra", "temperature"][..],
            "temperature=0",
        ),
        (
            &["--prompt", "Hi", "--extra", "a=1", "--extra", "a.b=2"],
            "--extra a and a.b: expected fields that are each given once",
        ),
        (
            &["--prompt", "Hi", "--extra", "stream=false"],
            "--extra stream",
        ),
        (
            &[
                "--prompt",
                "Hi",
                "--max-tokens",
                "5",
                "--extra",
                "max_tokens=6",
            ],
            "--extra max_tokens: expected a field that --max-tokens does not set",
        ),
        (
            &["--prompt", "Hi", "--model", "m", "--extra", "model=x"],
            "--extra model: expected a field that --model does not set",
        ),
        (
            &["--prompt", "Hi", "--extra", "messages=[]"],
            "--extra messages: expected a field that --prompt does not set",
        ),
        (
            &["--prompt", "Hi", "--extra", "stop=[\"a\""],
            "expected valid JSON after the equals sign",
        ),
        (
            &["--payload", "one.json", "--extra", "options.num_ctx=1"],
            "its options is 7, not an object",
        ),
    ] {
        let all = ["payload"].iter().chain(arguments).copied();
        place.llmeter(all).exits(2).one_error(&[words]);
    }
}

#[test]
fn numbers_of_a_payload_are_sent_as_they_are_written() {
    let place = Place::new();
    let numbers = r#"[18446744073709551616, -9223372036854775809, 1.0, 0.10, 1e400, 1E5, -0]"#;
    place.file(
        "numbers.jsonl",
        format!("{{\"messages\": [], \"x\": {numbers}}}\n"),
    );
    for endpoint in [
        "openai-chat",
        "anthropic-messages",
        "gemini",
        "bedrock-converse",
        "http",
    ] {
        let arguments = ["--endpoint", endpoint, "--payload", "numbers.jsonl"];
        let shown = payload(&place, &arguments);
        let one_line: String = shown.split_whitespace().collect();
        assert!(one_line.contains(&numbers.replace(' ', "")), "{shown}");
    }
    // And in a probe, which shows the body as it is sent.
    let server = Scripted::start(|_| answer());
    let url = server.url.clone();
    let said = place
        .llmeter([
            "probe",
            "--base-url",
            &url,
            "--model",
            "m",
            "--payload",
            "numbers.jsonl",
            "--json",
        ])
        .exits(0);
    let body = said.object()["request"]["body"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(body.contains(&numbers.replace(' ', "")), "{body}");
    // A run keeps them in its files, which can be shown and repeated.
    place.run(&url, &["--payload", "numbers.jsonl"]).exits(0);
    for file in ["payload.jsonl", "responses.jsonl"] {
        let kept = std::fs::read_to_string(place.folder().join(file)).unwrap();
        assert!(kept.contains(numbers), "{file}: {kept}");
    }
    place.llmeter(["show", "runs/it"]).exits(0);
}

#[test]
fn a_payload_that_cannot_be_sent_is_named_with_its_place() {
    let place = Place::new();
    let bytes = r#"{"messages": [{"role": "user", "content": {"__llmeter_bytes__": "eA=="}}]}"#;
    let good = r#"{"messages": []}"#;
    place.file("lines.jsonl", format!("{good}\n\n{bytes}\n"));
    place.file("list.json", format!("[{good}, {bytes}]"));
    place.file("folder/a.json", good);
    place.file("folder/b.jsonl", format!("{good}\n{bytes}\n"));
    for (given, start) in [
        (
            "lines.jsonl",
            "error: lines.jsonl, line 3: the payload holds raw bytes",
        ),
        (
            "list.json",
            "error: list.json: item 2 of the list: the payload holds raw bytes",
        ),
        (
            "folder",
            "error: folder/b.jsonl, line 2: the payload holds raw bytes",
        ),
    ] {
        for command in ["run", "payload"] {
            let mut arguments = vec![command, "--payload", given];
            if command == "run" {
                arguments.extend(["--base-url", "http://127.0.0.1:1/v1", "--model", "m"]);
            }
            let said = place.llmeter(arguments).exits(2);
            assert!(said.err.starts_with(start), "{command}: {}", said.err);
        }
    }
}
