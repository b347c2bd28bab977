use super::*;

fn seen(error: &str) -> Circumstances<'_> {
    Circumstances::of(error)
}

fn remedy(seen: &Circumstances<'_>) -> String {
    diagnose(seen).unwrap_or_else(|| panic!("{seen:?}")).remedy
}

#[test]
fn a_key_that_is_missing_is_told_from_one_that_is_refused() {
    let mut key = KeyVariable {
        name: "MY_KEY".to_owned(),
        is_set: false,
    };
    let with = |key: &KeyVariable, error: &str| {
        let diagnosis = diagnose(&Circumstances {
            key: Some(key),
            ..seen(error)
        })
        .unwrap();
        format!("{}: {}", diagnosis.cause, diagnosis.remedy)
    };
    let missing = with(&key, "HTTP 401 Unauthorized: no");
    assert!(
        missing.contains("none was sent") && missing.contains("MY_KEY (it is not set"),
        "{missing}"
    );
    key.is_set = true;
    let refused = with(&key, "HTTP 401 Unauthorized: no");
    assert!(
        refused.contains("does not take") && refused.contains("is it right"),
        "{refused}"
    );
    assert!(with(&key, "HTTP 403 Forbidden").contains("may not"));
    // For AWS the endpoint's own message says more.
    key.name = "AWS_BEARER_TOKEN_BEDROCK".to_owned();
    let aws = Circumstances {
        key: Some(&key),
        ..seen("HTTP 403 Forbidden: the signature")
    };
    assert_eq!(diagnose(&aws), None);
    assert!(
        remedy(&Circumstances {
            error: "HTTP 404",
            ..aws
        })
        .contains("--region")
    );
}

#[test]
fn a_path_is_told_from_a_model() {
    let key = KeyVariable {
        name: "K".to_owned(),
        is_set: true,
    };
    let at = |target, error| {
        diagnose(&Circumstances {
            target: Some(target),
            key: Some(&key),
            ..seen(error)
        })
        .unwrap()
    };
    let path = at("/chat/completions", "HTTP 404 Not Found: page not found");
    assert!(
        path.cause.contains("/chat/completions") && path.remedy.contains("/v1"),
        "{path:?}"
    );
    let path = at("/v1/chat/completions", "HTTP 404 Not Found");
    assert!(!path.remedy.contains("often with /v1"), "{path:?}");
    let model = at(
        "/v1/chat/completions",
        "HTTP 404 Not Found: The model `x` does not exist",
    );
    assert!(
        model.cause.contains("model") && model.remedy.contains("--model"),
        "{model:?}"
    );
}

#[test]
fn timeouts_are_told_by_their_phase() {
    let timeout = seen("timed out after 2 s");
    let phases = [Phase::Connect, Phase::Proxy, Phase::Tls].map(|phase| {
        remedy(&Circumstances {
            phase: Some(phase),
            ..timeout
        })
    });
    assert!(phases[0].contains("--base-url") && phases[1].contains("--proxy"));
    assert!(phases[2].contains("http://"));
    let mut causes =
        [(false, false), (true, false), (true, true)].map(|(has_head, has_content)| {
            let seen = Circumstances {
                has_head,
                has_content,
                ..timeout
            };
            diagnose(&seen).unwrap().cause
        });
    causes.sort();
    assert!(
        causes.windows(2).all(|pair| pair[0] != pair[1]),
        "{causes:?}"
    );
    let load = Circumstances {
        is_load: true,
        ..timeout
    };
    assert!(remedy(&load).contains("--clients"));
}

#[test]
fn one_remedy_for_each_kind_of_failure() {
    for (error, part) in [
        ("cannot resolve the host x: no", "--base-url"),
        (
            "cannot connect to 127.0.0.1:9: Connection refused",
            "start the server",
        ),
        ("cannot connect to 10.0.0.1:9: No route to host", "VPN"),
        (
            "cannot connect to unix:/x: No such file or directory",
            "the path",
        ),
        (
            "cannot connect to unix:/x: Connection refused",
            "start the server",
        ),
        (
            "cannot connect to unix:/x: Permission denied",
            "permissions",
        ),
        (
            "cannot connect to the proxy http://p:1: Connection refused",
            "--no-proxy",
        ),
        (
            "the proxy http://p:1 opens no way to h: HTTP 403",
            "--no-proxy",
        ),
        (
            "TLS handshake failed: invalid peer certificate: UnknownIssuer",
            "--ca-file",
        ),
        (
            "TLS handshake failed: invalid peer certificate: certificate expired",
            "clock",
        ),
        (
            "TLS handshake failed: invalid peer certificate: certificate not valid for name",
            "the name",
        ),
        (
            "TLS handshake failed: invalid peer certificate: BadSignature",
            "--ca-file",
        ),
        (
            "TLS handshake failed: invalid peer certificate: Other(OtherError(CaUsedAsEndEntity))",
            "CA:FALSE",
        ),
        (
            "TLS handshake failed: invalid peer certificate: Revoked",
            "--insecure",
        ),
        (
            "TLS handshake failed: received corrupt message of type InvalidContentType",
            "http://",
        ),
        (
            "TLS handshake failed: received fatal alert: HandshakeFailure",
            "TLS settings",
        ),
        ("TLS handshake failed: tls handshake eof", "https"),
        (
            "the server's answer is not HTTP/1.1: it begins with \"\\u{15}\\u{3}\\u{1}\"",
            "https://",
        ),
        (
            "the server's answer is not HTTP/1.1: it begins with \"SSH\"",
            "port",
        ),
        ("the server closed the connection without an answer", "log"),
        (
            "the server closed the connection in the middle of the answer",
            "gateways",
        ),
        (
            "the server answered with text/html instead of JSON or an event stream: x",
            "site",
        ),
        ("the answer is encoded as br", "gzip"),
        ("the stream ended without a single event", "--endpoint"),
        ("the answer is not valid JSON", "--endpoint"),
        (
            "HTTP 307 Temporary Redirect: redirected to https://x",
            "--base-url",
        ),
        (
            "HTTP 400 Bad Request: Client sent an HTTP request to an HTTPS server.",
            "https://",
        ),
        (
            "HTTP 400 Bad Request: The plain HTTP request was sent to HTTPS port",
            "https://",
        ),
        ("HTTP 400 Bad Request: no", "payload"),
        ("HTTP 407 Proxy", "user:password"),
        ("HTTP 413 Content Too Large", "smaller"),
        ("HTTP 422 Unprocessable", "--model"),
        ("HTTP 429 Too Many Requests", "rate limit"),
        ("HTTP 500 Internal Server Error", "log"),
        ("HTTP 503 Service Unavailable", "log"),
        ("HTTP 504 Gateway Timeout", "time limit"),
    ] {
        let remedy = remedy(&seen(error));
        assert!(remedy.contains(part), "{error}: {remedy}");
    }
    for error in ["something else", "HTTP", "HTTP x", "HTTP 299 ?", ""] {
        assert_eq!(diagnose(&seen(error)), None, "{error}");
    }
}
