//! What must reach the server and must never be seen elsewhere.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::scripted::{Request, Scripted, answer, refusal};
use crate::support::{Place, Said, everything, said};

const KEY: &str = "sk-very-secret-0123456789";

#[test]
fn a_header_reaches_the_server_and_no_file() {
    let place = Place::new();
    let server = Scripted::start(|_| answer());
    let said = place
        .run(
            &server.url,
            &[
                "--header",
                "X-Secret: geheim-4711",
                "--header",
                "X-Team:  blue ",
            ],
        )
        .exits(0);
    let request = &server.requests()[0];
    assert_eq!(request.header("x-secret"), Some("geheim-4711"));
    assert_eq!(request.header("x-team"), Some("blue"));
    assert!(request.header("authorization").is_none());
    assert!(!everything(&place, &said).contains("geheim-4711"));
}

#[test]
fn headers_that_are_not_saved_have_to_be_given_again() {
    let place = Place::new();
    let server = Scripted::start(|_| answer());
    let headers = [
        "--header",
        "X-Secret: geheim-4711",
        "--header",
        "X-Team: blue",
        "--header",
        "Accept-Language: de",
    ];
    let said = place.run(&server.url, &headers).exits(0);
    assert!(!everything(&place, &said).contains("geheim-4711"));
    let again = ["run", "--from", "runs/it", "--run-name", "again"];
    let said = place.llmeter(again).exits(2);
    said.one_error(&[
        "cannot repeat the run in runs/it",
        "--header: X-Secret, X-Team were sent in the saved run",
        "hint: give it again: --header 'X-Secret: …' --header 'X-Team: …'",
    ]);
    let sent = server.requests().len();
    let some = ["--header", "x-team: red"];
    let said = place.llmeter(again.into_iter().chain(some)).exits(2);
    said.one_error(&["--header: X-Secret was sent"]);
    assert_eq!(server.requests().len(), sent, "nothing was sent");
    let all = [
        "--header",
        "x-team: red",
        "--header",
        "X-Secret: new",
        "--base-url",
        &server.url,
    ];
    place.llmeter(again.into_iter().chain(all)).exits(0);
    let requests = server.requests();
    let request = requests.last().unwrap();
    assert_eq!(request.header("x-team"), Some("red"));
    assert_eq!(request.header("x-secret"), Some("new"));
    assert_eq!(
        request.header("accept-language"),
        Some("de"),
        "harmless, and saved"
    );
}

#[test]
fn a_key_that_the_server_repeats_is_hidden() {
    for low_memory in [false, true] {
        let place = Place::new();
        // The way to the worst case: the server puts both secrets into its error.
        let server = Scripted::start(|request| {
            let key = request.header("authorization").unwrap();
            let header = request.header("x-secret").unwrap();
            refusal(
                "401 Unauthorized",
                &format!("Incorrect API key: {key}, {header}"),
            )
        });
        let mut arguments = vec!["--header", "X-Secret: geheim-4711", "--requests", "2"];
        if low_memory {
            arguments.push("--low-memory");
        }
        let mut command = place.run_command(&server.url, &arguments);
        command.env("OPENAI_API_KEY", KEY);
        let said = said(command).exits(3);
        assert_eq!(
            server.requests()[0].header("authorization"),
            Some(format!("Bearer {KEY}").as_str())
        );
        said.one_error(&["HTTP 401", "Incorrect API key", "OPENAI_API_KEY"]);
        let all = everything(&place, &said);
        assert!(!all.contains(KEY), "{all}");
        assert!(!all.contains("geheim-4711"), "{all}");
    }
}

/// A response that says the key wherever it can, some of it spaced or encoded.
fn chatty(request: &Request) -> String {
    let spaced: String = KEY.chars().flat_map(|c| [c, ' ']).collect();
    let hex: String = KEY.bytes().map(|byte| format!("{byte:02x}")).collect();
    let encoded = STANDARD.encode(format!("x{KEY}"));
    let text = format!(
        "one {KEY} two {spaced} three {hex} four {}",
        KEY.to_uppercase()
    );
    let headers = format!(
        "x-ratelimit-reset-requests: {KEY}\r\nx-ratelimit-limit-{KEY}: 5\r\n\
         x-ratelimit-limit-tokens: 7\r\nx-request-id: {encoded}\r\n"
    );
    let (kind, body) = match request
        .body
        .windows(13)
        .any(|part| part == b"\"stream\":true")
    {
        true => {
            let delta = json!({"content": text, "reasoning_content": encoded});
            let chunk = json!({"id": KEY, "choices": [{"index": 0, "delta": delta,
                               "finish_reason": KEY}]});
            let kind = format!("text/event-stream; charset={KEY}");
            (kind, format!("data: {chunk}\n\ndata: [DONE]\n\n"))
        }
        false => {
            let message = json!({"content": text, "reasoning_content": encoded});
            let body = json!({"id": KEY, "choices": [{"index": 0, "message": message,
                              "finish_reason": KEY}]});
            ("application/json".to_owned(), body.to_string())
        }
    };
    let length = body.len();
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\n{headers}Content-Length: {length}\r\n\r\n{body}"
    )
}

#[test]
fn a_key_in_a_response_that_did_not_fail_gets_nowhere() {
    for endpoint in ["openai-chat-stream", "openai-chat"] {
        let server = Scripted::start(chatty);
        let (place, hidden) = (Place::new(), STANDARD.encode(format!("x{KEY}")));
        let check = |said: &Said| {
            let all = everything(&place, said).to_lowercase();
            let packed: String = all.split_whitespace().collect();
            for piece in [KEY, &hidden[4..20]] {
                let piece = piece.to_lowercase();
                assert!(!packed.contains(&piece), "{endpoint}: {piece}: {all}");
            }
        };
        let mut command = place.run_command(&server.url, &["--endpoint", endpoint, "--json"]);
        command
            .env("OPENAI_API_KEY", KEY)
            .env("LLMETER_LOG", "trace");
        let run = said(command).exits(0);
        check(&run);
        let response = &place.responses()[0];
        let text = response["response_text"].as_str().unwrap();
        assert!(text.starts_with("one <redacted> two <redacted>"), "{text}");
        assert_eq!(response["finish_reason"], "<redacted>");
        let stats = run.object();
        assert_eq!(stats["rate_limit_x-ratelimit-limit-tokens"], 7.0);
        assert_eq!(stats["unreadable_rate_limits"], 2);

        check(&place.llmeter(["show", "runs/it"]).exits(0));
        let probe = [
            "probe",
            "--endpoint",
            endpoint,
            "--base-url",
            &server.url,
            "--model",
            "m",
        ];
        for json in [&[][..], &["--json"]] {
            let mut command = place.command(probe.iter().chain(json).copied());
            command.env("OPENAI_API_KEY", KEY);
            check(&said(command).exits(0));
        }
    }
}

#[test]
fn the_key_comes_from_the_variable_that_is_named() {
    let place = Place::new();
    let server = Scripted::start(|_| answer());
    let mut command = place.run_command(&server.url, &["--api-key-env", "MY_KEY"]);
    command
        .env("MY_KEY", format!(" {KEY}\n"))
        .env("OPENAI_API_KEY", "another");
    let said = said(command).exits(0);
    assert_eq!(
        server.requests()[0].header("authorization"),
        Some(format!("Bearer {KEY}").as_str())
    );
    assert!(!everything(&place, &said).contains(KEY));
}

#[test]
fn a_key_that_cannot_be_sent_is_refused_unseen() {
    let place = Place::new();
    let mut command = place.run_command("http://127.0.0.1:9/v1", &[]);
    command.env("OPENAI_API_KEY", "geheim 4711");
    let said = said(command).exits(2);
    said.one_error(&["--api-key-env"]);
    assert!(!said.err.contains("geheim"), "{said:#?}");
}

#[test]
fn no_key_is_fine_where_none_is_needed() {
    let place = Place::new();
    let server = Scripted::start(|_| answer());
    place
        .run(&server.url, &["--api-key-env", "NOT_SET_ANYWHERE"])
        .exits(0);
    assert!(server.requests()[0].header("authorization").is_none());
    assert!(server.requests()[0].text().contains("some-model"));
}
