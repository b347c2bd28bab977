//! What failures mostly mean, and what to do about them: the one place that knows.

use std::io;

use serde::Serialize;

use crate::base::failure::{Failure, FailureKind};
use crate::base::setting::Setting;
use llmeter_wire::http1::HttpError;
use llmeter_wire::http2::NoHttp2;
use llmeter_wire::{ConnectError, Phase, TlsErrorKind};

/// A failure, and what is known around it.
#[derive(Debug, Clone, Copy)]
pub struct FailureContext<'a> {
    /// The failure.
    pub failure: &'a Failure,
    /// Whether the server is reached with TLS.
    pub is_encrypted: bool,
    /// Path and query of the request.
    pub target: Option<&'a str>,
    /// Where the key comes from, for an endpoint that takes one.
    pub key: Option<&'a ApiKeyVariable>,
    /// Whether the failure is one among many requests.
    pub is_load: bool,
}

impl<'a> FailureContext<'a> {
    /// A failure of which nothing more is known.
    pub fn of(failure: &'a Failure) -> Self {
        Self {
            failure,
            is_encrypted: false,
            target: None,
            key: None,
            is_load: false,
        }
    }
}

/// The environment variable that holds an endpoint's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKeyVariable {
    /// Its name.
    pub name: String,
    /// Whether it is set.
    pub is_set: bool,
}

/// What is most likely wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnosis {
    /// What happened, in a few plain words.
    pub cause: String,
    /// What to do. Settings are in backticks.
    pub remedy: String,
}

impl Diagnosis {
    /// The same with settings called as `name` says.
    #[must_use]
    pub fn with_setting_names(self, name: &dyn Fn(Setting) -> String) -> Self {
        Self {
            remedy: Setting::rename_all(&self.remedy, name),
            ..self
        }
    }
}

fn diagnosis(cause: &str, remedy: impl Into<String>) -> Option<Diagnosis> {
    Some(Diagnosis {
        cause: cause.to_owned(),
        remedy: remedy.into(),
    })
}

/// What a failure most likely means. `None` where the error itself says all there is.
pub fn diagnose(seen: &FailureContext<'_>) -> Option<Diagnosis> {
    use FailureKind as Kind;
    let failure = seen.failure;
    match failure.kind() {
        Kind::HttpStatus => of_status(failure.status()?, seen),
        Kind::Throttled => of_status(429, seen),
        Kind::Timeout => of_timeout(seen),
        Kind::Tls => of_handshake(failure),
        Kind::Dns => diagnosis(
            "no name server knows this host",
            "check the spelling in `base_url` (or `proxy`); a name within a company may need its VPN, its name \
             server, or its proxy (`proxy`)",
        ),
        Kind::Proxy => of_proxy(failure),
        Kind::ConnectionRefused | Kind::Unreachable => of_connection(failure),
        Kind::LocalLimit => {
            let resource = failure.lacking()?;
            let cause = format!("this machine has no {} left", resource.name());
            diagnosis(&cause, resource.remedy())
        }
        Kind::NoHttp2 => of_http2(failure),
        Kind::NoResponse => {
            let remedy = match seen.is_encrypted {
                true => "check the server's log; does it listen for HTTP at this port?",
                false => {
                    "check the server's log; does it listen for HTTP at this port, or for \
                     https://?"
                }
            };
            diagnosis(
                "the server closed the connection without a response",
                remedy,
            )
        }
        Kind::Truncated if failure.phase() == Some(Phase::Decode) => diagnosis(
            "the stream ended without its end mark: the server stopped early, or it speaks another API",
            "check the server's log, and check `endpoint`",
        ),
        Kind::Truncated => diagnosis(
            "the response was truncated: the server died, or something between has a time limit",
            "check the server's log, and at the time limits of gateways before it",
        ),
        Kind::Malformed => of_malformed(failure),
        Kind::WebPage => diagnosis(
            "a web page came instead of a response: a sign-in page, a proxy's page, or a website",
            "give the address of the API in `base_url`, not the site's; on a guest network, sign \
             in first",
        ),
        Kind::ContentEncoding => diagnosis(
            "the response is compressed in a way that is not read",
            "ask for gzip (`header` 'Accept-Encoding: gzip'), or turn compression off at the server",
        ),
        Kind::TooLarge => diagnosis(
            "the response is larger than what llmeter keeps of one",
            "ask for less (an output limit, fewer inputs), or raise `max_response_size`",
        ),
        Kind::Empty => diagnosis(
            "the server sent an empty response",
            "check that `endpoint` names the API that the server speaks, and `base_url` its \
             address, and check the server's log",
        ),
        _ => None,
    }
}

/// What to do about a proxy that does not serve.
const PROXY_REMEDY: &str = "check `proxy` or the variables HTTPS_PROXY, HTTP_PROXY and ALL_PROXY; `no_proxy` goes around it";

fn of_proxy(failure: &Failure) -> Option<Diagnosis> {
    let cause = match failure.cause() {
        Some(ConnectError::NoProxy { source, .. }) => match source.kind() {
            io::ErrorKind::ConnectionRefused => "nobody listens at the proxy's address and port",
            _ => "the proxy's address cannot be reached",
        },
        _ => "the proxy does not let the request through",
    };
    diagnosis(cause, PROXY_REMEDY)
}

fn of_http2(failure: &Failure) -> Option<Diagnosis> {
    let Some(ConnectError::NoHttp2(reason)) = failure.cause() else {
        return diagnosis(
            "the server does not speak HTTP/2",
            "leave out `http2` to use HTTP/1.1",
        );
    };
    match reason {
        NoHttp2::Silent(_) => diagnosis(
            "the server took the connection and said nothing to HTTP/2's preface: it waits for a request \
             of HTTP/1.1 or for TLS, is no HTTP server, or is too busy",
            "leave out `http2` to use HTTP/1.1; check host, port and http:// or https:// in `base_url`",
        ),
        NoHttp2::Closed | NoHttp2::Broken(_) => diagnosis(
            "the server took the connection and did not answer HTTP/2's preface with SETTINGS",
            "leave out `http2` to use HTTP/1.1; check host, port and http:// or https:// in `base_url`",
        ),
        NoHttp2::Http1 => diagnosis(
            "the server speaks HTTP/1.1 and, without TLS at least, no HTTP/2",
            "leave out `http2` to use HTTP/1.1",
        ),
        _ => diagnosis(
            "the server does not speak HTTP/2 over TLS",
            "leave out `http2` to use HTTP/1.1",
        ),
    }
}

fn of_connection(failure: &Failure) -> Option<Diagnosis> {
    if let Some(ConnectError::Unix { source, .. }) = failure.cause() {
        return match source.kind() {
            io::ErrorKind::NotFound => diagnosis(
                "there is no socket at this path",
                "start the server, and check the path in `base_url`",
            ),
            io::ErrorKind::PermissionDenied => diagnosis(
                "this user may not open the socket",
                "change the socket's permissions, or run llmeter as a user of its group",
            ),
            _ => diagnosis(
                "the socket is there, but nobody listens",
                "start the server: a socket stays behind when one crashes",
            ),
        };
    }
    if failure.kind() == FailureKind::ConnectionRefused {
        return diagnosis(
            "nobody listens at this address and port",
            "start the server, and check host and port in `base_url`; from within a container, \
             localhost is the container itself",
        );
    }
    diagnosis(
        "this address cannot be reached",
        "check the host in `base_url`, the network, VPN and firewalls; some networks need a proxy \
         (`proxy`)",
    )
}

fn of_handshake(failure: &Failure) -> Option<Diagnosis> {
    let problem = failure.cause().and_then(ConnectError::tls_error_kind);
    match problem {
        Some(TlsErrorKind::UnknownIssuer) => diagnosis(
            "the certificate is not signed by an authority that this machine trusts: it is \
             self-signed, or from a company's own authority or an intercepting proxy",
            "give the authority's certificate with `ca_file` FILE.pem; `insecure` accepts any \
             certificate, so the server's identity is not verified",
        ),
        Some(TlsErrorKind::AuthorityAsServer) => diagnosis(
            "the server shows an authority's certificate as its own, as self-signed ones often are",
            "give exactly that certificate with `ca_file`; `insecure` accepts any certificate, so the \
             server's identity is not verified",
        ),
        Some(TlsErrorKind::NotValidNow) => diagnosis(
            "the certificate is not valid today",
            "check this machine's clock; otherwise the server needs a new certificate (`insecure` \
             accepts any)",
        ),
        Some(TlsErrorKind::OtherName) => diagnosis(
            "the certificate is another host's",
            "use the name that the certificate is for in `base_url`; `insecure` accepts any \
             certificate",
        ),
        Some(TlsErrorKind::Certificate) => diagnosis(
            "the server's certificate is not one that can be trusted",
            "the server needs a valid certificate; `insecure` accepts any",
        ),
        Some(TlsErrorKind::NotTls) => diagnosis(
            "the server does not speak TLS at this port",
            "write http:// instead of https:// in `base_url`, or give the port of https",
        ),
        Some(TlsErrorKind::Alert) => diagnosis(
            "the server aborted the handshake: it does not serve this host name, or wants a client \
             certificate, an older TLS or other ciphers",
            "check the host in `base_url`, and the server's TLS settings",
        ),
        _ => diagnosis(
            "the connection was closed within the TLS handshake",
            "check that the server speaks https at this port (http:// in `base_url` otherwise), and \
             that no firewall is between",
        ),
    }
}

fn of_timeout(seen: &FailureContext<'_>) -> Option<Diagnosis> {
    match seen.failure.phase() {
        Some(Phase::Resolve | Phase::Connect) => diagnosis(
            "nothing responds at this address: a firewall drops what is sent, or the host is down",
            "check host and port in `base_url`, the network and VPN; some networks need a proxy \
             (`proxy`)",
        ),
        Some(Phase::Proxy) => diagnosis(
            "the proxy does not respond, or cannot reach the server",
            format!("{PROXY_REMEDY}; may the proxy connect to this host and port?"),
        ),
        Some(Phase::Tls) => diagnosis(
            "the server accepts the connection and does not respond to the TLS handshake",
            "check that it speaks https at this port; write http:// in `base_url` otherwise",
        ),
        _ if seen.is_load => diagnosis(
            "responses take longer than the timeout",
            "raise `timeout`, or use fewer `clients`",
        ),
        Some(Phase::Stream | Phase::Decode) => diagnosis(
            "the response started but did not finish before the timeout",
            "raise `timeout`, or ask for less (`max_tokens`)",
        ),
        Some(Phase::FirstToken) => diagnosis(
            "the response started, but no token arrived before the timeout",
            "raise `timeout`: the model may be working through the prompt; look at its queue and \
             log",
        ),
        _ => diagnosis(
            "the server took the request and did not respond in time",
            "raise `timeout`: a model may have to be loaded first; look at the server's queue and \
             log",
        ),
    }
}

/// Something else than HTTP, HTTP where TLS is spoken, or another API.
fn of_malformed(failure: &Failure) -> Option<Diagnosis> {
    /// A TLS alert, as it looks to who expects HTTP.
    const TLS_ALERT: [u8; 2] = [0x15, 3];
    match failure.cause() {
        Some(HttpError::NotHttp { begin }) if begin.starts_with(&TLS_ALERT) => speaks_tls(),
        Some(HttpError::NotHttp { .. } | HttpError::Head(_)) => diagnosis(
            "something else than an HTTP/1.1 server listens at this port",
            "check host and port in `base_url`",
        ),
        None if failure.phase() == Some(Phase::Decode) => diagnosis(
            "the response has another form than this API's",
            "check that `endpoint` names the API that the server speaks, and `base_url` its \
             address; without -stream an `endpoint` asks for a non-streaming response",
        ),
        _ => None,
    }
}

fn speaks_tls() -> Option<Diagnosis> {
    diagnosis(
        "the server speaks TLS at this port",
        "write https:// instead of http:// in `base_url`",
    )
}

/// What the server says in its own words is of help where a status has several causes.
fn of_status(status: u16, seen: &FailureContext<'_>) -> Option<Diagnosis> {
    let words = seen.failure.message().to_ascii_lowercase();
    let says = |word: &str| words.contains(word);
    // Of AWS's errors, whose requests are mostly signed, the endpoints say what there is to do.
    let key = seen.key.filter(|key| !key.name.starts_with("AWS_"));
    match status {
        300..400 => diagnosis(
            "the server sends requests elsewhere",
            "give the address that it names in `base_url`; redirects are not followed, since they \
             would be in every figure",
        ),
        400 if !seen.is_encrypted && says("https") && says("http request") => speaks_tls(),
        401 | 403 => {
            let key = key?;
            let (cause, state) = match (key.is_set, status) {
                (false, _) => ("the server wants a key, and none was sent", "it is not set"),
                (true, 403) => (
                    "the server knows the key, and it may not do this",
                    "is it right, and may it use this model?",
                ),
                (true, _) => ("the server does not take the key", "is it right?"),
            };
            diagnosis(
                cause,
                format!(
                    "check the API key in the variable {} ({state}; `api_key_env` names another)",
                    key.name
                ),
            )
        }
        404 if key.is_none() => diagnosis(
            "there is no such model or address",
            "check `region`, `model` and `base_url`",
        ),
        404 if says("model") => diagnosis(
            "the server does not have this model",
            "check `model`; `base_url` (written as the API's own SDK takes it) and `endpoint` are \
             probably right",
        ),
        404 | 405 => {
            let at = seen
                .target
                .map(|target| format!(" ({target})"))
                .unwrap_or_default();
            let hint = match seen.target {
                Some(target) if target.starts_with("/v1/") => "",
                Some(_) => ", often with /v1 at its end",
                None => "",
            };
            diagnosis(
                &format!("the server has nothing at this path{at}"),
                format!(
                    "check `base_url` (written as the API's own SDK takes it{hint}), `endpoint` \
                     and `model`"
                ),
            )
        }
        407 => diagnosis(
            "the proxy wants a user name and password",
            "give them in the proxy's URL: http://user:password@host:port; `no_proxy` goes around \
             it",
        ),
        408 | 504 => diagnosis(
            "the server or a gateway before it reached its time limit",
            match seen.is_load {
                true => {
                    "check the server's log and at the gateway's time limit, or use fewer \
                         `clients`"
                }
                false => "check the server's log, and at the gateway's time limit",
            },
        ),
        413 => diagnosis("the request is too large", "send smaller payloads"),
        400 | 422 if says("stream_options") || says("include_usage") => diagnosis(
            "the server does not take the request for usage at the end of streams",
            "leave it out with \"stream_options\": null in the payload (`extra` stream_options=null); \
             token counts are then estimates, marked as such",
        ),
        400 | 422 => diagnosis(
            match says("model") {
                true => "the server does not take this model, or something of the request",
                false => "the server does not take this request",
            },
            "check the payload and `model`",
        ),
        429 => diagnosis(
            "there are more requests, or tokens, than are allowed",
            match seen.is_load {
                true => "use fewer `clients`, or ask for a higher rate limit",
                false => "wait, check the account's balance, or ask for a higher rate limit",
            },
        ),
        500.. => diagnosis(
            match status {
                502 | 503 => "the gateway is there, but the model behind it is not ready",
                529 => "the provider is overloaded",
                _ => "the server failed",
            },
            match seen.is_load {
                true => "check the server's log, or use fewer `clients`",
                false => "check the server's log, or try again later",
            },
        ),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
