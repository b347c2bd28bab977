//! HTTP/1.1 from bytes to requests.
//!
//! Belongs here: the head of a request and the framing of its body, as pure functions of bytes.
//! Reading the bytes is `incoming`'s business, responding is `connection`'s.

use httparse::Status;

/// Longest head.
pub(crate) const MAX_HEAD: usize = 64 << 10;
/// Longest body: a few images in base64.
pub(crate) const MAX_BODY: u64 = 64 << 20;
const MAX_HEADERS: usize = 128;

/// Why bytes are no request. The connection cannot be used any further.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reject {
    Malformed(String),
    HeadTooLarge,
    BodyTooLarge,
    Expectation,
    TransferEncoding,
}

impl Reject {
    fn malformed(reason: impl Into<String>) -> Self {
        Self::Malformed(reason.into())
    }
}

/// How the body's end is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    Length(u64),
    Chunked,
}

/// The head of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) method: String,
    /// Path and query, as sent.
    pub(crate) target: String,
    pub(crate) http11: bool,
    pub(crate) keep_alive: bool,
    pub(crate) expects_continue: bool,
    pub(crate) framing: Framing,
    pub(crate) authorization: Option<String>,
    /// All headers, names in lower case, if the request is signed as AWS wants it.
    pub(crate) signed: Vec<(String, String)>,
    /// A key in a header of its own.
    pub(crate) api_key: Option<String>,
    /// Headers whose name begins with `x-sim-`, in lower case.
    pub(crate) overrides: Vec<(String, String)>,
}

impl Head {
    fn new(method: &str, target: &str) -> Self {
        Self {
            method: method.to_owned(),
            target: target.to_owned(),
            http11: true,
            keep_alive: true,
            expects_continue: false,
            framing: Framing::Length(0),
            authorization: None,
            signed: Vec::new(),
            api_key: None,
            overrides: Vec::new(),
        }
    }

    /// The head of a request by HTTP/2.
    pub(crate) fn of_http2(parts: &http::request::Parts) -> Self {
        let uri = &parts.uri;
        let target = uri.path_and_query().map_or("/", |target| target.as_str());
        let mut head = Self::new(parts.method.as_str(), target);
        let headers = parts.headers.iter();
        let headers = headers.map(|(name, value)| (name.as_str(), value.as_bytes()));
        // What was signed as `host` comes as the authority.
        let authority = uri.authority().map(|it| ("host", it.as_str().as_bytes()));
        let headers: Vec<_> = headers.chain(authority).collect();
        head.note_signed(&headers);
        for (name, value) in headers {
            head.note(name, String::from_utf8_lossy(value).trim());
        }
        head
    }

    /// Takes what is wanted of the headers, whatever the version of HTTP; `name` in lower case.
    fn note(&mut self, name: &str, value: &str) {
        match name {
            "api-key" | "x-api-key" | "x-goog-api-key" => self.api_key = Some(value.to_owned()),
            "authorization" => self.authorization = Some(value.to_owned()),
            name if name.starts_with("x-sim-") => {
                self.overrides.push((name.to_owned(), value.to_owned()));
            }
            _ => {}
        }
    }

    /// Keeps all headers if the request is signed.
    fn note_signed(&mut self, headers: &[(&str, &[u8])]) {
        let is_signature = |(name, value): &(&str, &[u8])| {
            name.eq_ignore_ascii_case("authorization") && value.starts_with(b"AWS4-")
        };
        if headers.iter().any(is_signature) {
            let kept = headers.iter().map(|(name, value)| {
                let value = String::from_utf8_lossy(value).into_owned();
                (name.to_ascii_lowercase(), value)
            });
            self.signed = kept.collect();
        }
    }

    /// The path without its query.
    pub(crate) fn path(&self) -> &str {
        self.target.split(['?', '#']).next().unwrap_or_default()
    }
}

/// The head at the beginning of `bytes` and its length, once it is complete.
pub(crate) fn parse_head(bytes: &[u8]) -> Result<Option<(Head, usize)>, Reject> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let length = match request.parse(bytes) {
        Ok(Status::Complete(length)) if length <= MAX_HEAD => length,
        Ok(Status::Partial) if bytes.len() <= MAX_HEAD => return Ok(None),
        Ok(_) | Err(httparse::Error::TooManyHeaders) => return Err(Reject::HeadTooLarge),
        Err(error) => return Err(Reject::malformed(error.to_string())),
    };
    let http11 = request.version == Some(1);
    let (method, target) = (request.method, request.path);
    let mut head = Head::new(method.unwrap_or_default(), target.unwrap_or_default());
    head.http11 = http11;
    head.keep_alive = http11;
    let mut length_seen: Option<u64> = None;
    let mut chunked = false;
    let headers = request.headers.iter();
    let headers: Vec<_> = headers.map(|header| (header.name, header.value)).collect();
    head.note_signed(&headers);
    for header in request.headers {
        let name = header.name.to_ascii_lowercase();
        let value = String::from_utf8_lossy(header.value);
        let value = value.trim();
        match name.as_str() {
            "content-length" => {
                let length = parse_length(value)?;
                if length_seen.is_some_and(|seen| seen != length) {
                    return Err(Reject::malformed("two different Content-Length headers"));
                }
                length_seen = Some(length);
            }
            "transfer-encoding" if value.eq_ignore_ascii_case("chunked") && !chunked => {
                chunked = true;
            }
            "transfer-encoding" => return Err(Reject::TransferEncoding),
            "connection" => {
                for option in value.split(',').map(str::trim) {
                    if option.eq_ignore_ascii_case("close") {
                        head.keep_alive = false;
                    } else if option.eq_ignore_ascii_case("keep-alive") && !http11 {
                        head.keep_alive = true;
                    }
                }
            }
            "expect" if value.eq_ignore_ascii_case("100-continue") => {
                head.expects_continue = http11;
            }
            "expect" => return Err(Reject::Expectation),
            name => head.note(name, value),
        }
    }
    head.framing = match (chunked, length_seen) {
        // Whoever believes one header and whoever believes the other see different requests.
        (true, Some(_)) => {
            return Err(Reject::malformed(
                "both Content-Length and Transfer-Encoding",
            ));
        }
        (true, None) => Framing::Chunked,
        (false, length) => Framing::Length(length.unwrap_or(0)),
    };
    if matches!(head.framing, Framing::Length(length) if length > MAX_BODY) {
        return Err(Reject::BodyTooLarge);
    }
    Ok(Some((head, length)))
}

fn parse_length(value: &str) -> Result<u64, Reject> {
    if value.is_empty() || !value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Reject::malformed("Content-Length is not a number"));
    }
    value.parse().map_err(|_| Reject::BodyTooLarge)
}

/// Takes a body out of the bytes that follow a head, however they are split.
#[derive(Debug)]
pub(crate) struct BodyDecoder {
    body: Vec<u8>,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// A body of known length lacks this many bytes.
    Plain(u64),
    /// A line with a chunk's size comes next.
    Size,
    /// A chunk lacks this many bytes.
    Data(u64),
    /// The line end after a chunk comes next.
    DataEnd,
    /// Trailer lines, of which this many bytes have come, up to an empty one.
    Trailer(usize),
    Done,
}

impl BodyDecoder {
    pub(crate) fn new(framing: Framing) -> Self {
        let state = match framing {
            Framing::Length(0) => State::Done,
            Framing::Length(length) => State::Plain(length),
            Framing::Chunked => State::Size,
        };
        Self {
            body: Vec::new(),
            state,
        }
    }

    pub(crate) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    pub(crate) fn into_body(self) -> Vec<u8> {
        self.body
    }

    /// Takes what it can from `input` and says how much that was.
    pub(crate) fn feed(&mut self, input: &[u8]) -> Result<usize, Reject> {
        let mut used = 0;
        loop {
            let rest = &input[used..];
            match self.state {
                State::Done => return Ok(used),
                State::Plain(missing) | State::Data(missing) => {
                    let take = rest
                        .len()
                        .min(usize::try_from(missing).unwrap_or(usize::MAX));
                    self.body.extend_from_slice(&rest[..take]);
                    used += take;
                    let missing = missing - take as u64;
                    let plain = matches!(self.state, State::Plain(_));
                    self.state = match (plain, missing) {
                        (true, 0) => State::Done,
                        (false, 0) => State::DataEnd,
                        (true, _) => State::Plain(missing),
                        (false, _) => State::Data(missing),
                    };
                    if missing > 0 {
                        return Ok(used);
                    }
                }
                State::Size => {
                    let size = match httparse::parse_chunk_size(rest) {
                        Ok(Status::Complete((length, size))) => {
                            used += length;
                            size
                        }
                        Ok(Status::Partial) if rest.len() <= MAX_HEAD => return Ok(used),
                        Ok(Status::Partial) => return Err(Reject::HeadTooLarge),
                        Err(_) => return Err(Reject::malformed("invalid chunk size")),
                    };
                    if size.saturating_add(self.body.len() as u64) > MAX_BODY {
                        return Err(Reject::BodyTooLarge);
                    }
                    self.state = match size {
                        0 => State::Trailer(0),
                        size => State::Data(size),
                    };
                }
                State::DataEnd => match rest {
                    [b'\r', b'\n', ..] => {
                        used += 2;
                        self.state = State::Size;
                    }
                    [] | [b'\r'] => return Ok(used),
                    _ => return Err(Reject::malformed("a chunk is longer than its size")),
                },
                State::Trailer(seen) => {
                    let Some(line) = rest.iter().position(|byte| *byte == b'\n') else {
                        if seen + rest.len() > MAX_HEAD {
                            return Err(Reject::HeadTooLarge);
                        }
                        return Ok(used);
                    };
                    used += line + 1;
                    self.state = match &rest[..line] {
                        [] | [b'\r'] => State::Done,
                        _ if seen + line > MAX_HEAD => return Err(Reject::HeadTooLarge),
                        _ => State::Trailer(seen + line + 1),
                    };
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(text: &str) -> Result<Option<(Head, usize)>, Reject> {
        parse_head(text.as_bytes())
    }

    #[test]
    fn a_head_is_complete_only_with_its_last_byte() {
        let text = "POST /v1/chat/completions?x=1 HTTP/1.1\r\nHost: a\r\nContent-Length: 12\r\n\
                    Authorization: Bearer k\r\nX-Sim-Fault: stall\r\nExpect: 100-continue\r\n\r\n";
        for end in 0..text.len() {
            assert_eq!(head(&text[..end]), Ok(None), "{end}");
        }
        let (parsed, length) = head(&format!("{text}body")).unwrap().unwrap();
        assert_eq!(length, text.len());
        assert_eq!(parsed.path(), "/v1/chat/completions");
        assert_eq!(parsed.framing, Framing::Length(12));
        assert_eq!(parsed.authorization.as_deref(), Some("Bearer k"));
        assert_eq!(parsed.overrides, [("x-sim-fault".into(), "stall".into())]);
        assert!(parsed.keep_alive && parsed.expects_continue && parsed.http11);
    }

    #[test]
    fn keep_alive_follows_version_and_header() {
        let keeps = |text: &str| head(text).unwrap().unwrap().0.keep_alive;
        assert!(keeps("GET / HTTP/1.1\r\n\r\n"));
        assert!(!keeps("GET / HTTP/1.1\r\nConnection: foo, Close\r\n\r\n"));
        assert!(!keeps("GET / HTTP/1.0\r\n\r\n"));
        assert!(keeps("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"));
    }

    #[test]
    fn ambiguous_and_oversized_heads_are_rejected() {
        let post = |headers: &str| head(&format!("POST / HTTP/1.1\r\n{headers}\r\n")).unwrap_err();
        assert!(matches!(
            post("Content-Length: 1\r\nContent-Length: 2\r\n"),
            Reject::Malformed(_)
        ));
        assert!(matches!(
            post("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n"),
            Reject::Malformed(_)
        ));
        assert!(matches!(
            post("Content-Length: +1\r\n"),
            Reject::Malformed(_)
        ));
        assert_eq!(
            post("Content-Length: 99999999999999999999999\r\n"),
            Reject::BodyTooLarge
        );
        assert_eq!(
            post("Transfer-Encoding: gzip\r\n"),
            Reject::TransferEncoding
        );
        assert_eq!(post("Expect: tea\r\n"), Reject::Expectation);
        let long = format!("GET / HTTP/1.1\r\nA: {}", "x".repeat(MAX_HEAD));
        assert_eq!(head(&long), Err(Reject::HeadTooLarge));
        assert!(matches!(
            head("hello there\r\n\r\n"),
            Err(Reject::Malformed(_))
        ));
    }

    #[test]
    fn a_chunked_body_comes_out_whole_however_it_is_split() {
        let wire = b"5;ext=1\r\nhello\r\n1\r\n \r\nA\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\nNEXT";
        for split in 0..wire.len() {
            let mut decoder = BodyDecoder::new(Framing::Chunked);
            let mut used = decoder.feed(&wire[..split]).unwrap();
            used += decoder.feed(&wire[used..]).unwrap();
            assert!(decoder.is_done(), "{split}");
            assert_eq!(&wire[used..], b"NEXT");
            assert_eq!(decoder.into_body(), b"hello 0123456789");
        }
    }

    #[test]
    fn broken_chunks_are_rejected() {
        let feed = |wire: &[u8]| BodyDecoder::new(Framing::Chunked).feed(wire).unwrap_err();
        assert!(matches!(feed(b"xyz\r\n"), Reject::Malformed(_)));
        assert!(matches!(feed(b"1\r\nabc"), Reject::Malformed(_)));
        assert_eq!(feed(b"fffffffffff\r\n"), Reject::BodyTooLarge);
    }
}
