//! The heads of HTTP responses.

use crate::clock;

/// The head of a response, in whatever version of HTTP.
pub(crate) struct ResponseHead<'a> {
    pub(crate) status: u16,
    pub(crate) content_type: &'a str,
    /// `None`: the length is not known beforehand.
    pub(crate) length: Option<usize>,
    /// Its other headers.
    pub(crate) headers: &'a [(&'static str, String)],
}

impl<'a> ResponseHead<'a> {
    /// That of a response whose body is JSON.
    pub(crate) fn json(status: u16, headers: &'a [(&'static str, String)], body: &str) -> Self {
        Self {
            status,
            content_type: "application/json",
            length: Some(body.len()),
            headers,
        }
    }

    /// Headers that both versions of HTTP have.
    fn headers(&self) -> impl Iterator<Item = (&'static str, String)> {
        let date = clock::wall().strftime("%a, %d %b %Y %H:%M:%S GMT");
        let first = [
            ("date", date.to_string()),
            ("server", "llmeter-sim".to_owned()),
            ("content-type", self.content_type.to_owned()),
            match self.length {
                Some(length) => ("content-length", length.to_string()),
                None => ("cache-control", "no-cache".to_owned()),
            },
        ];
        first.into_iter().chain(self.headers.iter().cloned())
    }

    /// Writes it as HTTP/1.1; the caller adds the body.
    pub(crate) fn write(&self, is_chunked: bool, keep_alive: bool, out: &mut Vec<u8>) {
        let mut text = format!("HTTP/1.1 {} {}\r\n", self.status, reason(self.status));
        for (name, value) in self.headers() {
            text += &format!("{name}: {value}\r\n");
        }
        if is_chunked {
            text += "transfer-encoding: chunked\r\n";
        }
        text += if keep_alive {
            "connection: keep-alive\r\n\r\n"
        } else {
            "connection: close\r\n\r\n"
        };
        out.extend_from_slice(text.as_bytes());
    }

    /// The same for HTTP/2. `None` if a header cannot be sent.
    pub(crate) fn to_http2(&self) -> Option<http::Response<()>> {
        let builder = http::Response::builder().status(self.status);
        let builder = self.headers().fold(builder, |builder, (name, value)| {
            builder.header(name, value)
        });
        builder.body(()).ok()
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        413 => "Content Too Large",
        417 => "Expectation Failed",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        _ => "Unknown",
    }
}
