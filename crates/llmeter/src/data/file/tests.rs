//! Files of every form become the requests that they are.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::api::ApiMode;
use crate::payload::Whitespace;

fn file(name: &str, content: impl AsRef<[u8]>) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, content).unwrap();
    (folder, path)
}

fn opened(path: &Path, options: &FileOptions, seed: u64) -> Result<FileData> {
    let form = RequestForm::new(ApiMode::default());
    let location = Location::from(path);
    FileData::open(&location, options, form, Arc::new(Whitespace), seed)
}

fn open(content: &str) -> FileData {
    let (_folder, path) = file("data", content);
    opened(&path, &FileOptions::default(), 0).unwrap()
}

/// Messages with their limit, in an order of their own.
fn requests(data: &FileData) -> Vec<(Value, Option<u64>)> {
    let requests = (0..data.size().unwrap()).map(|index| data.request(index).unwrap());
    let mut requests: Vec<_> = requests
        .map(|request| (request.payload["messages"].clone(), request.output_tokens))
        .collect();
    requests.sort_by_key(|(messages, _)| messages.to_string());
    requests
}

fn user(text: &str) -> Value {
    json!({"role": "user", "content": text})
}

fn assistant(text: &str) -> Value {
    json!({"role": "assistant", "content": text})
}

#[test]
fn sharegpt_is_conversations_with_answers() {
    let data = open(
        r#"[{"id": "a", "conversations": [
              {"from": "system", "value": "Be brief."},
              {"from": "human", "value": "one"}, {"from": "gpt", "value": "two three"},
              {"from": "human", "value": "four"}, {"from": "gpt", "value": "five"}]},
            {"id": "b", "conversations": [{"from": "gpt", "value": "nobody asked"}]}]"#,
    );
    assert_eq!(data.kind(), "ShareGPT");
    let system = json!({"role": "system", "content": "Be brief."});
    assert_eq!(
        requests(&data),
        [
            (
                json!([system, user("one"), assistant("two three"), user("four")]),
                Some(1)
            ),
            (json!([system, user("one")]), Some(2)),
        ]
    );
    assert_eq!(data.session(0), Some(0..2));
    assert_eq!(
        data.request(1).unwrap().turn,
        Some(DataTurn {
            session: 0,
            turn: 1
        })
    );
}

#[test]
fn other_forms_are_found_by_their_rows() {
    for (content, kind, messages, tokens) in [
        (
            "{\"prompt\": \"one\", \"output_tokens\": 7}\n\n{\"prompt\": \"one\", \"output_tokens\": 7}\n",
            "prompts",
            json!([user("one")]),
            Some(7),
        ),
        (
            "{\"custom_id\": \"1\", \"method\": \"POST\", \"url\": \"/v1/chat/completions\", \"body\": \
             {\"messages\": [{\"role\": \"user\", \"content\": \"one\"}], \"max_tokens\": 5}}",
            "OpenAI batch",
            json!([user("one")]),
            Some(5),
        ),
        (
            "{\"body\": {\"messages\": []}, \"timestamp\": 1.5, \"headers\": {}}",
            "recorded bodies",
            json!([]),
            None,
        ),
        (
            "{\"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"text\", \"text\": \"one\"}]}], \
             \"max_tokens\": 9}",
            "chat messages",
            json!([user("one")]),
            Some(9),
        ),
        (
            "{\n \"data\": [{\"question\": \"one\", \"answer\": \"two three\"}]\n}",
            "prompts",
            json!([user("one")]),
            Some(2),
        ),
        ("[\"one\"]", "prompts", json!([user("one")]), None),
        (
            "id,question,osl\n1,\"one\",4\n",
            "CSV",
            json!([user("one")]),
            Some(4),
        ),
    ] {
        let data = open(content);
        let all = requests(&data);
        assert_eq!(
            (data.kind(), &all[0]),
            (kind, &(messages, tokens)),
            "{content}"
        );
    }
    let turns = open("{\"question_id\": 1, \"turns\": [\"one\", \"two\"]}");
    assert_eq!(turns.kind(), "lists of turns");
    // Without answers the history is what the user said.
    assert_eq!(turns.size(), Some(2));
}

#[test]
fn media_in_messages_are_sent_as_they_stand() {
    let image = json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,"}});
    let messages = json!([{"role": "user", "content": [{"type": "text", "text": "one"}, image]}]);
    let data = open(&json!({"id": 3, "messages": messages}).to_string());
    let payload = data.request(0).unwrap().payload;
    assert_eq!(Value::Object(payload), json!({"messages": messages}));
}

#[test]
fn a_compressed_file_is_read_as_what_it_holds() {
    use std::io::Write as _;
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed
        .write_all(b"\xEF\xBB\xBF{\"prompt\": \"one\"}\r\n")
        .unwrap();
    let (_folder, path) = file("data.gz", packed.finish().unwrap());
    let data = opened(&path, &FileOptions::default(), 0).unwrap();
    assert_eq!(requests(&data)[0].0, json!([user("one")]));
}

#[test]
fn columns_filters_and_samples_choose() {
    let rows: String = (1..100)
        .map(|n| format!("{n},q{n} {},{n}\n", "w ".repeat(n)))
        .collect();
    let (_folder, path) = file("data.csv", format!("id,q,n\n{rows}"));
    let options = FileOptions {
        columns: Columns::parse("prompt=q,output_tokens=n").unwrap(),
        filter: Filter::parse(&["prompt_tokens > 10 and prompt_tokens <= 50".to_owned()]).unwrap(),
        sample: Some(20),
    };
    let order = |seed| {
        let data = opened(&path, &options, seed).unwrap();
        assert_eq!(data.size(), Some(20));
        let tokens = (0..20).map(|index| data.request(index).unwrap().output_tokens.unwrap());
        tokens.collect::<Vec<_>>()
    };
    let one = order(1);
    assert!(one.iter().all(|n| (10..50).contains(n)), "{one:?}");
    assert_eq!(one, order(1));
    assert_ne!(one, order(2));
}

#[cfg(feature = "parquet")]
#[test]
fn parquet_rows_have_named_columns() {
    use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
    use parquet::file::writer::SerializedFileWriter;
    use parquet::schema::parser::parse_message_type;

    let schema = "message m { required binary q (UTF8); required int64 n; }";
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, Arc::default()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    let texts = [ByteArray::from("one"), ByteArray::from("two")];
    column
        .typed::<ByteArrayType>()
        .write_batch(&texts, None, None)
        .unwrap();
    column.close().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    column
        .typed::<Int64Type>()
        .write_batch(&[3, 4], None, None)
        .unwrap();
    column.close().unwrap();
    group.close().unwrap();
    let bytes = writer.into_inner().unwrap();
    let (_folder, path) = file("data.parquet", bytes);
    let options = FileOptions {
        columns: Columns::parse("prompt=q,output_tokens=n").unwrap(),
        ..FileOptions::default()
    };
    let data = opened(&path, &options, 0).unwrap();
    assert_eq!(
        requests(&data),
        [
            (json!([user("one")]), Some(3)),
            (json!([user("two")]), Some(4))
        ]
    );
}

#[test]
fn what_cannot_be_used_is_refused_with_its_place() {
    for (content, options, part) in [
        ("", "", "the file is empty"),
        (
            "{\"prompt\": \"one\"}\n{\"prompt\": ",
            "",
            "line 2: not valid JSON",
        ),
        (
            "{\"prompt\": \"one\"}\n[]\n",
            "",
            "line 2: a list is no row",
        ),
        (
            "{\"prompt\": \"one\"}\n{\"x\": 1}\n",
            "",
            "line 2: it is no row of prompts",
        ),
        (
            "{\"title\": \"one\", \"n\": 1}",
            "",
            "its first row has the fields title, n",
        ),
        (
            "{\"hash_ids\": [], \"input_length\": 3}",
            "",
            "it looks like a trace",
        ),
        (
            "{\"q\": \"one\"}",
            "prompt=p",
            "line 1: it has no column p, but q",
        ),
        (
            "q,n\none,many\n",
            "prompt=q,output_tokens=n",
            "line 2: \"many\" is no number",
        ),
        ("q,n\none\n", "prompt=q", "line 2: it has 1 columns"),
        (
            "This is a text.\nIt is long.\n",
            "",
            "neither JSON, JSONL, CSV nor Parquet",
        ),
        (
            "[{\"messages\": [{\"role\": \"narrator\", \"content\": \"x\"}]}]",
            "",
            "row 1: message 1 is from \"narrator\"",
        ),
    ] {
        let (_folder, path) = file("data", content);
        let columns = match options {
            "" => Columns::default(),
            text => Columns::parse(text).unwrap(),
        };
        let options = FileOptions {
            columns,
            ..FileOptions::default()
        };
        let error = opened(&path, &options, 0).unwrap_err().to_string();
        assert!(
            error.contains(part) && !error.contains('\n'),
            "{part}: {error}"
        );
    }
    let (_folder, path) = file("data", "{\"prompt\": \"one\"}");
    let options = FileOptions {
        filter: Filter::parse(&["prompt_tokens > 5".to_owned()]).unwrap(),
        ..FileOptions::default()
    };
    let error = opened(&path, &options, 0).unwrap_err().to_string();
    assert!(error.contains("leaves none of the 1 requests"), "{error}");
    let error = Columns::parse("question=q").unwrap_err().to_string();
    assert!(
        error.starts_with("data_columns question=q: expected PART=COLUMN"),
        "{error}"
    );
}
