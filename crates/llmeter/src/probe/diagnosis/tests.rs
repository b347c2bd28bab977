use super::*;

use llmeter_wire::http2::{Http2Error, NoHttp2};
use tokio_rustls::rustls::{self, AlertDescription, CertificateError, InvalidMessage};

/// A refusal with this status and these words.
fn refused(status: u16, words: &str) -> Failure {
    let mut failure = Failure::new(FailureKind::HttpStatus, words);
    failure.locate(Some(Phase::Head), Some(status));
    failure
}

#[test]
fn a_key_that_is_missing_is_told_from_one_that_is_refused() {
    let mut key = ApiKeyVariable {
        name: "MY_KEY".to_owned(),
        is_set: false,
    };
    let with = |key: &ApiKeyVariable, status| {
        let diagnosis = diagnose(&FailureContext {
            key: Some(key),
            ..FailureContext::of(&refused(status, "no"))
        })
        .unwrap();
        format!("{}: {}", diagnosis.cause, diagnosis.remedy)
    };
    let missing = with(&key, 401);
    assert!(
        missing.contains("none was sent") && missing.contains("MY_KEY (it is not set"),
        "{missing}"
    );
    key.is_set = true;
    let wrong = with(&key, 401);
    assert!(
        wrong.contains("does not take") && wrong.contains("is it right"),
        "{wrong}"
    );
    assert!(with(&key, 403).contains("may not"));
    // For AWS the endpoint's own message says more.
    key.name = "AWS_BEARER_TOKEN_BEDROCK".to_owned();
    let of_aws = |status| {
        diagnose(&FailureContext {
            key: Some(&key),
            ..FailureContext::of(&refused(status, "no"))
        })
    };
    assert_eq!(of_aws(403), None);
    let unknown = of_aws(404).unwrap();
    assert!(unknown.remedy.contains("`region`"));
}

#[test]
fn a_path_is_told_from_a_model() {
    let key = ApiKeyVariable {
        name: "K".to_owned(),
        is_set: true,
    };
    let at = |target, words| {
        diagnose(&FailureContext {
            target: Some(target),
            key: Some(&key),
            ..FailureContext::of(&refused(404, words))
        })
        .unwrap()
    };
    let path = at("/chat/completions", "page not found");
    assert!(
        path.cause.contains("/chat/completions") && path.remedy.contains("/v1"),
        "{path:?}"
    );
    let path = at("/v1/chat/completions", "");
    assert!(!path.remedy.contains("often with /v1"), "{path:?}");
    let model = at("/v1/chat/completions", "The model `x` does not exist");
    assert!(
        model.cause.contains("model") && model.remedy.contains("`model`"),
        "{model:?}"
    );
}

#[test]
fn timeouts_are_told_by_their_phase() {
    let of = |phase, is_load| {
        let failure = Failure::new(FailureKind::Timeout, "timed out after 2 s").in_phase(phase);
        diagnose(&FailureContext {
            is_load,
            ..FailureContext::of(&failure)
        })
        .unwrap()
    };
    assert!(of(Phase::Connect, false).remedy.contains("`base_url`"));
    assert!(of(Phase::Proxy, false).remedy.contains("`proxy`"));
    assert!(of(Phase::Tls, true).remedy.contains("http://"));
    let phases = [Phase::Head, Phase::FirstToken, Phase::Stream];
    let mut causes = phases.map(|phase| of(phase, false).cause);
    causes.sort();
    assert!(
        causes.windows(2).all(|pair| pair[0] != pair[1]),
        "{causes:?}"
    );
    for phase in phases {
        assert!(of(phase, true).remedy.contains("`clients`"));
    }
}

#[test]
fn one_remedy_for_each_kind_of_failure() {
    use io::ErrorKind as Io;
    let tcp = |reason: Io| ConnectError::Tcp("127.0.0.1:9".parse().unwrap(), reason.into()).into();
    let unix = |reason: Io| {
        let (path, source) = ("/x".into(), reason.into());
        ConnectError::Unix { path, source }.into()
    };
    let no_proxy = |reason: Io| {
        let (proxy, source) = ("http://p:1".into(), reason.into());
        ConnectError::NoProxy { proxy, source }.into()
    };
    let http2 = |reason: NoHttp2| ConnectError::from(reason).into();
    let tls = |reason| ConnectError::Tls(io::Error::other::<rustls::Error>(reason)).into();
    let certificate = |reason| tls(rustls::Error::InvalidCertificate(reason));
    let begins = |begin: &[u8]| {
        let begin = begin.to_vec();
        HttpError::NotHttp { begin }.into()
    };
    let new = |kind| Failure::new(kind, "no");
    let decoding = |kind| Failure::new(kind, "no").in_phase(Phase::Decode);
    let tunnel = ConnectError::Proxy {
        proxy: "http://p:1".into(),
        server: "h".into(),
        reason: "HTTP 403".into(),
    };
    for (failure, part) in [
        (new(FailureKind::Dns), "`base_url`"),
        (tcp(Io::ConnectionRefused), "start the server"),
        (tcp(Io::HostUnreachable), "VPN"),
        (tcp(Io::AddrNotAvailable), "TIME_WAIT"),
        (tcp(Io::OutOfMemory), "fewer `clients`"),
        (unix(Io::NotFound), "the path"),
        (unix(Io::ConnectionRefused), "start the server"),
        (unix(Io::PermissionDenied), "permissions"),
        (no_proxy(Io::ConnectionRefused), "`no_proxy`"),
        (tunnel.into(), "`no_proxy`"),
        (certificate(CertificateError::UnknownIssuer), "`ca_file`"),
        (certificate(CertificateError::BadSignature), "`ca_file`"),
        (certificate(CertificateError::Expired), "clock"),
        (certificate(CertificateError::NotValidForName), "the name"),
        (certificate(CertificateError::Revoked), "`insecure`"),
        (
            tls(InvalidMessage::InvalidContentType.into()),
            "http:// instead",
        ),
        (
            tls(rustls::Error::AlertReceived(
                AlertDescription::HandshakeFailure,
            )),
            "TLS settings",
        ),
        (
            ConnectError::Tls(Io::UnexpectedEof.into()).into(),
            "no firewall",
        ),
        (http2(NoHttp2::NotAgreed), "`http2`"),
        (http2(NoHttp2::Http1), "leave out `http2`"),
        (http2(NoHttp2::Silent(1.0)), "`base_url`"),
        (http2(NoHttp2::Closed), "`base_url`"),
        (begins(b"\x15\x03\x01"), "https://"),
        (begins(b"SSH"), "port"),
        (new(FailureKind::NoResponse), "log"),
        (new(FailureKind::Truncated), "gateways"),
        (Http2Error::Ended("it is gone".into()).into(), "gateways"),
        (decoding(FailureKind::Truncated), "check `endpoint`"),
        (new(FailureKind::WebPage), "site"),
        (new(FailureKind::ContentEncoding), "gzip"),
        (new(FailureKind::TooLarge), "`max_response_size`"),
        (new(FailureKind::Empty), "`endpoint`"),
        (decoding(FailureKind::Malformed), "`endpoint`"),
        (refused(307, "redirected to https://x"), "`base_url`"),
        (
            refused(400, "Client sent an HTTP request to an HTTPS server."),
            "https://",
        ),
        (
            refused(400, "The plain HTTP request was sent to HTTPS port"),
            "https://",
        ),
        (refused(400, "no"), "payload"),
        (refused(407, "Proxy"), "user:password"),
        (refused(413, "Content Too Large"), "smaller"),
        (refused(422, "Unprocessable"), "`model`"),
        (new(FailureKind::Throttled), "rate limit"),
        (refused(500, "Internal Server Error"), "log"),
        (refused(503, "Service Unavailable"), "log"),
        (refused(504, "Gateway Timeout"), "time limit"),
    ] {
        let seen = FailureContext::of(&failure);
        let diagnosis = diagnose(&seen).unwrap_or_else(|| panic!("{failure:?}"));
        assert!(
            diagnosis.remedy.contains(part),
            "{failure:?}: {diagnosis:?}"
        );
    }
    for failure in [
        new(FailureKind::Other),
        new(FailureKind::Callback),
        new(FailureKind::ServerError),
        refused(299, "?"),
        HttpError::Chunk("no").into(),
    ] {
        assert_eq!(diagnose(&FailureContext::of(&failure)), None, "{failure:?}");
    }
}

#[test]
fn a_server_that_refuses_stream_options_is_sent_none() {
    let words = "HTTP 422 Unprocessable Content: stream_options: Extra inputs are not permitted";
    let diagnosis = diagnose(&FailureContext::of(&refused(422, words))).unwrap();
    assert!(
        diagnosis.remedy.contains("\"stream_options\": null"),
        "{diagnosis:?}"
    );
}
