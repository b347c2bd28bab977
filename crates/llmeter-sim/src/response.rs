//! The heads of HTTP responses.

use crate::clock;

/// Starts a response; the caller adds the body.
pub(crate) struct ResponseHead<'a> {
    pub(crate) status: u16,
    pub(crate) content_type: &'a str,
    /// `None`: the length is not known beforehand.
    pub(crate) length: Option<usize>,
    pub(crate) chunked: bool,
    pub(crate) keep_alive: bool,
    /// Its other headers.
    pub(crate) headers: &'a [(&'static str, String)],
}

impl ResponseHead<'_> {
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let mut text = format!(
            "HTTP/1.1 {} {}\r\ndate: {}\r\nserver: llmeter-sim\r\ncontent-type: {}\r\n",
            self.status,
            reason(self.status),
            clock::wall().strftime("%a, %d %b %Y %H:%M:%S GMT"),
            self.content_type,
        );
        if let Some(length) = self.length {
            text += &format!("content-length: {length}\r\n");
        }
        if self.chunked {
            text += "transfer-encoding: chunked\r\n";
        }
        if self.length.is_none() {
            text += "cache-control: no-cache\r\n";
        }
        for (name, value) in self.headers {
            text += &format!("{name}: {value}\r\n");
        }
        text += if self.keep_alive {
            "connection: keep-alive\r\n\r\n"
        } else {
            "connection: close\r\n\r\n"
        };
        out.extend_from_slice(text.as_bytes());
    }
}

/// A response with a body of JSON, of which a request by HEAD gets none.
pub(crate) fn json(
    status: u16,
    keep_alive: bool,
    headers: &[(&'static str, String)],
    body: &str,
    is_head: bool,
) -> Vec<u8> {
    let mut out = Vec::with_capacity(512 + body.len());
    ResponseHead {
        status,
        content_type: "application/json",
        length: Some(body.len()),
        chunked: false,
        keep_alive,
        headers,
    }
    .write(&mut out);
    if !is_head {
        out.extend_from_slice(body.as_bytes());
    }
    out
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
