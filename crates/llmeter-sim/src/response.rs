//! The heads of HTTP answers.

use llmeter_wire::clock;

/// Starts an answer; the caller adds the body.
pub(crate) struct ResponseHead<'a> {
    pub(crate) status: u16,
    pub(crate) content_type: &'a str,
    /// `None`: the length is not known beforehand.
    pub(crate) length: Option<usize>,
    pub(crate) chunked: bool,
    pub(crate) keep_alive: bool,
    pub(crate) request_id: &'a str,
    /// The type of an error in AWS's form.
    pub(crate) aws_error_type: Option<&'a str>,
    /// The id of the request in AWS's form.
    pub(crate) aws_request_id: Option<&'a str>,
    /// The methods that a path does answer.
    pub(crate) allow: Option<&'a str>,
    /// Headers that only some APIs have.
    pub(crate) more: Vec<(&'static str, String)>,
}

impl ResponseHead<'_> {
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let mut text = format!(
            "HTTP/1.1 {} {}\r\ndate: {}\r\nserver: llmeter-sim\r\ncontent-type: {}\r\n\
             x-request-id: {}\r\n",
            self.status,
            reason(self.status),
            clock::wall().strftime("%a, %d %b %Y %H:%M:%S GMT"),
            self.content_type,
            self.request_id,
        );
        if let Some(kind) = self.aws_error_type {
            text += &format!("x-amzn-errortype: {kind}\r\n");
        }
        if let Some(id) = self.aws_request_id {
            text += &format!("x-amzn-requestid: {id}\r\n");
        }
        if let Some(length) = self.length {
            text += &format!("content-length: {length}\r\n");
        }
        if self.chunked {
            text += "transfer-encoding: chunked\r\n";
        }
        if self.length.is_none() {
            text += "cache-control: no-cache\r\n";
        }
        if let Some(methods) = self.allow {
            text += &format!("allow: {methods}\r\n");
        }
        for (name, value) in &self.more {
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
