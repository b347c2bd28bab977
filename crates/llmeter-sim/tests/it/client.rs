//! A client that speaks HTTP by hand, so that tests decide about every byte.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpStream},
    time::Duration,
};

use llmeter_sim::RunningSimulator;
use serde_json::{Value, json};

/// Longer than anything here takes; a server that hangs fails its test by this.
const TIMEOUT: Duration = Duration::from_secs(30);

pub(crate) struct Client {
    stream: TcpStream,
    unread: Vec<u8>,
}

#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
    /// The chunks of a chunked body.
    pub(crate) chunks: Vec<Vec<u8>>,
    /// Whether the body came to its proper end.
    pub(crate) complete: bool,
}

impl Response {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The stream's frames without the closing mark, which must be there if the body is complete.
    pub(crate) fn frames(&self) -> Vec<Value> {
        let mut frames = Vec::new();
        let mut done = false;
        let text = std::str::from_utf8(&self.body).unwrap();
        for frame in text.split_terminator("\n\n") {
            assert!(!done, "something follows [DONE]");
            match frame.strip_prefix("data: ").unwrap() {
                "[DONE]" => done = true,
                data => frames.push(serde_json::from_str(data).unwrap()),
            }
        }
        assert_eq!(done, self.complete);
        frames
    }

    /// The joined contents of the first choice.
    pub(crate) fn text(&self) -> String {
        let content = |frame: Value| {
            let delta = frame
                .pointer("/choices/0/delta/content")?
                .as_str()?
                .to_owned();
            Some(delta)
        };
        self.frames().into_iter().filter_map(content).collect()
    }
}

/// A chat completion request's body with some members changed.
pub(crate) fn chat(changes: Value) -> Value {
    let mut body = json!({
        "model": "some/model",
        "messages": [{"role": "user", "content": "one two three"}],
    });
    for (name, value) in changes.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

/// A whole request for a chat completion.
pub(crate) fn post(body: &Value, headers: &str) -> String {
    post_to("/v1/chat/completions", &body.to_string(), headers)
}

pub(crate) fn post_to(path: &str, body: &str, headers: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n{headers}\r\n{body}",
        body.len()
    )
}

impl Client {
    pub(crate) fn connect(server: &RunningSimulator) -> Self {
        let stream = TcpStream::connect(server.address()).unwrap();
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            unread: Vec::new(),
        }
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).unwrap();
    }

    pub(crate) fn ask(&mut self, request: impl AsRef<[u8]>) -> Response {
        self.send(request);
        self.receive()
    }

    pub(crate) fn half_close(&self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// Reads on. `false`: the server has closed.
    fn more(&mut self) -> bool {
        let mut buffer = [0; 1 << 14];
        match self.stream.read(&mut buffer) {
            Ok(0) => false,
            Ok(length) => {
                self.unread.extend_from_slice(&buffer[..length]);
                true
            }
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => false,
            Err(error) => panic!("{error}"),
        }
    }

    pub(crate) fn is_closed(&mut self) -> bool {
        self.unread.is_empty() && !self.more()
    }

    /// Bytes up to and including `mark`; `None` if the server closes before.
    pub(crate) fn take_through(&mut self, mark: &[u8]) -> Option<Vec<u8>> {
        loop {
            let found = self
                .unread
                .windows(mark.len())
                .position(|bytes| bytes == mark);
            if let Some(at) = found {
                return Some(self.unread.drain(..at + mark.len()).collect());
            }
            if !self.more() {
                return None;
            }
        }
    }

    fn take(&mut self, length: usize) -> Option<Vec<u8>> {
        while self.unread.len() < length {
            if !self.more() {
                return None;
            }
        }
        Some(self.unread.drain(..length).collect())
    }

    pub(crate) fn receive(&mut self) -> Response {
        self.receive_after("POST")
    }

    pub(crate) fn receive_after(&mut self, method: &str) -> Response {
        let head = self.take_through(b"\r\n\r\n").expect("a head");
        let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
        let mut response = Response {
            status: head[9..12].parse().unwrap(),
            head: head.clone(),
            body: Vec::new(),
            chunks: Vec::new(),
            complete: true,
        };
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .map(|length| length.parse::<usize>().unwrap());
        match length {
            _ if method == "HEAD" => {}
            Some(length) => match self.take(length) {
                Some(body) => response.body = body,
                None => {
                    response.body = std::mem::take(&mut self.unread);
                    response.complete = false;
                }
            },
            None if head.contains("transfer-encoding: chunked") => self.read_chunks(&mut response),
            None => {
                while self.more() {}
                response.body = std::mem::take(&mut self.unread);
            }
        }
        response
    }

    fn read_chunks(&mut self, response: &mut Response) {
        loop {
            let Some(line) = self.take_through(b"\r\n") else {
                response.complete = false;
                return;
            };
            let digits = std::str::from_utf8(&line).unwrap().trim_end();
            let size = usize::from_str_radix(digits, 16).unwrap();
            let chunk = self.take(size + 2).expect("a whole chunk");
            assert!(chunk.ends_with(b"\r\n"));
            if size == 0 {
                return;
            }
            response.body.extend_from_slice(&chunk[..size]);
            response.chunks.push(chunk[..size].to_vec());
        }
    }
}
