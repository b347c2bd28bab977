//! Requests as they came.

use std::borrow::Cow;
use std::io::{self, Read};

use crate::Reading;

/// A request as it came.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Request {
    /// The number of the request, from 0.
    pub number: usize,
    /// The number of the connection that brought it, from 0.
    pub connection: usize,
    /// The method; empty without HTTP.
    pub method: String,
    /// Path and query, as sent; empty without HTTP.
    pub target: String,
    /// The lines of the head, the first one included; none without HTTP.
    pub head: Vec<String>,
    /// The body; without HTTP all that came.
    pub body: Vec<u8>,
}

impl Request {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.iter().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// The body as text.
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.body)
    }

    /// Whether the client wants to use the connection again, as its `Connection` header and its
    /// version of HTTP say.
    pub fn keeps_connection(&self) -> bool {
        let connection = self.header("connection").unwrap_or_default();
        let options = || connection.split(',').map(str::trim);
        let says = |wanted| options().any(|option| option.eq_ignore_ascii_case(wanted));
        let is_old = self
            .head
            .first()
            .is_some_and(|line| line.ends_with("HTTP/1.0"));
        !says("close") && (!is_old || says("keep-alive"))
    }

    /// The next request; `None` if the client closes before it is complete.
    pub(crate) fn read(
        stream: &mut impl Read,
        unread: &mut Vec<u8>,
        reading: Reading,
    ) -> io::Result<Option<Self>> {
        let mut buffer = vec![0; 16 << 10];
        loop {
            if let Some((request, length)) = Self::parse(unread, reading)? {
                unread.drain(..length);
                return Ok(Some(request));
            }
            match stream.read(&mut buffer)? {
                0 => return Ok(None),
                count => unread.extend_from_slice(&buffer[..count]),
            }
        }
    }

    /// A request at the beginning of `bytes` and its length, once it is complete.
    fn parse(bytes: &[u8], reading: Reading) -> io::Result<Option<(Self, usize)>> {
        if let Reading::Bytes(is_complete) = reading {
            let request = || Self {
                body: bytes.to_vec(),
                ..Self::default()
            };
            return Ok(is_complete(bytes).then(|| (request(), bytes.len())));
        }
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
            return Ok(None);
        };
        let head = String::from_utf8_lossy(&bytes[..end]);
        let mut words = head.split(' ').map(str::to_owned);
        let mut request = Self {
            method: words.next().unwrap_or_default(),
            target: words.next().unwrap_or_default(),
            head: head.split("\r\n").map(str::to_owned).collect(),
            ..Self::default()
        };
        let content = &bytes[end + 4..];
        let is_chunked = request.header("transfer-encoding").is_some();
        let length = match request.header("content-length").map(str::parse) {
            _ if matches!(reading, Reading::HttpHead) => 0,
            _ if is_chunked => match chunks(content, &mut request.body)? {
                Some(length) => return Ok(Some((request, end + 4 + length))),
                None => return Ok(None),
            },
            None => 0,
            Some(length) => length.map_err(invalid)?,
        };
        let Some(body) = content.get(..length) else {
            return Ok(None);
        };
        request.body = body.to_vec();
        Ok(Some((request, end + 4 + length)))
    }
}

/// Puts a chunked body together and says how long it is as sent, once it is complete.
fn chunks(content: &[u8], body: &mut Vec<u8>) -> io::Result<Option<usize>> {
    let mut at = 0;
    loop {
        let rest = &content[at..];
        let Some(line) = rest.windows(2).position(|two| two == b"\r\n") else {
            return Ok(None);
        };
        let size = String::from_utf8_lossy(&rest[..line]);
        let size = usize::from_str_radix(size.trim(), 16).map_err(invalid)?;
        let Some(chunk) = rest.get(line + 2..line + 2 + size + 2) else {
            return Ok(None);
        };
        body.extend_from_slice(&chunk[..size]);
        at += line + 2 + size + 2;
        if size == 0 {
            return Ok(Some(at));
        }
    }
}

fn invalid(error: std::num::ParseIntError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Option<(Request, usize)> {
        Request::parse(text.as_bytes(), Reading::Http).unwrap()
    }

    #[test]
    fn a_request_is_complete_with_its_last_byte() {
        for text in [
            "POST /a?b HTTP/1.1\r\nHost: x\r\ncontent-length: 5\r\n\r\nhello",
            "POST /a?b HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
        ] {
            for end in 0..text.len() {
                assert_eq!(parse(&text[..end]), None, "{end}");
            }
            let (request, length) = parse(&format!("{text}more")).unwrap();
            assert_eq!(length, text.len());
            assert_eq!((&*request.method, &*request.target), ("POST", "/a?b"));
            assert_eq!(request.text(), "hello");
            assert!(request.keeps_connection());
        }
        let (request, _) = parse("GET / HTTP/1.1\r\nConnection: x, Close\r\n\r\n").unwrap();
        assert_eq!(request.head.len(), 2);
        assert!(!request.keeps_connection());
        let (request, _) = parse("GET / HTTP/1.0\r\n\r\n").unwrap();
        assert!(!request.keeps_connection());
        let (request, _) = parse("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n").unwrap();
        assert!(request.keeps_connection());
    }
}
