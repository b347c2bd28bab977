//! `--payload` and `--tokenizer`.

use std::path::Path;

use crate::scripted::{Scripted, answer};
use crate::support::{Place, quick, start};

fn payload(text: &str) -> String {
    format!(r#"{{"messages":[{{"role":"user","content":"{text}"}}],"max_tokens":2}}"#)
}

#[test]
fn payloads_come_from_files_and_folders() {
    let place = Place::new();
    let server = start(quick());
    place.file("one.json", payload("one"));
    place.file(
        "list.json",
        format!("[{},{}]", payload("one"), payload("two")),
    );
    place.file(
        "lines.jsonl",
        format!("{}\n\n{}\n", payload("one"), payload("two")),
    );
    place.file("folder/a.json", payload("one"));
    place.file(
        "folder/b.jsonl",
        format!("{}\n{}\n", payload("two"), payload("three")),
    );
    place.file("folder/notes.txt", "not a payload");
    for (path, count) in [
        ("one.json", 1),
        ("list.json", 2),
        ("lines.jsonl", 2),
        ("folder", 3),
    ] {
        place
            .run(&server.base_url(), &["--payload", path, "--overwrite"])
            .exits(0);
        assert_eq!(place.responses().len(), count, "{path}");
        let kept = std::fs::read_to_string(place.folder().join("payload.jsonl")).unwrap();
        assert_eq!(kept.lines().count(), count, "{path}");
    }
}

#[test]
fn malformed_payloads_are_named_with_line_and_column() {
    let place = Place::new();
    place.file("bad.json", "{\n  \"messages\": [}\n");
    place.file(
        "bad.jsonl",
        format!("{}\n{{\"messages\": [\n", payload("fine")),
    );
    place.file("number.jsonl", "3\n");
    place.file("empty.jsonl", "\n");
    place.file("latin.json", b"{\"a\": \"\xE9\"}");
    std::fs::create_dir(place.path().join("hollow")).unwrap();
    for (path, parts) in [
        ("bad.json", &["bad.json, line 2, column 16"][..]),
        ("bad.jsonl", &["bad.jsonl, line 2, column"]),
        (
            "number.jsonl",
            &["line 1, column 1", "a number", "JSON object"],
        ),
        ("empty.jsonl", &["empty.jsonl", "no payload"]),
        ("latin.json", &["latin.json, line 1, column 8", "UTF-8"]),
        ("hollow", &["hollow", ".json"]),
    ] {
        place
            .run("http://127.0.0.1:9/v1", &["--payload", path])
            .exits(2)
            .one_error(parts);
    }
    place
        .run("http://127.0.0.1:9/v1", &["--payload", "nowhere.json"])
        .exits(1)
        .one_error(&["nowhere.json", "No such file"]);
    assert!(!place.folder().exists());
}

#[test]
fn tokens_are_counted_as_asked_when_the_server_does_not() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../llmeter/tests/data/tokenizer.json");
    let file = format!("hf:{}", file.display());
    for (tokenizer, prompt, saved) in [
        ("whitespace", 1, "DummyTokenizer"),
        ("tiktoken:cl100k_base", 6, "cl100k_base"),
        (&file, 0, "tokenizer.json"),
    ] {
        let place = Place::new();
        let server = Scripted::start(|_| answer());
        place
            .run(
                &server.url,
                &[
                    "--tokenizer",
                    tokenizer,
                    "--prompt",
                    "antidisestablishmentarianism",
                ],
            )
            .exits(0);
        let response = &place.responses()[0];
        let input = response["num_tokens_input"].as_u64().unwrap();
        assert!(input > 0, "{tokenizer}");
        if prompt > 0 {
            assert_eq!(input, prompt, "{tokenizer}");
        }
        let kept = place.json("run_config.json")["tokenizer"].to_string();
        assert!(kept.contains(saved), "{kept}");
    }
    Place::new()
        .run("http://127.0.0.1:9/v1", &["--tokenizer", "hf:nowhere.json"])
        .exits(2)
        .one_error(&["nowhere.json"]);
}
