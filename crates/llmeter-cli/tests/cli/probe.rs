//! One request, looked at closely.

use std::time::Duration;

use llmeter_sim::SimConfig;
use serde_json::Value;

use crate::scripted::{Scripted, answer, refusal};
use crate::support::{Place, Said, quick, said, start};

fn probe(place: &Place, url: &str, arguments: &[&str]) -> Said {
    let base = ["probe", "--base-url", url, "--model", "some-model"];
    place.llmeter(base.iter().chain(arguments).copied())
}

impl Said {
    /// Checks that the parts are there one after the other, and that the lines are narrow. Where
    /// lines are broken makes no difference.
    #[track_caller]
    fn shows(&self, parts: &[&str]) {
        assert_eq!(self.err, "", "{self:#?}");
        for line in self.out.lines() {
            assert!(line.chars().count() <= 80, "too wide: {line}");
        }
        let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let text = words(&self.out);
        let mut at = 0;
        for part in parts {
            match text[at..].find(part) {
                Some(found) => at += found,
                None => panic!("{part:?} is missing: {self:#?}"),
            }
        }
    }
}

#[test]
fn the_usual_question_takes_a_limit_and_a_system_text() {
    let (place, server) = (Place::new(), start(quick()));
    let more = ["--max-tokens", "3", "--system", "Be brief."];
    probe(&place, &server.base_url(), &more).exits(0).shows(&[
        "Be brief.",
        "Say hello in five words.",
        r#""max_tokens":3"#,
        "tokens out 3",
    ]);
}

#[test]
fn an_answer_is_shown_in_phases_and_frames() {
    // Slow enough not to look like a burst on a busy machine.
    let itl = Duration::from_millis(20);
    let (place, server) = (Place::new(), start(SimConfig { itl, ..quick() }));
    let root = server.base_url().replace("/v1", "");
    for (api, url, path) in [
        (
            "openai-chat-stream",
            server.base_url(),
            "/v1/chat/completions",
        ),
        (
            "openai-responses-stream",
            server.base_url(),
            "/v1/responses",
        ),
        ("anthropic-messages-stream", root.clone(), "/v1/messages"),
        ("ollama-stream", root, "/api/chat"),
    ] {
        probe(&place, &url, &["--endpoint", api]).exits(0).shows(&[
            "Connection",
            "connect",
            "Request",
            &format!("POST {path} HTTP/1.1"),
            "Say hello in five words.",
            "Response HTTP status 200",
            "Times since the request's first byte",
            "headers",
            "first frame",
            "first token",
            "last token",
            "last frame",
            "per token",
            "Frames (",
            "Result text",
            "tokens out 8 in 8 frames",
            "Succeeded",
        ]);
    }
    let said = probe(&place, &server.base_url(), &["--endpoint", "openai-chat"]).exits(0);
    said.shows(&[
        "Times since",
        "response",
        "Frames (1;",
        "Result text",
        "Succeeded",
    ]);
    assert!(!said.out.contains("first token"), "{said:#?}");
    assert!(!place.path().join("runs").exists());
}

#[test]
fn a_request_by_http2_is_shown_as_one() {
    let (place, server) = (Place::new(), start(quick()));
    let url = server.base_url();
    let authority = server.address().to_string();
    probe(&place, &url, &["--http2"]).exits(0).shows(&[
        "Request POST /v1/chat/completions HTTP/2",
        ":scheme: http",
        &format!(":authority: {authority}"),
        "content-type: application/json",
        "Response HTTP status 200",
        "Succeeded",
    ]);
    let seen = probe(&place, &url, &["--http2", "--json"])
        .exits(0)
        .object();
    assert_eq!(seen["request"]["line"], "POST /v1/chat/completions HTTP/2");
    let headers = seen["request"]["headers"].to_string();
    assert!(
        !headers.contains("host") && !headers.contains("connection"),
        "{headers}"
    );
}

#[test]
fn frames_are_as_many_as_asked_for() {
    let (place, server) = (Place::new(), start(quick()));
    let frames = |arguments: &[&str]| {
        let said = probe(&place, &server.base_url(), arguments).exits(0);
        said.shows(&["Succeeded"]);
        said.out
            .lines()
            .filter(|line| line.starts_with(' ') && line.contains(" * "))
            .count()
    };
    assert_eq!(frames(&["--frames", "all"]), 8);
    // The first frame has the role alone, and the last three have no content either.
    assert_eq!(frames(&["--frames", "4"]), 2);
    assert_eq!(frames(&["--frames", "0"]), 0);
    let said = probe(&place, &server.base_url(), &["--frames", "many"]).exits(2);
    assert!(
        said.err.contains("--frames") && said.err.contains("all"),
        "{said:#?}"
    );
}

#[test]
fn everything_is_there_for_programs() {
    let (place, server) = (Place::new(), start(quick()));
    let seen = probe(&place, &server.base_url(), &["--json"])
        .exits(0)
        .object();
    assert_eq!(seen["succeeded"], true);
    assert_eq!(seen["error"], Value::Null);
    let time = |name: &str| {
        seen[name]
            .as_f64()
            .unwrap_or_else(|| panic!("{name}: {seen:?}"))
    };
    assert!(time("time_to_headers") <= time("time_to_first_frame"));
    assert!(time("time_to_first_frame") <= time("time_to_first_token"));
    assert!(time("time_to_first_token") <= time("time_to_last_token"));
    assert!(time("time_to_last_token") <= time("time_to_last_frame"));
    let frames = seen["frames"].as_array().unwrap();
    assert_eq!(frames.len() as u64, seen["frames_total"]);
    let text: String = frames
        .iter()
        .filter(|frame| frame["has_content"] == true)
        .map(|frame| {
            let data: Value = serde_json::from_str(frame["data"].as_str().unwrap()).unwrap();
            data["choices"][0]["delta"]["content"]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    assert_eq!(seen["response_text"], text);
    assert_eq!(seen["num_tokens_output"], 8);
    assert_eq!(seen["response"]["status"], 200);

    let few = probe(&place, &server.base_url(), &["--json", "--frames", "2"]).exits(0);
    assert_eq!(few.object()["frames"].as_array().unwrap().len(), 2);
    let failed = probe(&place, "http://127.0.0.1:1/v1", &["--json"])
        .exits(1)
        .object();
    assert_eq!(failed["succeeded"], false);
    assert_eq!(failed["failed_phase"], "connect");
    assert!(
        failed["diagnosis"]["remedy"]
            .as_str()
            .unwrap()
            .contains("start the server")
    );
}

#[test]
fn secrets_are_hidden() {
    const KEY: &str = "sk-very-secret-0123456789";
    for arguments in [&[][..], &["--json"]] {
        let place = Place::new();
        let server = Scripted::start(|request| {
            let key = request.header("authorization").unwrap();
            let header = request.header("x-secret").unwrap();
            format!(
                "HTTP/1.1 401 Unauthorized\r\nX-Echo: {key}\r\nSet-Cookie: a=biscuit\r\n\
                 Content-Length: {}\r\n\r\n{key}, {header}",
                key.len() + 2 + header.len()
            )
        });
        let base = ["probe", "--base-url", &server.url, "--model", "m"];
        let header = ["--header", "X-Secret: geheim-4711"];
        let mut command = place.command(base.iter().chain(&header).chain(arguments).copied());
        command.env("OPENAI_API_KEY", KEY);
        let said = said(command).exits(3);
        assert!(said.out.contains("Bearer (hidden)"), "{said:#?}");
        for secret in [KEY, "geheim-4711", "biscuit"] {
            assert!(!format!("{said:?}").contains(secret), "{said:#?}");
        }
    }
}

#[test]
fn only_the_first_payload_is_sent_and_only_once() {
    let (place, server) = (Place::new(), Scripted::start(|_| answer()));
    place.file(
        "p.jsonl",
        "{\"messages\":[{\"role\":\"user\",\"content\":\"one\"}]}\n{\"messages\":[]}\n",
    );
    probe(&place, &server.url, &["--payload", "p.jsonl"])
        .exits(0)
        .shows(&["Some words here"]);
    let requests = server.requests();
    assert_eq!(requests.len(), 1);
    assert!(requests[0].text().contains("\"one\""), "{requests:?}");
}

#[test]
fn a_runs_settings_can_be_probed() {
    let (place, server) = (Place::new(), Scripted::start(|_| answer()));
    place.file(
        "run.toml",
        format!(
            "base-url = {:?}\nmodel = \"from-the-file\"\nprompt = \"Why?\"\nclients = 50\n\
             requests = 100\nstamps = \"user\"\n",
            server.url
        ),
    );
    let said = place.llmeter(["probe", "--config", "run.toml"]).exits(0);
    said.shows(&["Why?", "as they were read", "Succeeded"]);
    let said = place.llmeter(["probe", "--config", "run.toml", "--model", "other"]);
    said.exits(0).shows(&["Succeeded"]);
    let bodies: Vec<String> = server
        .requests()
        .into_iter()
        .map(|request| request.text().into_owned())
        .collect();
    assert_eq!(bodies.len(), 2);
    assert!(
        bodies[0].contains("from-the-file") && bodies[1].contains("\"other\""),
        "{bodies:?}"
    );
}

#[test]
fn a_key_that_is_missing_is_told_from_a_wrong_one() {
    let place = Place::new();
    let server = start(SimConfig {
        api_key: Some("the-right-key".into()),
        ..quick()
    });
    let url = server.base_url();
    probe(&place, &url, &[]).exits(3).shows(&[
        "HTTP status 401",
        "Failed",
        "most likely the server wants a key, and none was sent",
        "what to do",
        "OPENAI_API_KEY (it is not set",
    ]);
    let mut command = place.command(["probe", "--base-url", &url, "--model", "m"]);
    command.env("OPENAI_API_KEY", "another");
    said(command).exits(3).shows(&[
        "Authorization: Bearer (hidden)",
        "the server does not take the key",
        "OPENAI_API_KEY (is it right?",
    ]);
}

#[test]
fn a_wrong_address_is_told() {
    let (place, server) = (Place::new(), start(quick()));
    let url = server.base_url();
    probe(&place, &url.replace("/v1", "/v7"), &[])
        .exits(3)
        .shows(&[
            "HTTP 404",
            "nothing at this path (/v7/chat/completions)",
            "often with /v1",
        ]);
    probe(&place, &url.replace("http:", "https:"), &["--insecure"])
        .exits(1)
        .shows(&[
            "Request (not sent)",
            "TLS handshake failed",
            "the server does not speak TLS",
            "write http:// instead of https://",
        ]);
    drop(server);
    probe(&place, &url, &[]).exits(1).shows(&[
        "connect failed",
        "Request (not sent)",
        "nobody listens at this address and port",
        "start the server",
    ]);
    probe(&place, "http://no-such-host.invalid/v1", &[])
        .exits(1)
        .shows(&[
            "cannot resolve the host no-such-host.invalid",
            "no name server knows this host",
            "--base-url",
        ]);
    #[cfg(unix)]
    probe(&place, "unix:/no/such.sock:/v1", &[])
        .exits(1)
        .shows(&[
            "server unix:/no/such.sock",
            "No such file",
            "there is no socket at this path",
        ]);
}

#[test]
fn answers_that_are_none_are_told() {
    let place = Place::new();
    let answers = |head: &'static str, body: &'static str| {
        Scripted::start(move |_| {
            format!(
                "HTTP/1.1 {head}\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            )
        })
    };
    let elsewhere = "308 Permanent Redirect\r\nLocation: https://elsewhere.example/v2/chat";
    probe(&place, &answers(elsewhere, "").url, &[])
        .exits(3)
        .shows(&[
            "redirected to https://elsewhere.example/v2/chat",
            "give the address that it names in --base-url",
        ]);
    let page = "200 OK\r\nContent-Type: text/html";
    probe(&place, &answers(page, "<title>Sign in</title>").url, &[])
        .exits(3)
        .shows(&[
            "text/html instead of",
            "a web page came instead of a response",
        ]);
    let json = "200 OK\r\nContent-Type: application/json";
    probe(&place, &answers(json, "").url, &[])
        .exits(3)
        .shows(&["response is empty", "the server sent an empty response"]);
    let busy = Scripted::start(|_| refusal("429 Too Many Requests", "slow down"));
    probe(&place, &busy.url, &[]).exits(3).shows(&[
        "Body {\"error\":",
        "HTTP 429 Too Many Requests: slow down",
        "ask for a higher rate limit",
    ]);
    let other = Scripted::start(|_| "SSH-2.0-OpenSSH_9.6\r\n".repeat(3));
    probe(&place, &other.url, &[]).exits(3).shows(&[
        "not HTTP/1.1",
        "something else than an HTTP/1.1 server listens",
    ]);
}

#[test]
fn a_stream_that_stalls_shows_what_it_had() {
    let place = Place::new();
    let server = start(SimConfig {
        stall_rate: 1.0,
        ..quick()
    });
    probe(&place, &server.base_url(), &["--timeout", "500ms"])
        .exits(3)
        .shows(&[
            "Frames (",
            "Result text",
            "timed out after 0.5 s",
            "the response started",
            "raise --timeout",
        ]);
}

#[cfg(unix)]
#[test]
fn a_signal_ends_the_waiting() {
    use nix::sys::signal::{Signal, kill};
    use nix::unistd::Pid;

    let place = Place::new();
    let server = Scripted::playing(|_| vec![llmeter_testing::Step::Hold]);
    let url = &server.url;
    let base = ["probe", "--base-url", url, "--model", "m"];
    let child = place
        .command(base.into_iter().chain(["--timeout", "1h"]))
        .spawn()
        .unwrap();
    crate::support::until("the request has come", || server.requests().len() == 1);
    kill(Pid::from_raw(child.id() as i32), Signal::SIGINT).unwrap();
    let said = crate::support::end_of(child).exits(130);
    said.shows(&["Request POST /v1/chat/completions", "Interrupted"]);
}
