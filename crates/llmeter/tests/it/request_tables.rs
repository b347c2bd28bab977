//! Tables of requests, read by the programs that they are for: pandas, polars and DuckDB.

use std::fs::{self, File};
use std::path::Path;

use llmeter::report::{TableFormat, write_requests};
use llmeter::storage::Location;
use serde_json::{Value, json};

use crate::golden::{copy_folder, golden};
use crate::python_interop::{python, write_run};

/// Lines that are hard to write down.
fn hostile_lines() -> String {
    let long = "é\"".repeat(350_000);
    let texts = [
        "</script><script>alert(1)</script>",
        "=HYPERLINK(\"http://x\")",
        "\u{202e}right to left\u{0}",
        "a,b;c\r\n\"d\"",
        "'",
        "😀 日本",
        &long,
        "",
    ];
    let short = |text: &str| text.chars().take(100).collect::<String>();
    let line = |text: &&str| {
        json!({
            "response_text": text,
            "input_payload": {"prompt": short(text)},
            "id": short(text),
            "input_prompt": text,
            "time_to_first_token": 0.1,
            "num_tokens_output": 7,
            "error": short(text),
            "request_time": "2026-01-02T03:04:05.000006Z",
            "annotations": {"note": short(text)},
            "inter_token_latencies": [0.0123456, 250.5, null],
            "of_a_later_version": [short(text)],
        })
    };
    let mut lines: Vec<String> = texts
        .iter()
        .map(line)
        .map(|line| line.to_string())
        .collect();
    let unset = json!({"response_text": null, "annotations": null, "num_tokens_input": 0});
    lines.push(unset.to_string());
    lines.push("{\"cut".to_owned());
    lines.join("\n")
}

#[test]
fn pandas_polars_and_duckdb_read_what_the_lines_say() {
    let base = tempfile::tempdir().unwrap();
    let own = base.path().join("own");
    write_run(&own, 7, 1.5);
    let hostile = base.path().join("hostile");
    fs::create_dir(&hostile).unwrap();
    fs::write(hostile.join("responses.jsonl"), hostile_lines()).unwrap();
    let mut folders = vec![own, hostile];
    // Runs of the Python package.
    for name in [
        "a_count_bound",
        "c_failures",
        "e_cost_model",
        "h_image_bedrock",
    ] {
        let copied = base.path().join(name);
        copy_folder(&golden().join("outputs").join(name).join("run"), &copied);
        folders.push(copied);
    }
    let empty = base.path().join("empty");
    fs::create_dir(&empty).unwrap();
    fs::write(empty.join("responses.jsonl"), "").unwrap();
    folders.push(empty);

    let runs: Vec<Location> = folders
        .iter()
        .map(|folder| folder.as_path().into())
        .collect();
    for (format, name) in [(TableFormat::Csv, "csv"), (TableFormat::Parquet, "parquet")] {
        let file = base.path().join("requests").with_extension(name);
        write_requests(&runs, format, File::create(file).unwrap()).unwrap();
    }
    let kinds = base.path().join("kinds.json");
    fs::write(&kinds, kinds_of_fields().to_string()).unwrap();
    let Some(said) = python("reads_request_tables.py", &[base.path()]) else {
        return;
    };
    assert_eq!(
        said.trim(),
        "pandas, polars, duckdb, csv: 173 requests of 6 runs",
        "{said}"
    );
}

/// How each field is written, as a script can use it.
fn kinds_of_fields() -> Value {
    use llmeter::InvocationResponse;
    use llmeter::endpoint::FieldValue;

    let unset = InvocationResponse::default();
    let kind = |value| match value {
        FieldValue::Text(_) => "text",
        FieldValue::Seconds(_) | FieldValue::Count(_) => "number",
        FieldValue::Gaps(_) => "list",
        FieldValue::Time(_) => "time",
        FieldValue::Json(_) => "prompt",
        FieldValue::Payload(_) | FieldValue::Annotations(_) => "json",
    };
    let fields = InvocationResponse::FIELDS.iter();
    let named = fields.map(|field| (field.key.to_owned(), kind(field.get(&unset)).into()));
    Value::Object(named.collect())
}

#[test]
fn a_long_run_is_written_in_groups_and_a_large_payload_once_in_each() {
    let base = tempfile::tempdir().unwrap();
    let folder = base.path().join("run");
    fs::create_dir(&folder).unwrap();
    let prompt = "large ".repeat(20_000);
    let head = json!({
        "id": "head", "input_payload": {"p": prompt}, "input_prompt": prompt, "payload_of": "head",
    });
    let later = json!({"id": "b", "response_text": "y".repeat(60_000), "payload_of": "head"});
    let lines = std::iter::once(head).chain(std::iter::repeat_n(later, 449));
    let lines: Vec<String> = lines.map(|line| line.to_string()).collect();
    fs::write(folder.join("responses.jsonl"), lines.join("\n")).unwrap();
    let mut table = Vec::new();
    write_requests(&[folder.into()], TableFormat::Parquet, &mut table).unwrap();
    // 27 MB of texts in groups of 24 MB, and 54 MB of prompts, if they were written for each request.
    assert!(table.len() < 4 << 20, "{}", table.len());
    let copies = table.windows(4).filter(|bytes| bytes == b"PAR1").count();
    assert_eq!(copies, 2, "at the beginning and at the end");
}

#[test]
fn what_is_no_run_is_refused() {
    let base = tempfile::tempdir().unwrap();
    let folder = Location::from(base.path() as &Path);
    let written = write_requests(&[folder], TableFormat::Csv, Vec::new());
    assert!(matches!(written, Err(llmeter::Error::NotARun { .. })));
}
