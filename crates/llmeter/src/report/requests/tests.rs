use std::fs;

use serde_json::json;

use super::*;
use crate::result::response_to_json;

/// A folder with these lines.
fn run(lines: &str) -> (tempfile::TempDir, Location) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("=run");
    fs::create_dir(&path).unwrap();
    fs::write(path.join("responses.jsonl"), lines).unwrap();
    (folder, path.into())
}

fn csv_rows(run: Location) -> (Vec<Vec<String>>, Vec<String>) {
    let mut table = Vec::new();
    let warnings = write_requests(&[run], TableFormat::Csv, &mut table).unwrap();
    let mut reader = ::csv::ReaderBuilder::new();
    let mut reader = reader.has_headers(false).from_reader(&*table);
    let rows = reader
        .records()
        .map(|row| row.unwrap().iter().map(str::to_owned).collect());
    (rows.collect(), warnings)
}

#[test]
fn no_text_is_a_formula_and_every_text_can_be_had_back() {
    let texts = [
        "=cmd|' /C calc'!A0",
        "+1",
        "-2+3",
        "@SUM(A1)",
        "\t=1",
        "\r\n=1",
        "＝1",
        "'=1",
        "",
        "a, \"b\"\nc\r\n",
        "日本 \u{202e}abc 😀 \u{0} </script>",
        " =1",
    ];
    let lines = texts.map(|text| {
        let mut response = InvocationResponse {
            response_text: Some(text.to_owned()),
            input_prompt: Some(std::sync::Arc::new(text.into())),
            ..InvocationResponse::default()
        };
        response.detail.finish_reason = Some(text.into());
        response_to_json(&response)
    });
    let (_folder, folder) = run(&lines.join("\n"));
    let (rows, warnings) = csv_rows(folder);
    assert_eq!(warnings, [""; 0]);
    let place = |key| rows[0].iter().position(|name| name == key).unwrap();
    for key in ["response_text", "input_prompt", "finish_reason"] {
        for (row, text) in rows[1..].iter().zip(texts) {
            let cell = &row[place(key)];
            assert!(!cell.starts_with(['=', '+', '-', '@', '\t', '\r', '＝']));
            assert_eq!(cell.strip_prefix('\'').unwrap_or(cell), text);
        }
    }
    assert!(rows[1..].iter().all(|row| row[0] == "'=run"));
}

#[test]
fn cells_have_what_lines_have() {
    let line = r#"{"id": "a", "input_payload": {"t": 0.10, "n": 123456789012345678901}, "input_prompt": ["x"],
        "time_to_first_token": 0.1, "time_to_last_token": NaN, "num_tokens_output": 18446744073709551615,
        "request_time": "2026-01-02T03:04:05+02:00", "annotations": {"b": 1}, "unknown": [1],
        "inter_token_latencies": [0.0123456, null], "receive_delay": -0.5}"#;
    let (_folder, folder) = run(&format!("{}\n{{\n", line.replace('\n', "")));
    let (rows, warnings) = csv_rows(folder);
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert_eq!(rows.len(), 2);
    let expected = [
        ("id", "a"),
        ("input_payload", r#"{"t":0.10,"n":123456789012345678901}"#),
        ("input_prompt", r#"["x"]"#),
        ("time_to_first_token", "0.1"),
        ("time_to_last_token", ""),
        ("num_tokens_output", "18446744073709551615"),
        ("request_time", "2026-01-02T01:04:05.000000Z"),
        ("annotations", r#"{"unknown":[1],"b":1}"#),
        ("inter_token_latencies", "[0.0123456,null]"),
        ("receive_delay", "-0.5"),
        ("error", ""),
    ];
    for (key, cell) in expected {
        let place = rows[0].iter().position(|name| name == key).unwrap();
        assert_eq!(rows[1][place], cell, "{key}");
    }
    let fields = InvocationResponse::FIELDS.iter().map(|field| field.key);
    assert!(rows[0].iter().eq(std::iter::once(RUN).chain(fields)));
}

#[test]
fn runs_without_responses_are_tables_without_rows() {
    let (_folder, folder) = run("");
    let (rows, _) = csv_rows(folder);
    assert_eq!(rows.len(), 1);
}

/// A disk with room for so many bytes.
struct Disk(usize);

impl Write for Disk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0 == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let written = bytes.len().min(self.0);
        self.0 -= written;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_full_disk_is_an_error_in_the_systems_words() {
    let line = json!({"response_text": "x".repeat(100_000)}).to_string();
    let (_folder, folder) = run(&format!("{line}\n{line}\n"));
    for format in [TableFormat::Csv, TableFormat::Parquet] {
        let written = write_requests(std::slice::from_ref(&folder), format, Disk(1000));
        match written {
            Err(Error::System { source, .. }) => {
                assert_eq!(source.kind(), io::ErrorKind::StorageFull);
            }
            Err(Error::MissingFeature { .. }) if cfg!(not(feature = "parquet")) => {}
            other => panic!("{format:?}: {other:?}"),
        }
    }
}
