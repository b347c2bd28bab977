//! Payload files and tokenizers.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use llmeter::payload::{Tokenizer, load_payloads, tokenizer_from_saved, tokenizer_from_spec};
use serde_json::{Value, json};
use tempfile::TempDir;

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(name)
}

fn file(name: &str, content: &[u8]) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, content).unwrap();
    (folder, path)
}

fn loaded(name: &str, content: &[u8]) -> Value {
    let (_folder, path) = file(name, content);
    json!(load_payloads(path).unwrap())
}

/// The error of a file, without the folder's name.
fn refused(name: &str, content: &[u8]) -> String {
    let (folder, path) = file(name, content);
    let error = load_payloads(path).unwrap_err().to_string();
    assert!(!error.contains('\n'), "one line: {error}");
    error.replace(&format!("{}/", folder.path().display()), "")
}

#[test]
fn a_jsonl_file_holds_a_payload_a_line() {
    let expected = json!([{"b": 1, "a": [1.5, null]}, {"c": "é"}]);
    let lines = "{\"b\": 1, \"a\": [1.5, null]}\n\n  \t\r\n{\"c\": \"\\u00e9\"}";
    for name in ["p.jsonl", "p.JSONL", "p.ndjson", "p.NdJson", "p.manifest"] {
        assert_eq!(loaded(name, lines.as_bytes()), expected);
        assert_eq!(
            loaded(name, lines.replace('\n', "\r\n").as_bytes()),
            expected
        );
        assert_eq!(
            loaded(name, format!("\u{feff}{lines}\n").as_bytes()),
            expected
        );
    }
}

#[test]
fn keys_keep_their_order() {
    let payloads = loaded("p.jsonl", b"{\"z\": 1, \"a\": {\"y\": 2, \"b\": 3}}");
    assert_eq!(payloads.to_string(), r#"[{"z":1,"a":{"y":2,"b":3}}]"#);
}

#[test]
fn another_file_holds_one_value() {
    assert_eq!(loaded("p.json", b"{\n \"a\": 1\n}\n"), json!([{"a": 1}]));
    assert_eq!(
        loaded("p.json", b"\xEF\xBB\xBF[{\"a\": 1}, {}]"),
        json!([{"a": 1}, {}])
    );
    assert_eq!(loaded("p.txt", b"{\"a\": 1}"), json!([{"a": 1}]));
    let bytes = json!([{"image": {"__llmeter_bytes__": "iVBORw0KGgo="}}]);
    assert_eq!(loaded("p.json", bytes.to_string().as_bytes()), bytes);
}

#[test]
fn a_folder_gives_its_json_files_in_the_order_of_their_names() {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in [
        ("b.jsonl", "{\"n\": 2}\n{\"n\": 3}\n"),
        ("a.json", "[{\"n\": 1}]"),
        ("c.JSON", "{\"n\": 4}"),
        ("d.ndjson", "{\"n\": 5}\n{\"n\": 6}"),
        ("empty.jsonl", "\n"),
        ("notes.txt", "no JSON"),
        ("x.manifest", "no JSON"),
    ] {
        fs::write(folder.path().join(name), content).unwrap();
    }
    fs::create_dir(folder.path().join("e.json")).unwrap();
    let payloads = load_payloads(folder.path()).unwrap();
    assert_eq!(
        json!(payloads),
        json!([{"n": 1}, {"n": 2}, {"n": 3}, {"n": 4}, {"n": 5}, {"n": 6}])
    );
}

#[test]
fn a_bad_line_is_named() {
    for (content, message) in [
        (
            &b"{\"a\": 1}\n\n{\"a\": }\n"[..],
            "p.jsonl, line 3, column 7: not valid JSON: expected value",
        ),
        (
            b"{\n  \"a\": 1\n}\n",
            "p.jsonl, line 1, column 1: not valid JSON: EOF while parsing an object; \
             each line must hold one whole JSON object",
        ),
        (
            b"{\"a\": 1} {\"a\": 2}\n",
            "p.jsonl, line 1, column 10: not valid JSON: trailing characters",
        ),
        (
            b"{\"a\": 1}\n  [1]\n",
            "p.jsonl, line 2, column 3: a list is no payload: a payload is a JSON object",
        ),
        (
            b"{\"a\": 1}\n{\"a\": \"\xFF\"}\n",
            "p.jsonl, line 2, column 8: not UTF-8; save the file in that encoding",
        ),
        (
            b"{\"a\": NaN}",
            "p.jsonl, line 1, column 7: not valid JSON: NaN is a number that JSON cannot hold",
        ),
        (
            b"{\"a\": -Infinity}",
            "p.jsonl, line 1, column 8: not valid JSON: -Infinity is a number that JSON cannot hold",
        ),
        (
            "{\"é\": é}".as_bytes(),
            "p.jsonl, line 1, column 7: not valid JSON: expected value",
        ),
        (b"\n \n", "p.jsonl: the file holds no payload"),
        (b"", "p.jsonl: the file holds no payload"),
    ] {
        assert_eq!(
            refused("p.jsonl", content),
            message,
            "{}",
            content.escape_ascii()
        );
    }
}

#[test]
fn a_bad_json_file_is_named() {
    for (content, message) in [
        (&b""[..], "p.json: the file is empty"),
        (b" \n", "p.json: the file is empty"),
        (b"[]", "p.json: the file holds no payload"),
        (
            b"3",
            "p.json: the file holds a number, but a payload is a JSON object",
        ),
        (
            b"[{}, \"x\"]",
            "p.json: item 2 of the list is a text, but a payload is a JSON object",
        ),
        (
            b"{\"a\": 1}\n{\"a\": 2}\n",
            "p.json, line 2, column 1: not valid JSON: trailing characters; a file with one payload a \
             line must be named .jsonl",
        ),
        (
            b"{\n  \"a\": 1,\n}",
            "p.json, line 3, column 1: not valid JSON: trailing comma",
        ),
        (
            b"{\n  \"a\": \"\xC3\x28\"\n}",
            "p.json, line 2, column 9: not UTF-8; save the file in that encoding",
        ),
    ] {
        assert_eq!(
            refused("p.json", content),
            message,
            "{}",
            content.escape_ascii()
        );
    }
    let deep = [b"[".repeat(5000), b"]".repeat(5000)].concat();
    assert!(refused("p.json", &deep).contains("recursion limit"));
}

#[test]
fn a_missing_path_and_an_empty_folder_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let error = load_payloads(folder.path().join("none.jsonl")).unwrap_err();
    assert!(error.to_string().starts_with("reading "), "{error}");
    assert!(error.to_string().contains("none.jsonl"), "{error}");

    let error = load_payloads(folder.path()).unwrap_err().to_string();
    assert!(
        error.ends_with(": the folder holds no file with .json in its name, and no .ndjson file")
    );

    fs::write(folder.path().join("a.jsonl"), "\n").unwrap();
    let error = load_payloads(folder.path()).unwrap_err().to_string();
    assert!(error.ends_with(": the folder's files hold no payload"));
}

#[test]
fn every_golden_payload_file_loads() {
    let outputs = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/outputs");
    let mut folders = vec![outputs];
    let mut found = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.ends_with("payload.jsonl") {
                assert!(
                    !load_payloads(&path).unwrap().is_empty(),
                    "{}",
                    path.display()
                );
                found += 1;
            }
        }
    }
    assert!(found >= 20, "{found}");
}

/// The texts and what the Python packages count in them.
fn counts() -> (Vec<String>, serde_json::Map<String, Value>) {
    let file = fs::read_to_string(data("token_counts.json")).unwrap();
    let file: Value = serde_json::from_str(&file).unwrap();
    let texts = file["texts"].as_array().unwrap();
    let texts = texts
        .iter()
        .map(|text| text.as_str().unwrap().to_owned())
        .collect();
    (texts, file["counts"].as_object().unwrap().clone())
}

fn check_counts(tokenizer: &Arc<dyn Tokenizer>, name: &str) {
    let (texts, counts) = counts();
    let counted: Vec<usize> = texts.iter().map(|text| tokenizer.count(text)).collect();
    assert_eq!(json!(counted), counts[name], "{name}");
}

#[test]
fn whitespace_counts_as_python_splits() {
    let tokenizer = tokenizer_from_spec("whitespace").unwrap();
    for (text, count) in [
        ("", 0),
        (" \t\r\n\x0b\x0c", 0),
        ("a\u{1c}b\u{1d}c\u{1e}d\u{1f}e", 5),
        ("a\u{85}b\u{a0}c\u{2003}d\u{2028}e\u{3000}f", 6),
        ("a\u{200b}b \u{feff}c", 2),
    ] {
        assert_eq!(tokenizer.count(text), count, "{text:?}");
    }
    let envelope = json!({
        "__llmeter_class__": "llmeter.tokenizers.DummyTokenizer",
        "__llmeter_state__": {},
    });
    assert_eq!(tokenizer.saved(), envelope);
    for saved in [
        envelope.clone(),
        json!({"tokenizer_module": "llmeter"}),
        Value::Null,
    ] {
        assert_eq!(tokenizer_from_saved(&saved).unwrap().saved(), envelope);
    }
}

#[cfg(feature = "tiktoken")]
#[test]
fn tiktoken_counts_as_the_python_package() {
    for name in [
        "cl100k_base",
        "gpt2",
        "o200k_base",
        "o200k_harmony",
        "p50k_base",
        "p50k_edit",
        "r50k_base",
    ] {
        let tokenizer = tokenizer_from_spec(&format!("tiktoken:{name}")).unwrap();
        check_counts(&tokenizer, name);
        let saved = json!({"tokenizer_module": "tiktoken", "name": name});
        assert_eq!(tokenizer.saved(), saved);
        assert_eq!(tokenizer_from_saved(&saved).unwrap().saved(), saved);
    }
}

#[cfg(feature = "tiktoken")]
#[test]
fn tiktoken_takes_a_models_name() {
    for (model, encoding) in [
        ("gpt-4o", "o200k_base"),
        ("gpt-4o-mini-2024-07-18", "o200k_base"),
        ("gpt-4", "cl100k_base"),
        ("gpt-oss-20b", "o200k_harmony"),
        ("gpt2", "gpt2"),
    ] {
        let tokenizer = tokenizer_from_spec(&format!("tiktoken:{model}")).unwrap();
        assert_eq!(tokenizer.saved()["name"], encoding);
    }
}

#[cfg(feature = "tiktoken")]
#[test]
fn a_tokenizer_counts_from_many_threads() {
    let tokenizer = tokenizer_from_spec("tiktoken:o200k_base").unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| check_counts(&tokenizer, "o200k_base"));
        }
    });
}

#[cfg(feature = "tiktoken")]
#[test]
fn what_the_python_system_saved_of_tiktoken_is_read() {
    let saved = json!({
        "__llmeter_class__": "tiktoken.core.Encoding",
        "__llmeter_state__": {"name": "r50k_base", "max_token_value": 50256},
    });
    let tokenizer = tokenizer_from_saved(&saved).unwrap();
    check_counts(&tokenizer, "r50k_base");
}

#[cfg(feature = "hf-tokenizers")]
#[test]
fn a_tokenizer_file_counts_as_the_python_package() {
    let path = data("tokenizer.json");
    for name in [path.clone(), path.parent().unwrap().to_owned()] {
        let name = name.to_str().unwrap();
        let tokenizer = tokenizer_from_spec(&format!("hf:{name}")).unwrap();
        check_counts(&tokenizer, "tokenizer.json");
        let saved = json!({"tokenizer_module": "transformers", "name": name});
        assert_eq!(tokenizer.saved(), saved);
        assert_eq!(tokenizer_from_saved(&saved).unwrap().saved(), saved);
    }
}

#[cfg(feature = "hf-tokenizers")]
#[test]
fn a_bad_tokenizer_file_is_named() {
    let (_folder, path) = file("tokenizer.json", b"{\"model\": 3}");
    let error = tokenizer_from_spec(&format!("hf:{}", path.display()))
        .err()
        .unwrap();
    assert!(
        error
            .to_string()
            .contains("tokenizer.json: not a tokenizer.json: "),
        "{error}"
    );

    let error = tokenizer_from_spec("hf:/nowhere/tokenizer.json")
        .err()
        .unwrap();
    let start =
        "tokenizer hf:/nowhere/tokenizer.json: expected a tokenizer.json that can be read (";
    assert!(error.to_string().starts_with(start), "{error}");
}

/// Whatever such a file says, reading it and counting with it ends.
#[cfg(feature = "hf-tokenizers")]
#[test]
fn a_hostile_tokenizer_file_does_no_harm() {
    let plain: Value =
        serde_json::from_slice(&std::fs::read(data("tokenizer.json")).unwrap()).unwrap();
    let split = |pattern: String| json!({"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": false});
    let precompiled = |map: &str| json!({"type": "Precompiled", "precompiled_charsmap": map});
    for (key, value) in [
        ("normalizer", precompiled("")),
        ("normalizer", precompiled("AAAA")),
        ("normalizer", precompiled("/////w==")),
        ("normalizer", precompiled("BAAAAP////8=")),
        ("pre_tokenizer", split("(".repeat(20_000))),
        (
            "pre_tokenizer",
            split("(".repeat(20_000) + &")".repeat(20_000)),
        ),
        ("pre_tokenizer", split("(a+)+(?=b)".to_owned())),
        (
            "model",
            json!({"type": "BPE", "vocab": {}, "merges": [["a", "b"]]}),
        ),
        (
            "model",
            json!({"type": "BPE", "vocab": {"a": 4294967295u64}, "merges": []}),
        ),
        (
            "model",
            json!({"type": "Unigram", "unk_id": 7, "vocab": [["a", 0.0]]}),
        ),
        (
            "model",
            json!({"type": "Unigram", "unk_id": null, "vocab": []}),
        ),
        (
            "model",
            json!({"type": "WordPiece", "vocab": {}, "unk_token": "no"}),
        ),
        (
            "added_tokens",
            json!([{"id": 4294967295u64, "content": ""}]),
        ),
    ] {
        let mut hostile = plain.clone();
        hostile[key] = value;
        let (_folder, path) = file("tokenizer.json", hostile.to_string().as_bytes());
        match tokenizer_from_spec(&format!("hf:{}", path.display())) {
            Ok(tokenizer) => drop(tokenizer.count(&"a".repeat(10_000))),
            Err(error) => {
                let error = error.to_string();
                assert!(error.contains("not a tokenizer.json"), "{error}");
            }
        }
    }
}

#[test]
fn an_unknown_tokenizer_is_refused_with_what_is_accepted() {
    for spec in [
        "",
        "words",
        "tiktoken",
        "tiktoken:",
        "hf:",
        "whitespace:x",
        "spm:model",
    ] {
        let error = tokenizer_from_spec(spec).err().unwrap().to_string();
        assert!(error.contains("whitespace, tiktoken:NAME"), "{error}");
    }
    for saved in [
        json!({"tokenizer_module": "spacy", "name": "en"}),
        json!({"tokenizer_module": "tiktoken"}),
        json!({"__llmeter_class__": "my.Tokenizer", "__llmeter_state__": {}}),
        json!({}),
        json!(3),
    ] {
        assert!(tokenizer_from_saved(&saved).is_err(), "{saved}");
    }
    #[cfg(feature = "tiktoken")]
    {
        let error = tokenizer_from_spec("tiktoken:gpt-9")
            .err()
            .unwrap()
            .to_string();
        assert!(error.contains("cl100k_base, gpt2, o200k_base"), "{error}");
    }
}
