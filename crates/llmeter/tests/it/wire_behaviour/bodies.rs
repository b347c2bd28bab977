//! Answers that are no stream: plain completions, and refusals.

use llmeter::OpenAiChat;

use super::assert_failed;
use crate::scripted::answers::*;
use crate::scripted::{Scripted, Step, one, run, write};

const JSON: &str = "application/json";

#[test]
fn a_refusal_with_status_200() {
    let body = r#"{"error": {"message": "no such thing"}}"#;
    for content_type in [JSON, "application/problem+json; charset=utf-8"] {
        let response = one(vec![write(sized("200 OK", content_type, body))]);
        assert_failed(&response, "no such thing");
    }
}

#[test]
fn a_plain_answer_to_a_streaming_request() {
    let response = one(vec![write(sized(
        "200 OK",
        JSON,
        &completion("plain words"),
    ))]);
    assert_eq!(response.error, None);
    assert_eq!(response.response_text.as_deref(), Some("plain words"));
    assert_eq!(response.time_to_first_token, None, "it came in one piece");
    assert!(response.time_to_last_token.unwrap() > 0.0);
    assert_eq!(response.num_tokens_output, Some(2));
    assert_eq!(response.detail.content_frames, None);
    assert_eq!(response.detail.finish_reason.as_deref(), Some("stop"));
}

#[test]
fn a_plain_answer_to_a_plain_request() {
    let server = Scripted::start(vec![vec![Step::Trickle(sized(
        "200 OK",
        JSON,
        &completion("plain 四 words"),
    ))]]);
    let endpoint = OpenAiChat::builder(&server.base_url, "m").streaming(false);
    let responses = run(server.config_of(endpoint.build().unwrap())).responses;
    assert_eq!(responses[0].error, None);
    assert_eq!(
        responses[0].response_text.as_deref(),
        Some("plain 四 words")
    );
    assert_eq!(responses[0].time_to_first_token, None);
    assert!(responses[0].time_to_last_token.unwrap() > 0.0);
    assert_eq!(responses[0].id.as_deref(), Some("chatcmpl-2"));
}

#[test]
fn a_stream_to_a_plain_request() {
    let stream = chunked(&whole_stream(&["a"]));
    let server = Scripted::start(vec![vec![write(stream)]]);
    let endpoint = OpenAiChat::builder(&server.base_url, "m").streaming(false);
    let responses = run(server.config_of(endpoint.build().unwrap())).responses;
    assert_failed(&responses[0], "openai-chat-stream does");
}

#[test]
fn nothing_at_all() {
    for answer in [
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 0\r\n\r\n",
    ] {
        // The connection stays open: the end is known without a close.
        assert_failed(&one(vec![write(answer)]), "without a single event");
    }
    assert_failed(
        &one(vec![write(sized("200 OK", JSON, ""))]),
        "response is empty",
    );
}

#[test]
fn broken_json() {
    let half = &completion("plain")[..30];
    assert_failed(
        &one(vec![write(sized("200 OK", JSON, half))]),
        "not valid JSON",
    );
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n";
    let response = one(vec![write(format!("{head}{half}")), Step::Close]);
    assert_failed(&response, "in the middle of the response");
}

#[test]
fn refusals_in_the_servers_words() {
    for (status, words) in [
        ("400 Bad Request", "HTTP 400 Bad Request: no such thing"),
        ("401 Unauthorized", "HTTP 401 Unauthorized: no such thing"),
        ("404 Not Found", "HTTP 404 Not Found: no such thing"),
        (
            "429 Too Many Requests",
            "HTTP 429 Too Many Requests: no such thing",
        ),
        (
            "500 Internal Server Error",
            "HTTP 500 Internal Server Error: no such thing",
        ),
        ("418 ?", "HTTP 418: no such thing"),
    ] {
        let code: u16 = status[..3].parse().unwrap();
        for body in [
            r#"{"error": {"message": "no such thing"}}"#,
            r#"{"detail": "no such thing"}"#,
            "<html><body>no such\nthing</body></html>",
        ] {
            let content_type = if body.starts_with('<') {
                "text/html"
            } else {
                JSON
            };
            let response = one(vec![write(sized(status, content_type, body))]);
            let words = if body.starts_with('<') {
                &words[..8]
            } else {
                words
            };
            assert_failed(&response, words);
            assert!(response.error_text().unwrap().contains("no such thing"));
            assert_eq!(response.detail.status, Some(code));
            assert!(response.detail.time_to_headers.is_some());
        }
        let response = one(vec![write(sized(status, JSON, ""))]);
        let name = words.split(": ").next().unwrap();
        assert_eq!(response.error_text(), Some(name), "no body, no words");
    }
}

#[test]
fn a_refusal_that_breaks_off_keeps_its_status() {
    let answer = "HTTP/1.1 503 Busy\r\nContent-Length: 99\r\n\r\ntry later";
    let response = one(vec![write(answer), Step::Close]);
    assert_failed(&response, "HTTP 503 Service Unavailable: try later");
}

#[test]
fn a_long_refusal_is_cut_to_one_line() {
    let response = one(vec![write(sized(
        "500 X",
        "text/html",
        &"wörd\n".repeat(100_000),
    ))]);
    assert_failed(&response, "HTTP 500 Internal Server Error: wörd wörd");
    assert!(response.error.unwrap().to_string().chars().count() < 300);
}

#[test]
fn a_redirect_is_not_followed() {
    let answer = "HTTP/1.1 307 Go\r\nLocation: https://elsewhere/v1\r\nContent-Length: 0\r\n\r\n";
    let response = one(vec![write(answer)]);
    assert_failed(
        &response,
        "HTTP 307 Temporary Redirect: redirected to https://elsewhere/v1",
    );
    // Elsewhere the header has another meaning.
    let answer = "HTTP/1.1 500 X\r\nLocation: /x\r\nContent-Length: 4\r\n\r\noops";
    let response = one(vec![write(answer)]);
    assert_failed(&response, "HTTP 500 Internal Server Error: oops");
}

#[test]
fn a_web_page_with_status_200() {
    let page = "<!doctype html><title>Sign in</title>";
    let response = one(vec![write(sized(
        "200 OK",
        "text/html; charset=utf-8",
        page,
    ))]);
    assert_failed(&response, "text/html");
    assert!(response.error.unwrap().to_string().contains("Sign in"));
}

#[test]
fn a_secret_in_the_servers_words_is_hidden() {
    let body = r#"{"error": {"message": "Incorrect API key provided: sk-secret-123"}}"#;
    let server = Scripted::start(vec![vec![write(sized("401 X", JSON, body))]]);
    let endpoint = OpenAiChat::builder(&server.base_url, "m").api_key("sk-secret-123");
    let responses = run(server.config_of(endpoint.build().unwrap())).responses;
    assert_failed(&responses[0], "Incorrect API key provided: <redacted>");
}
