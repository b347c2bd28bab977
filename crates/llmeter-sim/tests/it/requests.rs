//! Requests in every shape that HTTP allows, and in some that it does not.

use serde_json::json;

use crate::{
    client::{Client, chat, post, post_to},
    server,
};

#[test]
fn a_request_may_come_byte_by_byte() {
    let server = server(|_| ());
    let mut client = Client::connect(&server);
    for byte in post(&chat(json!({})), "").bytes() {
        client.send([byte]);
    }
    assert_eq!(client.receive().json()["usage"]["prompt_tokens"], 3);
}

#[test]
fn a_chunked_body_may_be_split_anywhere() {
    let server = server(|_| ());
    let body = chat(json!({})).to_string();
    let (one, two) = body.split_at(20);
    let request = format!(
        "POST /chat/completions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n\
         {:x}\r\n{one}\r\n{:X};a=b\r\n{two}\r\n0\r\nTrailer: x\r\n\r\n",
        one.len(),
        two.len(),
    );
    let mut client = Client::connect(&server);
    for split in (1..request.len()).step_by(7) {
        client.send(&request[..split]);
        client.send(&request[split..]);
        assert_eq!(client.receive().status, 200, "{split}");
    }
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let server = server(|_| ());
    let mut client = Client::connect(&server);
    let streamed = post(&chat(json!({"stream": true, "model": "first"})), "");
    let plain = post(&chat(json!({"model": "second"})), "");
    let models = "GET /v1/models HTTP/1.1\r\n\r\n";
    client.send(format!("{streamed}{plain}{models}"));
    assert_eq!(client.receive().frames()[0]["model"], "first");
    assert_eq!(client.receive().json()["model"], "second");
    assert_eq!(client.receive().json()["object"], "list");
    let truth = server.truth();
    assert!(truth[1].start_ns >= truth[0].done_ns);
}

#[test]
fn a_client_that_waits_to_continue_is_told_to() {
    let server = server(|_| ());
    let mut client = Client::connect(&server);
    let request = post(&chat(json!({})), "Expect: 100-continue\r\n");
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    client.send(format!("{head}\r\n\r\n"));
    let interim = client.take_through(b"\r\n\r\n").unwrap();
    assert_eq!(interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    assert_eq!(client.ask(body).status, 200);
    // With the body at hand nobody waits.
    assert_eq!(client.ask(request).status, 200);
}

#[test]
fn paths_and_methods_are_told_apart() {
    let server = server(|config| config.model = "org/model".into());
    let mut client = Client::connect(&server);
    for (method, path, status) in [
        ("GET", "/v1/models", 200),
        ("GET", "/models?x=1", 200),
        ("HEAD", "/v1/models", 200),
        ("GET", "/v1/models/org/model", 200),
        ("GET", "/v1/models/org%2Fmodel", 200),
        ("GET", "/v1/models/other", 404),
        ("GET", "/health", 200),
        ("HEAD", "/nowhere", 404),
        ("GET", "/v1/chat/completions", 405),
        ("POST", "/v1/models", 405),
        ("GET", "/v1chat/completions", 404),
    ] {
        client.send(format!("{method} {path} HTTP/1.1\r\nHost: x\r\n\r\n"));
        let response = client.receive_after(method);
        assert_eq!(response.status, status, "{method} {path}");
        assert!(response.head.contains("content-type: application/json"));
        assert!(response.head.contains("x-request-id: req_"));
        if status >= 400 && method != "HEAD" {
            assert_eq!(response.json()["error"]["type"], "invalid_request_error");
        }
    }
    assert_eq!(server.requests_served(), 11);
}

#[test]
fn a_bad_body_is_refused_and_the_connection_lives_on() {
    let server = server(|_| ());
    let mut client = Client::connect(&server);
    let head = "POST /v1/chat/completions HTTP/1.1\r\nContent-Length: 9\r\n\r\n";
    let response = client.ask(format!("{head}{{\"a\": 1,,"));
    assert_eq!(response.status, 400);
    let message = response.json()["error"]["message"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(message.contains("line 1 column 9"), "{message}");
    assert_eq!(
        client.ask(post(&chat(json!({"messages": []})), "")).status,
        400
    );
    assert_eq!(
        client
            .ask(post(&chat(json!({})), "X-Sim-Fault: x\r\n"))
            .status,
        400
    );
    assert_eq!(client.ask(post(&chat(json!({})), "")).status, 200);
    assert_eq!(server.truth().len(), 1);
}

#[test]
fn what_is_no_request_is_refused_and_the_connection_closed() {
    let server = server(|_| ());
    let long = format!("GET / HTTP/1.1\r\nA: {}\r\n\r\n", "x".repeat(70_000));
    let post = |headers: &str| format!("POST / HTTP/1.1\r\n{headers}\r\n\r\n");
    for (bytes, status) in [
        ("nonsense\r\n\r\n".to_owned(), 400),
        (post("Content-Length: x"), 400),
        (post("Content-Length: 99999999999"), 413),
        (post("Transfer-Encoding: chunked\r\n\r\nzz"), 400),
        (post("Transfer-Encoding: gzip"), 501),
        (post("Expect: tea"), 417),
        (long, 431),
    ] {
        let mut client = Client::connect(&server);
        let response = client.ask(&bytes);
        assert_eq!(response.status, status, "{:.80}", bytes);
        assert!(response.head.contains("connection: close"));
        assert!(client.is_closed());
    }
}

#[test]
fn connections_end_when_asked_to() {
    let server = server(|_| ());
    let mut client = Client::connect(&server);
    let response = client.ask(post(
        &chat(json!({"stream": true})),
        "Connection: close\r\n",
    ));
    assert_eq!(response.text().split(' ').count(), 8);
    assert!(client.is_closed());
    // A client of the older version knows no chunks.
    let old = post(&chat(json!({"stream": true})), "").replacen("HTTP/1.1", "HTTP/1.0", 1);
    let response = Client::connect(&server).ask(old);
    assert!(!response.head.contains("transfer-encoding"));
    assert_eq!(response.text().split(' ').count(), 8);
}

#[test]
fn a_key_is_asked_for() {
    let server = server(|config| config.api_key = Some("sk-right".into()));
    let mut client = Client::connect(&server);
    let mut ask = |headers: &str| client.ask(post(&chat(json!({})), headers));
    assert_eq!(ask("Authorization: Bearer sk-right\r\n").status, 200);
    assert_eq!(ask("").json()["error"]["code"], json!(null));
    let refused = ask("Authorization: Bearer sk-wrong\r\n");
    assert_eq!(refused.status, 401);
    assert_eq!(refused.json()["error"]["code"], "invalid_api_key");
    assert_eq!(client.ask("GET /health HTTP/1.1\r\n\r\n").status, 200);
}

/// Requests for much are refused as the real API does, and cost little.
#[test]
fn requests_for_too_much_are_refused() {
    let server = server(|_| ());
    let mut client = Client::connect(&server);
    let list = |count: usize| vec!["a"; count];
    let mut ask = |path: &str, body: serde_json::Value, headers: &str| {
        let response = client.ask(post_to(path, &body.to_string(), headers));
        (response.status, response.json())
    };
    let embed = |count| json!({"model": "m", "input": list(count)});
    let (status, body) = ask("/v1/embeddings", embed(2048), "");
    assert_eq!(
        (status, body["data"].as_array().unwrap().len()),
        (200, 2048)
    );
    for count in [2049, 1_000_000] {
        let (status, body) = ask("/v1/embeddings", embed(count), "");
        assert_eq!(status, 400);
        assert_eq!(body["error"]["code"], "array_above_max_length");
    }
    let complete = json!({"model": "m", "prompt": list(100), "n": 100});
    assert_eq!(ask("/v1/completions", complete, "").0, 400);
    let many = chat(json!({"n": 100, "max_tokens": 1_000_000}));
    let tokens = "x-sim-output-tokens: 1000000\r\n";
    let (status, body) = ask("/v1/chat/completions", many, tokens);
    assert_eq!((status, &body["error"]["param"]), (400, &json!("n")));
    let huge = chat(json!({"max_tokens": 1_000_000_000_000u64}));
    assert_eq!(ask("/v1/chat/completions", huge, "").0, 400);
    #[cfg(target_os = "linux")]
    {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status
            .lines()
            .find(|line| line.starts_with("VmHWM:"))
            .unwrap();
        let kilobytes = line.split_whitespace().nth(1).unwrap();
        let megabytes = kilobytes.parse::<u64>().unwrap() / 1024;
        assert!(megabytes < 400, "{megabytes} MB");
    }
}
