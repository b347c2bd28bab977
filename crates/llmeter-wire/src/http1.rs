//! HTTP/1.1 without a socket: a request's bytes, and an incremental reader of responses.
//!
//! Written out instead of taken from an HTTP library, so that every byte of a body can be traced
//! to the read that brought it: a library hands a body's parts over after the read, when the next
//! read may already have been made.

use secrecy::ExposeSecret;

use crate::{HttpRequest, Proxy, ResponseHead, Server};

/// Longest head of a response.
pub const MAX_HEAD: usize = 64 * 1024;
/// The maximum of header lines of a response.
const MAX_HEADERS: usize = 128;
/// The maximum of interim responses (status 1xx) before the response.
const MAX_INTERIM: u32 = 64;
/// Longest extension of a chunk, and longest trailers, in bytes.
const MAX_CHUNK_LINE: u32 = MAX_HEAD as u32;

/// The bytes of a request, head and body. A proxy that leads to a server without encryption is asked
/// for the whole address; to one with, the request goes through its tunnel as it is.
pub fn encode_request(
    server: &Server,
    proxy: Option<&Proxy>,
    method: &str,
    request: &HttpRequest,
) -> Vec<u8> {
    let proxy = proxy.filter(|_| !server.tls);
    let mut bytes = Vec::with_capacity(512 + request.body.len());
    bytes.extend_from_slice(method.as_bytes());
    bytes.push(b' ');
    if proxy.is_some() {
        bytes.extend_from_slice(b"http://");
        bytes.extend_from_slice(server.authority.as_bytes());
    }
    bytes.extend_from_slice(request.target.as_bytes());
    bytes.extend_from_slice(b" HTTP/1.1\r\nHost: ");
    bytes.extend_from_slice(server.authority.as_bytes());
    if let Some(authorization) = proxy.and_then(Proxy::authorization) {
        bytes.extend_from_slice(b"\r\nProxy-Authorization: ");
        bytes.extend_from_slice(authorization.expose_secret().as_bytes());
    }
    for (name, value) in &request.headers {
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(name.as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value.expose_secret().as_bytes());
    }
    bytes.extend_from_slice(b"\r\nContent-Length: ");
    bytes.extend_from_slice(request.body.len().to_string().as_bytes());
    bytes.extend_from_slice(b"\r\n\r\n");
    bytes.extend_from_slice(&request.body);
    bytes
}

/// Why bytes are no HTTP response.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HttpError {
    /// The server speaks something else.
    #[error(
        "the server's response is not HTTP/1.1: it begins with {:?}",
        String::from_utf8_lossy(begin)
    )]
    NotHttp {
        /// The first bytes that came.
        begin: Vec<u8>,
    },
    /// The head is malformed.
    #[error("the server's response is not HTTP/1.1: {0}")]
    Head(String),
    /// The head does not end.
    #[error("the response's headers are longer than {MAX_HEAD} bytes")]
    HeadTooLong,
    /// The chunked encoding is malformed.
    #[error("the response's chunked encoding is broken: {0}")]
    Chunk(&'static str),
    /// The body's length cannot be known.
    #[error("the response's length is ambiguous: {0}")]
    Length(String),
}

/// Reads one response, however its bytes are split.
#[derive(Debug, Default)]
pub struct ResponseReader {
    state: State,
    head_bytes: Vec<u8>,
    head: Option<ResponseHead>,
    interim: u32,
    keeps_alive: bool,
    /// Whether line ends before the head belong to the response before.
    skips_line_ends: bool,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Head,
    Length(u64),
    Chunked(ChunkState),
    UntilClose,
    Done,
}

/// Where the reader stands in a chunked body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ChunkState {
    Size {
        size: u64,
        digits: u8,
    },
    Extension {
        size: u64,
        length: u32,
    },
    SizeEnd {
        size: u64,
    },
    Data {
        left: u64,
    },
    DataCr,
    DataLf,
    /// `length` counts all trailers.
    Trailer {
        line_is_empty: bool,
        length: u32,
    },
    TrailerEnd {
        line_is_empty: bool,
        length: u32,
    },
}

/// How many chunks are read before their caller looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Chunks {
    All,
    One,
}

const CHUNK_START: ChunkState = ChunkState::Size { size: 0, digits: 0 };

impl ResponseReader {
    /// A reader for one response.
    pub fn new() -> Self {
        Self::default()
    }

    /// A reader for a response that follows another on its connection. Some servers end a body with
    /// a line end too many, which is passed over.
    pub fn after_another() -> Self {
        Self {
            skips_line_ends: true,
            ..Self::default()
        }
    }

    /// Reads on. Body bytes are appended to `body`. Returns how many bytes belong to this response:
    /// fewer than given only when the response is over.
    ///
    /// # Errors
    /// When the bytes are no HTTP response. The reader is of no use afterwards.
    pub fn feed(&mut self, bytes: &[u8], body: &mut Vec<u8>) -> Result<usize, HttpError> {
        let mut used = 0;
        while used < bytes.len() && !self.is_done() {
            used += self.feed_part(&bytes[used..], body, Chunks::All)?;
        }
        Ok(used)
    }

    /// As [`feed`](Self::feed), and stops after the head and after the data of each chunk, so that what was
    /// appended to `body` lies in one piece just before what was used.
    ///
    /// # Errors
    /// As [`feed`](Self::feed).
    pub fn feed_piece(&mut self, bytes: &[u8], body: &mut Vec<u8>) -> Result<usize, HttpError> {
        match self.is_done() {
            true => Ok(0),
            false => self.feed_part(bytes, body, Chunks::One),
        }
    }

    fn feed_part(
        &mut self,
        bytes: &[u8],
        body: &mut Vec<u8>,
        chunks: Chunks,
    ) -> Result<usize, HttpError> {
        Ok(match &mut self.state {
            State::Head => self.feed_head(bytes)?,
            State::Length(left) => {
                let take = bytes
                    .len()
                    .min(usize::try_from(*left).unwrap_or(usize::MAX));
                body.extend_from_slice(&bytes[..take]);
                *left -= take as u64;
                if *left == 0 {
                    self.state = State::Done;
                }
                take
            }
            State::Chunked(chunk) => {
                let (take, is_done) = feed_chunks(chunk, bytes, body, chunks)?;
                if is_done {
                    self.state = State::Done;
                }
                take
            }
            State::UntilClose => {
                body.extend_from_slice(bytes);
                bytes.len()
            }
            State::Done => 0,
        })
    }

    /// The head, once it is complete.
    pub fn head(&self) -> Option<&ResponseHead> {
        self.head.as_ref()
    }

    /// Whether the response is complete.
    pub fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    /// Whether the end of the connection is a proper end of this response.
    pub fn may_end_at_close(&self) -> bool {
        matches!(self.state, State::UntilClose | State::Done)
    }

    /// Whether any byte of the response has come.
    pub fn has_begun(&self) -> bool {
        self.head.is_some() || !self.head_bytes.is_empty()
    }

    /// Whether the connection may carry another request after this response.
    pub fn keeps_alive(&self) -> bool {
        self.is_done() && self.keeps_alive
    }

    /// Keeps the connection from carrying another request.
    pub fn forbid_reuse(&mut self) {
        self.keeps_alive = false;
    }

    fn feed_head(&mut self, bytes: &[u8]) -> Result<usize, HttpError> {
        let before = self.head_bytes.len();
        if self.skips_line_ends && before == 0 {
            let is_line_end = |byte: &u8| matches!(byte, b'\r' | b'\n');
            let skipped = bytes.iter().take_while(|byte| is_line_end(byte)).count();
            if skipped > 0 {
                return Ok(skipped);
            }
        }
        // Only the part that may complete the blank line is searched again.
        self.head_bytes.extend_from_slice(bytes);
        let Some(end) = head_end(&self.head_bytes, before.saturating_sub(3)) else {
            if self.head_bytes.len() > MAX_HEAD {
                return Err(HttpError::HeadTooLong);
            }
            check_first_bytes(&self.head_bytes)?;
            return Ok(bytes.len());
        };
        check_first_bytes(&self.head_bytes)?;
        if end > MAX_HEAD {
            return Err(HttpError::HeadTooLong);
        }
        let head_bytes = std::mem::take(&mut self.head_bytes);
        self.read_head(&head_bytes[..end])?;
        Ok(end - before)
    }

    fn read_head(&mut self, bytes: &[u8]) -> Result<(), HttpError> {
        let mut lines = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut parsed = httparse::Response::new(&mut lines);
        match parsed.parse(bytes) {
            Ok(httparse::Status::Complete(_)) => {}
            Ok(httparse::Status::Partial) => {
                return Err(HttpError::Head("it breaks off".to_owned()));
            }
            Err(reason) => return Err(HttpError::Head(reason.to_string())),
        }
        let status = parsed.code.unwrap_or(0);
        if (100..200).contains(&status) && status != 101 {
            self.interim += 1;
            if self.interim > MAX_INTERIM {
                let reason = format!("more than {MAX_INTERIM} interim responses");
                return Err(HttpError::Head(reason));
            }
            return Ok(()); // An interim response: the real head follows.
        }
        let mut head = ResponseHead::new(status);
        let mut length: Option<u64> = None;
        let mut is_chunked = false;
        self.keeps_alive = parsed.version == Some(1);
        for line in parsed.headers.iter() {
            head.add(line.name, line.value);
            let value = || String::from_utf8_lossy(line.value).trim().to_owned();
            let is = |name: &str| line.name.eq_ignore_ascii_case(name);
            if is("content-length") {
                let value = value();
                // A sign would pass for a number elsewhere.
                let is_number = value.bytes().all(|byte| byte.is_ascii_digit());
                let this: u64 = Some(&value)
                    .filter(|_| is_number)
                    .and_then(|value| value.parse().ok())
                    .ok_or_else(|| HttpError::Length(format!("Content-Length is {value:?}")))?;
                if length.is_some_and(|other| other != this) {
                    return Err(HttpError::Length("two different Content-Length".to_owned()));
                }
                length = Some(this);
            } else if is("transfer-encoding") {
                let value = value();
                if !value.eq_ignore_ascii_case("chunked") {
                    return Err(HttpError::Length(format!("Transfer-Encoding is {value:?}")));
                }
                is_chunked = true;
            } else if is("connection") {
                for option in value().split(',').map(str::trim) {
                    if option.eq_ignore_ascii_case("close") {
                        self.keeps_alive = false;
                    } else if option.eq_ignore_ascii_case("keep-alive") {
                        self.keeps_alive = true;
                    }
                }
            }
        }
        if is_chunked && length.is_some() {
            let reason = "both Content-Length and Transfer-Encoding";
            return Err(HttpError::Length(reason.to_owned()));
        }
        self.state = match (status, is_chunked, length) {
            (204 | 304, ..) => State::Done,
            (_, true, _) => State::Chunked(CHUNK_START),
            (_, false, Some(0)) => State::Done,
            (_, false, Some(length)) => State::Length(length),
            (_, false, None) => {
                self.keeps_alive = false;
                State::UntilClose
            }
        };
        self.head = Some(head);
        Ok(())
    }
}

/// The index just past the blank line that ends a head.
fn head_end(bytes: &[u8], from: usize) -> Option<usize> {
    memchr::memchr_iter(b'\n', &bytes[from..])
        .map(|at| from + at)
        .find_map(|at| {
            // Lenient servers end lines with a bare line feed.
            let line = bytes[..at].strip_suffix(b"\r").unwrap_or(&bytes[..at]);
            (line.last() == Some(&b'\n')).then_some(at + 1)
        })
}

/// Tells at once that something which speaks no HTTP responded, rather than waiting for a blank line.
fn check_first_bytes(bytes: &[u8]) -> Result<(), HttpError> {
    const START: &[u8] = b"HTTP/1.";
    let seen = bytes.len().min(START.len());
    if bytes[..seen] == START[..seen] {
        Ok(())
    } else {
        let begin = bytes[..bytes.len().min(40)].to_vec();
        Err(HttpError::NotHttp { begin })
    }
}

/// Reads chunked bytes; returns how many were used and whether the body is over.
fn feed_chunks(
    state: &mut ChunkState,
    bytes: &[u8],
    body: &mut Vec<u8>,
    chunks: Chunks,
) -> Result<(usize, bool), HttpError> {
    let mut used = 0;
    while let Some(&byte) = bytes.get(used) {
        if let ChunkState::Data { left } = *state {
            let rest = &bytes[used..];
            let take = rest.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            body.extend_from_slice(&rest[..take]);
            used += take;
            *state = match left - take as u64 {
                0 => ChunkState::DataCr,
                left => ChunkState::Data { left },
            };
            if chunks == Chunks::One {
                break;
            }
            continue;
        }
        used += 1;
        *state = match *state {
            ChunkState::Data { .. } => unreachable!("handled above"),
            ChunkState::Size { size, digits } => match (byte as char).to_digit(16) {
                Some(_) if digits == 16 => return Err(HttpError::Chunk("a size is too large")),
                Some(digit) => ChunkState::Size {
                    size: size << 4 | u64::from(digit),
                    digits: digits + 1,
                },
                None if digits == 0 => return Err(HttpError::Chunk("a size is missing")),
                None => match byte {
                    b'\r' => ChunkState::SizeEnd { size },
                    b'\n' => after_size(size),
                    b';' | b' ' | b'\t' => ChunkState::Extension { size, length: 0 },
                    _ => return Err(HttpError::Chunk("a size is not hexadecimal")),
                },
            },
            ChunkState::Extension { size, length } => match byte {
                b'\r' => ChunkState::SizeEnd { size },
                b'\n' => after_size(size),
                _ if length == MAX_CHUNK_LINE => {
                    return Err(HttpError::Chunk("an extension is too long"));
                }
                _ => ChunkState::Extension {
                    size,
                    length: length + 1,
                },
            },
            ChunkState::SizeEnd { size } => match byte {
                b'\n' => after_size(size),
                _ => return Err(HttpError::Chunk("a size line does not end")),
            },
            ChunkState::DataCr => match byte {
                b'\r' => ChunkState::DataLf,
                b'\n' => CHUNK_START,
                _ => return Err(HttpError::Chunk("a chunk is longer than its size")),
            },
            ChunkState::DataLf => match byte {
                b'\n' => CHUNK_START,
                _ => return Err(HttpError::Chunk("a chunk does not end")),
            },
            ChunkState::Trailer {
                length: MAX_CHUNK_LINE,
                ..
            } => return Err(HttpError::Chunk("its trailers are too long")),
            ChunkState::Trailer {
                line_is_empty,
                length,
            }
            | ChunkState::TrailerEnd {
                line_is_empty,
                length,
            } => match byte {
                b'\n' if line_is_empty => return Ok((used, true)),
                b'\r' if matches!(state, ChunkState::Trailer { .. }) => ChunkState::TrailerEnd {
                    line_is_empty,
                    length,
                },
                byte => ChunkState::Trailer {
                    line_is_empty: byte == b'\n',
                    length: length + 1,
                },
            },
        };
    }
    Ok((used, false))
}

fn after_size(size: u64) -> ChunkState {
    match size {
        0 => ChunkState::Trailer {
            line_is_empty: true,
            length: 0,
        },
        left => ChunkState::Data { left },
    }
}

#[cfg(test)]
mod tests;
