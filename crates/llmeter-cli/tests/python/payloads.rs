//! The official clients' types find nothing wrong with the payloads that are made.

use std::io::Write;
use std::process::{Command, Stdio};

use llmeter::endpoint::ApiMode;
use llmeter::payload::{Media, MediaKind, Prompt};
use serde_json::{Value, json};

use super::{python, script};

const OFFICE: &str = "application/vnd.openxmlformats-officedocument";

/// Every type that some API takes, but for AVI, which Bedrock's own list lacks.
fn media() -> Vec<Media> {
    use MediaKind::{Audio, Document, Image, Video};
    let types: [(MediaKind, &str, &[&str]); 5] = [
        (
            Image,
            "image",
            &["jpeg", "png", "gif", "webp", "heic", "heif"],
        ),
        (
            Audio,
            "audio",
            &[
                "mpeg",
                "wav",
                "ogg",
                "opus",
                "flac",
                "aac",
                "mp4",
                "x-matroska",
                "webm",
                "aiff",
            ],
        ),
        (
            Video,
            "video",
            &[
                "mp4",
                "quicktime",
                "x-matroska",
                "webm",
                "mpeg",
                "x-flv",
                "x-ms-wmv",
                "3gpp",
            ],
        ),
        (
            Document,
            "text",
            &["plain", "markdown", "csv", "html", "xml"],
        ),
        (
            Document,
            "application",
            &["pdf", "json", "msword", "vnd.ms-excel", "rtf"],
        ),
    ];
    let mut media: Vec<Media> = types
        .iter()
        .flat_map(|(kind, class, names)| {
            let of = move |name| Media::new(*kind, format!("{class}/{name}"), *b"content");
            names.iter().map(of)
        })
        .map(|media| media.named("my file.bin"))
        .collect();
    for form in ["wordprocessingml.document", "spreadsheetml.sheet"] {
        media.push(Media::new(
            Document,
            format!("{OFFICE}.{form}"),
            *b"content",
        ));
    }
    media
}

/// What the judges say of payloads, and whether they accept all of them.
fn judged(python: &std::ffi::OsStr, cases: &[Value]) -> (String, bool) {
    let mut judges = Command::new(python)
        .arg(script("payload_judges.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = judges.stdin.take().unwrap();
    let lines: String = cases.iter().map(|case| format!("{case}\n")).collect();
    // Few enough for the pipe to hold what they say meanwhile.
    input.write_all(lines.as_bytes()).unwrap();
    drop(input);
    let output = judges.wait_with_output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    (said, output.status.success())
}

#[test]
fn the_official_types_accept_every_payload() {
    let Some(python) = python() else { return };
    let mut cases = Vec::new();
    for (name, taken) in [
        ("openai-chat", 4 + 2 + 1),
        ("openai-responses", 4 + 5 + 7),
        ("anthropic-messages", 4 + 5 + 2),
        ("bedrock-converse", 4 + 9 + 8 + 4 + 5),
        ("gemini", 5 + 7 + 7 + 7),
        ("ollama", 3),
    ] {
        let api = ApiMode::named(name).unwrap();
        let made = |prompt: Prompt| {
            let payload = api.create_payload(prompt.system("Be brief."), 16).ok()?;
            Some(api.prepared(payload, Some("some-model")).unwrap())
        };
        let case = |what: &str, payload| json!({"api": name, "name": what, "payload": payload});
        let of_media: Vec<Value> = media()
            .into_iter()
            .filter_map(|media| {
                let what = media.mime_type().to_owned();
                let payload = made(Prompt::default().item(media).item("What?"))?;
                Some(case(&what, payload))
            })
            .collect();
        assert_eq!(of_media.len(), taken, "{name}: {of_media:?}");
        cases.extend(of_media);
        let texts: Prompt = ["one", "two"].into_iter().collect();
        cases.push(case("a text", made(Prompt::from("one")).unwrap()));
        cases.push(case("texts", made(texts).unwrap()));
    }
    let (said, is_accepted) = judged(&python, &cases);
    assert!(is_accepted, "{said}");
    assert_eq!(said.lines().count(), cases.len(), "{said}");
}

#[test]
fn the_judges_refuse_what_is_wrong() {
    let Some(python) = python() else { return };
    let user = |content: Value| json!([{"role": "user", "content": content}]);
    let picture = json!({"image_url": {"url": "data:image/png;base64,aGk="}});
    let document = json!({"document": {"format": "pdf", "source":
                         {"bytes": {"__llmeter_bytes__": "aGk="}}}});
    let bitmap = json!({"type": "image", "source":
                       {"type": "base64", "media_type": "image/bmp", "data": "aGk="}});
    let wrong = [
        (
            "openai-chat",
            json!({"messages": user(json!([picture])), "max_tokens": 5}),
            "Valid",
        ),
        (
            "openai-responses",
            json!({"input": "x", "max_tokens": 5}),
            "max_tokens",
        ),
        (
            "anthropic-messages",
            json!({"messages": user(json!([bitmap])), "max_tokens": 5}),
            "Valid",
        ),
        (
            "bedrock-converse",
            json!({"modelId": "m", "messages": user(json!([document]))}),
            "\"name\"",
        ),
        (
            "gemini",
            json!({"contents": [{"parts": [{"inlineData": {"mime": "x"}}]}], "generationConfig": {}}),
            "mime",
        ),
        (
            "ollama",
            json!({"messages": [{"role": "user", "content": "x", "images": ["no base64"]}]}),
            "base64",
        ),
    ];
    let cases: Vec<Value> = wrong
        .iter()
        .map(|(api, payload, _)| json!({"api": api, "name": "wrong", "payload": payload}))
        .collect();
    let (said, is_accepted) = judged(&python, &cases);
    assert!(!is_accepted);
    for (api, _, reason) in wrong {
        let refusal = said
            .split("REFUSED ")
            .find(|refusal| refusal.starts_with(api));
        assert!(refusal.unwrap().contains(reason), "{api}: {said}");
    }
}
