//! `--system`, `--image` and the like, and `llmeter payload`.

use serde_json::{Value, json};

use crate::scripted::{Scripted, answer};
use crate::support::{Place, quick, start};

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";
const PNG_URL: &str = "data:image/png;base64,iVBORw0KGgo=";

/// A place with a file of each kind.
fn place() -> Place {
    let place = Place::new();
    place.file("a.png", PNG);
    place.file("named-wrongly.jpg", PNG);
    place.file("report.pdf", "%PDF-1.4");
    place.file("song.mp3", "ID3\u{4}\0\0");
    place.file("clip.mp4", b"\0\0\0\x20ftypisom\0\0\x02\0isomiso2");
    place.file("notes.md", "# Notes");
    place.file("question.txt", "What is this?\n");
    place
}

fn payload(place: &Place, arguments: &[&str]) -> Value {
    let all = ["payload"].into_iter().chain(arguments.iter().copied());
    let said = place.llmeter(all).exits(0);
    assert_eq!(said.err, "");
    serde_json::from_str(&said.out).unwrap()
}

#[test]
fn a_payload_that_was_printed_is_sent_as_one_that_is_made() {
    let (place, server) = (place(), Scripted::start(|_| answer()));
    let message = [
        "--prompt",
        "@question.txt",
        "--system",
        "Be brief.",
        "--image",
        "a.png",
        "--document",
        "report.pdf",
        "--max-tokens",
        "9",
    ];
    place.run(&server.url, &message).exits(0);
    let printed = payload(&place, &message);
    place.file("payload.json", printed.to_string());
    let again = ["--payload", "payload.json", "--overwrite"];
    place.run(&server.url, &again).exits(0);

    let bodies: Vec<Value> = server
        .requests()
        .iter()
        .map(|request| serde_json::from_slice(&request.body).unwrap())
        .collect();
    assert_eq!(bodies.len(), 2);
    assert_eq!(bodies[0], bodies[1]);
    let mut with_model = printed;
    with_model["model"] = json!("some-model");
    assert_eq!(bodies[0], with_model);
    assert_eq!(
        with_model["messages"],
        json!([
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": [
                {"type": "image_url", "image_url": {"url": PNG_URL}},
                {"type": "file", "file": {
                    "file_data": "data:application/pdf;base64,JVBERi0xLjQ=",
                    "filename": "report.pdf",
                }},
                {"type": "text", "text": "What is this?"},
            ]},
        ])
    );
}

#[test]
fn media_come_before_the_text_in_a_fixed_order_and_as_what_they_hold() {
    let made = payload(
        &place(),
        &[
            "--endpoint=gemini",
            "--prompt=@@home",
            "--video=clip.mp4",
            "--audio=song.mp3",
            "--document=notes.md",
            "--image=named-wrongly.jpg",
            "--image=a.png",
        ],
    );
    let parts = made["contents"][0]["parts"].as_array().unwrap();
    let kinds: Vec<_> = parts
        .iter()
        .map(|part| part["inlineData"]["mimeType"].as_str().unwrap_or("text"))
        .collect();
    assert_eq!(
        kinds,
        [
            "image/png",
            "image/png",
            "text/plain",
            "audio/mp3",
            "video/mp4",
            "text"
        ]
    );
    assert_eq!(parts[5]["text"], "@home");
}

#[test]
fn a_message_can_be_media_alone() {
    let made = payload(
        &place(),
        &["--endpoint=ollama", "--image=a.png", "--model=llava"],
    );
    let message = json!({"role": "user", "content": "", "images": ["iVBORw0KGgo="]});
    assert_eq!(made["messages"], json!([message]));
    assert_eq!(made["model"], "llava");
}

#[test]
fn a_configuration_file_has_the_same_settings() {
    let place = place();
    place.file(
        "run.toml",
        "endpoint = \"anthropic-messages\"\nmodel = \"claude-x\"\nsystem = \"From the file.\"\n\
         image = [\"a.png\", \"a.png\"]\ndocument = \"notes.md\"\nprompt = \"@question.txt\"\n",
    );
    let kinds = |made: &Value| -> Vec<String> {
        let blocks = made["messages"][0]["content"].as_array().unwrap().iter();
        blocks
            .map(|block| block["type"].as_str().unwrap().to_owned())
            .collect()
    };
    let made = payload(&place, &["--config", "run.toml"]);
    assert_eq!(made["system"], "From the file.");
    assert_eq!(kinds(&made), ["image", "image", "document", "text"]);

    let made = payload(
        &place,
        &[
            "--config",
            "run.toml",
            "--image",
            "a.png",
            "--system",
            "From a flag.",
        ],
    );
    assert_eq!(made["system"], "From a flag.");
    assert_eq!(kinds(&made), ["image", "document", "text"]);

    // A file of payloads is in place of the message, and the other way round.
    place.file("one.json", "{\"messages\": []}");
    let made = payload(&place, &["--config", "run.toml", "--payload", "one.json"]);
    assert_eq!(made, json!({"messages": [], "model": "claude-x"}));
    place.file("payloads.toml", "payload = \"one.json\"\n");
    let made = payload(&place, &["--config", "payloads.toml", "--prompt", "Hi"]);
    assert_eq!(made["messages"][0]["content"], "Hi");
}

#[test]
fn payloads_are_collected_in_a_file_and_shown_as_they_are_sent() {
    let (place, server) = (place(), start(quick()));
    for prompt in ["one", "two"] {
        let said = place.llmeter(["payload", "--prompt", prompt, "--append", "p.jsonl"]);
        assert_eq!(said.exits(0).out, "");
    }
    // A line that was left without its end stays one.
    let kept = std::fs::read_to_string(place.path().join("p.jsonl")).unwrap();
    place.file("p.jsonl", kept.trim_end());
    place
        .llmeter(["payload", "--prompt", "three", "--append", "p.jsonl"])
        .exits(0);

    let shown = payload(&place, &["--payload", "p.jsonl", "--model", "m"]);
    let texts: Vec<_> = shown
        .as_array()
        .unwrap()
        .iter()
        .map(|payload| {
            assert_eq!(
                (&payload["model"], &payload["stream"]),
                (&json!("m"), &json!(true))
            );
            payload["messages"][0]["content"].as_str().unwrap()
        })
        .collect();
    assert_eq!(texts, ["one", "two", "three"]);
    place
        .run(&server.base_url(), &["--payload", "p.jsonl"])
        .exits(0);
    assert_eq!(place.responses().len(), 3);
}

#[test]
fn the_simulator_takes_media_in_every_dialect() {
    let (place, server) = (place(), start(quick()));
    let v1 = server.base_url();
    let root = v1.trim_end_matches("/v1");
    let v1beta = format!("{root}/v1beta");
    let message = [
        "--prompt",
        "What is this?",
        "--image",
        "a.png",
        "--overwrite",
    ];
    for (endpoint, url, more) in [
        (
            "openai-chat",
            v1.as_str(),
            &["--system=Be brief.", "--audio=song.mp3"][..],
        ),
        (
            "openai-responses-stream",
            &v1,
            &["--system=Be brief.", "--document=notes.md"],
        ),
        (
            "anthropic-messages-stream",
            root,
            &["--system=Be brief.", "--document=notes.md"],
        ),
        (
            "bedrock-converse-stream",
            root,
            &["--system=Be brief.", "--video=clip.mp4"],
        ),
        (
            "bedrock-converse",
            root,
            &["--system=Be brief.", "--document=report.pdf"],
        ),
        ("sagemaker", root, &["--audio=song.mp3"]),
        (
            "gemini-stream",
            &v1beta,
            &["--system=Be brief.", "--video=clip.mp4"],
        ),
        ("ollama-stream", root, &["--system=Be brief."]),
    ] {
        let mut arguments = vec!["--endpoint", endpoint];
        arguments.extend(message);
        arguments.extend(more);
        let mut command = place.run_command(url, &arguments);
        command.env("AWS_REGION", "us-east-1");
        command.env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE");
        command.env("AWS_SECRET_ACCESS_KEY", "made+up/for-this");
        crate::support::said(command).exits(0);
        let response = &place.responses()[0];
        // Media count for nothing there, and texts for their words.
        let words = if endpoint == "sagemaker" { 3 } else { 5 };
        assert_eq!(response["num_tokens_input"], words, "{endpoint}");
        let prompt = response["input_prompt"].as_str().unwrap();
        assert!(prompt.ends_with("What is this?"), "{endpoint}: {prompt}");
    }
}

#[test]
fn what_cannot_be_sent_is_refused_with_the_flag_and_what_is_taken() {
    let place = place();
    place.file("empty.png", "");
    place.file("odd.bin", b"\x01\x02\x03");
    let both = "give --payload or --audio, not both";
    for (arguments, code, part) in [
        (
            "--image song.mp3",
            2,
            "--image song.mp3 (audio/mpeg): expected an image; this is audio",
        ),
        ("--image empty.png", 2, "--image empty.png (empty)"),
        ("--audio odd.bin", 2, "--audio odd.bin (of unknown type)"),
        ("--image nowhere.png", 1, "nowhere.png"),
        (
            "--video clip.mp4",
            2,
            "a video's frames can be given as images",
        ),
        (
            "--document notes.md",
            2,
            "--document notes.md (text/markdown): expected \
             application/pdf for OpenAI Chat Completions",
        ),
        (
            "--endpoint tgi --image a.png",
            2,
            "it takes texts alone; its chat API, openai-chat, takes more",
        ),
        (
            "--endpoint openai-embeddings --prompt x --system y",
            2,
            "--system is not supported by OpenAI embeddings",
        ),
        (
            "--system y",
            2,
            "--system requires --prompt, --data or --replay",
        ),
        (
            "--prompt @nowhere.txt",
            1,
            "--prompt: cannot read the file \"nowhere.txt\"",
        ),
        ("--payload x.json --audio song.mp3", 2, both),
        ("", 2, "--prompt is required"),
        ("--prompt x --append x.json", 2, "must end in .jsonl"),
    ] {
        let all = ["payload"].into_iter().chain(arguments.split_whitespace());
        let said = place.llmeter(all).exits(code);
        said.one_error(&[part]);
        assert_eq!(said.out, "");
    }
    place.file(
        "raw.jsonl",
        "{}\n{\"a\": {\"__llmeter_bytes__\": \"aGk=\"}}\n",
    );
    let said = place
        .llmeter(["payload", "--payload", "raw.jsonl"])
        .exits(2);
    said.one_error(&["raw.jsonl, line 2: ", "raw bytes at a", "data URL"]);
    place.file("run.toml", "image = 3\n");
    let said = place.llmeter(["payload", "--config", "run.toml"]).exits(2);
    said.one_error(&["run.toml, line 1", "the path of a file"]);
    place.file("run.toml", "image = \"a.png\"\npayload = \"x.json\"\n");
    let said = place.llmeter(["payload", "--config", "run.toml"]).exits(2);
    said.one_error(&["give image or payload, not both"]);
}
