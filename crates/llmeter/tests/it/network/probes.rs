//! Single requests that are looked at closely.

use std::net::TcpListener;
use std::time::Duration;

use llmeter::probe::{ProbeReport, probe};
use llmeter::wire::{Phase, Proxies, Proxy};
use llmeter::{FailureKind, Interrupt, OpenAiChat, RunConfig, StampSource, report};

use crate::scripted::answers::{chunked, role, sized, text, unfinished, whole_stream};
use crate::scripted::{Scripted, Step, finish, run, write};

/// A probe of this configuration.
pub(crate) fn probed(config: RunConfig) -> ProbeReport {
    let seen = finish(move || probe(&config, None, &Interrupt::new()).unwrap());
    let shown = report::probe(&seen, 12);
    for line in shown.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
    for width in [40, 60] {
        let shown = report::probe_within(&seen, 12, width);
        for line in shown.lines() {
            assert!(line.chars().count() <= width, "{width}: {line}");
        }
    }
    seen
}

fn served(steps: Vec<Step>) -> ProbeReport {
    probed(Scripted::start(vec![steps]).config())
}

#[test]
fn frames_have_the_times_of_the_answer() {
    let pieces = ["one", " two", " three"];
    let mut steps = vec![write(unfinished(&role()))];
    for piece in pieces {
        steps.push(Step::Pause(Duration::from_millis(5)));
        steps.push(write(crate::scripted::answers::chunk(&text(piece))));
    }
    let end = whole_stream(&[]).replacen(&role(), "", 1);
    steps.push(write(crate::scripted::answers::chunk(&end)));
    steps.push(write(crate::scripted::answers::LAST_CHUNK));
    let seen = served(steps);
    assert!(seen.is_success(), "{:?}", seen.error);
    let answer = seen.response.as_ref().unwrap();
    assert_eq!(answer.response_text.as_deref(), Some("one two three"));
    let times: Vec<f64> = seen
        .frames
        .iter()
        .map(|frame| frame.time.unwrap())
        .collect();
    assert!(times.is_sorted(), "{times:?}");
    let mut with_content = seen.frames.iter().filter(|frame| frame.has_content);
    assert_eq!(with_content.clone().count(), 3);
    assert_eq!(
        with_content.next().unwrap().time,
        answer.time_to_first_token
    );
    assert_eq!(
        with_content.next_back().unwrap().time,
        answer.time_to_last_token
    );
    assert_eq!(seen.frames.last().unwrap().data, "[DONE]");
    assert_eq!(seen.frame_times(), Some((times[0], times[times.len() - 1])));
    assert_eq!(seen.server_id(), Some("chatcmpl-1"));
    if cfg!(target_os = "linux") {
        assert_eq!(seen.stamps, StampSource::Kernel);
    }
    assert_eq!(
        seen.time_to_resolve, None,
        "an address needs no name server"
    );
    assert!(seen.time_to_connect.is_some() && seen.tls.is_none());
    assert_eq!(seen.addresses, [seen.address.unwrap()]);
    // The server counts none although there is content.
    let estimated =
        "the number of output tokens is estimated: the server reported none that can be";
    assert_eq!(seen.remarks, [estimated]);
}

#[test]
fn a_name_is_resolved() {
    let server = Scripted::start(vec![vec![write(chunked(&whole_stream(&["one"])))]]);
    let mut config = server.config();
    let url = server.base_url.replace("127.0.0.1", "localhost");
    config.endpoint = std::sync::Arc::new(OpenAiChat::builder(url, "m").build().unwrap());
    let seen = probed(config);
    assert!(seen.is_success(), "{:?}", seen.error);
    assert!(seen.time_to_resolve.is_some());
    assert!(seen.addresses.contains(&seen.address.unwrap()));
}

#[test]
fn odd_answers_get_a_remark() {
    let remarks = |body: &str, kind: &str| {
        let seen = served(vec![write(sized("200 OK", kind, body))]);
        assert!(seen.is_success(), "{:?}", seen.error);
        seen.remarks.concat()
    };
    let stream = "text/event-stream";
    // A machine that reads late may have made the burst itself, and says nothing.
    let mut probes = (0..50).map(|_| remarks(&whole_stream(&["one", " two"]), stream));
    assert!(probes.any(|remarks| remarks.contains("all frames came at the same time")));
    let single = remarks(&whole_stream(&["one"]), stream);
    assert!(single.contains("in one frame"), "{single}");
    let completion = crate::scripted::answers::completion("plain words");
    let whole = remarks(&completion, "application/json");
    assert!(whole.contains("a non-streaming response came"), "{whole}");
}

#[test]
fn what_came_before_a_failure_is_kept() {
    let steps = vec![write(unfinished(&(role() + &text("half")))), Step::Hold];
    let server = Scripted::start(vec![steps]);
    let mut config = server.config();
    config.timeout = Duration::from_millis(300);
    let seen = probed(config);
    assert_eq!(
        seen.error.as_ref().map(llmeter::Failure::message),
        Some("timed out after 0.3 s")
    );
    assert_eq!(seen.frames.len(), 2);
    assert_eq!(seen.head.as_ref().unwrap().status, 200);
    let diagnosis = seen.diagnosis.as_ref().unwrap();
    assert!(
        diagnosis.cause.contains("the response started"),
        "{diagnosis:?}"
    );
    assert_eq!(seen.failed_phase(), Some(Phase::Stream));
    let shown = report::probe(&seen, 12);
    for part in ["Frames (2;", "half", "Failed", "what to do"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
}

#[test]
fn a_long_error_is_shown_as_short_as_a_run_shows_it() {
    let lines: Vec<_> = (0..40).map(|line| format!("at line {line}")).collect();
    let message = serde_json::json!({"error": {"message": lines.join("\n")}}).to_string();
    let refusal = sized("500 Internal Server Error", "application/json", &message);
    let seen = served(vec![write(refusal)]);
    let shown = report::probe(&seen, 12);
    let (_, outcome) = shown.split_once("Failed\n").unwrap();
    let (error, _) = outcome.split_once("  most likely").unwrap_or((outcome, ""));
    // 240 characters, of which a line takes 64.
    assert!(error.lines().count() <= 5, "{error}");
    for part in ["at line 0 at line 1", "…", "at line 39"] {
        let words = error.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.contains(part), "{part}: {error}");
    }
}

#[test]
fn a_retry_is_not_made() {
    let refusal = sized("503 Service Unavailable", "application/json", "{}");
    let server = Scripted::start(vec![vec![write(refusal)]]);
    let mut config = server.config();
    config.max_retries = 3;
    config.warmup = 2;
    let seen = probed(config);
    assert!(!seen.is_success());
    assert_eq!(server.requests(), 1);
}

#[test]
fn the_phase_that_failed_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let config = |url: String| {
        let endpoint = OpenAiChat::builder(url, "m").build().unwrap();
        let payload = crate::scripted::payload("hello");
        let mut config = RunConfig::new(std::sync::Arc::new(endpoint), [payload]);
        config.timeout = Duration::from_millis(300);
        config.insecure = true;
        config
    };
    // Connections wait in the queue of a server that never takes them.
    let silent = probed(config(format!("https://{address}/v1")));
    assert_eq!(silent.failed_phase(), Some(Phase::Tls));
    assert!(silent.time_to_connect.is_some());
    let diagnosis = silent.diagnosis.unwrap();
    assert!(diagnosis.cause.contains("TLS handshake"), "{diagnosis:?}");

    let mut tunnelled = config("https://llm.example/v1".to_owned());
    tunnelled.proxies = Proxies::All(Proxy::from_url(&format!("http://{address}")).unwrap());
    let tunnelled = probed(tunnelled);
    assert_eq!(tunnelled.failed_phase(), Some(Phase::Proxy));
    assert_eq!(tunnelled.time_to_connect, None);
    let diagnosis = tunnelled.diagnosis.unwrap();
    assert!(diagnosis.remedy.contains("`proxy`"), "{diagnosis:?}");

    drop(listener);
    let refused = probed(config(format!("http://{address}/v1")));
    assert_eq!(refused.failed_phase(), Some(Phase::Connect));
    let diagnosis = refused.diagnosis.unwrap();
    assert!(
        diagnosis.remedy.contains("start the server"),
        "{diagnosis:?}"
    );
}

#[test]
fn a_proxy_is_shown_without_credentials() {
    // To an http server a proxy is asked like the server itself, for the whole address.
    let proxy = Scripted::start(vec![vec![write(chunked(&whole_stream(&["one"])))]]);
    let address = proxy.base_url.trim_start_matches("http://");
    let address = address.trim_end_matches("/v1");
    let endpoint = OpenAiChat::builder("http://llm.example/v1", "m");
    let mut config = proxy.config_of(endpoint.build().unwrap());
    let url = format!("http://somebody:geheim@{address}");
    config.proxies = Proxies::All(Proxy::from_url(&url).unwrap());
    let seen = probed(config);
    assert!(seen.is_success(), "{:?}", seen.error);
    assert_eq!(seen.proxy, Some(format!("http://{address}")));
    let request = seen.request.as_ref().unwrap();
    assert!(
        request
            .line
            .starts_with("POST http://llm.example/v1/chat/completions"),
        "{request:?}"
    );
    let all = format!("{seen:?} {:?}", seen.to_json(usize::MAX));
    assert!(
        all.contains("Proxy-Authorization") && !all.contains("geheim"),
        "{all}"
    );
    // Neither as it stands in the header.
    assert!(!all.contains("c29tZWJvZHk6Z2VoZWlt"), "{all}");
}

/// Some proxies repeat the request in their error pages.
#[test]
fn what_a_proxy_repeats_of_its_credentials_is_hidden() {
    let body = "Proxy-Authorization: Basic c29tZWJvZHk6Z2VoZWltLTQ3MTE= (geheim-4711)";
    let echo = format!(
        "HTTP/1.1 502 X\r\nX-Echo: Basic c29tZWJvZHk6Z2VoZWltLTQ3MTE=\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let is_hidden = |text: &str| {
        let is_absent = !text.contains("geheim") && !text.contains("c29tZWJvZHk6");
        assert!(is_absent && text.contains("<redacted>"), "{text}");
    };
    let configured = |proxy: &Scripted| {
        let address = proxy.base_url.trim_start_matches("http://");
        let address = address.trim_end_matches("/v1");
        let endpoint = OpenAiChat::builder("http://llm.example/v1", "m");
        let mut config = proxy.config_of(endpoint.build().unwrap());
        let url = format!("http://somebody:geheim-4711@{address}");
        config.proxies = Proxies::All(Proxy::from_url(&url).unwrap());
        config
    };
    let proxy = Scripted::start(vec![vec![write(echo.as_str())]]);
    let seen = probed(configured(&proxy));
    let failure = seen.error.as_ref().unwrap();
    assert_eq!(failure.kind(), FailureKind::HttpStatus);
    assert_eq!(failure.status(), Some(502));
    is_hidden(&format!("{seen:?} {:?}", seen.to_json(usize::MAX)));
    is_hidden(&report::probe(&seen, 12));

    let proxy = Scripted::start(vec![vec![write(echo)]]);
    let folder = tempfile::tempdir().unwrap();
    let mut config = configured(&proxy);
    config.output = Some(folder.path().into());
    config.run_name = Some("run".to_owned());
    run(config);
    let responses = folder.path().join("run/responses.jsonl");
    is_hidden(&std::fs::read_to_string(responses).unwrap());
}

#[test]
fn an_interrupted_probe_keeps_what_it_saw() {
    let steps = vec![write(unfinished(&(role() + &text("half")))), Step::Hold];
    let server = Scripted::start(vec![steps]);
    let config = server.config();
    let interrupt = Interrupt::new();
    let stopper = interrupt.clone();
    let waiting = std::thread::spawn(move || {
        server.wait_for_request();
        stopper.stop();
    });
    let seen = finish(move || probe(&config, None, &interrupt).unwrap());
    waiting.join().unwrap();
    assert!(seen.is_interrupted && !seen.is_success());
    let shown = report::probe(&seen, 12);
    assert!(shown.ends_with("Interrupted\n"), "{shown}");
}

#[test]
fn what_a_run_marks_is_a_note() {
    let usage = "data: {\"choices\": [], \"usage\": {\"completion_tokens\": 90}}\n\n";
    let body = format!("bye\u{1b} bye\n{}", whole_stream(&["a", "b"]));
    let body = body.replacen("data: [DONE]", &format!("{usage}data: [DONE]"), 1);
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 9999\r\n\r\n";
    let seen = served(vec![write(format!("{head}{body}")), Step::Close]);
    assert!(seen.is_success(), "{:?}", seen.error);
    let notes = seen.remarks.join("\n");
    for words in [
        "output tokens is as reported, and contradicts",
        "closed early (closed_early)",
        "outside of the stream's frames: bye",
        "streams are labelled \"text/plain\" instead of text/event-stream",
    ] {
        assert!(notes.contains(words), "{words}: {notes}");
    }
    assert!(!notes.contains('\u{1b}'), "{notes}");
}
